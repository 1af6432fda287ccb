"""A listener that was there before: what of its requests is for the service, and what keeps it from being there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.alarms import alarms_of
from bluegreen.model.observation import Balancer, Egress, Front, Rule
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.shared_listener import SharedListener, judge, lets_out
from bluegreen.model.soak import SoakPolicy
from bluegreen.model.tags import LISTENER, Owner, Purpose

ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
ARN = f"{ELB}:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
OWNER = Owner(project="bluegreen", stack="dev", service="web")
OTHER = Owner(project="bluegreen", stack="dev", service="api")
GIVEN = {"arn": ARN, "hosts": ["shop.example.com"], "priority": 100}
FRONT = Front(
    listener=ARN,
    port=80,
    protocol="HTTP",
    balancer=Balancer(arn=f"{ELB}:loadbalancer/app/shared/50dc6c495c0c9188", vpc="vpc-1", is_internal=False),
)


def listener(**changes: Any) -> SharedListener:
    return SharedListener.model_validate({**GIVEN, **changes})


def settings(**config: Any) -> Settings:
    return Settings.parse({"ami": "ami-00000001", "vpc": {"id": "vpc-00000001"}, "listener": GIVEN, **config})


def faults(found: Front | None, wanted: SharedListener | None = None) -> dict[str, str]:
    judged = judge(wanted or listener(), found, owner=OWNER, vpc="vpc-1")
    return {each.path.removeprefix("bluegreen:listener."): each.message for each in judged}


def test_a_listener_says_whose_it_is() -> None:
    assert listener().balancer == FRONT.balancer.arn
    assert FRONT.balancer.arn_suffix == "app/shared/50dc6c495c0c9188"
    assert listener().region == "us-east-1"


def test_the_preview_comes_before_its_closed_door_and_that_before_the_users() -> None:
    assert list(listener().priorities.items()) == [
        (Purpose.PREVIEW, 100),
        (Purpose.CLOSED, 101),
        (Purpose.PRODUCTION, 102),
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"arn": ARN.replace("/app/", "/net/")}, "is of a Network Load Balancer, which has no rules"),
        ({"arn": FRONT.balancer.arn}, "is not the ARN of a listener"),
        ({"hosts": []}, "listener: should have hosts or paths"),
        ({"hosts": ["*.example.com", "example.com"]}, r"asks for \*.example.com first; put a whole name first"),
        ({"hosts": ["localhost"]}, "'localhost' is not the whole name of a host"),
        ({"hosts": ["a.b.de", "A.b.de"]}, "names a.b.de twice"),
        ({"hosts": ["a.b.de", "b.b.de", "c.b.de", "d.b.de"]}, "names 4, and a rule of AWS takes 3"),
        ({"paths": ["shop/*"]}, "'shop/\\*' is not the pattern of a path"),
        ({"priority": 49_999}, "less than or equal to 49998"),
        ({"priority": 0}, "greater than or equal to 1"),
        ({"host": "a.b.de"}, r"bluegreen:listener.host: unknown key; did you mean hosts\?"),
    ],
)
def test_what_is_no_place_on_a_listener_is_a_fault(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        settings(listener={**GIVEN, **changes})


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"vpc": None}, "bluegreen:listener: its load balancer is in a VPC that is there already; say which with vpc"),
        ({"listenerPort": 8080}, "bluegreen:listenerPort: is of a load balancer of the stack's own"),
        ({"previewPort": 9001}, "bluegreen:previewPort: is of a load balancer"),
        ({"tls": {"domain": "a.b.de", "zone": "b.de"}}, "bluegreen:tls: is of a load balancer"),
        ({"accessLogs": {"bucket": "logs"}}, "bluegreen:accessLogs: is of a load balancer"),
        ({"webAcl": "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/a/1"}, "bluegreen:webAcl: is of a load bal"),
        ({"internal": True}, "bluegreen:internal: is of a load balancer"),
        ({"idleTimeoutSeconds": 90}, "bluegreen:idleTimeoutSeconds: is of a load balancer"),
        ({"deletionProtection": True}, "bluegreen:deletionProtection: is of a load balancer"),
        (
            {"dns": {"zone": "example.com", "names": ["www.example.com"]}},
            "bluegreen:dns.names: www.example.com is none of listener.hosts",
        ),
        (
            {"listener": {**GIVEN, "paths": ["/shop/*"]}, "attest": {}, "smokeTests": [{"path": "/health"}]},
            "bluegreen:smokeTests.0..path: /health is none of listener.paths",
        ),
        ({"listener": {**GIVEN, "paths": ["/shop/*"]}}, "bluegreen:attest.path: /version is none of listener.paths"),
        (
            {"listener": {**GIVEN, "paths": ["/version", "/b", "/c"]}},
            "bluegreen:listener: its hosts and paths, the header and the networks of previewCidrs are 6 values",
        ),
        (
            {"previewCidrs": [f"198.51.100.{number}/32" for number in range(4)]},
            "bluegreen:previewCidrs: has 4 networks, and a rule of AWS takes 3",
        ),
    ],
)
def test_settings_that_do_not_go_with_a_listener_are_faults(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        settings(**config)


def test_a_place_on_a_listener_is_no_part_of_the_release() -> None:
    assert Release.from_settings(settings()) == Release.from_settings(Settings.parse({"ami": "ami-00000001"}))


def test_paths_are_matched_as_aws_does() -> None:
    found = listener(paths=["/shop/*", "/v?"])
    assert [found.takes_path(path) for path in ("/shop/", "/shop/a/b?c=d", "/v1", "/v1?x", "/shop", "/v12", "/V/")] == [
        *(True, True, True, True),
        *(False, False, False),
    ]
    assert listener().takes_path("/anything")


def test_hosts_are_matched_in_any_case() -> None:
    found = listener(hosts=["shop.example.com", "*.shop.example.com"])
    assert found.takes_host("A.shop.example.com")
    assert not found.takes_host("example.com")


def test_a_listener_that_will_do_has_no_faults() -> None:
    assert faults(FRONT) == {}


def test_what_is_not_there_or_elsewhere_is_a_fault() -> None:
    assert "there is no listener" in faults(None)["arn"]
    elsewhere = replace(FRONT, balancer=replace(FRONT.balancer, vpc="vpc-2"))
    assert "is in vpc-2, and the machines would be in vpc-1" in faults(elsewhere)["arn"]


def test_https_is_asked_by_a_name() -> None:
    https = replace(FRONT, protocol="HTTPS")
    assert faults(https) == {}
    assert "speaks HTTPS" in faults(https, listener(hosts=[], paths=["/shop/*"]))["hosts"]


def taken(priority: int, owner: Owner | None = None, purpose: str = "", name: str = "") -> Front:
    tags = {
        **(owner.tags if owner else {}),
        **({LISTENER: purpose} if purpose else {}),
        **({"Name": name} if name else {}),
    }
    rule = Rule(arn="arn:rule", priority=priority, tags=tags, conditions="path-pattern /a")
    return replace(FRONT, rules=(rule,))


@pytest.mark.parametrize(
    ("front", "said"),
    [
        (taken(101), "101 is taken by a rule (path-pattern /a; arn:rule); three in a row must be free, 100 to 102"),
        (taken(102, name="team-b"), "102 is taken by team-b (path-pattern /a; arn:rule)"),
        (taken(102, OTHER, "production", "api-production"), "102 is taken by api-production"),
        (taken(101, OWNER, "production"), "101 is taken by this service's own production rule"),
    ],
)
def test_a_priority_that_is_taken_says_by_whom(front: Front, said: str) -> None:
    assert said in faults(front)["priority"]


def test_the_services_own_rules_are_where_they_should_be() -> None:
    assert faults(taken(102, OWNER, "production")) == {}


def egress(network: str = "0.0.0.0/0", protocol: str = "-1", ports: tuple[int, int] = (-1, -1), **tags: str) -> Egress:
    return Egress(network=network, protocol=protocol, from_port=ports[0], to_port=ports[1], tags=tags)


@pytest.mark.parametrize(
    ("rules", "is_open"),
    [
        ([], False),
        ([egress()], True),
        ([egress("10.0.0.0/8", "tcp", (8000, 9000))], True),
        ([egress("10.0.0.0/8", "tcp", (80, 80))], False),
        ([egress("10.0.0.0/8", "udp", (8000, 9000))], False),
        ([egress("10.0.1.0/24")], False),
        ([egress("10.0.1.0/24"), egress("10.0.2.0/24")], True),
        ([egress("")], False),
    ],
)
def test_the_load_balancer_is_let_out_if_all_subnets_are_reached(rules: list[Egress], is_open: bool) -> None:
    assert lets_out(rules, 8080, ["10.0.1.0/24", "10.0.2.0/24"], OWNER) is is_open


def test_our_own_way_out_does_not_count_or_it_would_come_and_go() -> None:
    assert not lets_out([egress(**OWNER.tags)], 8080, ["10.0.1.0/24"], OWNER)
    assert lets_out([egress(**OTHER.tags)], 8080, ["10.0.1.0/24"], OWNER)


@pytest.mark.parametrize("alarms", [{}, {"errorPercent": 0}, {"latencySeconds": 0}])
def test_a_soak_waits_for_as_many_alarms_as_come_with_a_release(alarms: dict[str, int]) -> None:
    for found in (settings(alarms=alarms), Settings.parse({"ami": "ami-00000001", "alarms": alarms})):
        made = list(alarms_of(found.alarms, found.max_size, is_alone=found.listener is None))
        assert SoakPolicy.from_settings(found).own_alarms == len(made)
