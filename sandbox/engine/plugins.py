"""Resource providers: the processes, found on PATH as `pulumi-resource-<package>`, and the calls to them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sandbox.engine.checkpoint import Resource
from sandbox.engine.errors import EngineError
from sandbox.engine.properties import Properties, Secret, from_struct, has_secrets, plain, to_struct

MAX_MESSAGE_BYTES = 400 * 1024 * 1024
GRPC_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
]


class ProviderError(EngineError):
    """A provider refused or failed a call; nothing is known to have been made."""

    is_outcome_unknown = False


class InitFailed(ProviderError):
    """The resource exists, and is not as it should be: its id and properties are to be recorded."""

    def __init__(self, id: str, outputs: Properties, reasons: tuple[str, ...]) -> None:
        lines = "".join(f"\n\t* {reason}" for reason in reasons)
        super().__init__(f"{len(reasons)} error{'' if len(reasons) == 1 else 's'} occurred:{lines}\n\n")
        self.id, self.outputs, self.reasons = id, outputs, reasons


@dataclass(frozen=True)
class CheckFailure:
    property: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """A provider's answer to: does this resource change?"""

    changes: bool | None = None  # None: the provider does not say
    diffs: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_before_replace: bool = False
    detailed: Mapping[str, tuple[str, bool]] | None = None  # path -> (kind, does the input differ)


class Process:
    """A provider's process and the channel to it."""

    def __init__(
        self, package: str, engine_address: str, environment: Mapping[str, str], log: Callable[[str], None]
    ) -> None:
        import grpc

        name = f"pulumi-resource-{package}"
        path = shutil.which(name, path=environment.get("PATH"))
        if path is None:
            raise EngineError(
                f"no resource plugin '{name}' found on $PATH; put it there (the stand-in installs no plugins)"
            )
        # A session of its own: Ctrl-C reaches the engine alone, which then asks the provider to cancel.
        self.process = subprocess.Popen(
            [path, engine_address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(environment),
            start_new_session=True,
        )
        assert self.process.stdout is not None
        port = self.process.stdout.readline().strip()
        if not port.isdigit():
            said = self.process.stderr.read() if self.process.stderr else ""
            self.process.kill()
            raise EngineError(f"{path} did not print the port that it serves on, but {port!r}\n{said}".rstrip())
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=_relay, args=(stream, log), daemon=True).start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=GRPC_OPTIONS)

    def stop(self) -> None:
        self.channel.close()
        self.process.kill()
        self.process.wait()


def _relay(stream: Any, log: Callable[[str], None]) -> None:
    for line in stream:
        log(line.rstrip("\n"))


