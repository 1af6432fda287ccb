"""The Network Load Balancers' data plane: passes connections on to targets, byte by byte, both ways.

Runs in the data plane's thread. A connection gets its target when it is made and keeps it: weights, health and
registrations decide over new ones. It ends with either side, after the idle timeout, an hour after its target group has
left the listener, and with its target where the target group says so ("Listeners", "Update a listener" and "Edit target
group attributes" of the Network Load Balancers guide).

A load balancer of AWS's takes no part in the handshake: a client of a target that refuses is refused. Here it is
connected, and then reset.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import cast

from sandbox.cloud.flow_meter import FlowMeter
from sandbox.cloud.health import Target, TargetGroup
from sandbox.cloud.listening import Server
from sandbox.cloud.routing import Forward, Listener
from sandbox.cloud.target_connection import pause, resume

LONGEST_ON_FORMER_GROUP_SECONDS = 60 * 60.0
_CONNECT_SECONDS = 10.0
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER by which closing sends a reset


class Side(asyncio.Protocol):
    """One end of a flow. What comes in goes out at the other."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other callback
        self.other: Side | None = None
        self._held: list[bytes] = []  # what came before there was another side
        self._has_ended = False  # it will send no more

    def join(self, other: Side) -> None:
        self.other = other
        other.transport.writelines(self._held)
        self._held.clear()
        if self._has_ended:
            other.transport.write_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.flow.passed(len(data))
        if self.other:
            self.other.transport.write(data)
        else:
            self._held.append(data)

    def eof_received(self) -> bool:
        """Whether it may still be sent to: not with TLS, nor when the other side has ended too."""
        self._has_ended = True
        if self.other:
            if self.other._has_ended or not self.other.transport.can_write_eof():
                return False
            self.other.transport.write_eof()
        return self.transport.can_write_eof()

    def pause_writing(self) -> None:
        if self.other:
            pause(self.other.transport)

    def resume_writing(self) -> None:
        if self.other:
            resume(self.other.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.flow.lost(self, is_reset=isinstance(exc, ConnectionResetError))


class ClientSide(Side):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.flow.begin()


class Flow:
    """One connection of a client, and the one to its target."""

    def __init__(self, server: FlowServer) -> None:
        self.server = server
        self.client = ClientSide(self)
        self.target: Target | None = None
        self.group_arn = ""
        self.last_active = self.left_group_at = 0.0
        self._far: Side | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._is_over = False

    def begin(self) -> None:
        self.server.flows.add(self)
        self.last_active = self.server.loop.time()
        pause(self.client.transport)
        group = self.server.choose()
        target = group.next() if group else None
        if group is None or target is None:
            self.close()
            return
        self.group_arn = group.arn
        self.target = target
        target.in_flight += 1
        target.connections.add(self)
        self.server.meter.begun()
        self._connecting = self.server.loop.create_task(self._connect(group, target))

    async def _connect(self, group: TargetGroup, target: Target) -> None:
        try:
            far = await self._reach(group, target)
        except TimeoutError:
            self._connecting = None
            self.close()
        except OSError:
            self._connecting = None
            self.server.meter.target_resets += 1
            self._end()
        else:
            self._connecting = None
            self._far = far
            far.join(self.client)
            self.client.join(far)
            resume(self.client.transport)

    async def _reach(self, group: TargetGroup, target: Target) -> Side:
        if group.fault:
            await asyncio.sleep(group.fault.delay_seconds)
            if group.fault and group.fault.strikes():
                raise ConnectionResetError
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, far = await self.server.loop.create_connection(lambda: Side(self), target.address, target.port)
        return far

    def passed(self, size: int) -> None:
        self.last_active = self.server.loop.time()
        self.server.meter.bytes += size

    def lost(self, side: Side, *, is_reset: bool) -> None:
        """Of one side. The other one learns of it in the way in which it went."""
        if self._is_over:
            return
        if is_reset:
            self.server.meter.reset_by(is_client=side is self.client)
            self._end()
            return
        other = self._far if side is self.client else self.client
        if other is None:
            self._end()
            return
        self._forget()
        other.transport.close()

    def close(self) -> None:
        """The load balancer ends it."""
        if not self._is_over:
            self.server.meter.elb_resets += 1
            self._end()

    def _end(self) -> None:
        self._forget()
        for side in (self.client, self._far):
            if side:
                _reset(side.transport)

    def _forget(self) -> None:
        self._is_over = True
        self.server.flows.discard(self)
        if self._connecting:
            self._connecting.cancel()
        if self.target:
            self.target.in_flight -= 1
            self.target.connections.discard(self)
            self.target = None
            self.server.meter.ended()


class FlowServer(Server):
    """A listener of a Network Load Balancer."""

    def __init__(self, listener: Listener, groups: Mapping[str, TargetGroup], meter: FlowMeter) -> None:
        super().__init__(listener, groups)
        self.meter = meter
        self.flows: set[Flow] = set()

    def client(self) -> ClientSide:
        return Flow(self).client

    def choose(self) -> TargetGroup | None:
        action = self.listener.default
        arn = action.choose(self.next_point()) if isinstance(action, Forward) else None
        return self.groups.get(arn or "")

    def check_clients(self, now: float) -> None:
        named = self.listener.group_arns()
        for flow in list(self.flows):
            flow.left_group_at = 0.0 if flow.group_arn in named else flow.left_group_at or now
            if is_over(
                now,
                last_active=flow.last_active,
                left_group_at=flow.left_group_at,
                idle_timeout_seconds=self.listener.attributes.idle_timeout_seconds,
            ):
                flow.close()

    def end_clients(self) -> None:
        for flow in list(self.flows):
            flow.close()


def is_over(now: float, *, last_active: float, left_group_at: float, idle_timeout_seconds: float) -> bool:
    """Whether a flow has been silent for too long, or on a group that its listener has left (0: it has not)."""
    is_idle = now - last_active >= idle_timeout_seconds
    return is_idle or bool(left_group_at and now - left_group_at >= LONGEST_ON_FORMER_GROUP_SECONDS)


def _reset(transport: asyncio.Transport) -> None:
    if sock := transport.get_extra_info("socket"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
