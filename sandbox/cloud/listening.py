"""A listener's port: bound when the listener appears, closed with it, whatever is spoken there.

Runs in the data plane's thread. `proxy.ListenerServer` speaks HTTP, `flows.FlowServer` passes connections on.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from sandbox.cloud.health import TargetGroup
from sandbox.cloud.routing import Listener

_HANDSHAKE_SECONDS = 10.0
_TURN = (5**0.5 - 1) / 2  # the golden ratio: multiples of it fill the interval from 0 to 1 evenly, however few they are


class Server(ABC):
    def __init__(self, listener: Listener, groups: Mapping[str, TargetGroup]) -> None:
        self.listener = listener
        self.groups = groups
        self.loop = asyncio.get_running_loop()
        self.is_closing = False
        self._point = random.random()
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def open(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """`context` for a listener with TLS."""
        self._socket = sock
        await self._serve(context)
        self._sweep = self.loop.call_later(1.0, self._check_clients)

    async def change_tls(self, context: ssl.SSLContext | None) -> None:
        """For new connections. None is lost meanwhile: the socket stays open."""
        if self._server:
            self._server.close()
        await self._serve(context)

    def next_point(self) -> float:
        """Where on the way from 0 to 1 the next choice falls: evenly spread, so that weights hold soon."""
        self._point = (self._point + _TURN) % 1.0
        return self._point

    def close(self) -> None:
        """No new connections."""
        self.is_closing = True
        if self._server:
            self._server.close()
        if self._socket:
            self._socket.close()
        if self._sweep:
            self._sweep.cancel()
        self.end_clients()

    @abstractmethod
    def client(self) -> asyncio.Protocol:
        """For a new connection."""

    @abstractmethod
    def check_clients(self, now: float) -> None:
        """End connections whose time is over. Once a second."""

    @abstractmethod
    def end_clients(self) -> None:
        """The listener is gone."""

    async def _serve(self, context: ssl.SSLContext | None) -> None:
        assert self._socket
        self._server = await self.loop.create_server(
            self.client,
            sock=self._socket.dup(),
            ssl=context,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS if context else None,
            backlog=1024,
        )

    def _check_clients(self) -> None:
        self.check_clients(self.loop.time())
        self._sweep = self.loop.call_later(1.0, self._check_clients)


def bind(address: str, port: int, explain: Callable[[OSError], Exception]) -> socket.socket:
    """A listening socket for a listener; `explain` makes the error for one that can't be had."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
        sock.listen(1024)
    except OSError as fault:
        sock.close()
        raise explain(fault) from fault
    sock.setblocking(False)
    return sock
