"""A request on its way through a load balancer: its head as it came, what of it rules see, its head as targets get it.

No sockets; `ClientConnection` in proxy.py feeds it. Sources: "HTTP headers and Application Load Balancers", "Request
tracing", "Edit attributes" and "Quotas" in AWS's guide.
"""

from __future__ import annotations

import random
import re
import time
from http import HTTPStatus

import httptools

from sandbox.cloud import routing
from sandbox.cloud.routing import Attributes

# Meant for one hop (RFC 9110, 7.6.1), or answered by the proxy itself. Transfer-Encoding passes: it is framed anew.
NOT_FORWARDED = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"expect"))
_SET_BY_PROXY = frozenset((b"x-forwarded-proto", b"x-forwarded-port"))
_MAX_LINE_BYTES = 16 * 1024  # the request's line, and each field
_MAX_HEAD_BYTES = 64 * 1024
_MOST_FORWARDERS = 30
_FRAMINGS = (b"chunked", b"identity")
_VALID_NAME = re.compile(rb"[0-9A-Za-z-]+").fullmatch
_DEFAULT_PORTS = (80, 443)


class Request:
    """A request as it comes in: its head, and the part of its body that has not been passed on."""

    def __init__(self) -> None:
        self.method = b""
        self.url = b""
        self.version = "1.1"
        self.host: bytes | None = None
        self.fields: list[tuple[bytes, bytes]] = []
        self.forwarded_for = b""
        self.trace = b""
        self.upgrade = b""
        self.body: list[bytes] = []
        self.size = 0
        self.is_chunked = False
        self.may_have_body = False
        self.wants_continue = False
        self.keep_alive = True
        self.is_websocket = False
        self.is_complete = False
        self.refusal = HTTPStatus.BAD_REQUEST  # where it can't be parsed

    def add_url(self, part: bytes) -> None:
        self.url += part
        if len(self.url) > _MAX_LINE_BYTES:
            self.refusal = HTTPStatus.REQUEST_URI_TOO_LONG
            raise ValueError("the URL is longer than an ALB takes")

    def add_field(self, name: bytes, value: bytes) -> None:
        size = len(name) + len(value)
        self.size += size
        if size > _MAX_LINE_BYTES or self.size > _MAX_HEAD_BYTES:
            raise ValueError("the head is larger than an ALB takes")
        lower = name.lower()
        if lower == b"host":
            self.host = value if self.host is None else self.host
        elif lower in NOT_FORWARDED:
            if lower == b"expect":
                self.wants_continue = value.lower() == b"100-continue"
            elif lower == b"upgrade":
                self.upgrade = value.lower()
        elif lower == b"x-forwarded-for":
            self.forwarded_for += b", " + value if self.forwarded_for else value
        elif lower == b"x-amzn-trace-id":
            self.trace = value
        elif lower not in _SET_BY_PROXY:
            if lower == b"transfer-encoding":
                self.is_chunked = self.may_have_body = True
                if value.strip().lower() not in _FRAMINGS:
                    self.refusal = HTTPStatus.NOT_IMPLEMENTED
                    raise ValueError("an encoding that an ALB doesn't know")
            elif lower == b"content-length":
                self.may_have_body = value.strip() != b"0"
            self.fields.append((name, value))

    def end_head(self, parser: httptools.HttpRequestParser) -> None:
        self.method = parser.get_method()
        self.version = parser.get_http_version()
        self.keep_alive = parser.should_keep_alive()
        if self.upgrade:
            self.is_websocket = self.upgrade == b"websocket" and parser.should_upgrade()
        if self.url[:1] != b"/" and self.url != b"*":
            self.url = _origin_form(self.url)

    def fault(self) -> int | None:
        """The status with which a load balancer refuses it; None if it doesn't."""
        if self.host is None and self.version == "1.1":
            return HTTPStatus.BAD_REQUEST
        if self.method == b"TRACE":
            return HTTPStatus.METHOD_NOT_ALLOWED
        if self.forwarded_for.count(b",") >= _MOST_FORWARDERS:
            return 463
        return None

    def as_seen_by_rules(self, source: str) -> routing.Request:
        path, _, query = self.url.decode("latin-1").partition("?")
        return routing.Request(
            method=self.method.decode("latin-1"),
            host=(self.host or b"").decode("latin-1"),
            path=path,
            query=query,
            headers=tuple((name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in self.fields),
            source=source,
        )

    def head(self, attributes: Attributes, *, port: int, client: tuple[str, int], more: bytes) -> bytes:
        """As a target gets it. `more` are the lines that are the same for all requests of a connection."""
        fields = self.fields
        if attributes.drops_invalid_fields:
            fields = [field for field in fields if _VALID_NAME(field[0])]
        if self.is_websocket:
            more += b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        return b"%b %b HTTP/1.1\r\n%b%b%b%bX-Amzn-Trace-Id: %b\r\n\r\n" % (
            self.method,
            self.url,
            b"" if self.host is None else b"Host: %b\r\n" % host_for_target(self.host, attributes, port),
            b"".join([b"%b: %b\r\n" % field for field in fields]),
            _forwarded_for(self.forwarded_for, attributes, client),
            more,
            _trace(self.trace),
        )


def host_for_target(host: bytes, attributes: Attributes, port: int) -> bytes:
    """With the listener's port, unless that is a default one, which is taken away; or as it was."""
    if attributes.preserves_host:
        return host
    name, colon, given = host.rpartition(b":")
    has_port = bool(colon) and given.isdigit()
    if port in _DEFAULT_PORTS:
        return name if has_port else host
    return host if has_port else b"%b:%d" % (host, port)


def _forwarded_for(given: bytes, attributes: Attributes, client: tuple[str, int]) -> bytes:
    match attributes.forwarded_for:
        case "remove":
            return b""
        case "preserve":
            return b"X-Forwarded-For: %b\r\n" % given if given else b""
    address, port = client
    own = f"{address}:{port}" if attributes.adds_client_port else address
    return b"X-Forwarded-For: %b%b%b\r\n" % (given, b", " if given else b"", own.encode())


def _trace(given: bytes) -> bytes:
    own = b"1-%08x-%024x" % (int(time.time()), random.getrandbits(96))
    if not given:
        return b"Root=" + own
    parts = [part for part in given.split(b";") if not part.strip().startswith(b"Self=")]
    has_root = any(part.strip().startswith(b"Root=") for part in parts)
    return b";".join([(b"Self=" if has_root else b"Root=") + own, *parts])


def _origin_form(url: bytes) -> bytes:
    """`http://host/path` as `/path`: only a proxy's request has the former (RFC 9112, 3.2)."""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        return url
    return (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
