"""A service behind a Network Load Balancer: made, changed under connections that stay, given TLS, taken away."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from sandbox.host import TRUSTED
from tests.e2e.project import Finished, Project, eventually

pytestmark = pytest.mark.rollout

DOMAIN = "shop.example.com"
TCP_PORT, TLS_PORT = 8080, 8443
SMOKE = [{"path": "/version", "timesInARow": 1}]
KEPT_SECONDS = 14
"""Longer than the soak: it counts from the change of the listener too."""
KEPT = re.compile(r"guard: (\S+) keeps the connections that it has, for (\d+) s at most")


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic, over TCP."""
    project.aws("route53").create_hosted_zone(Name="example.com", CallerReference="1")
    first = project.up(
        load_balancer="network",
        connection_seconds=5,
        ami=project.image("1"),
        min_size=1,
        desired_capacity=1,
        smoke_tests=SMOKE,
    )
    assert first.code == 0, first.output
    return project


def balancer(project: Project) -> dict[str, Any]:
    (found,) = project.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    return dict(found)


def listeners(project: Project) -> dict[int, Any]:
    found = project.aws("elbv2").describe_listeners(LoadBalancerArn=balancer(project)["LoadBalancerArn"])
    return {each["Port"]: each for each in found["Listeners"]}


def weights(project: Project, port: int = TCP_PORT) -> list[int]:
    (action,) = listeners(project)[port]["DefaultActions"]
    return sorted(each["Weight"] for each in action["ForwardConfig"]["TargetGroups"])


class Visitor:
    """One user with one connection, for as long as that lasts."""

    def __init__(self, project: Project) -> None:
        split = urlsplit(project.outputs["url"])
        self.connection = http.client.HTTPConnection(str(split.hostname), split.port, timeout=10)

    def release(self) -> str:
        """The one that answers on this connection. Raises OSError or HTTPException where it has ended."""
        if self.connection.sock is None:
            self.connection.connect()
        self.connection.request("GET", "/version")
        return str(json.loads(self.connection.getresponse().read())["release"])


class Visitors:
    """Users who keep their connections, half of them for ten requests, and connect again where one has ended: as HTTP
    clients do, they send a request again that a connection took with it on which they were answered before."""

    def __init__(self, project: Project, number: int = 8) -> None:
        self._project = project
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(at % 2 > 0,), daemon=True) for at in range(number)]
        self.releases: list[str] = []
        self.failures: list[str] = []
        self.reconnected = 0

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        eventually(lambda: len(self.releases) > len(self._threads) or self.failures)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, leaves: bool) -> None:
        visitor, answered = Visitor(self._project), 0
        while not self._is_over.wait(0.05):
            if leaves and answered == 10:
                visitor.connection.close()
                visitor, answered = Visitor(self._project), 0
            try:
                self.releases.append(visitor.release())
                answered += 1
            except (OSError, http.client.HTTPException) as error:
                if not answered:
                    self.failures.append(repr(error))
                self.reconnected += 1
                visitor, answered = Visitor(self._project), 0


def moved_and_deleted(project: Project, finished: Finished) -> tuple[float, float]:
    """When the production listener was changed, and when something of the old server group first went."""
    moved = finished.last("ModifyListener").ended
    going = {"DeleteAlarms", "DeletePolicy", "UpdateAutoScalingGroup", "DeleteAutoScalingGroup"}
    return moved, min(call.began for call in finished.calls if call.action in going and call.began > moved)


