"""The load balancers' HTTP/1.1 proxy: streams requests to targets and answers back, without holding a body.

Runs in the data plane's thread. `ClientConnection` is the side of the user, `TargetConnection` that of the app;
`ListenerServer` binds a listener's port and chooses. What it answers itself (4XX and 5XX as "Troubleshoot your
Application Load Balancers" lists them, redirects, fixed responses) looks as an Application Load Balancer's.

The path of a small request is the hot one: no tasks, no futures, no copies that httptools doesn't make anyway.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import httptools

from sandbox.cloud import routing, stickiness
from sandbox.cloud.health import Fault, Target, TargetGroup
from sandbox.cloud.listening import Server
from sandbox.cloud.meter import Meter
from sandbox.cloud.request import Request
from sandbox.cloud.target_connection import LAST_CHUNK, TargetConnection, chunk, pause, resume

_CONNECT_SECONDS = 10.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLIENT_LEFT = 460  # nobody sees it but the metrics
_NOT_FOR_GROUP = 464
# Behind these nobody knows where the next request begins.
_UNREADABLE = frozenset(
    (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_URI_TOO_LONG,
        HTTPStatus.NOT_IMPLEMENTED,
    )
)


class ClientConnection(asyncio.Protocol):
    """One connection of a user. Requests are answered in turn; what is pipelined behind waits."""

    def __init__(self, server: ListenerServer) -> None:
        self.server = server
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other callback
        self.source = ""
        self.last_active = 0.0
        self.request: Request | None = None
        self._peer = ("", 0)
        self._opened_at = 0.0
        self._more = b""  # lines of the heads of all requests
        self._parser = httptools.HttpRequestParser(self)
        self._incoming = Request()
        self._waiting: deque[Request] = deque()
        self._target: TargetConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._chosen: Target | None = None
        self._group_arn = ""
        self.cookies = b""  # lines for the head of the answer under way, where a client is to stick
        self._sent_at = 0.0
        self._late_seconds = 0.0
        self._closes_after_answer = False
        self._is_writable = True
        self._held: bytes | None = None  # what came behind the request for a websocket, until that is answered
        self._is_tunnel = False

    # -- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._peer = transport.get_extra_info("peername")[:2]
        self.source = self._peer[0]
        self.last_active = self._opened_at = self.server.loop.time()
        self._more = self.server.forwarded + self._tls_fields()
        self.server.clients.add(self)

    def _tls_fields(self) -> bytes:
        cipher = self.transport.get_extra_info("cipher") if self.server.listener.attributes.adds_tls_fields else None
        return b"X-Amzn-Tls-Version: %b\r\nX-Amzn-Tls-Cipher-Suite: %b\r\n" % _tls_names(cipher) if cipher else b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.clients.discard(self)
        self._waiting.clear()
        if self.request and not self._is_tunnel:
            self.server.meter.refused(_CLIENT_LEFT)
        self._abandon()

    def data_received(self, data: bytes) -> None:
        self.last_active = self.server.loop.time()
        if self._is_tunnel:
            if self._target:
                self._target.send(data)
            return
        if self._held is not None:
            self._held += data
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = httptools.HttpRequestParser(self)
            self._go_on(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            if self.request is None or self.request is self._incoming:
                self._refuse(self._incoming.refusal)
            else:
                self._closes_after_answer = True  # it came behind a request that has yet to be answered
                pause(self.transport)

    def _go_on(self, rest: bytes) -> None:
        """Behind a request for an upgrade: a websocket's bytes if that is granted, else the next request."""
        asked = self._waiting[-1] if self._waiting else self.request
        if asked and asked.is_websocket:
            self._held = rest
            pause(self.transport)
        elif rest:
            self.data_received(rest)

    def pause_writing(self) -> None:
        self._is_writable = False
        if self._target:
            pause(self._target.transport)

    def resume_writing(self) -> None:
        self._is_writable = True
        if self._target:
            resume(self._target.transport)

    # -- the parser's callbacks

    def on_url(self, url: bytes) -> None:
        self._incoming.add_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._incoming.add_field(name, value)

    def on_headers_complete(self) -> None:
        request = self._incoming
        request.end_head(self._parser)
        if self.request is None:
            self._begin(request)
        else:
            self._waiting.append(request)
            pause(self.transport)

    def on_body(self, body: bytes) -> None:
        request = self._incoming
        if request is self.request and self._target:
            self._target.send(chunk(body) if request.is_chunked else body)
        elif request is self.request or request in self._waiting:
            request.body.append(chunk(body) if request.is_chunked else body)
        # else: answered already; the rest of its body is read and dropped

    def on_message_complete(self) -> None:
        request, self._incoming = self._incoming, Request()
        request.is_complete = True
        if request.is_chunked:
            if request is self.request and self._target:
                self._target.send(LAST_CHUNK)
            else:
                request.body.append(LAST_CHUNK)

    # -- a request's way

    def _begin(self, request: Request) -> None:
        self.request = request
        if fault := request.fault():
            self._refuse(fault)
            return
        listener = self.server.listener
        action = listener.action_for(request.as_seen_by_rules(self.source)) if listener.rules else listener.default
        match action:
            case routing.Forward():
                self._forward(request, action)
            case routing.FixedResponse(status, content_type, body):
                self._answer(status, body.encode(), content_type)
            case routing.Redirect():
                seen = request.as_seen_by_rules(self.source)
                location = action.location(seen, port=listener.port, protocol=listener.protocol)
                self._answer(action.status, _page(action.status), "text/html", f"Location: {location}\r\n")

    def _forward(self, request: Request, action: routing.Forward) -> None:
        self.cookies = b""
        if action.sticky_seconds is None:
            arn = action.choose(self.server.next_point())
        else:
            arn = self._stay(request, action, action.sticky_seconds)
        group = self.server.groups.get(arn or "")
        if group is None or group.sticky_seconds is None:
            target = group.next() if group else None
        else:
            target = self._return(request, group, group.sticky_seconds)
        if target is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        assert group is not None
        if group.is_http_2:
            self._refuse(_NOT_FOR_GROUP)
            return
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
            pause(self.transport)
            self._connecting = self.server.loop.create_task(self._suffer(target, group.fault))

    def _stay(self, request: Request, action: routing.Forward, seconds: int) -> str | None:
        """The group that this client had, whatever its weight is now, and without a target even: then it gets a 503."""
        arn = stickiness.known(request.fields, stickiness.GROUP, action.arns)
        arn = arn or action.choose(self.server.next_point())
        if arn:
            self.cookies += stickiness.set_cookies(stickiness.GROUP, arn, seconds)
        return arn

    def _return(self, request: Request, group: TargetGroup, seconds: int) -> Target | None:
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
        resume(self.transport)
        if fault.strikes():
            self.count_answer(500)
            body = b'{"error": "a fault of the sandbox says so"}\n'
            self._answer(500, body, "application/json", self.cookies.decode())
        else:
            self._reach(target)

    def _connect(self, target: Target) -> None:
        pause(self.transport)  # its body waits in the kernel
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
            resume(self.transport)
            self.attach(connection)

    def attach(self, connection: TargetConnection) -> None:
        """Send the request's head, and what there is of its body, over this connection."""
        request = self.request
        assert request is not None
        self._target = connection
        if not self._is_writable:
            pause(connection.transport)
        self._sent_at = time.perf_counter() - self._late_seconds
        connection.begin(self, is_head=request.method == b"HEAD")
        listener = self.server.listener
        head = request.head(listener.attributes, port=listener.port, client=self._peer, more=self._more)
        connection.send(b"".join((head, *request.body)))
        request.body.clear()

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
        if request.is_websocket and self._held is not None:
            held, self._held = self._held, None
            resume(self.transport)
            self.server.loop.call_soon(self._receive_held, held)
        if self._closes_after_answer or not request.keep_alive or not request.is_complete or self.server.is_closing:
            # A request that was answered before its end: the rest of its body can't be told from the next one.
            self.transport.close()
        elif self._waiting:
            following = self._waiting.popleft()
            if not self._waiting:
                resume(self.transport)
            self._begin(following)

    def _receive_held(self, held: bytes) -> None:
        if held and not self.transport.is_closing():
            self.data_received(held)

    def wants_tunnel(self) -> bool:
        return self.request is not None and self.request.is_websocket

    def open_tunnel(self) -> None:
        """The target has switched protocols: what comes now is nobody's business but theirs."""
        held, self._held = self._held, None
        self._is_tunnel = True
        resume(self.transport)
        if held and self._target:
            self._target.send(held)

    def target_lost(self, *, was_reused: bool, has_begun: bool) -> None:
        """The target closed before the answer's end."""
        request, target = self.request, self._chosen
        self._target = None
        if request is None or target is None:
            return
        if has_begun:
            self._release_target()
            self.request = None
            if self._is_tunnel:
                self.transport.close()
            else:
                self.transport.abort()  # the client must see that its answer is cut
        elif was_reused and not request.may_have_body and not target.is_gone:
            self._connect(target)  # it closed an idle connection just as we took it: nothing was done with the request
        else:
            self._refuse(HTTPStatus.BAD_GATEWAY)

    def close_after_answer(self) -> None:
        self._closes_after_answer = True

    def closes_after_answer(self) -> bool:
        return (
            self._closes_after_answer
            or self.server.is_closing
            or not (self.request and self.request.keep_alive)
            or self.last_active - self._opened_at > self.server.listener.attributes.keep_alive_seconds
        )

    def is_http_1_0(self) -> bool:
        return self.request is not None and self.request.version == "1.0"

    def check_idle(self, now: float) -> None:
        """The idle timeout: 504 if the target is the silent one, 408 if the client is; else the connection closes."""
        active = max(self.last_active, self._target.last_active if self._target else 0.0)
        if now - active < self.server.listener.attributes.idle_timeout_seconds:
            return
        if self._target and self._target.has_begun:
            self.request = None
            self.transport.close()
        elif self.request is None:
            if self._incoming.url:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT)
            else:
                self.transport.close()
        elif self._target:
            self._refuse(HTTPStatus.GATEWAY_TIMEOUT if self.request.is_complete else HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: int) -> None:
        if self.request is None:
            self.request = self._incoming
        self.server.meter.refused(status)
        self._closes_after_answer |= status in _UNREADABLE
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
            resume(self.transport)
        if not request.may_have_body:
            request.is_complete = True  # its end has yet to be parsed, but there is nothing in it
        if self._target:
            self._target.drop()
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
            target.drop()


class ListenerServer(Server):
    """A listener of an Application Load Balancer."""

    def __init__(self, listener: routing.Listener, groups: Mapping[str, TargetGroup], meter: Meter) -> None:
        super().__init__(listener, groups)
        self.meter = meter
        self.clients: set[ClientConnection] = set()
        self.forwarded = b""

    def client(self) -> ClientConnection:
        return ClientConnection(self)

    def check_clients(self, now: float) -> None:
        for client in list(self.clients):
            client.check_idle(now)

    def end_clients(self) -> None:
        """Requests under way finish."""
        for client in list(self.clients):
            if client.request is None:
                client.transport.close()

    async def _serve(self, context: ssl.SSLContext | None) -> None:
        protocol, port = self.listener.protocol.encode(), self.listener.port
        self.forwarded = b"X-Forwarded-Proto: %b\r\nX-Forwarded-Port: %d\r\n" % (protocol, port)
        await super()._serve(context)


def _tls_names(cipher: tuple[str, str, int]) -> tuple[bytes, bytes]:
    name, version, _ = cipher
    return version.encode(), name.encode()


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
