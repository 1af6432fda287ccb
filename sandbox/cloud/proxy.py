"""The load balancers' HTTP/1.1 proxy: streams requests to targets and answers back, without holding a body.

Runs in the data plane's thread. `ClientConnection` is the side of the user, `TargetConnection` that of the app;
`ListenerServer` binds a listener's port and chooses. What it answers itself (400, 502, 503, 504, redirects, fixed
responses) looks as an Application Load Balancer's. Not here yet: TLS, websockets.

The path of a small request is the hot one: no tasks, no futures, no copies that httptools doesn't make anyway.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import httptools

from sandbox.cloud import routing, stickiness
from sandbox.cloud.health import Fault, Target, TargetGroup
from sandbox.cloud.meter import Meter

# Meant for one hop (RFC 9110, 7.6.1), or answered by the proxy itself. Transfer-Encoding passes: it is framed anew.
_NOT_FORWARDED = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"expect")
)
_MAX_HEAD_BYTES = 64 * 1024
_CONNECT_SECONDS = 10.0
_BODILESS = frozenset((204, 304))
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Request:
    """A request as it comes in: its head, and the part of its body that has not been passed on."""

    def __init__(self) -> None:
        self.method = b""
        self.url = b""
        self.version = "1.1"
        self.host = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.forwarded_for = b""
        self.body: list[bytes] = []
        self.size = 0
        self.is_chunked = False
        self.may_have_body = False
        self.wants_continue = False
        self.keep_alive = True
        self.is_complete = False

    def as_seen_by_rules(self, source: str) -> routing.Request:
        path, _, query = self.url.decode("latin-1").partition("?")
        return routing.Request(
            method=self.method.decode("latin-1"),
            host=self.host.decode("latin-1"),
            path=path,
            query=query,
            headers=tuple((name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in self.fields),
            source=source,
        )


class ClientConnection(asyncio.Protocol):
    """One connection of a user. Requests are answered in turn; what is pipelined behind waits."""

    def __init__(self, server: ListenerServer) -> None:
        self.server = server
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other callback
        self.source = ""
        self.last_active = 0.0
        self.request: _Request | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._incoming = _Request()
        self._waiting: deque[_Request] = deque()
        self._target: TargetConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._chosen: Target | None = None
        self._group_arn = ""
        self.cookies = b""  # lines for the head of the answer under way, where a client is to stick
        self._sent_at = 0.0
        self._late_seconds = 0.0
        self._closes_after_answer = False
        self._is_writable = True

    # -- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.source = transport.get_extra_info("peername")[0]
        self.last_active = self.server.loop.time()
        self.server.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.clients.discard(self)
        self._waiting.clear()
        self._abandon()

    def data_received(self, data: bytes) -> None:
        self.last_active = self.server.loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # No upgrade is done: what follows is the next request.
            rest = data[upgrade.args[0] :]
            self._parser = httptools.HttpRequestParser(self)
            if rest:
                self.data_received(rest)
        except httptools.HttpParserError:
            if self.request is None or self.request is self._incoming:
                self._refuse(HTTPStatus.BAD_REQUEST)
            else:
                self._closes_after_answer = True  # it came behind a request that has yet to be answered
                _pause(self.transport)

    def eof_received(self) -> bool:
        self._closes_after_answer = True
        return self.request is not None  # a half-closed client still gets its answer

    def pause_writing(self) -> None:
        self._is_writable = False
        if self._target:
            _pause(self._target.transport)

    def resume_writing(self) -> None:
        self._is_writable = True
        if self._target:
            _resume(self._target.transport)

    # -- the parser's callbacks

    def on_url(self, url: bytes) -> None:
        self._incoming.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._incoming
        request.size += len(name) + len(value)
        if request.size > _MAX_HEAD_BYTES:
            raise ValueError("the head is larger than an ALB takes")
        lower = name.lower()
        if lower == b"host":
            request.host = value
        elif lower in _NOT_FORWARDED:
            request.wants_continue |= lower == b"expect" and value.lower() == b"100-continue"
            return
        elif lower == b"x-forwarded-for":
            request.forwarded_for = value
            return
        elif lower in (b"x-forwarded-proto", b"x-forwarded-port"):
            return
        elif lower == b"transfer-encoding":
            request.is_chunked = request.may_have_body = True
        elif lower == b"content-length":
            request.may_have_body = value.strip() != b"0"
        request.fields.append((name, value))

    def on_headers_complete(self) -> None:
        request = self._incoming
        request.method = self._parser.get_method()
        request.version = self._parser.get_http_version()
        request.keep_alive = self._parser.should_keep_alive()
        if request.url[:1] != b"/" and request.url != b"*":
            request.url = _origin_form(request)
        if self.request is None:
            self._begin(request)
        else:
            self._waiting.append(request)
            _pause(self.transport)

    def on_body(self, body: bytes) -> None:
        request = self._incoming
        if request is self.request and self._target:
            self._target.send(_chunk(body) if request.is_chunked else body)
        elif request is self.request or request in self._waiting:
            request.body.append(_chunk(body) if request.is_chunked else body)
        # else: answered already; the rest of its body is read and dropped

    def on_message_complete(self) -> None:
        request, self._incoming = self._incoming, _Request()
        request.is_complete = True
        if request.is_chunked:
            if request is self.request and self._target:
                self._target.send(_LAST_CHUNK)
            else:
                request.body.append(_LAST_CHUNK)

    # -- a request's way

    def _begin(self, request: _Request) -> None:
        self.request = request
        if request.version == "1.1" and not request.host:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        listener = self.server.listener
        action = listener.action_for(request.as_seen_by_rules(self.source)) if listener.rules else listener.default
        match action:
            case routing.Forward():
                self._forward(request, action)
            case routing.FixedResponse(status, content_type, body):
                self._answer(status, body.encode(), content_type)
            case routing.Redirect():
                location = action.location(request.as_seen_by_rules(self.source), port=listener.port)
                self._answer(action.status, _page(action.status), "text/html", f"Location: {location}\r\n")

    def _forward(self, request: _Request, action: routing.Forward) -> None:
        self.cookies = b""
        arn = action.choose() if action.sticky_seconds is None else self._stay(request, action, action.sticky_seconds)
        group = self.server.groups.get(arn or "")
        if group is None or group.sticky_seconds is None:
            target = group.next() if group else None
        else:
            target = self._return(request, group, group.sticky_seconds)
        if target is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        assert group is not None
        if request.wants_continue:
            self.transport.write(_CONTINUE)
        target.in_flight += 1
        self._chosen = target
        self._group_arn = group.arn
        self._late_seconds = 0.0
        self.server.meter.of(group.arn).requests += 1
        if group.fault is None:
            self._reach(target)
        else:
            _pause(self.transport)
            self._connecting = self.server.loop.create_task(self._suffer(target, group.fault))

    def _stay(self, request: _Request, action: routing.Forward, seconds: int) -> str | None:
        """The group that this client had, whatever its weight is now, and without a target even: then it gets a 503."""
        arn = stickiness.known(request.fields, stickiness.GROUP, action.arns) or action.choose()
        if arn:
            self.cookies += stickiness.set_cookies(stickiness.GROUP, arn, seconds)
        return arn

    def _return(self, request: _Request, group: TargetGroup, seconds: int) -> Target | None:
        """The target that this client had, if it still takes requests; else whose turn it is."""
        names = {stickiness.target_name(group.arn, it.id, it.port): it for it in group.in_turn()}
        name = stickiness.known(request.fields, stickiness.TARGET, names)
        target = names[name] if name else group.next()
        if target:
            destination = stickiness.target_name(group.arn, target.id, target.port)
            self.cookies += stickiness.set_cookies(stickiness.TARGET, destination, seconds)
        return target

    def _reach(self, target: Target) -> None:
        while target.idle:
            connection = target.idle.pop()
            if connection.is_usable():
                self.attach(connection)
                return
        self._connect(target)

    async def _suffer(self, target: Target, fault: Fault) -> None:
        await asyncio.sleep(fault.delay_seconds)
        self._connecting = None
        self._late_seconds = fault.delay_seconds
        self._sent_at = time.perf_counter() - self._late_seconds
        _resume(self.transport)
        if fault.strikes():
            self.count_answer(500)
            body = b'{"error": "a fault of the sandbox says so"}\n'
            self._answer(500, body, "application/json", self.cookies.decode())
        else:
            self._reach(target)

    def _connect(self, target: Target) -> None:
        _pause(self.transport)  # its body waits in the kernel
        self._connecting = self.server.loop.create_task(self._open(target))

    async def _open(self, target: Target) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await self.server.loop.create_connection(
                    lambda: TargetConnection(target), target.address, target.port
                )
        except (TimeoutError, OSError) as fault:
            self.server.meter.of(self._group_arn).connection_errors += 1
            is_late = isinstance(fault, TimeoutError)
            self._refuse(HTTPStatus.GATEWAY_TIMEOUT if is_late else HTTPStatus.BAD_GATEWAY)
        else:
            self._connecting = None
            _resume(self.transport)
            self.attach(connection)

    def attach(self, connection: TargetConnection) -> None:
        """Send the request's head, and what there is of its body, over this connection."""
        request = self.request
        assert request is not None
        self._target = connection
        if not self._is_writable:
            _pause(connection.transport)
        self._sent_at = time.perf_counter() - self._late_seconds
        connection.begin(self, is_head=request.method == b"HEAD")
        connection.send(b"".join((self._head(request), *request.body)))
        request.body.clear()

    def _head(self, request: _Request) -> bytes:
        forwarded_for = request.forwarded_for + b", " if request.forwarded_for else b""
        return b"%b %b HTTP/1.1\r\n%bX-Forwarded-For: %b%b\r\nX-Forwarded-Proto: http\r\n%b%b\r\n" % (
            request.method,
            request.url,
            b"".join([b"%b: %b\r\n" % field for field in request.fields]),
            forwarded_for,
            self.source.encode(),
            self.server.forwarded_port,
            b"X-Amzn-Trace-Id: Root=1-%08x-%b\r\n" % (int(time.time()), os.urandom(12).hex().encode()),
        )

    # -- the answer, called by the target's side

    def count_answer(self, status: int) -> None:
        self.server.meter.of(self._group_arn).answered(status, time.perf_counter() - self._sent_at)

    def answered(self) -> None:
        """The whole answer is with the client: go on with the next request, or close."""
        request = self.request
        assert request is not None
        self._release_target()
        self.request = None
        self.last_active = self.server.loop.time()
        if self._closes_after_answer or not request.keep_alive or not request.is_complete or self.server.is_closing:
            # A request that was answered before its end: the rest of its body can't be told from the next one.
            self.transport.close()
        elif self._waiting:
            following = self._waiting.popleft()
            if not self._waiting:
                _resume(self.transport)
            self._begin(following)

    def target_lost(self, *, was_reused: bool, has_begun: bool) -> None:
        """The target closed before the answer's end."""
        request, target = self.request, self._chosen
        self._target = None
        if request is None or target is None:
            return
        if has_begun:
            self._release_target()
            self.transport.abort()  # the client must see that its answer is cut
        elif was_reused and not request.may_have_body and not target.is_gone:
            self._connect(target)  # it closed an idle connection just as we took it: nothing was done with the request
        else:
            self._refuse(HTTPStatus.BAD_GATEWAY)

    def close_after_answer(self) -> None:
        self._closes_after_answer = True

    def closes_after_answer(self) -> bool:
        return self._closes_after_answer or self.server.is_closing or not (self.request and self.request.keep_alive)

    def is_http_1_0(self) -> bool:
        return self.request is not None and self.request.version == "1.0"

    def check_idle(self, now: float) -> None:
        """The idle timeout: 504 if the target is the silent one, else the connection just closes."""
        active = max(self.last_active, self._target.last_active if self._target else 0.0)
        if now - active < self.server.listener.idle_timeout_seconds:
            return
        if self._target and self.request and self.request.is_complete and not self._target.has_begun:
            self._refuse(HTTPStatus.GATEWAY_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        if self.request is None:
            self.request = self._incoming
        self.server.meter.refused(status)
        self._closes_after_answer |= status == HTTPStatus.BAD_REQUEST
        self._answer(status, _page(status), "text/html")

    def _answer(self, status: int, body: bytes, content_type: str, more: str = "") -> None:
        """An answer of the load balancer's own."""
        request = self.request
        assert request is not None
        closes = (not request.is_complete and request.may_have_body) or self.closes_after_answer()
        self._closes_after_answer = closes
        head = (
            f"HTTP/1.1 {status} {_phrase(status)}\r\nServer: awselb/2.0\r\nDate: {formatdate(usegmt=True)}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}"
            f"Connection: {'close' if closes else 'keep-alive'}\r\n\r\n"
        )
        self.transport.write(head.encode("latin-1") + (b"" if request.method == b"HEAD" else body))
        if self._connecting:
            self._connecting = None
            _resume(self.transport)
        if not request.may_have_body:
            request.is_complete = True  # its end has yet to be parsed, but there is nothing in it
        if self._target:
            self._target.close()
        self.answered()

    def _release_target(self) -> None:
        if self._chosen:
            self._chosen.in_flight -= 1
        self._chosen = self._target = None

    def _abandon(self) -> None:
        """The client is gone."""
        if self._connecting:
            self._connecting.cancel()
        target = self._target
        self._release_target()
        self.request = None
        if target:
            target.close()


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
        self._must_renew = False
        self._is_framed = False
        self._is_chunked = False
        self._adds_chunks = False
        self._loop = asyncio.get_running_loop()
        self._fields: list[bytes] = []
        self._phrase = b""

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

    # -- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.target.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.target.connections.discard(self)
        if self in self.target.idle:
            self.target.idle.remove(self)
        if self._client and self.has_begun and not self._is_framed and exc is None:
            self._end()  # this answer's end is the end of the connection
        client, self._client = self._client, None
        if client:
            client.target_lost(was_reused=self._is_reused, has_begun=self.has_begun)

    def data_received(self, data: bytes) -> None:
        self.last_active = self._loop.time()
        if self._client is None:
            self.close()  # an answer to nothing
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()
        if self._must_renew:
            self._must_renew = False
            self._parser = httptools.HttpResponseParser(self)

    def pause_writing(self) -> None:
        if self._client:
            _pause(self._client.transport)

    def resume_writing(self) -> None:
        if self._client:
            _resume(self._client.transport)

    # -- the parser's callbacks

    def on_message_begin(self) -> None:
        self._fields = []
        self._phrase = b""
        self._is_framed = self._is_chunked = False

    def on_status(self, status: bytes) -> None:
        self._phrase += status

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower in _NOT_FORWARDED:
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
        self._is_interim = 100 <= status < 200
        if client is None or self._is_interim:
            return
        self.has_begun = True
        client.count_answer(status)
        is_bodiless = self._is_head or status in _BODILESS
        self._adds_chunks = False
        framing = b""
        if not is_bodiless and (self._is_chunked or not self._is_framed):
            if client.is_http_1_0():
                client.close_after_answer()
            else:
                self._adds_chunks = True
                framing = b"Transfer-Encoding: chunked\r\n"
        closing = b"Connection: close\r\n" if client.closes_after_answer() else b""
        if not closing and client.is_http_1_0():
            closing = b"Connection: keep-alive\r\n"
        client.transport.write(
            b"HTTP/1.1 %d %b\r\n%b%b%b%b\r\n"
            % (status, self._phrase, b"".join(self._fields), client.cookies, framing, closing)
        )
        if self._is_head:
            # The parser would wait for the body that a HEAD's Content-Length speaks of.
            self._must_renew = True
            self._end()

    def on_body(self, body: bytes) -> None:
        if self._client:
            self._client.transport.write(_chunk(body) if self._adds_chunks else body)

    def on_message_complete(self) -> None:
        if self._client and not self._is_interim:
            self._end()

    def _end(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        if self._adds_chunks:
            client.transport.write(_LAST_CHUNK)
        is_request_complete = client.request is not None and client.request.is_complete
        if (
            self._parser.should_keep_alive()
            and is_request_complete
            and self.target.health.state not in ("draining", "unused")
            and not self.transport.is_closing()
        ):
            self._is_reused = True
            _resume(self.transport)
            self.target.idle.append(self)
        else:
            self.transport.close()
        client.answered()


class ListenerServer:
    """A listener's port: bound when the listener appears, closed with it."""

    def __init__(self, listener: routing.Listener, groups: Mapping[str, TargetGroup], meter: Meter) -> None:
        self.listener = listener
        self.groups = groups
        self.meter = meter
        self.loop = asyncio.get_running_loop()
        self.clients: set[ClientConnection] = set()
        self.is_closing = False
        self.forwarded_port = b"X-Forwarded-Port: %d\r\n" % listener.port
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def open(self, sock: socket.socket) -> None:
        self._server = await self.loop.create_server(lambda: ClientConnection(self), sock=sock, backlog=1024)
        self._sweep = self.loop.call_later(1.0, self._check_idle)

    def close(self) -> None:
        """No new connections; requests under way finish."""
        self.is_closing = True
        if self._server:
            self._server.close()
        if self._sweep:
            self._sweep.cancel()
        for client in list(self.clients):
            if client.request is None:
                client.transport.close()

    def _check_idle(self) -> None:
        now = self.loop.time()
        for client in list(self.clients):
            client.check_idle(now)
        self._sweep = self.loop.call_later(1.0, self._check_idle)


def _pause(transport: asyncio.Transport) -> None:
    """A transport on its way out refuses to be paused or resumed."""
    if not transport.is_closing():
        transport.pause_reading()


def _resume(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.resume_reading()


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


def _origin_form(request: _Request) -> bytes:
    """`http://host/path` as `/path`: only a proxy's request has the former (RFC 9112, 3.2)."""
    try:
        url = httptools.parse_url(request.url)
    except httptools.HttpParserInvalidURLError:
        return request.url
    return (url.path or b"/") + (b"?" + url.query if url.query else b"")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _page(status: int) -> bytes:
    title = f"{status} {_phrase(status)}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "</body>\r\n</html>\r\n"
    ).encode()
