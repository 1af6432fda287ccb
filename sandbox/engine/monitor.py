"""The gRPC side that faces the program: Pulumi's ResourceMonitor and Engine services over a deployment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from sandbox.engine.checkpoint import Resource
from sandbox.engine.deployment import Deployment, Goal, Stopped
from sandbox.engine.errors import EngineError, Refused
from sandbox.engine.events import Events
from sandbox.engine.hooks import KINDS, Hook, Hooks
from sandbox.engine.plugins import GRPC_OPTIONS
from sandbox.engine.properties import from_struct, has_unknowns, to_struct
from sandbox.engine.provider_set import ProviderSet

# Every registration waits in a thread of its own until its step is done.
MAX_CALLS = 512
FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "resourceReferences": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    "aliasSpecs": resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    "resourceHooks": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
}
# Fields of a registration that ask for what this engine does not do, and what users call them.
REFUSED_OPTIONS = {
    "remote": "remote components",
    "transforms": "the resource option transforms",
    "state_migrations": "state migrations",
    "replace_with": "the resource option replace_with",
    "hideDiffs": "the resource option hide_diffs",
    "envVarMappings": "the resource option env_var_mappings",
    "pluginDownloadURL": "the resource option plugin_download_url",
    "packageRef": "parameterized packages",
    "snippetId": "snippets",
}
SEVERITIES = {engine_pb2.INFO: "info", engine_pb2.WARNING: "warning", engine_pb2.ERROR: "error"}


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    def __init__(
        self, deployment: Deployment, providers: ProviderSet, hooks: Hooks, on_registered: Callable[[], None]
    ) -> None:
        self._deployment, self._providers, self._hooks = deployment, providers, hooks
        self._on_registered = on_registered
        self._may_end = threading.Event()

    def release(self) -> None:
        """Let the program end, and those of its calls that were stopped."""
        self._may_end.set()

    def _guarded(self, context: Any, call: Callable[[], Any]) -> Any:
        """The call's answer; a failure of the deployment is answered only when the program is to end.

        Answered at once, the SDK would report the broken call as an error of its own.
        """
        try:
            try:
                return call()
            except Stopped:
                raise
            except EngineError as error:
                self._deployment.fail(str(error))
        except Stopped as error:
            self._may_end.wait()
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    def SupportsFeature(self, request: Any, context: Any) -> Any:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in FEATURES)

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:
        return resource_pb2.DeploymentInfo(
            project=self._deployment.project,
            stack=self._deployment.stack,
            organization="organization",
            dryRun=self._deployment.dry_run,
            supportedFeatures=list(FEATURES.values()),
        )

    def RegisterResource(self, request: Any, context: Any) -> Any:
        return self._guarded(context, lambda: self._register(request))

    def _register(self, request: Any) -> Any:
        for field, what in REFUSED_OPTIONS.items():
            if getattr(request, field):
                raise Refused(f"{what} ({request.type} {request.name})")
        if request.hooks.on_error:
            raise Refused(f"error hooks ({request.type} {request.name})")
        if request.HasField("replacement_trigger") and request.replacement_trigger.WhichOneof("kind") != "null_value":
            raise Refused(f"the resource option replacement_trigger ({request.type} {request.name})")
        goal = Goal(
            self._wanted(
                request,
                custom=request.custom,
                inputs=from_struct(request.object),
                protect=request.protect,
                property_dependencies={key: list(d.urns) for key, d in sorted(request.propertyDependencies.items())},
                ignore_changes=tuple(request.ignoreChanges),
                replace_on_changes=tuple(request.replaceOnChanges),
                custom_timeouts=_timeouts(request.customTimeouts),
                retain_on_delete=request.retainOnDelete,
                import_id=request.importId,
                deleted_with=request.deletedWith,
                resource_hooks={
                    kind: list(names) for field, kind in KINDS.items() if (names := getattr(request.hooks, field))
                },
            ),
            version=request.version,
            aliases=tuple(self._aliases(request)),
            delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
            inherits_protection=not request.HasField("protect"),
        )
        resource = self._deployment.register(goal)
        is_new = self._deployment.dry_run and not resource.id
        return resource_pb2.RegisterResourceResponse(
            urn=resource.urn,
            id=resource.id,
            object=to_struct(
                resource.outputs if resource.custom and not is_new else resource.inputs | resource.outputs
            ),
            result=resource_pb2.SUCCESS,
            unknown=self._deployment.destroying and not resource.created,
        )

    def _aliases(self, request: Any) -> list[str]:
        urns = list(request.aliasURNs)
        for alias in request.aliases:
            if alias.WhichOneof("alias") == "urn":
                urns.append(alias.urn)
                continue
            spec = alias.spec
            if spec.stack or spec.project:
                raise Refused(f"an alias in another stack or project ({request.type} {request.name})")
            parent = "" if spec.noParent else spec.parentUrn or request.parent
            urns.append(self._deployment.urn(spec.type or request.type, spec.name or request.name, parent))
        return urns

    def _wanted(self, request: Any, **fields: Any) -> Resource:
        return Resource(
            urn=self._deployment.urn(request.type, request.name, request.parent),
            type=request.type,
            parent=request.parent,
            provider=request.provider,
            dependencies=tuple(request.dependencies),
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
            **fields,
        )

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        def call() -> Any:
            self._deployment.register_outputs(request.urn, from_struct(request.outputs))
            return Empty()

        return self._guarded(context, call)

    def ReadResource(self, request: Any, context: Any) -> Any:
        def call() -> Any:
            wanted = self._wanted(request, custom=True, inputs=from_struct(request.properties))
            resource = self._deployment.read(Goal(wanted, request.version), request.id)
            return resource_pb2.ReadResourceResponse(urn=resource.urn, properties=to_struct(resource.outputs))

        return self._guarded(context, call)

    def Invoke(self, request: Any, context: Any) -> Any:
        try:
            return self._invoke(request)
        except Stopped as error:
            self._may_end.wait()
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except EngineError as error:
            # The program may catch it: unlike a failed step, a failed question stops nothing by itself.
            context.abort(grpc.StatusCode.UNKNOWN, f"invocation of {request.tok} returned an error: {error}")

    def _invoke(self, request: Any) -> Any:
        arguments = from_struct(request.args)
        if request.pluginDownloadURL or request.packageRef:
            raise Refused(f"invokes of another package source ({request.tok})")
        package = request.tok.split(":")[0]
        reference = request.provider or self._providers.default(package, request.version, self._deployment)
        if has_unknowns(arguments):
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        provider = self._providers.by_reference(reference)
        result, failures = provider.invoke(request.tok, arguments, self._deployment.dry_run)
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(result))
        for failure in failures:
            response.failures.add(property=failure.property, reason=failure.reason)
        return response

    def Call(self, request: Any, context: Any) -> Any:
        self._refuse(context, f"method calls on resources ({request.tok})")

    def RegisterStackTransform(self, request: Any, context: Any) -> Any:
        self._refuse(context, "stack transforms")

    def RegisterStackInvokeTransform(self, request: Any, context: Any) -> Any:
        self._refuse(context, "invoke transforms")

    def RegisterErrorHook(self, request: Any, context: Any) -> Any:
        self._refuse(context, f"error hooks ({request.name})")

    def RegisterPackage(self, request: Any, context: Any) -> Any:
        self._refuse(context, f"parameterized packages ({request.name})")

    def _refuse(self, context: Any, what: str) -> None:
        self._guarded(context, lambda: self._deployment.fail(str(Refused(what))))

    def RegisterResourceHook(self, request: Any, context: Any) -> Any:
        hook = Hook(
            request.name, request.callback.target, request.callback.token, request.on_dry_run, request.ignore_errors
        )
        try:
            self._hooks.register(hook)
        except EngineError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return Empty()

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:
        self._on_registered()
        self._may_end.wait()
        return Empty()


class EngineService(engine_pb2_grpc.EngineServicer):
    """Logging, and the root resource."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._root = ""

    def Log(self, request: Any, context: Any) -> Any:
        if severity := SEVERITIES.get(request.severity):  # debug messages would fill the log
            self._events.diagnostic(
                severity, request.message, request.urn, ephemeral=request.ephemeral, stream=request.streamId
            )
        return Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: Any) -> Any:
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: Any, context: Any) -> Any:
        return engine_pb2.RequirePulumiVersionResponse()


def serve(monitor: Monitor, events: Events) -> tuple[Any, str]:
    """The server of both services, started, and its address."""
    server = grpc.server(ThreadPoolExecutor(max_workers=MAX_CALLS, thread_name_prefix="monitor"), options=GRPC_OPTIONS)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(EngineService(events), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


def _timeouts(timeouts: Any) -> dict[str, float]:
    wanted = {name: getattr(timeouts, name) for name in ("create", "update", "delete")}
    return {name: _seconds(text) for name, text in wanted.items() if text}


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def _seconds(duration: str) -> float:
    """A Go duration such as `1h30m` in seconds."""
    import re

    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise EngineError(f"unable to parse customTimeout value {duration!r}: a duration looks like 30s or 1h30m")
    seconds: float = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return int(seconds) if seconds == int(seconds) else seconds
