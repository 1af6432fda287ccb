"""The network that the program declares: what is in it, and what each of its settings changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from bluegreen.components import Balancer, BalancerArgs, Network, Service, ServiceArgs, Stack
from bluegreen.model.existing_vpc import ExistingVpc, Needs
from bluegreen.model.observation import Group, Subnet, Vpc, WayOut
from tests.components.conftest import Declared, FakeObserver


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


# -- a VPC that was there before


def subnet(name: str, zone: str, way_out: WayOut, free: int = 100) -> Subnet:
    return Subnet(id=f"subnet-{name}", zone=f"us-east-1{zone}", cidr="", free_addresses=free, way_out=way_out)


PUBLIC = tuple(subnet(f"0000000{zone}", zone, WayOut.INTERNET_GATEWAY) for zone in "ab")
PRIVATE = tuple(subnet(f"1000000{zone}", zone, WayOut.OTHER) for zone in "ab")


@pytest.fixture
def vpc(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """One that is there, and none of the stack's own; and what runs in it."""

    def is_there(*subnets: Subnet, running: tuple[str, ...] = ()) -> None:
        group = Group(
            release="00000000",
            name="x",
            service="web",
            minimum=0,
            maximum=9,
            desired=2,
            target_groups=(),
            subnets=running,
            zones=(),
        )
        monkeypatch.setattr(FakeObserver, "own", ())
        monkeypatch.setattr(FakeObserver, "there", (Vpc(id="vpc-00000001", cidr="172.31.0.0/16"),))
        monkeypatch.setattr(FakeObserver, "in_it", subnets)
        monkeypatch.setattr(FakeObserver, "running", (group,) if running else ())

    return is_there


EXISTING = {"vpc": {"id": "vpc-00000001"}}


def test_in_an_existing_vpc_nothing_of_a_network_is_made(declare: Any, vpc: Callable[..., None]) -> None:
    vpc(*PUBLIC, *PRIVATE)
    declared = declare(**EXISTING)
    made = {kind for kind, _ in names(declared)}
    assert not made & {"Vpc", "Subnet", "RouteTable", "Route", "InternetGateway", "NatGateway", "VpcEndpoint"}
    assert declared.one("LoadBalancer")["subnets"] == [each.id for each in PUBLIC]
    assert declared.one("Group")["vpcZoneIdentifiers"] == [each.id for each in PRIVATE]
    assert {each.inputs["vpcId"] for each in declared.of("SecurityGroup")} == {"vpc-00000001"}
    preview = [each.inputs for each in declared.of("SecurityGroupIngressRule") if each.name.startswith("web-preview")]
    assert [each["cidrIpv4"] for each in preview] == ["172.31.0.0/16"], "the VPC's own, whatever vpcCidr says"


def test_an_existing_vpc_that_will_not_do_is_refused_before_anything_is_declared(
    declare: Any, vpc: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    vpc(*PUBLIC, *(replace(each, way_out=WayOut.NONE, free_addresses=5) for each in PRIVATE))
    with pytest.raises(pulumi.RunError) as caught:
        declare(**EXISTING)
    assert "subnet-1000000a has no route to the internet" in str(caught.value)
    assert "10 free addresses, and the machines of two fleets of maxSize need 12 more" in str(caught.value)
    declare(**EXISTING, nat="none", maxSize="5")
    monkeypatch.setattr("bluegreen.components.stack.check_consul", lambda *_: None)
    with pytest.raises(pulumi.RunError, match="two fleets of maxSize and Consul's servers need 14 more"):
        declare(**EXISTING, nat="none", maxSize="5", consul=json.dumps({"image": "ami-00000002"}))


def test_an_internal_service_lives_in_a_vpc_without_public_subnets(declare: Any, vpc: Callable[..., None]) -> None:
    vpc(*PRIVATE)
    declared = declare(**EXISTING, internal="true")
    assert declared.one("LoadBalancer")["subnets"] == [each.id for each in PRIVATE]
    with pytest.raises(pulumi.RunError, match="has public subnets nowhere, and 2 zones are needed"):
        declare(**EXISTING)


def test_what_becomes_of_an_existing_vpc_stops_nothing_that_runs_in_it(
    declare: Any, vpc: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A destroy runs the program too."""
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    vpc(*PUBLIC, *(replace(each, free_addresses=1) for each in PRIVATE), running=tuple(each.id for each in PRIVATE))
    declare(**EXISTING)
    assert [line for line in warned if "2 free addresses" in line and "need 10 more" in line]


def test_a_stack_that_runs_does_not_move_from_one_vpc_to_another(declare: Any, vpc: Callable[..., None]) -> None:
    vpc(*PUBLIC, *PRIVATE, running=("subnet-99999999",))
    with pytest.raises(pulumi.RunError, match="bluegreen:vpc: means vpc-00000001, and the stack runs in other subnets"):
        declare(**EXISTING)
    with pytest.raises(pulumi.RunError, match="bluegreen:vpc: is unset, and the stack runs in an existing VPC"):
        declare()


def test_ipv6_stays_on_while_the_stack_runs(
    declare: Any, vpc: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    vpc(running=("subnet-99999999",))
    monkeypatch.setattr(FakeObserver, "own", (Vpc(id="vpc-own", cidr="10.0.0.0/16", has_ipv6=True),))
    declare(ipv6="true")
    with pytest.raises(pulumi.RunError, match="bluegreen:ipv6: the stack runs with it"):
        declare()


def test_a_program_places_a_network_in_an_existing_vpc_by_itself(declare: Any, vpc: Callable[..., None]) -> None:
    vpc(*PUBLIC, *PRIVATE)
    networks: list[Network] = []
    wanted = ExistingVpc(tags={"env": "prod"})
    declared = declare(lambda stack: networks.append(Network.existing("web", wanted, stack=stack)))
    assert [kind for kind, _ in names(declared)] == ["Network"]
    assert networks[0].cidr == "172.31.0.0/16"

    def serving(stack: Stack) -> None:
        network = Network.existing("web", wanted, stack=stack)
        balancer = Balancer("web", BalancerArgs.from_settings(stack.settings, stack=stack, network=network))
        args = ServiceArgs.from_settings(stack.settings, stack=stack, network=network, balancer=balancer)
        Service("web", args)

    assert declare(serving).one("LoadBalancer")["subnets"] == [each.id for each in PUBLIC]
    with pytest.raises(pulumi.RunError, match=r"200 free addresses, .* need 201 more"):
        declare(lambda stack: Network.existing("web", wanted, stack=stack, needs=Needs(addresses=201)) and None)


def test_zones_are_those_that_are_named(declare: Any) -> None:
    declared = declare(zoneNames=["us-east-1c", "us-east-1a"])
    zones = {each.name: each.inputs["availabilityZone"] for each in declared.of("Subnet")}
    assert (zones["web-public-0"], zones["web-private-1"]) == ("us-east-1c", "us-east-1a")
