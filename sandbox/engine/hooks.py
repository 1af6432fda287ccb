"""Resource hooks: the callbacks that a program registers, and the calls to them in the program's own process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.engine.checkpoint import Resource
from sandbox.engine.errors import EngineError
from sandbox.engine.plugins import GRPC_OPTIONS
from sandbox.engine.properties import to_struct

# The names under which a checkpoint records a resource's hooks, by the field of the protocol.
KINDS = {
    "before_create": "BeforeCreate",
    "after_create": "AfterCreate",
    "before_update": "BeforeUpdate",
    "after_update": "AfterUpdate",
    "before_delete": "BeforeDelete",
    "after_delete": "AfterDelete",
}


class HookFailed(EngineError):
    """A hook said no, or can't be called; its step must not go on."""


@dataclass(frozen=True)
class Hook:
    name: str
    target: str
    token: str
    on_dry_run: bool
    ignore_errors: bool


class Hooks:
    """The hooks of one run of the program, by name."""

    def __init__(self, dry_run: bool, warn: Callable[[str, str], None]) -> None:
        self._dry_run = dry_run
        self._warn = warn
        self._hooks: dict[str, Hook] = {}
        self._channels: dict[str, Any] = {}
        self._lock = threading.Lock()

    def register(self, hook: Hook) -> None:
        with self._lock:
            if not hook.name:
                raise EngineError("resource hook name cannot be empty")
            if hook.name in self._hooks:
                raise EngineError(f'resource hook already registered for name "{hook.name}"')
            self._hooks[hook.name] = hook

    def run(self, kind: str, resource: Resource, old: Resource | None, new: Resource | None) -> None:
        """Run the resource's hooks of this kind in order; the first failure raises."""
        for name in resource.resource_hooks.get(kind) or ():
            hook = self._hooks.get(name)
            if hook is None:
                raise HookFailed(f'hook "{name}" was not registered')
            if self._dry_run and not hook.on_dry_run:
                continue
            if error := self._call(hook, kind, resource, old, new):
                if hook.ignore_errors:
                    self._warn(resource.urn, f'{kind} hook "{name}" failed: {error}')
                    continue
                raise HookFailed(f'{"before" if kind.startswith("Before") else "after"} hook "{name}" failed: {error}')

    def _call(self, hook: Hook, kind: str, resource: Resource, old: Resource | None, new: Resource | None) -> str:
        """Call the hook in the program and wait, however long it takes; the error it gives, or nothing."""
        import grpc
        from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

        request = resource_pb2.ResourceHookRequest(
            urn=resource.urn, id=resource.id, name=resource.name, type=resource.type
        )
        if new is not None:
            request.new_inputs.CopyFrom(to_struct(new.inputs))
            if kind.startswith("After"):
                request.new_outputs.CopyFrom(to_struct(new.outputs))
        if old is not None:
            request.old_inputs.CopyFrom(to_struct(old.inputs))
            request.old_outputs.CopyFrom(to_struct(old.outputs))
        with self._lock:
            if hook.target not in self._channels:
                self._channels[hook.target] = grpc.insecure_channel(hook.target, options=GRPC_OPTIONS)
            stub = callback_pb2_grpc.CallbacksStub(self._channels[hook.target])
        try:
            answer = stub.Invoke(
                callback_pb2.CallbackInvokeRequest(token=hook.token, request=request.SerializeToString())
            )
        except grpc.RpcError as broken:
            return str(broken.details() or broken.code())
        error: str = resource_pb2.ResourceHookResponse.FromString(answer.response).error
        return error

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