def ask_by_tls(project: Project, port: int = TLS_PORT) -> dict[str, str]:
    context = ssl.create_default_context(cafile=str(project.sandbox.dir / TRUSTED))
    connection = http.client.HTTPSConnection(DOMAIN, port, timeout=10)
    raw = socket.create_connection((balancer(project)["DNSName"], port), timeout=10)
    connection.sock = context.wrap_socket(raw, server_hostname=DOMAIN)
    connection.request("GET", "/version")
    found: dict[str, str] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def test_it_is_made_with_listeners_of_tcp_and_nothing_is_left_to_do(served: Project) -> None:
    made = balancer(served)
    assert (made["Type"], len(made["SecurityGroups"])) == ("network", 1)
    found = served.aws("elbv2").describe_load_balancer_attributes(LoadBalancerArn=made["LoadBalancerArn"])["Attributes"]
    assert {"Key": "load_balancing.cross_zone.enabled", "Value": "true"} in found
    assert {port: each["Protocol"] for port, each in listeners(served).items()} == {TCP_PORT: "TCP", 9000: "TCP"}
    assert served.ask()["release"] == served.release
    again = served.up()
    assert (again.code, again.changes, again.writes) == (0, {}, []), again.output
    planned = served.bluegreen("plan", served.stack, "--ami", served.image("2"))
    assert planned.code == 0, planned.output
    assert "connections stay where they are for 0:05 at most" in planned.output


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"load_balancer": "application"}, "bluegreen:loadBalancer: is application, and the stack runs behind one th"),
        ({"scaling": {"requestsPerTarget": 5}}, "bluegreen:scaling.requestsPerTarget: a Network Load Balancer counts"),
        ({"access_logs": {"bucket": "my-logs"}}, "bluegreen:accessLogs: a Network Load Balancer logs TLS connections"),
        ({"idle_timeout_seconds": 30}, "bluegreen:idleTimeoutSeconds: 30 should be 60 to 6000"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_changed(
    served: Project, settings: dict[str, Any], fault: str
) -> None:
    before = served.outputs
    refused = served.up(**settings, **({"connection_seconds": None} if "load_balancer" in settings else {}))
    served.configure(**{**dict.fromkeys(settings), "load_balancer": "network", "connection_seconds": 5})
    assert refused.code != 0
    assert fault in refused.output
    assert refused.has_no_traceback, refused.output
    assert not refused.writes
    assert served.outputs == before


def test_a_change_of_release_keeps_connections_where_they_are_and_no_request_fails(served: Project) -> None:
    before, visitor = served.release, Visitor(served)
    assert visitor.release() == before
    stayed: list[float] = []

    def stay() -> None:
        while True:
            try:
                assert visitor.release() == before
            except (OSError, http.client.HTTPException):
                return
            stayed.append(time.time())
            time.sleep(0.1)

    staying = threading.Thread(target=stay, daemon=True)
    with Visitors(served) as visitors:
        staying.start()
        changed = served.up(ami=served.image("2"), soak_seconds=2, connection_seconds=KEPT_SECONDS)
        staying.join(10)
    assert changed.code == 0, changed.output
    assert not visitors.failures, visitors.failures[:3]
    assert set(visitors.releases) == {before, served.release}
    found = KEPT.search(changed.output)
    assert found
    assert found[1].startswith(f"web-{before}-")
    assert re.search(r"soak: .* 1 alarms quiet, \d+ connections in \d+ metric periods: passed", changed.output)
    moved, deleted = moved_and_deleted(served, changed)
    assert deleted >= moved + KEPT_SECONDS
    assert stayed[-1] >= moved + KEPT_SECONDS, "its connection was left alone for as long as was declared"
    assert not staying.is_alive()
    assert list(served.groups()) == list(served.groups_in_the_state)


def test_ctrl_c_in_the_wait_leaves_both_groups_and_the_next_up_waits_for_the_rest(served: Project) -> None:
    before, seconds = served.release, 12
    update = served.begin_up(ami=served.image("3"), soak_seconds=None, connection_seconds=seconds)
    update.wait_for("keeps the connections")
    update.interrupt()
    stopped = update.finish()
    assert stopped.code != 0
    assert stopped.has_no_traceback, stopped.output
    assert len(served.groups()) == 2
    assert served.ask()["release"] != before
    going_on = served.up()
    assert going_on.code == 0, going_on.output
    left = KEPT.search(going_on.output)
    assert left
    assert int(left[2]) < seconds
    _, deleted = (
        moved_and_deleted(served, going_on)
        if "ModifyListener" in going_on.writes
        else (
            0,
            min(call.began for call in going_on.calls if call.action in ("DeleteAlarms", "UpdateAutoScalingGroup")),
        )
    )
    assert deleted >= stopped.last("ModifyListener").ended + seconds - 1
    assert len(served.groups()) == 1


def test_a_rollback_in_the_wait_needs_no_new_machine(served: Project) -> None:
    before = served.release
    machines = {each["id"] for each in served.machines(served.image("3"))}
    update = served.begin_bluegreen("deploy", served.stack, "--ami", served.image("4"))
    update.wait_for("keeps the connections")
    update.send(signal.SIGTERM)
    stopped = update.finish()
    assert stopped.code == 3, stopped.output
    served.configure(connection_seconds=1)
    back = served.bluegreen("rollback", served.stack)
    assert back.code == 0, back.output
    assert served.ask()["release"] == served.release == before
    assert {each["id"] for each in served.machines(served.image("3"))} == machines
    assert len(served.groups()) == 1


def test_a_canary_is_shifted_by_weights_and_given_up(served: Project) -> None:
    before = served.release
    served.configure(strategy="canary", steps=[{"weight": 50}], promotion="manual")
    changed = served.bluegreen("deploy", served.stack, "--ami", served.image("5"))
    assert changed.code == 0, changed.output
    assert weights(served) == [50, 50]
    assert re.search(r"attest: seen (\w+ \d+ %, ){2}wanted", changed.output)
    assert {served.ask()["release"] for _ in range(40)} > {before}
    status = served.bluegreen("status", served.stack)
    assert status.output.count(" 50 %") == 2, status.output
    given_up = served.bluegreen("abort", served.stack)
    assert given_up.code == 0, given_up.output
    assert KEPT.search(given_up.output) or "web-" in given_up.output
    assert {served.ask()["release"] for _ in range(10)} == {before}
    served.configure(strategy=None, steps=None, promotion=None)


def test_tls_comes_before_tcp_goes_and_the_other_way_round(served: Project) -> None:
    served.aws("s3").create_bucket(Bucket="my-logs")
    release = served.release
    on = served.up(
        tls={"domain": DOMAIN, "zone": "example.com"},
        dns={"zone": "example.com", "names": [DOMAIN]},
        access_logs={"bucket": "my-logs"},
        listener_port=TLS_PORT,
        deletion_protection=True,
    )
    assert on.code == 0, on.output
    assert on.last("CreateListener").ended < on.last("DeleteListener").began
    found = listeners(served)
    assert {port: each["Protocol"] for port, each in found.items()} == {TLS_PORT: "TLS", 9000: "TLS"}
    assert found[TLS_PORT]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
    assert ask_by_tls(served)["release"] == ask_by_tls(served, 9000)["release"] == release
    assert served.outputs["url"] == f"https://{DOMAIN}:{TLS_PORT}"
    changed = served.up(ami=served.image("6"))
    assert changed.code == 0, changed.output
    assert "smoke tests passed" in changed.output
    assert ask_by_tls(served)["release"] == served.release != release
    refused = served.up(tls={"domain": DOMAIN, "zone": "example.com", "redirectPort": TCP_PORT})
    assert "bluegreen:tls.redirectPort: a Network Load Balancer answers no requests" in refused.output
    assert not refused.writes
    off = served.up(tls=None, dns=None, access_logs=None, listener_port=TCP_PORT, deletion_protection=False)
    assert off.code == 0, off.output
    assert off.last("CreateListener").ended < off.last("DeleteListener").began
    assert {port: each["Protocol"] for port, each in listeners(served).items()} == {TCP_PORT: "TCP", 9000: "TCP"}
    assert served.ask()["release"] == served.release


def test_the_idle_timeout_of_its_listeners_changes_in_place(served: Project) -> None:
    def idle() -> set[str]:
        elb = served.aws("elbv2")
        found = [
            elb.describe_listener_attributes(ListenerArn=each["ListenerArn"]) for each in listeners(served).values()
        ]
        return {
            each["Value"] for one in found for each in one["Attributes"] if each["Key"] == "tcp.idle_timeout.seconds"
        }

    before = {each["ListenerArn"] for each in listeners(served).values()}
    assert idle() == {"350"}
    for set_to, found in ((900, {"900"}), (None, {"350"})):
        changed = served.up(idle_timeout_seconds=set_to)
        assert changed.code == 0, changed.output
        assert idle() == found
    assert {each["ListenerArn"] for each in listeners(served).values()} == before


def test_a_service_that_speaks_no_http_is_proven_by_its_own_command(served: Project) -> None:
    changed = served.up(
        ami=served.image("7"),
        health_check={"protocol": "tcp"},
        smoke_tests=None,
        gate_command={"command": ["sh", "-c", "echo it is at $BLUEGREEN_PREVIEW_URL"]},
    )
    assert changed.code == 0, changed.output
    address = balancer(served)["DNSName"]
    assert f"it is at tcp://{address}:9000" in changed.output
    assert "attest" not in changed.output
    assert served.outputs["url"] == f"tcp://{address}:{TCP_PORT}"
    (group,) = served.aws("elbv2").describe_target_groups()["TargetGroups"]
    assert (group["Protocol"], group["HealthCheckProtocol"]) == ("TCP", "TCP")


def test_a_destroy_waits_for_no_connection(served: Project) -> None:
    served.configure(connection_seconds=600)
    gone = served.bluegreen("destroy", served.stack, "--yes")
    assert gone.code == 0, gone.output
    assert not KEPT.search(gone.output)
    assert served.resources == []
    assert served.aws("elbv2").describe_load_balancers()["LoadBalancers"] == []
