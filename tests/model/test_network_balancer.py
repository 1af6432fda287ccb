"""A Network Load Balancer: what it can't do is refused by name, what was not asked for is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model import prices
from bluegreen.model.alarms import NETWORK_BALANCERS, alarms_of
from bluegreen.model.attest import NOTHING
from bluegreen.model.cost import cost_of
from bluegreen.model.dashboard import Line, body_of
from bluegreen.model.fleet import Fleet
from bluegreen.model.guard import Connections
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.network_balancer import SETTLED_SECONDS, is_network, url_of
from bluegreen.model.release import Release
from bluegreen.model.settings import AlarmSettings, Settings
from bluegreen.model.soak import SoakPolicy

TLS = {"domain": "shop.example.com", "zone": "example.com"}
ACL = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/web/known"
LISTENER = {
    "arn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2",
    "hosts": ["shop.example.com"],
    "priority": 100,
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def settings(**config: Any) -> Settings:
    return Settings.parse({"ami": "ami-00000001", "loadBalancer": "network", **config})


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"listener": LISTENER}, "bluegreen:listener: names a listener of an Application Load Balancer"),
        ({"webAcl": ACL}, "bluegreen:webAcl: a web ACL stands before Application Load Balancers alone"),
        ({"tls": {**TLS, "redirectPort": 8080}}, "bluegreen:tls.redirectPort: a Network Load Balancer answers no req"),
        ({"tls": {**TLS, "redirectPort": 80}}, "bluegreen:tls.redirectPort: a Network Load Balancer answers no reque"),
        ({"accessLogs": {"bucket": "my-logs"}}, "bluegreen:accessLogs: a Network Load Balancer logs TLS connections"),
        ({"groupStickinessSeconds": 60}, "bluegreen:groupStickinessSeconds: sticks clients by a cookie"),
        ({"targetStickinessSeconds": 60}, "bluegreen:targetStickinessSeconds: sticks clients by a cookie"),
        ({"scaling": {"requestsPerTarget": 9}}, "bluegreen:scaling.requestsPerTarget: a Network Load Balancer counts"),
        ({"alarms": {"errorPercent": 1}}, "bluegreen:alarms.errorPercent: a Network Load Balancer sees no 5xx"),
        ({"alarms": {"latencySeconds": 1}}, "bluegreen:alarms.latencySeconds: a Network Load Balancer measures no"),
        ({"idleTimeoutSeconds": 59}, "bluegreen:idleTimeoutSeconds: 59 should be 60 to 6000"),
        ({"idleTimeoutSeconds": 6001}, "bluegreen:idleTimeoutSeconds"),
        ({"idleTimeoutSeconds": 90, "tls": TLS}, "bluegreen:idleTimeoutSeconds: the TLS listeners of a Network Load"),
        ({"connectionSeconds": 3601}, "bluegreen:connectionSeconds"),
        ({"healthCheck": {"protocol": "udp"}}, "bluegreen:healthCheck.protocol"),
        ({"healthCheck": {"protocol": "tcp", "path": "/up"}}, "bluegreen:healthCheck: path is of a request, and proto"),
        ({"healthCheck": {"protocol": "tcp", "matcher": "204"}}, "bluegreen:healthCheck: matcher is of a request"),
        ({"healthCheck": {"protocol": "tcp"}, "smokeTests": [{"path": "/"}]}, "bluegreen:smokeTests: asks by HTTP"),
        ({"healthCheck": {"protocol": "tcp"}, "attest": {"header": "X-Rel"}}, "bluegreen:attest: asks by HTTP"),
    ],
)
def test_what_it_can_not_do_is_refused_by_name(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**config)
    assert fault in str(caught.value)
    assert len(caught.value.faults) == 1 + ("targetStickinessSeconds" in config)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"healthCheck": {"protocol": "tcp"}}, "bluegreen:healthCheck.protocol: is of a Network Load Balancer"),
        ({"connectionSeconds": 60}, "bluegreen:connectionSeconds: is of a Network Load Balancer"),
        ({"idleTimeoutSeconds": 4001}, "bluegreen:idleTimeoutSeconds: 4001 should be at most 4000"),
    ],
)
def test_what_it_alone_can_do_is_refused_elsewhere(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(loadBalancer="application", **config)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"tls": TLS, "accessLogs": {"bucket": "my-logs"}},
        {"tls": TLS, "listenerPort": 80},  # nothing redirects to it
        {"tls": {**TLS, "redirectPort": 0}},
        {"idleTimeoutSeconds": 60},
        {"idleTimeoutSeconds": 6000},
        {"connectionSeconds": 0},
        {"alarms": {"errorPercent": 0, "latencySeconds": 0, "unhealthyHosts": 2}},
        {"alarms": {"errorPercent": 5, "latencySeconds": 2}},  # the engine fills in defaults
        {"healthCheck": {"protocol": "tcp", "intervalSeconds": 30}, "attest": {"path": "/version", "json": "release"}},
    ],
)
def test_what_it_can_do_and_what_has_its_default_is_taken(config: dict[str, Any]) -> None:
    assert settings(**config).is_network


def test_without_http_nothing_is_attested() -> None:
    assert settings().attested.is_on
    assert settings(healthCheck={"protocol": "tcp"}).attested == NOTHING


def test_connections_are_kept_behind_it_alone() -> None:
    assert (settings().kept_seconds, settings(connectionSeconds=5).kept_seconds) == (SETTLED_SECONDS, 5)
    assert Settings.parse({"ami": "ami-00000001"}).kept_seconds == 0


def test_urls_say_what_is_spoken() -> None:
    assert url_of("http://web:9000", speaks_http=True) == "http://web:9000"
    assert url_of("http://web:9000", speaks_http=False) == "tcp://web:9000"
    assert url_of("https://web", speaks_http=False) == "tls://web"


@pytest.mark.parametrize("kind", ["listener", "loadbalancer"])
def test_an_arn_says_the_kind(kind: str) -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:{}/{}/net/50dc6c495c0c9188"
    assert is_network(arn.format(kind, "net"))
    assert not is_network(arn.format(kind, "app"))


# -- the release


def test_its_releases_are_others_and_those_of_http_keep_their_version() -> None:
    http = Release.from_settings(Settings.parse({"ami": "ami-00000001"}))
    assert http.version == "06c340d4"
    over_http, over_tcp = (
        Release.from_settings(settings(**more)) for more in ({}, {"healthCheck": {"protocol": "tcp"}})
    )
    assert len({http.version, over_http.version, over_tcp.version}) == 3
    assert (over_http.target.health.path, over_tcp.target.health.path) == ("/health", "")
    for release in (http, over_http, over_tcp):
        assert Release.from_record(release.as_record()) == release


def test_a_target_group_of_the_other_kind_can_not_be_behind_it() -> None:
    old = Release.from_settings(Settings.parse({"ami": "ami-00000002"}))
    kept = settings(fleet={"serial": 1, "standbys": [{"release": old.as_record()}]})
    with pytest.raises(SettingsError, match=f"release {old.version} was made for the other kind of load balancer"):
        Fleet.from_settings(kept)


# -- what is watched


def test_the_only_alarm_of_a_release_is_of_its_machines_health() -> None:
    (alarm,) = alarms_of(AlarmSettings(), 6, is_network=True)
    (query,) = alarm.queries
    assert (alarm.name, query.namespace, query.metric) == ("unhealthy", NETWORK_BALANCERS, "UnHealthyHostCount")
    names = [each.name for each in alarms_of(AlarmSettings(capacity_minutes=5), 6, is_network=True)]
    assert names == ["unhealthy", "capacity"]


@pytest.mark.parametrize("hosts", [0, 1])
def test_a_soak_waits_for_as_many_alarms_as_there_are_and_for_connections(hosts: int) -> None:
    policy = SoakPolicy.from_settings(settings(alarms={"unhealthyHosts": hosts}))
    assert policy.own_alarms == hosts
    assert policy.counted == "connections"


def test_the_dashboard_shows_connections_of_all_releases_and_machines_of_each() -> None:
    lines = [Line(version=each, role="active", target_group=f"targetgroup/{each}/1") for each in ("old", "new")]
    body = body_of(lines, region="eu-west-1", balancer="net/web/1", alarms=AlarmSettings(), is_network=True)
    metrics = [each["properties"]["metrics"] for each in body["widgets"]]
    assert {metric[0] for widget in metrics for metric in widget} == {NETWORK_BALANCERS}
    assert [widget[0][1] for widget in metrics] == [
        "NewFlowCount",
        "ActiveFlowCount",
        "TCP_Target_Reset_Count",
        "HealthyHostCount",
    ]
    assert [("TargetGroup" in metric) for metric in metrics[-1]] == [True, True]
    assert not any("TargetGroup" in metric for widget in metrics[:-1] for metric in widget)
    assert not any("annotations" in each["properties"] for each in body["widgets"])


def test_it_is_paid_for() -> None:
    (line,) = [each for each in cost_of(settings(), {}, 1).lines if each.what == "load balancer"]
    assert line.each == prices.NETWORK_LOAD_BALANCER
    (alarms,) = [each for each in cost_of(settings(), {}, 1).lines if each.what == "alarm metric"]
    assert alarms.count == 1


# -- how long connections stay


@pytest.mark.parametrize(("ago", "left"), [(0, 60), (20, 40), (60, 0), (3600, -3540)])
def test_the_limit_counts_from_the_change_of_the_listener(ago: float, left: float) -> None:
    moved = NOW - timedelta(seconds=ago)
    assert Connections(limit_seconds=60, listener="arn", moved_at=moved).seconds_left(NOW) == left


def test_where_nobody_knows_when_it_changed_all_of_the_limit_is_left() -> None:
    unknown = Connections(limit_seconds=60, listener="arn", moved_at=None)
    assert unknown.seconds_left(NOW) == 60
    assert unknown.settled_at(NOW) == NOW + timedelta(seconds=SETTLED_SECONDS)


def event(kind: Kind, minutes: int) -> Event:
    return Event(at=NOW + timedelta(minutes=minutes), run="1", kind=kind, release="4d197941")


@pytest.mark.parametrize(
    ("events", "minutes"),
    [
        ([], None),
        ([(Kind.GATE_PASSED, 1), (Kind.CUTOVER, 2)], 2),
        ([(Kind.CUTOVER, 2), (Kind.GATE_FAILED, 3), (Kind.ATTEST_PASSED, 4)], 2),
        ([(Kind.CUTOVER, 2), (Kind.GATE_PASSED, 3), (Kind.CUTOVER, 4)], 4),
        # It died before it could note the change that it may have made.
        ([(Kind.CUTOVER, 2), (Kind.GATE_PASSED, 3)], None),
        ([(Kind.CUTOVER, 2), (Kind.DESTROYED, 3)], None),
    ],
)
def test_the_history_knows_when_the_listener_was_last_changed(
    events: list[tuple[Kind, int]], minutes: int | None
) -> None:
    found = History(tuple(event(kind, at) for kind, at in events)).moved_at
    assert found == (None if minutes is None else NOW + timedelta(minutes=minutes))
