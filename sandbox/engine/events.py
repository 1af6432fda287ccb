"""Engine events in the shape of Pulumi's event log: making them, and handing them to whoever listens."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.engine.checkpoint import Resource
from sandbox.engine.errors import EngineError
from sandbox.engine.properties import SECRET, SIGNATURE, Secret, to_json

Event = dict[str, Any]
Listener = Callable[[Event], None]


class Events:
    """Hands each event to the listeners, one at a time, in one order."""

    def __init__(self, listeners: list[Listener], *, show_secrets: bool = False) -> None:
        self._listeners = listeners
        self._show_secrets = show_secrets
        self._sequence = 0
        self._lock = threading.RLock()

    def emit(self, kind: str, payload: Mapping[str, Any]) -> None:
        with self._lock:
            event = {"sequence": self._sequence, "timestamp": int(time.time()), kind: payload}
            self._sequence += 1
            for listener in self._listeners:
                listener(event)

    def diagnostic(
        self, severity: str, message: str, urn: str = "", *, ephemeral: bool = False, stream: int = 0
    ) -> None:
        prefix = {"error": "error: ", "warning": "warning: ", "debug": "debug: "}.get(severity, "")
        payload: Event = {"urn": urn} if urn else {}
        if prefix:
            payload["prefix"] = prefix
        payload |= {"message": f"{message}\n", "color": "never", "severity": severity}
        if stream:
            payload["streamID"] = stream
        if ephemeral:
            payload["ephemeral"] = True
        self.emit("diagnosticEvent", payload)

    def resource_begins(self, step: Any) -> None:
        self.emit("resourcePreEvent", {"metadata": self._metadata(step)})

    def resource_ends(self, step: Any) -> None:
        self.emit("resOutputsEvent", {"metadata": self._metadata(step)})

    def resource_fails(self, step: Any, steps: int) -> None:
        self.emit("resOpFailedEvent", {"metadata": self._metadata(step), "status": 0, "steps": steps})

    def _metadata(self, step: Any) -> Event:
        subject = step.new or step.old
        metadata: Event = {
            "op": step.op,
            "urn": subject.urn,
            "type": subject.type,
            "old": self._state(step.old),
            "new": self._state(step.new),
        }
        if step.keys:
            metadata["keys"] = list(step.keys)
        if step.diffs:
            metadata["diffs"] = list(step.diffs)
        metadata["detailedDiff"] = detailed_diff(step.detailed)
        return {**metadata, **({"logical": True} if step.is_logical else {}), "provider": subject.provider}

    def _state(self, resource: Resource | None) -> Event | None:
        if resource is None:
            return None
        flags = {
            "custom": resource.custom,
            "delete": resource.delete,
            "external": resource.external,
            "protect": resource.protect,
            "retainOnDelete": resource.retain_on_delete,
            "initErrors": list(resource.init_errors),
        }
        return {
            "type": resource.type,
            "urn": resource.urn,
            "id": resource.id,
            "parent": resource.parent,
            "inputs": sealed(resource.inputs, self._show_secrets),
            "outputs": sealed(resource.outputs, self._show_secrets),
            "provider": resource.provider,
            **{name: value for name, value in flags.items() if value},
        }


def sealed(value: Any, show_secrets: bool) -> Any:
    """Properties as events have them: a secret in the checkpoint's form, its value only where it may be shown."""
    if isinstance(value, Secret):
        if show_secrets:
            return {SIGNATURE: SECRET, "plaintext": json.dumps(to_json(value, show_secrets=True))}
        return {SIGNATURE: SECRET, "ciphertext": "[secret]"}
    if isinstance(value, dict):
        return {key: sealed(item, show_secrets) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [sealed(item, show_secrets) for item in value]
    return to_json(value)


def detailed_diff(detailed: Mapping[str, tuple[str, bool]] | None) -> Event | None:
    if detailed is None:
        return None
    return {path: {"diffKind": kind, "inputDiff": is_input} for path, (kind, is_input) in detailed.items()}


class FileLog:
    """`--event-log FILE`: one JSON object a line."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("w")
        except OSError as error:
            raise EngineError(f"--event-log {path}: {error.strerror}") from error

    def __call__(self, event: Event) -> None:
        self._file.write(json.dumps(event, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class StreamLog:
    """`--event-log tcp://host:port`: the gRPC stream that the Automation API serves."""

    def __init__(self, address: str) -> None:
        import grpc
        from pulumi.runtime.proto import events_pb2_grpc

        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        stub = events_pb2_grpc.EventsStub(self._channel)
        self._call = threading.Thread(target=self._send, args=(stub,), daemon=True)
        self._call.start()

    def __call__(self, event: Event) -> None:
        self._events.put(event)

    def _send(self, stub: Any) -> None:
        import grpc

        try:
            stub.StreamEvents(self._requests())
        except grpc.RpcError:
            # Who listened has gone; the deployment is more important than its audience.
            return

    def _requests(self) -> Iterator[Any]:
        from pulumi.runtime.proto import events_pb2

        while (event := self._events.get()) is not None:
            yield events_pb2.EventRequest(event=json.dumps(event))

    def close(self) -> None:
        self._events.put(None)
        self._call.join(timeout=5)
        self._channel.close()


def open_log(target: str) -> FileLog | StreamLog:
    return StreamLog(target.removeprefix("tcp://")) if target.startswith("tcp://") else FileLog(Path(target))