class Provider:
    """A provider's operations; configured before the first of those on resources."""

    supports_preview = False

    def __init__(self, process: Process) -> None:
        from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

        self._pb = provider_pb2
        self._stub = provider_pb2_grpc.ResourceProviderStub(process.channel)
        self._accepts_secrets = True

    # The provider's own configuration

    def check_config(self, urn: str, olds: Properties, news: Properties) -> tuple[Properties, list[CheckFailure]]:
        request = self._request(self._pb.CheckRequest, urn, olds=olds, news=news)
        response = self._call(
            self._stub.CheckConfig, request, unimplemented=self._pb.CheckResponse(inputs=request.news)
        )
        return from_struct(response.inputs), _failures(response)

    def diff_config(self, urn: str, id: str, old_inputs: Properties, olds: Properties, news: Properties) -> Difference:
        request = self._request(self._pb.DiffRequest, urn, id=id, olds=olds, news=news, old_inputs=old_inputs)
        unknown = self._pb.DiffResponse(changes=self._pb.DiffResponse.DIFF_UNKNOWN)
        return _difference(self._call(self._stub.DiffConfig, request, unimplemented=unknown))

    def configure(self, urn: str, id: str, package: str, inputs: Properties) -> None:
        # `variables` is how providers got their config before `args`; some still read it.
        bare = {f"{package}:config:{key}": plain(value) for key, value in inputs.items()}
        request = self._request(
            self._pb.ConfigureRequest,
            urn,
            id=id,
            args=inputs,
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
        )
        for key, value in bare.items():
            request.variables[key] = value if isinstance(value, str) else json.dumps(value)
        response = self._call(self._stub.Configure, request)
        self._accepts_secrets = response.acceptSecrets
        self.supports_preview = response.supportsPreview

    # Resources

    def check(self, urn: str, olds: Properties, news: Properties) -> tuple[Properties, list[CheckFailure]]:
        request = self._request(self._pb.CheckRequest, urn, olds=olds, news=news, randomSeed=os.urandom(32))
        response = self._call(self._stub.Check, request)
        return self._marked(from_struct(response.inputs), news), _failures(response)

    def diff(self, urn: str, old: Resource, news: Properties, ignore: tuple[str, ...] = ()) -> Difference:
        request = self._request(
            self._pb.DiffRequest,
            urn,
            id=old.id,
            olds=old.outputs,
            news=news,
            ignoreChanges=ignore,
            old_inputs=old.inputs,
        )
        return _difference(self._call(self._stub.Diff, request))

    def create(self, new: Resource, preview: bool) -> tuple[str, Properties]:
        timeout = new.custom_timeouts.get("create", 0)
        request = self._request(
            self._pb.CreateRequest, new.urn, properties=new.inputs, timeout=timeout, preview=preview
        )
        response = self._call(self._stub.Create, request)
        if not response.id and not preview:
            raise ProviderError(f"provider for {new.urn} returned no id from Create")
        return response.id, self._marked(from_struct(response.properties), new.inputs)

    def update(self, old: Resource, new: Resource, preview: bool) -> Properties:
        request = self._request(
            self._pb.UpdateRequest,
            new.urn,
            id=old.id,
            olds=old.outputs,
            news=new.inputs,
            timeout=new.custom_timeouts.get("update", 0),
            ignoreChanges=new.ignore_changes,
            preview=preview,
            old_inputs=old.inputs,
        )
        return self._marked(from_struct(self._call(self._stub.Update, request).properties), new.inputs)

    def delete(self, old: Resource) -> None:
        timeout = old.custom_timeouts.get("delete", 0)
        request = self._request(
            self._pb.DeleteRequest, old.urn, id=old.id, properties=old.outputs, timeout=timeout, old_inputs=old.inputs
        )
        self._call(self._stub.Delete, request)

    def read(
        self, urn: str, id: str, inputs: Properties, state: Properties
    ) -> tuple[str, Properties, Properties] | None:
        """The live id, inputs and outputs; `None` if the resource is gone."""
        request = self._request(self._pb.ReadRequest, urn, id=id, properties=state, inputs=inputs)
        response = self._call(self._stub.Read, request)
        if not response.id:
            return None
        read_inputs = self._marked(from_struct(response.inputs), inputs)
        return response.id, read_inputs, self._marked(from_struct(response.properties), {**inputs, **state})

    def invoke(self, token: str, arguments: Properties, preview: bool) -> tuple[Properties, list[CheckFailure]]:
        arguments = to_struct(arguments, secrets=self._accepts_secrets)
        response = self._call(self._stub.Invoke, self._pb.InvokeRequest(tok=token, args=arguments, preview=preview))
        return from_struct(getattr(response, "return")), _failures(response)

    def cancel(self) -> None:
        from google.protobuf.empty_pb2 import Empty

        self._call(self._stub.Cancel, Empty(), unimplemented=Empty())

    def _request(self, kind: Any, urn: str, **fields: Any) -> Any:
        """The request on the resource of this URN; dictionaries are properties."""
        _, _, type, name = urn.split("::", 3)
        structs = {
            key: to_struct(value, secrets=self._accepts_secrets)
            for key, value in fields.items()
            if isinstance(value, dict)
        }
        return kind(urn=urn, name=name, type=type.rpartition("$")[2], **{**fields, **structs})

    def _marked(self, answered: Properties, sent: Properties) -> Properties:
        """A provider that takes no secrets gives them back bare: what was secret when sent is secret in the answer."""
        if self._accepts_secrets:
            return answered
        return _annotated(answered, sent)

    def _call(self, method: Any, request: Any, unimplemented: Any = None) -> Any:
        import grpc

        try:
            return method(request, wait_for_ready=True)
        except grpc.RpcError as error:
            if unimplemented is not None and error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return unimplemented
            raise _provider_error(error, self._pb) from error


