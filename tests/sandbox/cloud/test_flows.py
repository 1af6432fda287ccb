"""Network Load Balancers, as clients and targets see them."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections import Counter
from typing import Any

import pytest

from sandbox.cloud.flow_meter import FlowMeter
from sandbox.cloud.flows import LONGEST_ON_FORMER_GROUP_SECONDS, Flow, FlowServer, is_over
from sandbox.cloud.routing import Attributes, Forward, Listener
from tests.sandbox.cloud.backend import Backend
from tests.sandbox.cloud.keys import KeyPair, trusting
from tests.sandbox.cloud.network_site import LISTENER_PORT, Client, Flows
from tests.sandbox.cloud.site import received, weighted
from tests.sandbox.cloud.world import eventually

_GUIDE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/network"
_LISTENERS = f"{_GUIDE}/load-balancer-listeners.html"
_UPDATE = f"{_GUIDE}/listener-update-rules.html"
_IDLE = f"{_GUIDE}/update-idle-timeout.html"
_ATTRIBUTES = f"{_GUIDE}/edit-target-group-attributes.html"
_CHECKS = f"{_GUIDE}/target-group-health-checks.html"


def certified(client: Any) -> tuple[KeyPair, dict[str, Any]]:
    """A certificate, and the argument by which a listener has it."""
    pair = KeyPair.signed_by_itself("shop.example")
    arn = client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)["CertificateArn"]
    return pair, {"Certificates": [{"CertificateArn": arn}]}


@pytest.mark.documented(
    "a connection is passed on byte by byte, to one target for its whole life", f"{_GUIDE}/introduction.html"
)
def test_a_connection_has_one_target_for_its_whole_life(flows: Flows) -> None:
    flows.serve("a", "b")
    clients = [flows.connect() for _ in range(4)]
    assert Counter(client.name for client in clients) == {"a": 2, "b": 2}
    assert all(client.is_up() for client in clients)


def test_bytes_pass_both_ways_unchanged_and_a_side_may_end_first(flows: Flows) -> None:
    flows.serve("a")
    client = flows.connect()
    sent = bytes(range(256)) * 8_000

    def send() -> None:
        client.sock.sendall(sent)
        client.sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    assert received(client.sock) == sent
    sender.join()


def test_http_with_kept_connections_goes_through(flows: Flows) -> None:
    _, (backend,) = flows.serve("a", target=Backend)
    connection = http.client.HTTPConnection(flows.address, LISTENER_PORT, timeout=10)
    for _ in range(20):
        connection.request("GET", "/who")
        assert connection.getresponse().read() == b"a"
    assert backend.connections == 1


@pytest.mark.documented("target groups of a listener share new connections by their weights", _LISTENERS)
def test_weights_hold_for_new_connections(flows: Flows) -> None:
    blue, _ = flows.serve("blue")
    green, _ = flows.group("green")
    flows.forward(**{blue: 75, green: 25})
    eventually(lambda: flows.aws.states(green) == ["healthy"])
    found = flows.answers(40)
    assert found["blue"] in (29, 30, 31), found
    flows.forward(**{blue: 0, green: 1})
    assert flows.answers(10) == {"green": 10}


@pytest.mark.documented(
    "a connection stays with its target when weights change, or its group leaves the listener", _UPDATE
)
def test_connections_stay_when_the_listener_changes(flows: Flows) -> None:
    blue, _ = flows.serve("blue")
    green, _ = flows.group("green")
    client = flows.connect()
    flows.forward(**{blue: 0, green: 1})
    assert client.is_up()
    flows.forward(**{green: 1})
    assert client.is_up()
    assert flows.answers(3) == {"green": 3}


@pytest.mark.documented(
    "a deregistered target gets no new connections, and keeps those that it has beyond the delay", _ATTRIBUTES
)
def test_connections_outlive_a_deregistration(flows: Flows) -> None:
    group, (a, _) = flows.serve("a", "b")
    clients = {client.name: client for client in (flows.connect(), flows.connect())}
    flows.deregister(group, a)
    assert flows.aws.health(group)[a.address] == ("draining", "Target.DeregistrationInProgress")
    assert flows.answers(4) == {"b": 4}
    eventually(lambda: a.address not in flows.aws.health(group))
    assert clients["a"].is_up()
    a.close()
    assert clients["a"].sock.recv(1) == b"", "it ends with the target"


@pytest.mark.documented(
    "connections to a deregistered target are closed after the delay where the group says so", _ATTRIBUTES
)
def test_connections_end_with_a_deregistration_where_the_group_says_so(flows: Flows) -> None:
    group, (a,) = flows.serve("a")
    flows.set(group, "deregistration_delay.connection_termination.enabled", "true")
    client = flows.connect()
    flows.deregister(group, a)
    assert client.is_up(), "the delay is not over"
    assert client.is_reset()
    assert a.lost.wait(10)


@pytest.mark.documented(
    "connections to a target that turns unhealthy are ended, unless the group says otherwise", _ATTRIBUTES
)
@pytest.mark.parametrize("ends", [True, False])
def test_connections_to_an_unhealthy_target(flows: Flows, ends: bool) -> None:
    group, (a, _) = flows.serve("a", "b")
    flows.set(group, "target_health_state.unhealthy.connection_termination.enabled", str(ends).lower())
    clients = {client.name: client for client in (flows.connect(), flows.connect())}
    a.refuse()
    eventually(lambda: flows.aws.health(group)[a.address] == ("unhealthy", "Target.FailedHealthChecks"))
    assert flows.answers(4) == {"b": 4}
    assert clients["a"].is_reset() if ends else clients["a"].is_up()
    assert clients["b"].is_up()


@pytest.mark.documented("with no healthy target the load balancer fails open, and ends no connections", _CHECKS)
def test_the_load_balancer_fails_open(flows: Flows) -> None:
    group, (a,) = flows.serve("a", target=Backend, HealthCheckProtocol="HTTP", HealthCheckPath="/health")
    connection = http.client.HTTPConnection(flows.address, LISTENER_PORT, timeout=10)
    connection.request("GET", "/who")
    assert connection.getresponse().read() == b"a"
    a.is_healthy = False
    eventually(lambda: flows.aws.states(group) == ["unhealthy"])
    for each in (connection, http.client.HTTPConnection(flows.address, LISTENER_PORT, timeout=10)):
        each.request("GET", "/who")
        assert each.getresponse().read() == b"a"
        each.close()


@pytest.mark.documented("a failed health check of any kind is Target.FailedHealthChecks", _CHECKS)
def test_a_failing_target_does_not_say_why(flows: Flows) -> None:
    by_http = {"Protocol": "TCP", "HealthCheckProtocol": "HTTP"}
    late, (first,) = flows.group("late", target=Backend, **by_http, HealthCheckPath="/wait")
    bad, (second,) = flows.group("bad", target=Backend, **by_http, HealthCheckPath="/health")
    second.is_healthy = False
    flows.aws.listener(flows.balancer, weighted(**{late: 1, bad: 1}), protocol="TCP")
    assert flows.aws.health(late)[first.address][0] == "initial"
    failed = ("unhealthy", "Target.FailedHealthChecks")
    eventually(lambda: flows.aws.health(late)[first.address] == flows.aws.health(bad)[second.address] == failed)


@pytest.mark.documented("a health check by HTTP is for the load balancer's address and the listener's port", _CHECKS)
def test_a_health_check_is_for_the_load_balancer(flows: Flows) -> None:
    _, (a,) = flows.serve("a", target=Backend, HealthCheckProtocol="HTTP", HealthCheckPath="/health")
    assert a.checked_as == f"{flows.address}:{LISTENER_PORT}"


def test_connections_to_a_machine_of_a_group_end_with_it(flows: Flows) -> None:
    aws = flows.aws
    by_http = {"HealthCheckProtocol": "HTTP", "HealthCheckPath": "/health"}
    group = aws.target_group(Protocol="TCP", **by_http)
    aws.listener(flows.balancer, group, protocol="TCP")
    name = aws.scaling_group(aws.template(aws.image()), 1, target_group=group)
    eventually(lambda: aws.states(group) == ["healthy"])
    connection = http.client.HTTPConnection(flows.address, LISTENER_PORT, timeout=10)

    def ask() -> int:
        connection.request("GET", "/version")
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert ask() == 200
    connection.auto_open = 0
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, DesiredCapacity=0)
    eventually(lambda: aws.states(group) == ["draining"])
    assert ask() == 200
    eventually(lambda: aws.instances(name) == [])
    with pytest.raises((OSError, http.client.HTTPException)):
        ask()


def test_a_client_of_a_group_without_targets_is_reset(flows: Flows) -> None:
    group, _ = flows.group()
    flows.aws.listener(flows.balancer, group, protocol="TCP")
    with pytest.raises(ConnectionResetError):
        flows.connect()


def test_a_reset_of_the_target_reaches_the_client(flows: Flows) -> None:
    flows.serve("a")
    client = flows.connect()
    client.sock.sendall(b"reset\n")
    assert client.is_reset()


def test_a_deleted_load_balancer_ends_its_connections(flows: Flows) -> None:
    _, (a,) = flows.serve("a")
    client = flows.connect()
    flows.aws.elb.delete_load_balancer(LoadBalancerArn=flows.balancer)
    assert client.is_reset()
    assert a.lost.wait(10)


@pytest.mark.documented(
    "a TLS listener terminates TLS with its certificate, and passes on what was in it",
    f"{_GUIDE}/create-tls-listener.html",
)
def test_tls_ends_at_the_load_balancer(flows: Flows, client: Any) -> None:
    group, _ = flows.serve("a")
    pair, more = certified(client)
    flows.aws.listener(flows.balancer, group, 8443, "TLS", **more)
    with (
        socket.create_connection((flows.address, 8443), timeout=10) as raw,
        trusting(pair).wrap_socket(raw, server_hostname="shop.example") as sock,
    ):
        found = Client(sock)
        assert found.name == "a"
        assert found.is_up()


@pytest.mark.documented(
    "a TLS listener agrees on a protocol with clients by its policy of ALPN, on none unless it has one",
    f"{_GUIDE}/create-tls-listener.html",
)
def test_a_policy_of_alpn_says_what_clients_may_agree_on(flows: Flows, client: Any) -> None:
    group, _ = flows.serve("a")
    _, more = certified(client)
    listener = flows.aws.listener(flows.balancer, group, 8443, "TLS", **more)
    context = trusting()
    context.set_alpn_protocols(["http/1.1", "h2"])

    def agreed() -> str | None:
        with socket.create_connection((flows.address, 8443), timeout=10) as raw, context.wrap_socket(raw) as sock:
            return sock.selected_alpn_protocol()

    assert agreed() is None
    flows.aws.elb.modify_listener(ListenerArn=listener, AlpnPolicy=["HTTP2Preferred"])
    assert agreed() == "h2"
    flows.aws.elb.modify_listener(ListenerArn=listener, AlpnPolicy=["HTTP1Only"])
    assert agreed() == "http/1.1"


@pytest.mark.parametrize("protocol", ["TCP", "TLS"])
def test_what_a_client_says_before_its_target_is_reached_arrives(flows: Flows, client: Any, protocol: str) -> None:
    group, _ = flows.serve("a", target=Backend)
    _, more = certified(client)
    flows.aws.listener(flows.balancer, group, 8443, protocol, **more if protocol == "TLS" else {})
    flows.aws.sandbox.ask("PUT", "faults", {"targetGroup": group, "delaySeconds": 0.3})
    with socket.create_connection((flows.address, 8443), timeout=10) as raw:
        sock = trusting().wrap_socket(raw) if protocol == "TLS" else raw
        sock.sendall(b"GET /who HTTP/1.0\r\n\r\n")
        assert received(sock).endswith(b"\r\n\r\na")


class TestTheEndOfAFlow:
    def test_an_hour_begins_when_the_group_leaves_the_listener(self) -> None:
        def listener(group: str) -> Listener:
            return Listener("arn", "127.0.0.1", 1, Forward(((group, 1),)), attributes=Attributes(350), is_network=True)

        closed: list[float] = []

        class Noted(Flow):
            def close(self) -> None:
                closed.append(self.last_active)

        async def run() -> list[float]:
            server = FlowServer(listener("blue"), {}, FlowMeter("arn"))
            flow = Noted(server)
            flow.group_arn = "blue"
            server.flows.add(flow)
            for now, group in ((4000.0, "blue"), (5000.0, "green"), (8599.0, "green"), (8600.0, "green")):
                server.listener, flow.last_active = listener(group), now
                server.check_clients(now)
            return closed

        assert asyncio.run(run()) == [8600.0]

    @pytest.mark.documented("a connection without data in either direction is closed after the idle timeout", _IDLE)
    def test_a_silent_flow_ends_after_the_idle_timeout(self) -> None:
        def ends(now: float) -> bool:
            return is_over(now, last_active=1000.0, left_group_at=0.0, idle_timeout_seconds=350.0)

        assert [ends(1349.0), ends(1350.0)] == [False, True]

    @pytest.mark.documented("a connection stays with a group that left the listener for an hour at most", _UPDATE)
    def test_a_busy_flow_ends_an_hour_after_its_group_has_left_the_listener(self) -> None:
        def ends(now: float) -> bool:
            return is_over(now, last_active=now, left_group_at=1000.0, idle_timeout_seconds=350.0)

        last = 1000.0 + LONGEST_ON_FORMER_GROUP_SECONDS
        assert [ends(last - 1), ends(last)] == [False, True]
