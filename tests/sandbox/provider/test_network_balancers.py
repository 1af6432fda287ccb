"""Network load balancers, their target groups and listeners, held to the real provider's documentation and source."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.provider.wire import Props
from tests.sandbox.provider.driver import (
    LISTENER,
    LOAD_BALANCER,
    TARGET_GROUP,
    Driver,
    Resource,
    Stack,
    certificate,
)

_CODE = "https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/elbv2"
_BALANCER = f"{_CODE}/load_balancer.go"
_GROUP = f"{_CODE}/target_group.go"
_LISTENER = "https://github.com/hashicorp/terraform-provider-aws/blob/main/website/docs/r/lb_listener.html.markdown"
TCP = {"protocol": "TCP", "healthCheck": {"protocol": "TCP", "interval": 10, "timeout": 5}}


def given(resource: Resource) -> Props:
    return {name: value for name, value in resource.inputs.items() if name not in resource.inputs["__defaults"]}


def balancer(network: Stack, name: str = "web", **more: Any) -> Resource:
    return network.load_balancer(name, loadBalancerType="network", **more)


def group(network: Stack, name: str = "web", **more: Any) -> Resource:
    return network.target_group(name, **TCP | more)


def listener(network: Stack, port: int = 80, **more: Any) -> Resource:
    groups = [{"arn": group(network).identifier, "weight": 1}, {"arn": group(network, "blue").identifier, "weight": 0}]
    actions = [{"type": "forward", "forward": {"targetGroups": groups}}]
    settings = {"protocol": "TCP", "port": port, "defaultActions": actions, **more}
    return network.driver.create(LISTENER, "in", loadBalancerArn=balancer(network).identifier, **settings)


def attributes(arn: str) -> dict[str, str]:
    elb = boto3.client("elbv2")
    match arn.split(":")[5].partition("/")[0]:
        case "loadbalancer":
            found = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)
        case "listener":
            found = elb.describe_listener_attributes(ListenerArn=arn)
        case _:
            found = elb.describe_target_group_attributes(TargetGroupArn=arn)
    return {each["Key"]: each["Value"] for each in found["Attributes"]}


def is_unchanged(network: Stack, resource: Resource) -> bool:
    """By a refresh and the same program again."""
    known = network.driver.read(resource)
    assert known is not None
    return bool(network.driver.diff(known, **given(resource)).changes == provider_pb2.DiffResponse.DIFF_NONE)


class TestLoadBalancer:
    @pytest.mark.documented("aws_lb: of a network load balancer, only its own attributes are set", _BALANCER)
    def test_its_attributes_are_those_of_its_kind(self, network: Stack) -> None:
        made = balancer(network, enableCrossZoneLoadBalancing=True, enableDeletionProtection=True)
        assert made.state["loadBalancerType"] == "network"
        live = attributes(made.identifier)
        assert (live["load_balancing.cross_zone.enabled"], live["deletion_protection.enabled"]) == ("true", "true")
        assert not [key for key in live if key.startswith(("idle_timeout", "routing.http"))]
        assert is_unchanged(network, made)
        changed = network.driver.update(made, **given(made) | {"enableCrossZoneLoadBalancing": False})
        assert attributes(changed.identifier)["load_balancing.cross_zone.enabled"] == "false"
        network.driver.update(changed, **given(changed) | {"enableDeletionProtection": False})

    @pytest.mark.documented("aws_lb: cross-zone load balancing of an application load balancer is no change", _BALANCER)
    def test_cross_zone_load_balancing_means_nothing_to_an_application_load_balancer(self, network: Stack) -> None:
        made = network.load_balancer()
        assert not network.driver.diff(made, **given(made) | {"enableCrossZoneLoadBalancing": True}).diffs

    @pytest.mark.parametrize(
        ("before", "after", "replaced"),
        [
            pytest.param(*case, marks=pytest.mark.documented(f"aws_lb: {what} a network load balancer", _BALANCER))
            for what, *case in (
                ("a subnet less replaces", {"subnets": 2}, {"subnets": 1}, ["subnets"]),
                ("a subnet more does not replace", {"subnets": 1}, {"subnets": 2}, []),
                (
                    "no security group any more replaces",
                    {"securityGroups": 1},
                    {"securityGroups": 0},
                    ["securityGroups"],
                ),
                ("a first security group replaces", {"securityGroups": 0}, {"securityGroups": 1}, ["securityGroups"]),
            )
        ],
    )
    def test_what_replaces_it(
        self, driver: Driver, before: dict[str, int], after: dict[str, int], replaced: list[str]
    ) -> None:
        def inputs(counts: dict[str, int]) -> Props:
            lists = {name: [f"{name}-{number}" for number in range(count)] for name, count in counts.items()}
            return {"loadBalancerType": "network", "subnets": ["subnet-1"]} | lists

        known = driver.checked(LOAD_BALANCER, "web", inputs(before))
        made = Resource(LOAD_BALANCER, "web", "arn", known, known)
        assert list(driver.diff(made, **inputs(after)).replaces) == replaced

    def test_what_it_has_not_is_refused_by_name(self, driver: Driver) -> None:
        asked = {"loadBalancerType": "network", "subnets": ["subnet-1"], "idleTimeout": 90}
        assert "application load balancers only" in driver.failures(LOAD_BALANCER, asked)["idleTimeout"]


class TestTargetGroup:
    @pytest.mark.documented("aws_lb_target_group: of TCP, with termination of connections and client addresses", _GROUP)
    def test_a_group_of_tcp(self, network: Stack) -> None:
        made = group(network, connectionTermination=True, preserveClientIp="false", deregistrationDelay=60)
        live = attributes(made.identifier)
        assert live["deregistration_delay.connection_termination.enabled"] == "true"
        assert (live["preserve_client_ip.enabled"], live["deregistration_delay.timeout_seconds"]) == ("false", "60")
        assert made.state["healthCheck"]["protocol"] == "TCP"
        assert made.state["stickiness"] == {"enabled": False, "type": "source_ip"}
        assert is_unchanged(network, made)
        changed = network.driver.update(made, **given(made) | {"connectionTermination": False})
        assert attributes(changed.identifier)["deregistration_delay.connection_termination.enabled"] == "false"

    def test_it_may_be_checked_by_http(self, network: Stack) -> None:
        made = group(network, healthCheck={"protocol": "HTTP", "path": "/health", "matcher": "200-299"})
        assert (made.state["healthCheck"]["path"], made.state["healthCheck"]["matcher"]) == ("/health", "200-299")
        assert is_unchanged(network, made)

    @pytest.mark.parametrize(
        ("change", "path", "reason"),
        [
            pytest.param(
                {"healthCheck": {"protocol": "TCP", "path": "/health"}},
                "healthCheck.path",
                'cannot be specified when "healthCheck.protocol" is "TCP"',
                marks=pytest.mark.documented("aws_lb_target_group: a check by TCP has no path", _GROUP),
            ),
            pytest.param(
                {"healthCheck": {"protocol": "TCP", "matcher": "200"}},
                "healthCheck.matcher",
                'cannot be specified when "healthCheck.protocol" is "TCP"',
                marks=pytest.mark.documented("aws_lb_target_group: a check by TCP has no matcher", _GROUP),
            ),
            pytest.param(
                {"protocol": "HTTP"},
                "healthCheck.protocol",
                'cannot have value "TCP" when "protocol" is "HTTP"',
                marks=pytest.mark.documented("aws_lb_target_group: one of HTTP is not checked by TCP", _GROUP),
            ),
            ({"slowStart": 30}, "slowStart", "a target group of TCP has no slowStart"),
            ({"stickiness": {"type": "lb_cookie"}}, "stickiness", "a target group of TCP has no stickiness"),
            ({"protocol": "UDP"}, "protocol", 'only as ["HTTP" "TCP"]'),
            (
                {"protocol": "HTTP", "healthCheck": {}, "connectionTermination": True},
                "connectionTermination",
                "a target group of HTTP has no connectionTermination",
            ),
        ],
    )
    def test_a_fault_names_its_path_and_its_reason(self, driver: Driver, change: Props, path: str, reason: str) -> None:
        good = {"port": 80, "vpcId": "vpc-1", **TCP}
        assert driver.failures(TARGET_GROUP, good) == {}
        assert reason in driver.failures(TARGET_GROUP, good | change)[path]


class TestListener:
    @pytest.mark.documented("tcpIdleTimeoutSeconds of a TCP listener: 350, or from 60 to 6000", _LISTENER)
    def test_a_tcp_listener_has_weights_and_an_idle_timeout(self, network: Stack) -> None:
        made = listener(network)
        assert made.state["tcpIdleTimeoutSeconds"] == 350
        assert sorted(it["weight"] for it in made.state["defaultActions"][0]["forward"]["targetGroups"]) == [0, 1]
        assert is_unchanged(network, made)
        changed = network.driver.update(made, **given(made) | {"tcpIdleTimeoutSeconds": 600})
        assert attributes(changed.identifier) == {"tcp.idle_timeout.seconds": "600"}
        assert changed.state["tcpIdleTimeoutSeconds"] == 600
        assert is_unchanged(network, changed)

    @pytest.mark.documented("alpnPolicy can be set if protocol is TLS", _LISTENER)
    def test_a_tls_listener_has_a_certificate_and_may_have_a_policy_of_alpn(self, network: Stack) -> None:
        secured = {"protocol": "TLS", "certificateArn": certificate("shop.example"), "alpnPolicy": "HTTP1Only"}
        made = listener(network, 443, **secured)
        assert (made.state["protocol"], made.state["alpnPolicy"]) == ("TLS", "HTTP1Only")
        assert made.state["certificateArn"] == secured["certificateArn"]
        assert is_unchanged(network, made)

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"protocol": "TLS", "tcpIdleTimeoutSeconds": 600}, "tcpIdleTimeoutSeconds"),
            ({"protocol": "TCP", "tcpIdleTimeoutSeconds": 59}, "tcpIdleTimeoutSeconds"),
            ({"protocol": "TCP", "alpnPolicy": "HTTP1Only"}, "alpnPolicy"),
            ({"protocol": "TCP_UDP"}, "protocol"),
        ],
    )
    def test_what_a_protocol_has_not_is_refused_by_name(self, driver: Driver, change: Props, path: str) -> None:
        arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/a/0123456789abcdef"
        action = {"type": "forward", "targetGroupArn": arn.replace("loadbalancer/net", "targetgroup")}
        good = {"loadBalancerArn": arn, "port": 80, "protocol": "TCP", "defaultActions": [action]}
        assert driver.failures(LISTENER, good) == {}
        assert set(driver.failures(LISTENER, good | change)) == {path}
