"""The data plane: one thread with an event loop of its own, which probes targets and forwards what comes.

Other threads give it whole tables (`apply`) and ask it single questions; it never calls back into them.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import ssl
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from bluegreen.errors import BluegreenError
from sandbox.cloud import listening, tls
from sandbox.cloud.flows import FlowServer
from sandbox.cloud.health import NOT_REGISTERED, Fault, Health, TargetGroup
from sandbox.cloud.meter import Meters, Period
from sandbox.cloud.proxy import ListenerServer
from sandbox.cloud.routing import Listener, Table

T = TypeVar("T")


class PortUnavailable(BluegreenError):
    """A listener's port can't be bound."""


class Plane:
    """Runs from `start` to `stop`."""

    def __init__(self, metric_seconds: int) -> None:
        self._metric_seconds = metric_seconds
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="data-plane", daemon=True)
        self._table = Table()
        self._groups: dict[str, TargetGroup] = {}
        self._servers: dict[str, listening.Server] = {}
        self._meters = Meters(self._groups)

    def start(self) -> None:
        self._thread.start()
        self.set_metric_seconds(self._metric_seconds)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._meters.stop)
        self._call(self._follow(Table()))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def apply(self, table: Table) -> None:
        """Follow this table; on return it holds for every new request. All or nothing.

        Raises PortUnavailable if a listener's port can't be bound, tls.Unusable if its certificate is no good.
        """
        if table != self._table:
            self._call(self._follow(table))

    def health(self, group_arn: str, target_id: str, port: int) -> Health:
        group = self._groups.get(group_arn)
        target = group.targets.get((target_id, port)) if group else None
        return target.health if target else NOT_REGISTERED

    def in_flight(self, group_arn: str, target_id: str, port: int) -> int:
        group = self._groups.get(group_arn)
        target = group.targets.get((target_id, port)) if group else None
        return target.in_flight if target else 0

    def set_metric_seconds(self, seconds: int) -> None:
        """The length of the periods in which requests are counted; the one under way is dropped."""
        self._loop.call_soon_threadsafe(self._meters.start, seconds)

    def closed_periods(self) -> list[Period]:
        """Those that have ended since the last call."""
        closed = self._meters.closed
        return [closed.popleft() for _ in range(len(closed))]

    def set_fault(self, group_arn: str, fault: Fault | None) -> None:
        if group := self._groups.get(group_arn):
            group.fault = fault

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _follow(self, table: Table) -> None:
        await self._follow_listeners(table)
        wanted = {group.arn: group for group in table.groups}
        for arn in self._groups.keys() - wanted.keys():
            self._groups.pop(arn).close()
        for arn, group in wanted.items():
            live = self._groups.get(arn)
            if live is None:
                live = self._groups[arn] = TargetGroup(group)
            live.follow(group, is_used=arn in table.used_arns)
        self._meters.follow(table.listeners)
        self._table = table

    async def _follow_listeners(self, table: Table) -> None:
        wanted = {listener.arn: listener for listener in table.listeners}
        moved = {
            arn
            for arn, server in self._servers.items()
            if arn in wanted
            and (server.listener.address, server.listener.port) != (wanted[arn].address, wanted[arn].port)
        }
        fresh = {arn: listener for arn, listener in wanted.items() if arn not in self._servers or arn in moved}
        rekeyed = {arn for arn, it in wanted.items() if arn not in fresh and it.tls != self._servers[arn].listener.tls}
        contexts = {arn: _context(wanted[arn]) for arn in fresh.keys() | rekeyed}
        sockets = {}
        try:
            for arn, listener in fresh.items():
                sockets[arn] = listening.bind(listener.address, listener.port, functools.partial(_explain, listener))
        except PortUnavailable:
            for sock in sockets.values():
                sock.close()
            raise
        for arn in (self._servers.keys() - wanted.keys()) | moved:
            self._servers.pop(arn).close()
        for arn, listener in wanted.items():
            if arn in sockets:
                self._servers[arn] = self._server(listener)
                await self._servers[arn].open(sockets[arn], contexts[arn])
            self._servers[arn].listener = listener
            if arn in rekeyed:
                await self._servers[arn].change_tls(contexts[arn])

    def _server(self, listener: Listener) -> listening.Server:
        if listener.is_network:
            return FlowServer(listener, self._groups, self._meters.of_network(listener.balancer_arn))
        return ListenerServer(listener, self._groups, self._meters.of(listener.balancer_arn))


def _context(listener: Listener) -> ssl.SSLContext | None:
    return tls.context(listener.tls) if listener.tls else None


def _explain(listener: Listener, fault: OSError) -> PortUnavailable:
    place = f"{listener.address}:{listener.port}"
    match fault.errno:
        case errno.EACCES:
            return PortUnavailable(
                f"the load balancer can't listen on {place}: ports below 1024 need root here",
                "Choose a port from 1024 up (listenerPort), or start the sandbox as root.",
            )
        case errno.EADDRINUSE:
            return PortUnavailable(
                f"the load balancer can't listen on {place}: the port is in use by another program",
                "Stop the program that listens there (on this address or on all of them), or choose another port.",
            )
        case _:
            return PortUnavailable(f"the load balancer can't listen on {place}: {fault.strerror}")
