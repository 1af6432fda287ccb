"""The load balancers' connections to targets: one request at a time, or the two ways of a websocket.

Runs in the data plane's thread. `ClientConnection` in proxy.py is the other side.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from sandbox.cloud.health import Target
from sandbox.cloud.request import NOT_FORWARDED

if TYPE_CHECKING:
    from sandbox.cloud.proxy import ClientConnection

_MAX_HEAD_BYTES = 32 * 1024
_BODILESS = frozenset((204, 304))
_SWITCHING = 101
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def pause(transport: asyncio.Transport) -> None:
    """A transport on its way out refuses to be paused or resumed."""
    if not transport.is_closing():
        transport.pause_reading()


def resume(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.resume_reading()


class TargetConnection(asyncio.Protocol):
    """One connection to a target, kept for the next request when its answer allows."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other callback
        self.last_active = 0.0
        self.has_begun = False
        self._client: ClientConnection | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._is_head = False
        self._is_reused = False
        self._is_interim = False
        self._is_tunnel = False
        self._must_renew = False
        self._is_framed = False
        self._is_chunked = False
        self._adds_chunks = False
        self._loop = asyncio.get_running_loop()
        self._fields: list[bytes] = []
        self._size = 0
        self._phrase = b""
        self._parts: list[bytes] = []  # of the answer, as parsed from what has just been received

    def is_usable(self) -> bool:
        return not self.transport.is_closing()

    def begin(self, client: ClientConnection, *, is_head: bool) -> None:
        self._client = client
        self._is_head = is_head
        self.has_begun = False
        self.last_active = self._loop.time()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        """Give the connection up, with whatever was under way on it."""
        self.transport.abort()

    def drop(self) -> None:
        """Nobody waits for it any more. What a websocket's client sent last still arrives."""
        self._client = None
        if self._is_tunnel:
            self.transport.close()
        else:
            self.transport.abort()

    # -- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.target.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.target.connections.discard(self)
        if self in self.target.idle:
            self.target.idle.remove(self)
        if self._client and self.has_begun and not self._is_framed and not self._is_tunnel and exc is None:
            self._end()  # this answer's end is the end of the connection
        client, self._client = self._client, None
        if client:
            client.target_lost(was_reused=self._is_reused, has_begun=self.has_begun)

    def data_received(self, data: bytes) -> None:
        self.last_active = self._loop.time()
        if self._client is None:
            self.close()  # an answer to nothing
            return
        if self._is_tunnel:
            self._client.transport.write(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._is_tunnel:
                self._parts.append(data[upgrade.args[0] :])
            else:
                self._give_up()
        except httptools.HttpParserError:
            self._give_up()
        self._flush()
        if self._must_renew:
            self._must_renew = False
            self._parser = httptools.HttpResponseParser(self)

    def pause_writing(self) -> None:
        if self._client:
            pause(self._client.transport)

    def resume_writing(self) -> None:
        if self._client:
            resume(self._client.transport)

    # -- the parser's callbacks

    def on_message_begin(self) -> None:
        self._fields = []
        self._size = 0
        self._phrase = b""
        self._is_framed = self._is_chunked = False

    def on_status(self, status: bytes) -> None:
        self._phrase += status

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > _MAX_HEAD_BYTES:
            raise ValueError("the head is larger than an ALB takes")
        lower = name.lower()
        if lower in NOT_FORWARDED:
            return
        if lower == b"transfer-encoding":
            self._is_framed = self._is_chunked = True
            return
        if lower == b"content-length":
            self._is_framed = True
        self._fields.append(b"%b: %b\r\n" % (name, value))

    def on_headers_complete(self) -> None:
        client = self._client
        status = self._parser.get_status_code()
        self._is_tunnel = status == _SWITCHING and client is not None and client.wants_tunnel()
        self._is_interim = 100 <= status < 200 and not self._is_tunnel
        if client is None or self._is_interim:
            return
        self.has_begun = True
        client.count_answer(status)
        self._adds_chunks = False
        framing = closing = b""
        if self._is_tunnel:
            framing = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        else:
            if not (self._is_head or status in _BODILESS) and (self._is_chunked or not self._is_framed):
                if client.is_http_1_0():
                    client.close_after_answer()
                else:
                    self._adds_chunks = True
                    framing = b"Transfer-Encoding: chunked\r\n"
            if client.closes_after_answer():
                closing = b"Connection: close\r\n"
            elif client.is_http_1_0():
                closing = b"Connection: keep-alive\r\n"
        self._parts.append(
            b"HTTP/1.1 %d %b\r\n%b%b%b%b\r\n"
            % (status, self._phrase, b"".join(self._fields), client.cookies, framing, closing)
        )
        if self._is_tunnel:
            client.open_tunnel()
        elif self._is_head:
            # The parser would wait for the body that a HEAD's Content-Length speaks of.
            self._must_renew = True
            self._end()

    def on_body(self, body: bytes) -> None:
        self._parts.append(chunk(body) if self._adds_chunks else body)

    def on_message_complete(self) -> None:
        if not (self._is_interim or self._is_tunnel):
            self._end()

    def _flush(self) -> None:
        """A small answer is one write, not one for each part."""
        parts, self._parts = self._parts, []
        if parts and self._client:
            self._client.transport.writelines(parts)

    def _give_up(self) -> None:
        """What came is no answer; asking again would not help."""
        self._is_reused = False
        self.close()

    def _end(self) -> None:
        client = self._client
        if client is None:
            return
        if self._adds_chunks:
            self._parts.append(LAST_CHUNK)
        self._flush()
        self._client = None
        is_request_complete = client.request is not None and client.request.is_complete
        if (
            self._parser.should_keep_alive()
            and is_request_complete
            and self.target.health.state not in ("draining", "unused")
            and not self.transport.is_closing()
        ):
            self._is_reused = True
            resume(self.transport)
            self.target.idle.append(self)
        else:
            self.transport.close()
        client.answered()
