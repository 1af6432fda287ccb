"""Pulumi's ResourceProvider protocol: messages in, `check`, `diff` and `lifecycle` called, messages out."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from bluegreen.errors import BluegreenError
from sandbox.provider import lifecycle
from sandbox.provider.aws import Aws, Clients
from sandbox.provider.check import Failure, Naming, check, check_arguments
from sandbox.provider.configuration import configuration_failures, settings_from
from sandbox.provider.diff import Act, Change, deletes_first, diff
from sandbox.provider.invokes import INVOKES
from sandbox.provider.resources import TYPES
from sandbox.provider.table import ResourceType
from sandbox.provider.wire import UNKNOWN, Props, decode, encode

_KINDS = {
    (Act.ADD, False): provider_pb2.PropertyDiff.ADD,
    (Act.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (Act.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (Act.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
    (Act.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (Act.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
}
_ERRORS = "1 error occurred:\n\t* {}\n\n"  # how Terraform's errors are listed


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self, version: str) -> None:
        self._version = version
        self._cancelled = threading.Event()
        self._aws: Aws | None = None

    # --- The plugin itself

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        return Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._cancelled.set()
        return Empty()

    # --- Configuration

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = decode(request.news)
        return _checked(inputs, configuration_failures(inputs))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        olds, news = decode(request.olds), decode(request.news)
        # Another region or account holds none of what is in the state: everything would have to be made anew there.
        replaces = sorted(name for name in ("region",) if name in olds and olds[name] != news.get(name))
        changed = sorted(name for name in {*olds, *news} if olds.get(name) != news.get(name) and name != "version")
        changes = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changes, diffs=changed, replaces=replaces)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        arguments = decode(request.args)
        if UNKNOWN in arguments.values():
            return (
                self._configured()
            )  # a preview whose provider depends on a resource: it is configured again before any change
        settings = _or_abort(context, lambda: settings_from(arguments))
        self._aws = Aws(clients=Clients(settings), settings=settings, cancelled=self._cancelled)
        return self._configured()

    def _configured(self) -> Any:
        return provider_pb2.ConfigureResponse(supportsPreview=True, supports_autonaming_configuration=True)

    # --- Resources

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = _type(request.urn, context)
        naming = Naming(
            resource=request.urn.rpartition("::")[2],
            seed=request.randomSeed,
            proposed=request.autonaming.proposed_name,
            disabled=request.autonaming.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE,
        )
        news = decode(request.news)
        misplaced = self._misplaced(news.pop("region", None), context)
        inputs, failures = check(kind, decode(request.olds), news, naming)
        return _checked(inputs, [*misplaced, *failures])

    def _misplaced(self, region: Any, context: grpc.ServicerContext) -> list[Failure]:
        if region in (None, UNKNOWN) or self._aws is None or region == self._aws.region:
            return []
        return [Failure("region", f"the sandbox supports only the provider's region {self._aws.region}, got {region}")]

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = _type(request.urn, context)
        ignored = frozenset(request.ignoreChanges)
        inputs = decode(request.news)
        return _diff_response(diff(kind, decode(request.olds), inputs, ignored), deletes_first(kind, inputs))

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind, aws = _type(request.urn, context), self._for(request, context)
        inputs = decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(lifecycle.preview_create(kind, aws, inputs)))
        made = _or_abort(context, lambda: lifecycle.create(kind, aws, inputs), _ERRORS, inputs)
        return provider_pb2.CreateResponse(id=made.identifier, properties=encode(made.state))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind, aws = _type(request.urn, context), self._for(request, context)
        known = {**decode(request.inputs), **decode(request.properties)}
        found = _or_abort(
            context, lambda: lifecycle.read(kind, aws, request.id, known), f"refreshing {request.urn}: {_ERRORS}"
        )
        if found is None:
            return provider_pb2.ReadResponse()
        inputs = lifecycle.refreshed_inputs(kind, decode(request.inputs), found.state)
        return provider_pb2.ReadResponse(id=found.identifier, properties=encode(found.state), inputs=encode(inputs))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind, aws = _type(request.urn, context), self._for(request, context)
        olds, inputs, ignored = decode(request.olds), decode(request.news), frozenset(request.ignoreChanges)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=encode(lifecycle.preview_update(kind, olds, inputs)))
        made = _or_abort(
            context,
            lambda: lifecycle.update(kind, aws, request.id, olds, inputs, ignored),
            f"updating {request.urn}: {_ERRORS}",
            decode(request.old_inputs),
        )
        return provider_pb2.UpdateResponse(properties=encode(made.state))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind, aws = _type(request.urn, context), self._for(request, context)
        what = f"deleting {request.urn}: {_ERRORS}"
        _or_abort(context, lambda: kind.delete(aws, request.id, decode(request.properties)), what)
        return Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        invoke = INVOKES.get(request.tok)
        if invoke is None:
            message = f"the sandbox's provider has no function {request.tok}; it has {', '.join(INVOKES)}"
            _abort(context, grpc.StatusCode.UNIMPLEMENTED, message)
        arguments = decode(request.args)
        failures = self._misplaced(arguments.pop("region", None), context)
        converted, wrong = check_arguments(invoke.arguments, invoke.refused, arguments, request.tok)
        if failures or wrong:
            return provider_pb2.InvokeResponse(failures=_failures([*failures, *wrong]))
        answer = _or_abort(context, lambda: invoke.ask(self._configured_aws(context), converted))
        return provider_pb2.InvokeResponse(**{"return": encode(answer)})

    # --- What every request needs

    def _configured_aws(self, context: grpc.ServicerContext) -> Aws:
        if self._aws is None:
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, "the provider was asked before it was configured")
        return self._aws

    def _for(self, request: Any, context: grpc.ServicerContext) -> Aws:
        aws = self._configured_aws(context)
        return replace(aws, custom_timeout=request.timeout) if getattr(request, "timeout", 0) else aws


def _type(urn: str, context: grpc.ServicerContext) -> ResourceType:
    token = urn.split("::")[2].rpartition("$")[2]
    if token not in TYPES:
        message = f"the sandbox's provider has no resource type {token}; it has {', '.join(TYPES)}"
        _abort(context, grpc.StatusCode.UNIMPLEMENTED, message)
    return TYPES[token]


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort raises")


def _or_abort(context: grpc.ServicerContext, act: Any, said_as: str = "{}", inputs: Props | None = None) -> Any:
    """Expected errors become the call's status; an object that exists but isn't finished travels in its details."""
    try:
        return act()
    except lifecycle.InitializationFailed as error:
        existing = error.existing
        details = provider_pb2.ErrorResourceInitFailed(
            id=existing.identifier,
            properties=encode(existing.state),
            reasons=[said_as.replace("{}", str(error))],
            inputs=encode(inputs or {}),
        )
        packed = AnyMessage()
        packed.Pack(details)
        message = details.reasons[0]
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message, details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        _abort(context, grpc.StatusCode.UNKNOWN, message)
    except BluegreenError as error:
        _abort(context, grpc.StatusCode.UNKNOWN, said_as.replace("{}", str(error)))


def _checked(inputs: Props, failures: Iterable[Failure]) -> Any:
    return provider_pb2.CheckResponse(inputs=encode(inputs), failures=_failures(failures))


def _failures(failures: Iterable[Failure]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures]


def _diff_response(changes: list[Change], deletes_first: bool) -> Any:
    replaces = _properties(change for change in changes if change.replaces)
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=_properties(changes),
        replaces=replaces,
        deleteBeforeReplace=bool(replaces) and deletes_first,
        detailedDiff={
            change.path: provider_pb2.PropertyDiff(kind=_KINDS[change.act, change.replaces]) for change in changes
        },
        hasDetailedDiff=True,
    )


def _properties(changes: Iterable[Change]) -> list[str]:
    return list(dict.fromkeys(change.property for change in changes))
