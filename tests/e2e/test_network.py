"""The network's options, one after the other on a stack that serves: made, changed and taken away again, and the
machines stay where they are."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.load import Load
from tests.e2e.project import Project, eventually

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


def zones(project: Project) -> set[str]:
    """In which machines serve."""
    (group,) = project.groups().values()
    return {each["AvailabilityZone"] for each in group["Instances"] if each["LifecycleState"] == "InService"}


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
    (balancer,) = served.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    assert balancer["IpAddressType"] == "dualstack"
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


def test_a_zone_comes_and_goes_with_its_machines_and_no_request_fails(served: Project) -> None:
    wider = served.up(zones=3, min_size=3, desired_capacity=3, max_size=3)
    assert wider.code == 0, wider.output
    eventually(lambda: zones(served) == {"us-east-1a", "us-east-1b", "us-east-1c"})
    with Load(served.outputs["url"], per_second=50) as load:
        narrower = served.up(zones=2)
        assert narrower.code == 0, narrower.output
    assert [answer for answer in load.answers if answer.has_failed] == []
    assert zones(served) == {"us-east-1a", "us-east-1b"}
    assert len(of(served, "Subnet")) == 4


def test_destroyed_nothing_is_left(served: Project) -> None:
    gone = served.pulumi("destroy", "--yes", "--skip-preview", "--run-program", "--stack", served.stack)
    assert gone.code == 0, gone.output
    assert served.resources == []
    assert not served.aws("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]


@pytest.mark.parametrize(
    ("zones", "said"),
    [
        (["us-east-1a", "us-east-1z"], "bluegreen:zoneNames: us-east-1z can't be used: the region has us-east-1a"),
        (
            ["us-east-1a", "us-east-1e"],
            "bluegreen:instanceType: us-east-1e has no t3.small; it is offered in us-east-1a",
        ),
    ],
)
def test_zones_that_will_not_do_are_told_before_anything_is_made(served: Project, zones: list[str], said: str) -> None:
    served.configure(zone_names=zones)
    refused = served.pulumi("preview", "--stack", served.stack)
    assert refused.code != 0
    assert said in refused.output
    assert "Traceback" not in refused.output
    assert not refused.writes
    served.configure(zone_names=None)


@pytest.fixture(scope="module")
def landlord(served: Project) -> dict[str, list[str]]:
    """A VPC of somebody else's, with public and private subnets in two zones, and no way out of the private ones."""
    ec2 = served.aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="172.30.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "env", "Value": "shared"}])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    made: dict[str, list[str]] = {"vpc": [vpc], "public": [], "private": []}
    for kind, first in (("public", 0), ("private", 8)):
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        if kind == "public":
            ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        for number, zone in enumerate("ab"):
            cidr = f"172.30.{first + number}.0/24"
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"us-east-1{zone}")["Subnet"]
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet["SubnetId"])
            made[kind].append(subnet["SubnetId"])
    return made


def test_an_existing_vpc_without_the_routes_that_are_needed_is_refused(
    served: Project, landlord: dict[str, list[str]]
) -> None:
    refused = served.up(vpc={"tags": {"env": "shared"}}, nat="single", ipv6=None)
    assert refused.code != 0
    for subnet in landlord["private"]:
        assert f"bluegreen:vpc.privateSubnets: {subnet} has no route to the internet" in refused.output
    assert not refused.writes
    planned = served.bluegreen("plan", served.stack, "--ami", served.image("1"))
    assert "refused: bluegreen:vpc.privateSubnets" in planned.output
    assert "subnets in us-east-1a: public 172.30.0.0/24, 251 free; private 172.30.8.0/24, 251 free" in planned.output


def test_a_stack_lives_in_an_existing_vpc_and_leaves_it_as_it_was(
    served: Project, landlord: dict[str, list[str]]
) -> None:
    up = served.up(nat="none")
    assert up.code == 0, up.output
    (group,) = of(served, "Group")
    (balancer,) = of(served, "LoadBalancer")
    assert set(group["vpcZoneIdentifiers"]) == set(landlord["private"])
    assert set(balancer["subnets"]) == set(landlord["public"])
    assert not of(served, "Vpc") + of(served, "Subnet") + of(served, "RouteTable") + of(served, "VpcEndpoint")
    assert served.ask()["app"] == "1"
    again = served.up()
    assert (again.changes, again.writes) == ({}, [])
    assert len(again.reads) <= 6, again.reads

    moved = served.up(vpc=None)
    assert "bluegreen:vpc: is unset, and the stack runs in an existing VPC" in moved.output
    assert not moved.writes

    served.configure(vpc={"id": landlord["vpc"][0]})
    gone = served.pulumi("destroy", "--yes", "--skip-preview", "--run-program", "--stack", served.stack)
    assert gone.code == 0, gone.output
    left = served.aws("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": landlord["vpc"]}])["Subnets"]
    assert {each["SubnetId"] for each in left} == {*landlord["public"], *landlord["private"]}
