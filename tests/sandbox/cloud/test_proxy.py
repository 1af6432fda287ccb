"""The load balancer's proxy, as clients and targets see it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import threading
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.backend import PORT
from tests.sandbox.cloud.site import Site, ask
from tests.sandbox.cloud.world import eventually, get


@pytest.mark.documented(
    "a target gets X-Forwarded-For with the client appended, X-Forwarded-Proto and -Port",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html",
)
def test_a_target_learns_who_asks_and_how(site: Site) -> None:
    site.serve("a")
    connection = site.connect()
    _, body = ask(connection, "/headers", headers={"X-Forwarded-For": "192.0.2.7", "Host": "shop.example"})
    headers = {key.lower(): value for key, value in json.loads(body)}
    source = connection.sock.getsockname()[0]
    assert headers["x-forwarded-for"] == f"192.0.2.7, {source}"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-port"] == "8080"
    assert headers["host"] == "shop.example:8080"
    assert headers["x-amzn-trace-id"].startswith("Root=1-")


@pytest.mark.documented(
    "connections to clients and to targets are kept and used again",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html",
)
def test_connections_are_kept_on_both_sides(site: Site) -> None:
    _, (backend,) = site.serve("a")
    connection = site.connect()
    for _ in range(5):
        assert ask(connection, "/who") == (200, b"a")
    assert backend.connections == 1


@pytest.mark.documented(
    "targets of a group take turns: round robin",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html",
)
def test_targets_take_turns(site: Site) -> None:
    site.serve("a", "b")
    connection = site.connect()
    assert Counter(ask(connection, "/who")[1] for _ in range(20)) == {b"a": 10, b"b": 10}


def test_a_chunked_answer_arrives_whole(site: Site) -> None:
    site.serve("a")
    connection = site.connect()
    assert ask(connection, "/chunks") == (200, b"one two three")
    assert ask(connection, "/who") == (200, b"a")


def test_an_answer_that_ends_with_its_connection_is_framed_for_the_client(site: Site) -> None:
    site.serve("a")
    connection = site.connect()
    assert ask(connection, "/until-close") == (200, b"until the end")
    assert ask(connection, "/who") == (200, b"a")


def test_an_http_1_0_client_gets_no_chunks(site: Site) -> None:
    site.serve("a")
    head, _, body = site.raw(b"GET /chunks HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert body == b"one two three"
    assert b"transfer-encoding" not in head.lower()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("HEAD", "/who", 200), ("GET", "/empty", 204), ("GET", "/not-modified", 304)]
)
def test_an_answer_without_a_body_leaves_the_connection_in_step(
    site: Site, method: str, path: str, status: int
) -> None:
    _, (backend,) = site.serve("a")
    connection = site.connect()
    assert ask(connection, path, method) == (status, b"")
    assert ask(connection, "/who") == (200, b"a")
    assert backend.connections == 1


def test_bodies_arrive_unchanged_with_a_length_and_in_chunks(site: Site) -> None:
    site.serve("a")
    body = bytes(range(256)) * 40_000
    expected = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    connection = site.connect()
    assert json.loads(ask(connection, "/echo", "POST", body=body)[1]) == expected
    parts = iter([body[:1000], body[1000:500_000], body[500_000:]])
    assert json.loads(ask(connection, "/echo", "POST", body=parts, encode_chunked=True)[1]) == expected


def test_a_client_that_expects_100_is_told_to_continue(site: Site) -> None:
    site.serve("a")
    with socket.create_connection((site.address, 8080), timeout=10) as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        answer = b""
        while not answer.endswith(b"}"):
            answer += sock.recv(1000)
        assert b'"size": 5' in answer


def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    site.serve("a")
    one = b"GET /chunks HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = site.raw(one + one + last)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.endswith(b"\r\n\r\na")


def test_garbage_behind_a_good_request_does_not_spoil_its_answer(site: Site) -> None:
    site.serve("a")
    answers = site.raw(b"GET /chunks HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n")
    assert answers.startswith(b"HTTP/1.1 200")
    assert answers.endswith(b"\r\n0\r\n\r\n")


def test_a_slow_client_slows_the_target_instead_of_filling_memory(site: Site) -> None:
    _, (backend,) = site.serve("a")
    with socket.create_connection((site.address, 8080), timeout=10) as sock:
        sock.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = [-1]

        def stands_still() -> bool:
            seen.append(backend.bytes_sent)
            return seen[-1] > 0 and seen[-20:] == [seen[-1]] * 20

        eventually(stands_still, what="the target waits")
        assert backend.bytes_sent < 32 * 1024 * 1024
    eventually(lambda: backend.lost_clients == 1, what="the target sees that the client left")


def test_a_slow_target_slows_the_client(site: Site) -> None:
    _, (backend,) = site.serve("a")
    sent = 0
    with socket.create_connection((site.address, 8080), timeout=10) as sock:
        sock.sendall(b"POST /slow-reader HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        sock.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while sent < 1_000_000_000:
                sent += sock.send(b"x" * 65536)
    assert sent < 64 * 1024 * 1024
    backend.release.set()


@pytest.mark.documented(
    "502 when a target closes the connection before it answers",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html",
)
def test_a_target_that_hangs_up_is_a_502(site: Site) -> None:
    site.serve("a")
    connection = site.connect()
    status, body = ask(connection, "/hang-up")
    assert (status, b"502 Bad Gateway" in body) == (502, True)
    assert ask(connection, "/who") == (200, b"a")


@pytest.mark.documented(
    "502 when an answer is malformed",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html",
)
def test_an_answer_that_is_not_http_is_a_502(site: Site) -> None:
    site.serve("a")
    assert get(site.address, "/garbage")[0] == 502


def test_an_answer_that_breaks_off_is_cut_for_the_client_too(site: Site) -> None:
    site.serve("a")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        get(site.address, "/half")


@pytest.mark.documented(
    "502 when a target refuses the connection",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html",
)
def test_a_target_that_nobody_listens_at_is_a_502(site: Site) -> None:
    _, (backend,) = site.serve("a")
    backend.close()
    assert eventually(lambda: get(site.address, "/who")[0]) == 502


@pytest.mark.documented(
    "503 when the target group has no registered targets",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html",
)
def test_a_group_without_targets_is_a_503(site: Site) -> None:
    arn, _ = site.group()
    site.aws.listener(site.balancer, arn)
    assert get(site.address, "/who")[0] == 503


@pytest.mark.documented(
    "504 when a target is silent for the idle timeout",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html",
)
def test_a_silent_target_is_a_504(site: Site) -> None:
    _, (backend,) = site.serve("a")
    site.attribute("idle_timeout.timeout_seconds", "1")
    assert get(site.address, "/wait")[0] == 504
    backend.release.set()


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_garbage_is_a_400(site: Site, garbage: bytes) -> None:
    site.serve("a")
    assert site.raw(garbage).startswith(b"HTTP/1.1 400 Bad Request\r\nServer: awselb/2.0\r\n")


def test_a_kept_connection_that_the_target_closes_meanwhile_fails_no_request(site: Site) -> None:
    _, (backend,) = site.serve("a")
    connection = site.connect()
    assert ask(connection, "/once") == (200, b"once")
    assert ask(connection, "/who") == (200, b"a")
    assert backend.connections == 2


def test_a_body_is_never_sent_twice(site: Site) -> None:
    _, (backend,) = site.serve("a")
    connection = site.connect()
    assert ask(connection, "/once") == (200, b"once")
    assert ask(connection, "/echo", "POST", body=b"pay")[0] == 502
    assert "POST /echo" not in backend.requests


def test_a_cutover_holds_at_once_and_requests_under_way_finish(site: Site) -> None:
    old, (blue,) = site.serve("blue")
    new, _ = site.group("green")
    preview = site.aws.listener(site.balancer, new, port=9000)
    eventually(lambda: site.aws.states(new) == ["healthy"])
    answers: list[tuple[int, str]] = []
    waiting = threading.Thread(target=lambda: answers.append(get(site.address, "/wait")))
    waiting.start()
    eventually(lambda: "GET /wait" in blue.requests)
    site.forward(**{new: 1})
    assert {get(site.address, "/who") for _ in range(10)} == {(200, "green")}
    blue.release.set()
    waiting.join()
    assert answers == [(200, "blue")]
    assert site.aws.states(old) == ["unused"]
    site.aws.elb.delete_listener(ListenerArn=preview)


def test_a_load_over_a_cutover_fails_no_request(site: Site) -> None:
    site.serve("blue")
    new, _ = site.group("green")
    site.aws.listener(site.balancer, new, port=9000)
    eventually(lambda: site.aws.states(new) == ["healthy"])
    stop, seen = threading.Event(), []

    def load() -> None:
        connection = site.connect()
        while not stop.is_set():
            seen.append(ask(connection, "/who"))

    loads = [threading.Thread(target=load) for _ in range(4)]
    for it in loads:
        it.start()
    eventually(lambda: len(seen) > 100)
    site.forward(**{new: 1})
    count = len(seen)
    eventually(lambda: len(seen) > count + 100)
    stop.set()
    for it in loads:
        it.join()
    assert {status for status, _ in seen} == {200}
    assert set(map(bytes, (body for _, body in seen[count + 8 :]))) == {b"green"}


@pytest.mark.documented(
    "a forward action shares its requests by weight",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html",
)
def test_weights_share_the_traffic_within_2_points_over_5000_requests(site: Site) -> None:
    old, (blue,) = site.serve("blue")
    new, (green,) = site.group("green")
    for share in (90, 50):
        site.forward(**{old: share, new: 100 - share})
        before = len(blue.requests), len(green.requests)
        for _ in range(25):
            site.raw(100 * b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET / HTTP/1.0\r\n\r\n")
        seen = len(blue.requests) - before[0], len(green.requests) - before[1]
        assert sum(seen) == 25 * 101
        assert abs(seen[0] / sum(seen) - share / 100) < 0.02


@pytest.mark.documented(
    "a target group of weight 0 gets no requests",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html",
)
def test_a_group_of_weight_zero_gets_nothing(site: Site) -> None:
    old, _ = site.serve("blue")
    new, _ = site.group("green")
    site.forward(**{old: 0, new: 1})
    assert {get(site.address, "/who")[1] for _ in range(20)} == {"green"}


@pytest.mark.documented(
    "fixed responses and redirects, with what the request had in the place of #{...}",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html",
)
def test_fixed_responses_and_redirects_are_the_load_balancers_own(site: Site) -> None:
    site.aws.listener(
        site.balancer,
        {
            "Type": "fixed-response",
            "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "soon"},
        },
    )
    redirect = {"Port": "9443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}
    site.aws.listener(site.balancer, {"Type": "redirect", "RedirectConfig": redirect}, port=9000)
    assert get(site.address, "/who") == (503, "soon")
    connection = http.client.HTTPConnection(site.address, 9000, timeout=10)
    connection.request("GET", "/a/b?c=d", headers={"Host": "shop.example:9000"})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, "https://shop.example:9443/a/b?c=d")


@pytest.mark.documented(
    "rules for paths and hosts, the lowest priority first and the default action last",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html",
)
def test_rules_are_followed_by_priority(site: Site) -> None:
    site.serve("default")
    admin, _ = site.group("admin")
    shop, _ = site.group("shop")
    elb = site.aws.elb
    elb.create_rule(
        ListenerArn=site.listener,
        Priority=20,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/wh*"]}}],
        Actions=[{"Type": "forward", "TargetGroupArn": admin}],
    )
    assert get(site.address, "/who") == (200, "admin")
    elb.create_rule(
        ListenerArn=site.listener,
        Priority=3,
        Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["shop.*"]}}],
        Actions=[{"Type": "forward", "TargetGroupArn": shop}],
    )
    assert get(site.address, "/who", Host="shop.example") == (200, "shop")
    assert get(site.address, "/who", Host="other.example") == (200, "admin")


@pytest.mark.documented(
    "a deregistered target is draining: nothing new, and what it has it finishes",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html",
)
def test_a_draining_target_gets_nothing_new_and_finishes_what_it_has(site: Site) -> None:
    arn, (leaving, _) = site.serve("leaving", "staying")
    site.aws.drain_seconds(arn, 10)
    answers: list[tuple[int, str]] = []
    waiting = [threading.Thread(target=lambda: answers.append(get(site.address, "/wait"))) for _ in range(2)]
    for it in waiting:
        it.start()
    eventually(lambda: "GET /wait" in leaving.requests)
    site.aws.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": leaving.address, "Port": PORT}])
    assert {get(site.address, "/who") for _ in range(6)} == {(200, "staying")}
    assert site.aws.health(arn)[leaving.address] == ("draining", "Target.DeregistrationInProgress")
    for backend in site.backends:
        backend.release.set()
    for it in waiting:
        it.join()
    assert sorted(answers) == [(200, "leaving"), (200, "staying")]


@pytest.mark.documented(
    "502 for a request that is under way when the deregistration delay is over",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html",
)
def test_what_is_under_way_at_the_end_of_the_delay_is_cut(site: Site) -> None:
    arn, (backend,) = site.serve("a")
    answers: list[tuple[int, str]] = []
    waiting = threading.Thread(target=lambda: answers.append(get(site.address, "/wait")))
    waiting.start()
    eventually(lambda: "GET /wait" in backend.requests)
    site.aws.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": backend.address, "Port": PORT}])
    waiting.join()
    assert answers[0][0] == 502
    assert site.aws.health(arn) == {}


def test_a_port_that_is_taken_fails_the_listener_and_says_where(site: Site) -> None:
    arn, _ = site.group()
    with socket.socket() as taken:
        taken.bind((site.address, 8090))
        taken.listen()
        with pytest.raises(ClientError, match=f"can't listen on {site.address}:8090: the port is in use") as refused:
            site.aws.listener(site.balancer, arn, port=8090)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert site.aws.elb.describe_listeners(LoadBalancerArn=site.balancer)["Listeners"] == []
    site.aws.listener(site.balancer, arn, port=8090)


@pytest.mark.documented(
    "two listeners of a load balancer never have the same port",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html",
)
def test_two_listeners_of_a_load_balancer_never_share_a_port(site: Site) -> None:
    arn, _ = site.serve("a")
    with pytest.raises(ClientError, match="DuplicateListener"):
        site.aws.listener(site.balancer, arn)


def test_a_deleted_listener_closes_its_port_and_a_moved_one_moves(site: Site) -> None:
    site.serve("a")
    site.aws.elb.modify_listener(ListenerArn=site.listener, Port=8085)
    assert get(site.address, "/who", port=8085) == (200, "a")
    with pytest.raises(ConnectionRefusedError):
        get(site.address, "/who")
    site.aws.elb.delete_listener(ListenerArn=site.listener)
    with pytest.raises(ConnectionRefusedError):
        get(site.address, "/who", port=8085)


def test_a_deleted_load_balancer_closes_its_ports(site: Site) -> None:
    site.serve("a")
    site.aws.elb.delete_load_balancer(LoadBalancerArn=site.balancer)
    with pytest.raises(ConnectionRefusedError):
        get(site.address, "/who")
