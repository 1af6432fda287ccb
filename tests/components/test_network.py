"""The network that the program declares: what is in it, and what each of its settings changes."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.components.conftest import Declared


def names(declared: Declared) -> set[tuple[str, str]]:
    return {(each.typ.rsplit(":", 1)[-1], each.name) for each in declared.resources}


def test_the_vpc_s_own_security_group_lets_nothing_through(declare: Any) -> None:
    group = declare().one("DefaultSecurityGroup")
    assert group["vpcId"] == "Vpc-web"
    assert not {"ingress", "egress"} & set(group)


def test_s3_is_reached_from_every_subnet_by_a_route_of_its_own(declare: Any) -> None:
    declared = declare(zones="3", nat="none")
    endpoint = declared.one("VpcEndpoint", "web-s3")
    assert (endpoint["serviceName"], endpoint["vpcEndpointType"]) == ("com.amazonaws.us-east-1.s3", "Gateway")
    tables = ["web-public", *(f"web-private-{zone}" for zone in range(3))]
    assert endpoint["routeTableIds"] == [f"RouteTable-{name}" for name in tables]
    (request,) = [each for name, each in declared.requests.items() if name.startswith("Group web-")]
    assert any(urn.endswith("VpcEndpoint::web-s3") for urn in request.dependencies), "machines start with their way out"


def routes_out(declared: Declared) -> list[dict[str, Any]]:
    private = sorted((each for each in declared.of("Route") if "-private-" in each.name), key=lambda each: each.name)
    return [dict(each.inputs) for each in private if each.inputs.get("destinationCidrBlock") == "0.0.0.0/0"]


@pytest.mark.parametrize(
    ("nat", "made", "named"),
    [
        ("none", {}, []),
        ("single", {"NatGateway": 1, "Eip": 1}, ["NatGateway-web-nat-0"] * 2),
        ("perZone", {"NatGateway": 2, "Eip": 2}, ["NatGateway-web-nat-0", "NatGateway-web-nat-1"]),
        (
            "instance",
            {"Instance": 1, "SecurityGroup": 1, "SecurityGroupIngressRule": 1, "SecurityGroupEgressRule": 1},
            ["eni-nat"] * 2,
        ),
    ],
)
def test_nat_decides_of_routes_and_of_what_they_name_alone(
    declare: Any, nat: str, made: dict[str, int], named: list[str]
) -> None:
    declared, bare = declare(nat=nat), declare(nat="none")
    targets = [each.get("natGatewayId") or each["networkInterfaceId"] for each in routes_out(declared)]
    assert targets == named
    more = Counter(kind for kind, _ in names(declared) - names(bare))
    assert more == Counter({**made, "Route": len(named)} if named else {})
    assert names(bare) <= names(declared)


def test_a_nat_instance_is_closed_but_for_the_vpc_and_knows_no_secret(declare: Any) -> None:
    declared = declare(nat="instance", natInstance={"type": "t3.nano"})
    machine = declared.one("Instance")
    assert machine["ami"] == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    assert machine["sourceDestCheck"] is False
    assert machine["metadataOptions"]["httpTokens"] == "required"
    assert machine["rootBlockDevice"]["encrypted"] is True
    assert not {"keyName", "iamInstanceProfile"} & set(machine)
    assert declared.one("SecurityGroupIngressRule", "web-nat")["cidrIpv4"] == "10.0.0.0/16"
    request = declared.requests["Instance web-nat"]
    assert list(request.ignoreChanges) == ["ami"], "a newer image of the day is no reason to end it"
    assert any(urn.endswith("Route::web-public") for urn in request.dependencies), "it installs what it needs"


def test_a_nat_instance_of_an_image_that_is_named_follows_the_name(declare: Any) -> None:
    declared = declare(nat="instance", natInstance={"image": "ami-0123456789abcdef1"})
    assert declared.one("Instance")["ami"] == "ami-0123456789abcdef1"
    assert not declared.requests["Instance web-nat"].ignoreChanges


def test_endpoints_share_a_group_that_takes_https_from_the_vpc_alone(declare: Any) -> None:
    declared = declare(endpoints=["management", "ecr.api"])
    made = {each.name: each.inputs for each in declared.of("VpcEndpoint") if each.name != "web-s3"}
    assert set(made) == {f"web-endpoints-{name}" for name in ("ssm", "ssmmessages", "ec2messages", "ecr-api")}
    for each in made.values():
        assert each["vpcEndpointType"] == "Interface"
        assert each["privateDnsEnabled"] is True
        assert each["securityGroupIds"] == ["SecurityGroup-web-endpoints"]
        assert each["subnetIds"] == ["Subnet-web-private-0", "Subnet-web-private-1"]
    rules = [each for each in declared.of("SecurityGroupIngressRule") if each.name == "web-endpoints"]
    (rule,) = [each.inputs for each in rules]
    assert (rule["fromPort"], rule["toPort"], rule["cidrIpv4"]) == (443, 443, "10.0.0.0/16")
    assert not [each for each in declared.of("SecurityGroupEgressRule") if "endpoints" in each.name]


def test_flow_logs_go_to_a_log_group_that_only_their_own_service_writes_to(declare: Any) -> None:
    declared = declare(flowLogs={"days": 90})
    log = declared.one("FlowLog")
    assert (log["trafficType"], log["logDestination"]) == ("ALL", "arn:LogGroup:web-flow-logs")
    assert declared.one("LogGroup")["retentionInDays"] == 90
    (trust,) = json.loads(declared.one("Role")["assumeRolePolicy"])["Statement"]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    writing, listing = json.loads(declared.one("RolePolicy")["policy"])["Statement"]
    assert writing["Resource"] == "arn:LogGroup:web-flow-logs:*"
    assert listing["Action"] == "logs:DescribeLogGroups"


def test_flow_logs_to_a_bucket_need_no_role(declare: Any) -> None:
    declared = declare(flowLogs={"bucket": "arn:aws:s3:::logs"})
    log = declared.one("FlowLog")
    assert (log["logDestinationType"], log["logDestination"]) == ("s3", "arn:aws:s3:::logs")
    assert not declared.of("Role") + declared.of("LogGroup")


def test_with_ipv6_each_subnet_has_a_network_of_its_own_and_machines_reach_out_only(declare: Any) -> None:
    declared = declare(ipv6="true")
    assert declared.one("Vpc")["assignGeneratedIpv6CidrBlock"] is True
    blocks = {each.name: each.inputs["ipv6CidrBlock"] for each in declared.of("Subnet")}
    assert len(set(blocks.values())) == 4
    gives = {each.name for each in declared.of("Subnet") if each.inputs.get("assignIpv6AddressOnCreation")}
    assert gives == {"web-private-0", "web-private-1"}
    routes = {each.name: each.inputs for each in declared.of("Route") if "destinationIpv6CidrBlock" in each.inputs}
    assert routes["web-public-ipv6"]["gatewayId"] == "InternetGateway-web"
    assert routes["web-private-1-ipv6"]["egressOnlyGatewayId"] == "EgressOnlyInternetGateway-web"
    rules = {each.name: each.inputs for each in declared.of("SecurityGroupIngressRule")}
    assert rules["web-production-ipv6"]["cidrIpv6"] == "::/0"
    assert not [name for name in rules if "preview" in name and "ipv6" in name]
    assert declared.one("SecurityGroupEgressRule", "web-machines-ipv6")["cidrIpv6"] == "::/0"


def test_a_stack_that_gains_ipv6_keeps_all_that_it_has(declare: Any) -> None:
    before, after = declare(), declare(ipv6="true")
    assert names(before) < names(after)
    kinds = {kind for kind, _ in names(after) - names(before)}
    assert kinds == {"EgressOnlyInternetGateway", "Route", "SecurityGroupIngressRule", "SecurityGroupEgressRule"}


def test_without_options_nothing_is_said_of_them(declare: Any) -> None:
    """Or an upgrade would change what runs."""
    declared = declare()
    assert "assignGeneratedIpv6CidrBlock" not in declared.one("Vpc")
    for subnet in declared.of("Subnet"):
        assert not {"ipv6CidrBlock", "assignIpv6AddressOnCreation"} & set(subnet.inputs)
