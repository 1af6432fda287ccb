"""The network's options, one after the other on a stack that serves: made, changed and taken away again, and the
machines stay where they are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.rollout

NEVER_TOUCHED = {"Vpc", "Subnet", "RouteTable", "RouteTableAssociation", "LoadBalancer", "TargetGroup", "Group"}


def of(project: Project, kind: str) -> list[dict[str, Any]]:
    return [each["outputs"] for each in project.resources if each["type"].endswith(f":{kind}")]


def routes(project: Project) -> list[dict[str, Any]]:
    """Of the private subnets to the internet."""
    tables = project.aws("ec2").describe_route_tables()["RouteTables"]
    named = {tag["Value"]: table for table in tables for tag in table.get("Tags", []) if tag["Key"] == "Name"}
    return [
        route
        for name, table in named.items()
        if "-private-" in name
        for route in table["Routes"]
        if route.get("DestinationCidrBlock") == "0.0.0.0/0"
    ]


def untouched(changes: Any) -> None:
    assert not {kind for _, kind in changes} & NEVER_TOUCHED, changes


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    first = project.up(ami=project.image("1"), min_size=1, desired_capacity=1, max_size=2)
    assert first.code == 0, first.output
    return project


def test_what_is_secure_and_costs_nothing_is_there_unasked(served: Project) -> None:
    (group,) = of(served, "DefaultSecurityGroup")
    (found,) = served.aws("ec2").describe_security_groups(GroupIds=[group["id"]])["SecurityGroups"]
    assert (found["IpPermissions"], found["IpPermissionsEgress"]) == ([], [])
    (endpoint,) = of(served, "VpcEndpoint")
    assert endpoint["serviceName"].endswith(".s3")
    assert len(endpoint["routeTableIds"]) == 3
    assert routes(served) == [], "nat is none"


def test_options_are_added_to_a_stack_that_serves(served: Project) -> None:
    changed = served.up(nat="instance", endpoints=["management", "logs"], flow_logs={"days": 14}, ipv6=True)
    assert changed.code == 0, changed.output

    (machine,) = of(served, "Instance")
    assert {route["NetworkInterfaceId"] for route in routes(served)} == {machine["primaryNetworkInterfaceId"]}
    (live,) = [
        each
        for reservation in served.aws("ec2").describe_instances(InstanceIds=[machine["id"]])["Reservations"]
        for each in reservation["Instances"]
    ]
    assert live["SourceDestCheck"] is False
    assert live["MetadataOptions"]["HttpTokens"] == "required"
    assert "KeyName" not in live

    services = {each["serviceName"].rpartition(".")[2] for each in of(served, "VpcEndpoint")}
    assert services == {"s3", "ssm", "ssmmessages", "ec2messages", "logs"}
    assert all(each["privateDnsEnabled"] for each in of(served, "VpcEndpoint") if each["subnetIds"])

    (log,) = served.aws("ec2").describe_flow_logs()["FlowLogs"]
    assert (log["TrafficType"], log["FlowLogStatus"]) == ("ALL", "ACTIVE")
    (kept,) = served.aws("logs").describe_log_groups()["logGroups"]
    assert kept["retentionInDays"] == 14

    blocks = [each["ipv6CidrBlock"] for each in of(served, "Subnet")]
    assert len(set(blocks)) == 4
    assert all(block.endswith("/64") for block in blocks)
    assert {each["cidrIpv6"] for each in of(served, "SecurityGroupIngressRule") if "cidrIpv6" in each} == {"::/0"}
    assert served.ask()["app"] == "1"


def test_a_change_of_nat_changes_routes_and_nothing_else(served: Project) -> None:
    changed = served.up(nat="perZone", endpoints=["logs"], flow_logs={"days": 30})
    assert changed.code == 0, changed.output
    gateways = {each["id"] for each in of(served, "NatGateway")}
    assert {route["NatGatewayId"] for route in routes(served)} == gateways
    assert len(gateways) == 2
    assert of(served, "Instance") == []
    assert changed.done("update")["update", "Route"] == 2
    untouched(changed.done("create") | changed.done("update") | changed.done("delete"))


def test_options_are_taken_away_again(served: Project) -> None:
    changed = served.up(nat="none", endpoints=None, flow_logs=None)
    assert changed.code == 0, changed.output
    assert routes(served) == []
    for kind in ("NatGateway", "Eip", "FlowLog", "LogGroup", "Role", "RolePolicy"):
        assert of(served, kind) == [], kind
    assert len(of(served, "VpcEndpoint")) == 1
    untouched(changed.done("update") | changed.done("delete"))
    assert served.ask()["app"] == "1"


def test_destroyed_nothing_is_left(served: Project) -> None:
    gone = served.pulumi("destroy", "--yes", "--skip-preview", "--run-program", "--stack", served.stack)
    assert gone.code == 0, gone.output
    assert served.resources == []
    assert not served.aws("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]
