"""A Network Load Balancer as the program declares it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from bluegreen.model.observation import Balancer
from bluegreen.model.policies import violations
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from tests.components.conftest import AMI, ELB, TLS, Declared, FakeObserver
from tests.components.test_program import group
from tests.components.test_stack_files import RIGHT, resources

NETWORK = Balancer(arn=f"{ELB}:loadbalancer/net/web-1/1", vpc="vpc-own", is_internal=False, kind="network")


@pytest.fixture
def network(declare: Any) -> Any:
    def run(**config: Any) -> Declared:
        return declare(loadBalancer="network", **config)  # type: ignore[no-any-return]

    return run


def test_it_balances_over_all_zones_behind_a_security_group_and_has_nothing_of_http(network: Any) -> None:
    declared = network()
    balancer = declared.one("LoadBalancer")
    assert balancer["loadBalancerType"] == "network"
    assert balancer["enableCrossZoneLoadBalancing"] is True
    assert balancer["securityGroups"] == ["SecurityGroup-web-balancer"]
    assert balancer["subnets"] == ["Subnet-web-public-0", "Subnet-web-public-1"]
    assert {"desyncMitigationMode", "dropInvalidHeaderFields", "idleTimeout"}.isdisjoint(balancer)
    inward = declared.one("SecurityGroupIngressRule", "web-machines-8080")
    assert inward["referencedSecurityGroupId"] == "SecurityGroup-web-balancer"


def test_its_listeners_pass_tcp_on(network: Any) -> None:
    declared = network()
    for purpose, port in (("production", 80), ("preview", 9000)):
        listener = declared.one("Listener", f"web-{purpose}")
        assert (listener["protocol"], listener["port"]) == ("TCP", port)
        assert {"sslPolicy", "certificateArn"}.isdisjoint(listener)
        assert listener["tcpIdleTimeoutSeconds"] == 350
    assert declared.outputs["url"] == "http://web.elb.test"


def test_what_is_silent_is_closed_when_the_settings_say_so(network: Any) -> None:
    declared = network(idleTimeoutSeconds="900")
    found = {each.name: each.inputs.get("tcpIdleTimeoutSeconds") for each in declared.of("Listener")}
    assert found == {"web-production": 900, "web-preview": 900}
    assert "idleTimeout" not in declared.one("LoadBalancer")


def test_with_tls_its_listeners_decrypt_and_nothing_redirects(network: Any) -> None:
    declared = network(tls=json.dumps(TLS), dns=json.dumps({"zone": "Z1", "names": ["shop.example.com"]}))
    assert {each.name for each in declared.of("Listener")} == {"web-production-tls", "web-preview"}
    for each in declared.of("Listener"):
        assert each.inputs["protocol"] == "TLS"
        assert each.inputs["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
        assert each.inputs["certificateArn"]
        assert "tcpIdleTimeoutSeconds" not in each.inputs
    ports = {each.inputs["fromPort"] for each in declared.of("SecurityGroupIngressRule") if "cidrIpv4" in each.inputs}
    assert ports == {443, 9000}
    assert declared.one("TargetGroup")["protocol"] == "TCP"
    assert declared.outputs["url"] == "https://shop.example.com"


def test_its_machines_are_asked_by_http_and_their_last_connections_are_closed(network: Any) -> None:
    target_group = network(drainSeconds="40").one("TargetGroup")
    assert (target_group["protocol"], target_group["port"]) == ("TCP", 8080)
    assert (target_group["deregistrationDelay"], target_group["connectionTermination"]) == (40, True)
    assert {"protocolVersion", "loadBalancingAlgorithmType", "stickiness"}.isdisjoint(target_group)
    assert target_group["healthCheck"] == {
        "protocol": "HTTP",
        "path": "/health",
        "interval": 5,
        "timeout": 2,
        "healthyThreshold": 2,
        "unhealthyThreshold": 2,
        "matcher": "200",
    }


def test_machines_that_speak_no_http_are_asked_for_a_connection(network: Any) -> None:
    declared = network(healthCheck=json.dumps({"protocol": "tcp"}))
    check = declared.one("TargetGroup")["healthCheck"]
    assert check["protocol"] == "TCP"
    assert {"path", "matcher"}.isdisjoint(check)
    assert declared.outputs["url"] == "tcp://web.elb.test:80"
    assert declared.outputs["previewUrl"] == "tcp://web.elb.test:9000"


def test_what_is_of_http_is_declared_as_it_always_was(declare: Any) -> None:
    declared = declare()
    assert "enableCrossZoneLoadBalancing" not in declared.one("LoadBalancer")
    assert not any("tcpIdleTimeoutSeconds" in each.inputs for each in declared.of("Listener"))
    target_group = declared.one("TargetGroup")
    assert "connectionTermination" not in target_group
    assert target_group["healthCheck"]["path"] == "/health"
    assert "protocol" not in target_group["healthCheck"]


def test_a_release_has_one_alarm_and_the_dashboard_shows_connections(network: Any) -> None:
    declared = network(dashboard="true")
    version = declared.outputs["activeRelease"]["version"]
    (alarm,) = declared.of("MetricAlarm")
    assert alarm.name == f"web-{version}-unhealthy"
    assert alarm.inputs["metricQueries"][0]["metric"]["namespace"] == "AWS/NetworkELB"
    assert "ActiveFlowCount" in declared.one("Dashboard")["dashboardBody"]


def test_two_releases_share_the_traffic_by_weights(network: Any) -> None:
    active, candidate = (
        Release.from_settings(Settings.parse({"ami": ami, "loadBalancer": "network"}))
        for ami in (AMI, "ami-0123456789abcdef1")
    )
    fleet = {"serial": 1, "basis": active.version, "candidate": {"release": candidate.as_record(), "weight": 10}}
    (action,) = network(fleet=fleet).one("Listener", "web-production")["defaultActions"]
    assert [each["weight"] for each in action["forward"]["targetGroups"]] == [90, 10]
    assert "stickiness" not in action["forward"]


def test_it_is_internal_or_protected_or_has_ipv6_as_any_other(network: Any) -> None:
    inner = network(internal="true", deletionProtection="true", ipv6="true").one("LoadBalancer")
    assert (inner["internal"], inner["enableDeletionProtection"]) == (True, True)
    assert "ipAddressType" not in inner
    assert network(ipv6="true").one("LoadBalancer")["ipAddressType"] == "dualstack"


@pytest.mark.parametrize(
    ("running", "wanted", "fault"),
    [
        (None, "network", "bluegreen:loadBalancer: is network, and the stack runs behind one that is application"),
        (NETWORK, "application", "bluegreen:loadBalancer: is application, and the stack runs behind one that is netw"),
    ],
)
def test_a_service_that_runs_can_not_change_its_kind(
    declare: Any, monkeypatch: pytest.MonkeyPatch, running: Balancer | None, wanted: str, fault: str
) -> None:
    monkeypatch.setattr(FakeObserver, "running", (group("web"),))
    monkeypatch.setattr(FakeObserver, "balancer", running)
    with pytest.raises(pulumi.RunError, match=fault):
        declare(loadBalancer=wanted)


def test_a_service_that_runs_behind_one_goes_on(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeObserver, "running", (group("web"),))
    monkeypatch.setattr(FakeObserver, "balancer", NETWORK)
    assert network().one("LoadBalancer")


def test_it_is_not_made_anew_for_the_sake_of_fewer_zones(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    zones = ("us-east-1a", "us-east-1b", "us-east-1c")
    monkeypatch.setattr(FakeObserver, "running", (group("web"),))
    monkeypatch.setattr(FakeObserver, "balancer", replace(NETWORK, zones=zones))
    with pytest.raises(pulumi.RunError, match=r"bluegreen:zones: is 2, .* is in us-east-1a, us-east-1b, us-east-1c"):
        declare(loadBalancer="network", zones="2")
    assert declare(loadBalancer="network", zones="3").one("LoadBalancer")
    monkeypatch.setattr(FakeObserver, "balancer", Balancer(arn="a", vpc="v", is_internal=False, zones=zones))
    assert declare(zones="2").one("LoadBalancer"), "an Application Load Balancer leaves a zone in place"


# -- policies


def broken(declared: Declared) -> list[str]:
    return [each.policy for each in violations(resources(declared))]


def test_with_tls_and_logs_it_keeps_every_policy(network: Any) -> None:
    assert broken(network(**RIGHT)) == []


def test_without_tls_it_serves_plainly_and_has_nothing_to_log(network: Any) -> None:
    right = {key: value for key, value in RIGHT.items() if key not in ("tls", "accessLogs")}
    assert broken(network(**right)) == ["CKV2_AWS_20", "CKV2_AWS_20"]


def test_with_tls_it_is_to_keep_logs(network: Any) -> None:
    assert broken(network(**{**RIGHT, "accessLogs": {}})) == ["CKV_AWS_91"]


def test_with_an_old_tls_policy_it_breaks_one(network: Any) -> None:
    old = {**TLS, "policy": "ELBSecurityPolicy-TLS13-1-0-2021-06"}
    assert broken(network(**{**RIGHT, "tls": old})) == ["CKV_AWS_103", "CKV_AWS_103"]