def _annotated(answered: Properties, sent: Properties) -> Properties:
    """A list with a secret in it is secret as a whole, an object where it was (sdk: annotateSecrets)."""
    marked = dict(answered)
    for key, value in answered.items():
        was = sent.get(key)
        if isinstance(value, dict) and isinstance(was, dict):
            marked[key] = _annotated(value, was)
        elif has_secrets(was):
            marked[key] = Secret(plain(value))
    return marked


def _failures(response: Any) -> list[CheckFailure]:
    return [CheckFailure(failure.property, failure.reason) for failure in response.failures]


def _provider_error(error: Any, pb: Any) -> ProviderError:
    from pulumi.runtime.proto import status_pb2

    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                if detail.type_url.endswith("ErrorResourceInitFailed"):
                    failed = pb.ErrorResourceInitFailed.FromString(detail.value)
                    return InitFailed(failed.id, from_struct(failed.properties), tuple(failed.reasons))
    failed = ProviderError(error.details() or str(error.code()))
    failed.is_outcome_unknown = error.code().name in ("UNKNOWN", "INTERNAL", "DATA_LOSS")
    return failed


def _difference(response: Any) -> Difference:
    kinds = ("add", "add-replace", "delete", "delete-replace", "update", "update-replace")
    detailed = {path: (kinds[d.kind], d.inputDiff) for path, d in response.detailedDiff.items()}
    return Difference(
        changes={1: False, 2: True}.get(response.changes),
        diffs=tuple(response.diffs),
        replaces=tuple(response.replaces),
        delete_before_replace=response.deleteBeforeReplace,
        detailed=detailed if response.hasDetailedDiff or detailed else None,
    )


class Plugins:
    """The providers of one run: one process for each provider resource, started when first needed or ahead of it."""

    def __init__(self, environment: Mapping[str, str], log: Callable[[str], None]) -> None:
        self._environment = {key: value for key, value in environment.items() if key != "PULUMI_CONFIG_PASSPHRASE"}
        self._log = log
        self._lock = threading.Lock()
        self._starter = ThreadPoolExecutor(max_workers=4, thread_name_prefix="plugin")
        self._warm: dict[str, Future[Process]] = {}
        self._processes: list[Process] = []
        self._providers: list[Provider] = []
        self.engine_address = ""

    def warm_up(self, package: str) -> None:
        """Start a process for `package` now: starting one costs as much as the program's own imports."""
        with self._lock:
            self._warm.setdefault(package, self._starter.submit(self._start, package))

    def new(self, package: str) -> Provider:
        with self._lock:
            started = self._warm.pop(package, None) or self._starter.submit(self._start, package)
        provider = Provider(started.result())
        with self._lock:
            self._providers.append(provider)
        return provider

    def cancel(self) -> None:
        """Ask every provider to give up what it is doing."""
        for provider in list(self._providers):
            with contextlib.suppress(ProviderError):  # it may have ended
                provider.cancel()

    def stop(self) -> None:
        for warm in self._warm.values():
            warm.cancel()
        self._starter.shutdown(wait=True)
        for process in self._processes:
            process.stop()

    def _start(self, package: str) -> Process:
        process = Process(package, self.engine_address, self._environment, self._log)
        with self._lock:
            self._processes.append(process)
        return process
