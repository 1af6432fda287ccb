"""What is said about bad inputs, and what good ones are filled up with; nothing here reaches AWS."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.provider.check import DEFAULTS, Naming, check
from sandbox.provider.lifecycle import without_defaults
from sandbox.provider.resources import TYPES
from sandbox.provider.wire import UNKNOWN, Props

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/a/0123456789abcdef"
TARGETS_OF_ROUTES = "egressOnlyGatewayId,gatewayId,natGatewayId,networkInterfaceId"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/a/0123456789abcdef"
GOOD: dict[str, Props] = {
    "aws:ec2/vpc:Vpc": {"cidrBlock": "10.0.0.0/16"},
    "aws:ec2/subnet:Subnet": {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24"},
    "aws:ec2/route:Route": {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "securityGroupId": "sg-1",
        "ipProtocol": "tcp",
        "fromPort": 80,
        "toPort": 80,
        "cidrIpv4": "0.0.0.0/0",
    },
    "aws:lb/loadBalancer:LoadBalancer": {"subnets": ["subnet-1", "subnet-2"]},
    "aws:lb/targetGroup:TargetGroup": {"port": 80, "protocol": "HTTP", "vpcId": "vpc-1"},
    "aws:lb/listener:Listener": {
        "loadBalancerArn": BALANCER,
        "port": 80,
        "defaultActions": [{"type": "forward", "targetGroupArn": ARN}],
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {"imageId": "ami-1", "instanceType": "t3.small"},
    "aws:autoscaling/group:Group": {
        "minSize": 1,
        "maxSize": 2,
        "vpcZoneIdentifiers": ["subnet-1"],
        "launchTemplate": {"id": "lt-1", "version": "1"},
    },
    "aws:autoscaling/policy:Policy": {
        "autoscalingGroupName": "a",
        "policyType": "TargetTrackingScaling",
        "targetTrackingConfiguration": {"targetValue": 60},
    },
    "aws:cloudwatch/metricAlarm:MetricAlarm": {
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 3,
        "threshold": 5,
        "metricQueries": [{"id": "rate", "expression": "100 * FILL(e, 0) / r", "returnData": True}],
    },
}


def token_of(short: str) -> str:
    return next(token for token in TYPES if token.endswith(f":{short}"))


def failures(short: str, resource: str = "it", **changes: Any) -> dict[str, str]:
    token = token_of(short)
    given = {**GOOD[token], **changes}
    _, found = check(TYPES[token], {}, {k: v for k, v in given.items() if v is not None}, Naming(resource=resource))
    return {failure.property: failure.reason for failure in found}


def inputs(short: str, olds: Props | None = None, *, resource: str = "it", seed: bytes = b"", **changes: Any) -> Props:
    token = token_of(short)
    good, found = check(TYPES[token], olds or {}, {**GOOD[token], **changes}, Naming(resource=resource, seed=seed))
    assert not found
    return good


@pytest.mark.parametrize("token", GOOD)
def test_good_inputs_pass_and_pass_again_unchanged(token: str) -> None:
    once, found = check(TYPES[token], {}, GOOD[token], Naming(resource="it"))
    again, found_again = check(TYPES[token], once, once, Naming(resource="it"))
    assert (found, found_again) == ([], [])
    assert without_defaults(again) == without_defaults(once)


@pytest.mark.parametrize(
    ("short", "changes", "path", "reason"),
    [
        ("Vpc", {"cidrBlock": None}, "cidrBlock", 'The argument "cidrBlock" is required'),
        ("Vpc", {"cidrBlock": "10.0.0.0"}, "cidrBlock", "is not a valid IPv4 CIDR block"),
        (
            "Vpc",
            {"cidrBlock": "10.0.0.1/16"},
            "cidrBlock",
            '"10.0.0.1/16" is not a valid IPv4 CIDR block; did you mean "10.0.0.0/16"?',
        ),
        ("Vpc", {"cidrBlock": "10.0.0.0/8"}, "cidrBlock", "with between 16 and 28 significant bits, got: 8"),
        ("Vpc", {"cidr": "10.0.0.0/16"}, "cidr", "Invalid or unknown key"),
        ("Vpc", {"ipv6IpamPoolId": "pool"}, "ipv6IpamPoolId", "an argument of the AWS provider that the sandbox"),
        ("Vpc", {"arn": "arn:aws:x"}, "arn", "Invalid or unknown key"),
        ("Subnet", {"ipv6Native": True}, "ipv6Native", "the sandbox supports ipv6Native only as [false]"),
        (
            "Subnet",
            {"availabilityZone": "us-east-1a", "availabilityZoneId": "use1-az1"},
            "availabilityZone",
            "conflicts with availabilityZoneId",
        ),
        ("Route", {"natGatewayId": "nat-1"}, "gatewayId", f"only one of `{TARGETS_OF_ROUTES}` can be specified"),
        ("Route", {"gatewayId": None}, "egressOnlyGatewayId", f"one of `{TARGETS_OF_ROUTES}` must be specified"),
        ("SecurityGroupIngressRule", {"fromPort": 70000}, "fromPort", "to be in the range (-1 - 65535), got 70000"),
        ("LoadBalancer", {"loadBalancerType": "gateway"}, "loadBalancerType", 'only as ["application" "network"]'),
        ("LoadBalancer", {"loadBalancerType": "classic"}, "loadBalancerType", "expected loadBalancerType to be one of"),
        ("TargetGroup", {"protocol": "HTTPX"}, "protocol", "expected protocol to be one of"),
        ("TargetGroup", {"port": "http"}, "port", "to be a integer, got 'http'"),
        ("TargetGroup", {"name": "a" * 33}, "name", "cannot be longer than 32 characters"),
        ("TargetGroup", {"name": "-a"}, "name", "cannot begin or end with a hyphen"),
        ("TargetGroup", {"slowStart": 10}, "slowStart", "in the range (30 - 900), got 10"),
        ("TargetGroup", {"healthCheck": {"interval": 1}}, "healthCheck.interval", "in the range (5 - 300), got 1"),
        ("TargetGroup", {"healthCheck": {"path": "health"}}, "healthCheck.path", 'must begin with "/"'),
        ("TargetGroup", {"healthCheck": {"speed": 1}}, "healthCheck.speed", "Invalid or unknown key"),
        ("TargetGroup", {"stickiness": {"enabled": True}}, "stickiness.type", "is required"),
        ("SecurityGroupIngressRule", {"cidrIpv4": "10.0.0.1/24"}, "cidrIpv4", 'did you mean "10.0.0.0/24"?'),
        (
            "Group",
            {"instanceMaintenancePolicy": {"minHealthyPercentage": 90, "maxHealthyPercentage": 99}},
            "instanceMaintenancePolicy.maxHealthyPercentage",
            "in the range (100 - 200), got 99",
        ),
        (
            "Listener",
            {"defaultActions": [{"type": "forward", "jwtValidation": {}}]},
            "defaultActions[0].jwtValidation",
            "that the sandbox doesn't support",
        ),
        (
            "Listener",
            {"defaultActions": [{"type": "forward", "forward": {"targetGroups": [{"arn": ARN, "weight": 1000}]}}]},
            "defaultActions[0].forward.targetGroups[0].weight",
            "in the range (0 - 999), got 1000",
        ),
        ("Listener", {"loadBalancerArn": "web"}, "loadBalancerArn", '"loadBalancerArn" (web) is an invalid ARN'),
        ("LaunchTemplate", {"metadataOptions": {"httpTokens": "on"}}, "metadataOptions.httpTokens", "to be one of"),
        ("Group", {"waitForCapacityTimeout": "soon"}, "waitForCapacityTimeout", "cannot be parsed as a duration"),
        ("Group", {"launchTemplate": {"id": "lt-1", "name": "a"}}, "launchTemplate.id", "conflicts with name"),
        ("Group", {"tags": [{"key": "a", "value": "b"}]}, "tags[0].propagateAtLaunch", "is required"),
        ("MetricAlarm", {"metricName": "RequestCount"}, "metricName", "conflicts with metricQueries"),
        ("MetricAlarm", {"metricQueries": None, "metricName": "x"}, "statistic", "must be set for a cloudwatch metric"),
        ("MetricAlarm", {"period": 45, "metricQueries": None}, "period", "divisible by 60, got: 45"),
        ("MetricAlarm", {"extendedStatistic": "tm99", "metricQueries": None}, "extendedStatistic", "is no statistic"),
        ("MetricAlarm", {"comparisonOperator": "LessThanLowerThreshold"}, "comparisonOperator", "sandbox supports"),
        ("MetricAlarm", {"thresholdMetricId": "e1"}, "thresholdMetricId", "that the sandbox doesn't support"),
        ("MetricAlarm", {"metricQueries": [{"id": "a", "accountId": "1"}]}, "metricQueries[0].accountId", "support"),
        (
            "MetricAlarm",
            {
                "metricQueries": [
                    {"id": "a", "expression": "b", "metric": {"metricName": "m", "period": 60, "stat": "Sum"}}
                ]
            },
            "metricQueries[0]",
            "both `expression` and a `metric`",
        ),
        ("Policy", {"policyType": "SimpleScaling"}, "policyType", 'only as ["StepScaling" "TargetTrackingScaling"]'),
    ],
)
def test_a_fault_names_its_path_and_its_reason(short: str, changes: Props, path: str, reason: str) -> None:
    found = failures(short, **changes)
    assert path in found
    assert reason in found[path]


def test_all_faults_come_in_one_answer() -> None:
    assert set(failures("TargetGroup", port=0, protocol="X", speed=1)) == {"port", "protocol", "speed"}


def test_unknown_values_are_not_judged() -> None:
    assert failures("TargetGroup", port=UNKNOWN, vpcId=UNKNOWN, healthCheck={"interval": UNKNOWN}) == {}


def test_defaults_are_filled_in_and_recorded_at_every_level() -> None:
    found = inputs("TargetGroup", healthCheck={"path": "/health"})
    assert found["deregistrationDelay"] == 300
    assert found["healthCheck"]["interval"] == 30
    assert "deregistrationDelay" in found[DEFAULTS]
    assert "interval" in found["healthCheck"][DEFAULTS]
    assert "path" not in found["healthCheck"][DEFAULTS]


def test_texts_and_numbers_are_converted_as_the_bridge_does() -> None:
    assert inputs("TargetGroup", port="8080")["port"] == 8080
    assert inputs("Group", waitForCapacityTimeout=0)["waitForCapacityTimeout"] == "0"
    assert inputs("LoadBalancer", internal="true")["internal"] is True


NAMES = "https://www.pulumi.com/docs/iac/concepts/resources/names/"


class TestAutomaticNames:
    @pytest.mark.documented("an automatic name is the resource's with a random suffix of 7", NAMES)
    def test_a_name_is_the_resource_s_with_seven_digits(self) -> None:
        name = inputs("TargetGroup", resource="web-a0f07b83")["name"]
        assert name.startswith("web-a0f07b83-")
        assert len(name) == len("web-a0f07b83-") + 7

    def test_the_same_seed_gives_the_same_name_in_preview_and_update(self) -> None:
        assert inputs("Group", seed=b"s")["name"] == inputs("Group", seed=b"s")["name"]
        assert inputs("Group", seed=b"s")["name"] != inputs("Group", seed=b"t")["name"]

    def test_a_name_that_was_made_up_stays(self) -> None:
        first = inputs("Group", seed=b"s")
        assert inputs("Group", first, seed=b"t")["name"] == first["name"]

    def test_a_name_that_the_program_drops_is_made_up_anew(self) -> None:
        first = inputs("Group") | {"name": "mine", DEFAULTS: []}
        assert inputs("Group", first)["name"] != "mine"

    @pytest.mark.documented(
        "a load balancer's or target group's automatic name has at most 32 characters",
        "https://github.com/pulumi/pulumi-aws/blob/master/provider/aliases.go",
    )
    @pytest.mark.parametrize("short", ["TargetGroup", "LoadBalancer"])
    def test_a_name_too_long_for_a_load_balancer_is_an_error_not_cut(self, short: str) -> None:
        assert failures(short, resource="a" * 24) == {}
        assert "plus 7 random chars is longer than maximum length 32" in failures(short, resource="a" * 25)["name"]

    @pytest.mark.documented(
        "other automatic names have at most 255",
        "https://github.com/pulumi/pulumi-aws/blob/master/provider/autonaming.go",
    )
    def test_others_may_have_255_characters(self) -> None:
        assert failures("Group", resource="a" * 247) == {}
        assert "longer than maximum length 255" in failures("Group", resource="a" * 248)["name"]

    @pytest.mark.documented("a stack may name resources its own way, or forbid automatic names", NAMES)
    def test_the_stack_s_own_naming_is_followed(self) -> None:
        token = token_of("Group")
        found, _ = check(TYPES[token], {}, GOOD[token], Naming(resource="it", proposed="house-style"))
        assert found["name"] == "house-style"
        _, wrong = check(TYPES[token], {}, GOOD[token], Naming(resource="it", disabled=True))
        assert "automatic naming is disabled" in wrong[0].reason
