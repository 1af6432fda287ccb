"""Answers that are the load balancer's own: what it refuses, and when it gives up."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.backend import PORT
from tests.sandbox.cloud.site import Site, ask, received, weighted
from tests.sandbox.cloud.world import eventually, get

_GUIDE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application"
_ERRORS = f"{_GUIDE}/load-balancer-troubleshooting.html"
_ATTRIBUTES = f"{_GUIDE}/edit-load-balancer-attributes.html"
_HEALTH = f"{_GUIDE}/target-group-health-checks.html"
_ACTIONS = f"{_GUIDE}/rule-action-types.html"
_METRICS = f"{_GUIDE}/load-balancer-cloudwatch-metrics.html"
_IPS = ", ".join(f"192.0.2.{number}" for number in range(31))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(
            "GET / HTTP/1.1\r\n\r\n", 400, marks=pytest.mark.documented("400 for a request that is malformed", _ERRORS)
        ),
        pytest.param(
            f"GET / HTTP/1.1\r\nHost: x\r\nX: {'y' * 17_000}\r\n\r\n",
            400,
            marks=pytest.mark.documented("400 for a header of more than 16K", _ERRORS),
        ),
        pytest.param(
            "GET / HTTP/1.1\r\nHost: x\r\n" + "".join(f"X{n}: {'y' * 15_000}\r\n" for n in range(5)) + "\r\n",
            400,
            marks=pytest.mark.documented("400 for a head of more than 64K", _ERRORS),
        ),
        pytest.param(
            "TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            405,
            marks=pytest.mark.documented("405 for TRACE", _ERRORS),
        ),
        pytest.param(
            f"GET /{'y' * 17_000} HTTP/1.1\r\nHost: x\r\n\r\n",
            414,
            marks=pytest.mark.documented("414 for a URL that is too long", _ERRORS),
        ),
        pytest.param(
            f"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {_IPS}\r\nConnection: close\r\n\r\n",
            463,
            marks=pytest.mark.documented("463 for more than 30 addresses in X-Forwarded-For", _ERRORS),
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
            marks=pytest.mark.documented("501 for a transfer encoding other than chunked and identity", _ERRORS),
        ),
    ],
)
def test_a_request_that_no_target_gets(site: Site, request_: str, status: int) -> None:
    _, (backend,) = site.serve("a")
    answer = site.raw(request_.encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nServer: awselb/2.0\r\n" in answer
    assert backend.requests == []


def test_a_request_with_30_addresses_in_x_forwarded_for_is_passed_on(site: Site) -> None:
    site.serve("a")
    assert get(site.address, "/who", X_Forwarded_For=_IPS.partition(", ")[2]) == (200, "a")


@pytest.mark.documented("464 for HTTP/1.1 to a target group of HTTP/2", _ERRORS)
def test_a_target_group_of_another_http_version_is_a_464(site: Site) -> None:
    arn = site.aws.target_group(TargetType="ip", Port=PORT, ProtocolVersion="HTTP2")
    _, (backend,) = site.group("a")
    site.aws.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": backend.address, "Port": PORT}])
    site.aws.listener(site.balancer, arn)
    assert get(site.address, "/who")[0] == 464


@pytest.mark.documented("408 when a client is silent in the middle of a request for the idle timeout", _ERRORS)
@pytest.mark.parametrize(
    "part", [b"GET / HTTP/1.1\r\n", b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_client_that_stops_in_the_middle_gets_a_408(site: Site, part: bytes) -> None:
    site.serve("a")
    site.attribute("idle_timeout.timeout_seconds", "1")
    assert site.raw(part).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.mark.documented("a connection on which nothing happens is closed after the idle timeout", _ATTRIBUTES)
def test_an_idle_connection_is_closed_without_a_word(site: Site) -> None:
    site.serve("a")
    site.attribute("idle_timeout.timeout_seconds", "1")
    connection = site.connect()
    assert ask(connection, "/who") == (200, b"a")
    assert received(connection.sock) == b""


def test_the_request_behind_one_that_got_a_504_is_answered(site: Site) -> None:
    _, (backend,) = site.serve("a")
    site.attribute("idle_timeout.timeout_seconds", "1")
    last = b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = site.raw(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + last)
    backend.release.set()
    assert answers.startswith(b"HTTP/1.1 504")
    assert answers.endswith(b"\r\n\r\na")


def test_a_target_that_stops_in_the_middle_is_cut_off_after_the_idle_timeout(site: Site) -> None:
    _, (backend,) = site.serve("a")
    site.attribute("idle_timeout.timeout_seconds", "1")
    with socket.create_connection((site.address, 8080), timeout=10) as sock:
        sock.sendall(b"GET /stall HTTP/1.1\r\nHost: x\r\n\r\n")
        assert received(sock).endswith(b"\r\n\r\nonly this")
    backend.release.set()


@pytest.mark.documented(
    "after the client keepalive duration a connection has one more answer and is closed", _ATTRIBUTES
)
def test_a_connection_is_closed_when_its_keepalive_is_over(site: Site) -> None:
    site.serve("a")
    site.attribute("client_keep_alive.seconds", "1")
    connection = site.connect()

    def has_closed() -> bool:
        connection.request("GET", "/who")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"a")
        return answer.getheader("Connection") == "close"

    eventually(has_closed)


@pytest.mark.documented("502 for an answer whose head is larger than 32K", _ERRORS)
def test_an_answer_with_too_large_a_head_is_a_502(site: Site) -> None:
    _, (backend,) = site.serve("a")
    connection = site.connect()
    assert ask(connection, "/who") == (200, b"a")
    assert ask(connection, "/long-head")[0] == 502
    assert backend.requests.count("GET /long-head") == 1


@pytest.mark.documented("a weighted group in which no target is healthy fails open: no other takes its share", _HEALTH)
def test_no_other_group_takes_the_share_of_one_without_a_healthy_target(site: Site) -> None:
    old, _ = site.serve("blue")
    new, (green,) = site.group("green")
    green.is_healthy = False
    site.forward(**{old: 1, new: 1})
    eventually(lambda: site.aws.states(new) == ["unhealthy"])
    assert {get(site.address, "/who") for _ in range(10)} == {(200, "blue"), (200, "green")}


@pytest.mark.documented("503 for the share of a weighted group that has no registered targets", _ERRORS)
def test_the_share_of_an_empty_group_is_a_503(site: Site) -> None:
    old, _ = site.serve("blue")
    new, _ = site.group()
    site.forward(**{old: 1, new: 1})
    assert {get(site.address, "/who")[0] for _ in range(10)} == {200, 503}


@pytest.mark.documented("460 is counted when a client leaves before its answer", _METRICS)
def test_a_client_that_leaves_is_counted_as_a_4xx(site: Site, client: Any) -> None:
    _, (backend,) = site.serve("a")
    with socket.create_connection((site.address, 8080), timeout=10) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: "GET /wait" in backend.requests)
    backend.release.set()
    dimension = {"Name": "LoadBalancer", "Value": site.balancer.partition(":loadbalancer/")[2]}
    cloudwatch = client("cloudwatch")

    def metrics() -> Any:
        return cloudwatch.list_metrics(
            Namespace="AWS/ApplicationELB", MetricName="HTTPCode_ELB_4XX_Count", Dimensions=[dimension]
        )["Metrics"]

    eventually(metrics)


@pytest.mark.documented("a redirect to where the request was is refused", _ACTIONS)
def test_a_redirect_in_a_loop_is_refused(site: Site) -> None:
    redirect = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Query": "again=1"}}
    with pytest.raises(
        ClientError, match="The redirect configuration is not valid because it creates a loop"
    ) as refused:
        site.aws.listener(site.balancer, redirect)
    assert refused.value.response["Error"]["Code"] == "InvalidLoadBalancerAction"


def test_a_listener_whose_new_port_is_taken_stays_as_it_was(site: Site) -> None:
    site.serve("blue")
    new, _ = site.group("green")
    with socket.socket() as taken:
        taken.bind((site.address, 8090))
        taken.listen()
        with suppress(ClientError):
            site.aws.elb.modify_listener(ListenerArn=site.listener, Port=8090, DefaultActions=[weighted(**{new: 1})])
    assert get(site.address, "/who") == (200, "blue")
