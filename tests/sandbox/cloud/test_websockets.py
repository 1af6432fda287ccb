"""Websockets through the load balancer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.sandbox.cloud.backend import PORT
from tests.sandbox.cloud.site import Site, received
from tests.sandbox.cloud.world import eventually, get

_LISTENERS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html"
_ATTRIBUTES = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html"
_GROUPS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html"
_ASK = (
    b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abc\r\n\r\n"
)


@contextmanager
def opened(site: Site, first: bytes = b"") -> Iterator[socket.socket]:
    """A websocket to `/websocket`; `first` is sent together with the request."""
    with socket.create_connection((site.address, 8080), timeout=10) as sock:
        sock.sendall(_ASK % b"/websocket" + first)
        head = b""
        while not head.endswith(b"hello\n"):
            head += sock.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        fields = head.lower().split(b"\r\n")
        assert {b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-accept: abc"} <= set(fields)
        yield sock


@pytest.mark.documented("a request to upgrade to a websocket is passed on, and bytes flow both ways", _LISTENERS)
def test_bytes_flow_both_ways_until_the_target_is_done(site: Site) -> None:
    site.serve("a")
    with opened(site) as sock:
        for message in (b"one", b"\x00\xff", b"GET / HTTP/1.1\r\n\r\n"):
            sock.sendall(message)
            assert sock.recv(100) == message
        sock.sendall(b"bye\n")
        assert received(sock) == b"bye\n"


def test_megabytes_arrive_in_order_though_nobody_reads_at_first(site: Site) -> None:
    site.serve("a")
    data = b"".join(b"%07d\n" % number for number in range(1_000_000)) + b"bye\n"
    with opened(site) as sock:
        writer = threading.Thread(target=sock.sendall, args=[data])
        writer.start()
        got = received(sock)
        writer.join()
    assert got == data


def test_what_is_sent_before_the_target_has_switched_is_not_lost(site: Site) -> None:
    site.serve("a")
    with opened(site, first=b"early") as sock:
        assert sock.recv(100) == b"early"


def test_a_target_sees_that_the_client_left(site: Site) -> None:
    _, (backend,) = site.serve("a")
    with opened(site):
        pass
    eventually(lambda: backend.lost_clients == 1)


def test_a_target_that_does_not_switch_answers_as_to_any_request(site: Site) -> None:
    site.serve("a")
    one = _ASK % b"/who"
    last = b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = site.raw(one + last)
    assert answers.count(b"HTTP/1.1 200") == 2
    assert answers.endswith(b"\r\n\r\na")


def test_no_other_protocol_is_switched_to(site: Site) -> None:
    site.serve("a")
    with socket.create_connection((site.address, 8080), timeout=10) as sock:
        sock.sendall(b"GET /websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 426"


@pytest.mark.documented("an idle websocket is closed", _ATTRIBUTES)
def test_an_idle_websocket_is_closed(site: Site) -> None:
    _, (backend,) = site.serve("a")
    site.attribute("idle_timeout.timeout_seconds", "1")
    with opened(site) as sock:
        assert received(sock) == b""
    eventually(lambda: backend.lost_clients == 1)


@pytest.mark.documented("a websocket keeps its target while that is draining", _GROUPS)
def test_a_websocket_keeps_its_target_while_that_is_draining(site: Site) -> None:
    arn, (leaving, _) = site.serve("a", "b")
    site.aws.drain_seconds(arn, 60)
    with opened(site) as one, opened(site) as two:  # one for each target
        site.aws.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": leaving.address, "Port": PORT}])
        assert {get(site.address, "/who")[1] for _ in range(4)} == {"b"}
        for sock in (one, two):
            sock.sendall(b"still here")
            assert sock.recv(100) == b"still here"


@pytest.mark.documented("a websocket is closed when the deregistration delay of its target is over", _GROUPS)
def test_a_websocket_is_closed_when_the_delay_is_over(site: Site) -> None:
    arn, (leaving,) = site.serve("a")
    with opened(site) as sock:
        site.aws.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": leaving.address, "Port": PORT}])
        assert received(sock) == b""
    eventually(lambda: leaving.lost_clients == 1)
