"""An existing VPC: which subnets are meant, and what keeps a service from living there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bluegreen.errors import Fault, SettingsError
from bluegreen.model.existing_vpc import ExistingVpc, Needs, faults_of, place_in, the_one
from bluegreen.model.observation import Subnet, Vpc, WayOut
from bluegreen.model.settings import Settings

VPC = Vpc(id="vpc-00000001", cidr="10.0.0.0/16")
NEEDS = Needs(addresses=12)


def subnet(name: str, zone: str, way_out: WayOut, free: int = 100, **tags: str) -> Subnet:
    return Subnet(
        id=f"subnet-{name}", zone=f"us-east-1{zone}", cidr="", free_addresses=free, way_out=way_out, tags=tags
    )


PUBLIC = tuple(subnet(f"0000000{zone}", zone, WayOut.INTERNET_GATEWAY, tier="web") for zone in "ab")
PRIVATE = tuple(subnet(f"1000000{zone}", zone, WayOut.OTHER, tier="app") for zone in "ab")
GOOD = (*PUBLIC, *PRIVATE)


def faults(subnets: tuple[Subnet, ...], needs: Needs = NEEDS, **wanted: Any) -> dict[str, str]:
    vpc = ExistingVpc(id=VPC.id, **wanted)
    return {each.path: each.message for each in faults_of(vpc, place_in(vpc, VPC, subnets), needs)}


def test_subnets_are_told_apart_by_where_their_routes_lead() -> None:
    place = place_in(ExistingVpc(id=VPC.id), VPC, GOOD[::-1])
    assert (place.public, place.private) == (PUBLIC, PRIVATE)
    assert faults(GOOD) == {}


def test_subnets_are_named_by_ids_or_tags_and_no_others_are_taken() -> None:
    database = subnet("20000000", "a", WayOut.NONE, tier="data")
    assert "no route" in faults((*GOOD, database))["bluegreen:vpc.privateSubnets"]
    assert faults((*GOOD, database), private_subnet_tags={"tier": "app"}) == {}
    assert faults((*GOOD, database), private_subnets=tuple(each.id for each in PRIVATE)) == {}


@pytest.mark.parametrize(
    ("subnets", "key", "said"),
    [
        ((*PUBLIC[:1], *PRIVATE[:1]), "publicSubnets", "public subnets in us-east-1a alone, and 2 zones are needed"),
        (PRIVATE, "publicSubnets", "public subnets nowhere"),
        ((*PUBLIC, *PRIVATE[:1]), "privateSubnets", "private subnets in us-east-1a alone"),
        ((*GOOD, subnet("00000009", "a", WayOut.INTERNET_GATEWAY)), "publicSubnets", "are all in us-east-1a"),
        (
            (*GOOD, subnet("10000009", "c", WayOut.OTHER)),
            "privateSubnets",
            "some in us-east-1c, where the load balancer",
        ),
        (
            (*PUBLIC, *(replace(it, way_out=WayOut.NONE) for it in PRIVATE)),
            "privateSubnets",
            "no route to the internet",
        ),
        ((*PUBLIC, *(replace(it, free_addresses=5) for it in PRIVATE)), "privateSubnets", "have 10 free addresses"),
        ((*(replace(it, free_addresses=7) for it in PUBLIC), *PRIVATE), "publicSubnets", "7 free addresses"),
    ],
)
def test_what_a_service_can_not_live_with_is_told_with_its_key(
    subnets: tuple[Subnet, ...], key: str, said: str
) -> None:
    assert said in faults(subnets)[f"bluegreen:vpc.{key}"]


def test_no_way_out_is_needed_where_nobody_wants_one() -> None:
    bare = (*PUBLIC, *(replace(it, way_out=WayOut.NONE) for it in PRIVATE))
    assert faults(bare, Needs(has_way_out=False, addresses=12)) == {}


def test_a_private_subnet_that_is_named_must_not_be_public() -> None:
    found = faults(GOOD, private_subnets=tuple(it.id for it in PUBLIC))
    assert "without a public address" in found["bluegreen:vpc.privateSubnets"]


def test_a_subnet_that_is_named_must_be_there() -> None:
    found = faults(GOOD, public_subnets=("subnet-0000000a", "subnet-0000000b", "subnet-0000000f"))
    assert found == {"bluegreen:vpc.publicSubnets": "subnet-0000000f: no such subnet in vpc-00000001"}


def test_a_vpc_must_be_there_and_be_the_only_one() -> None:
    by_tags = ExistingVpc(tags={"env": "prod"})
    assert the_one(by_tags, [VPC], "us-east-1") == VPC
    none, several = the_one(by_tags, [], "us-east-1"), the_one(by_tags, [VPC, replace(VPC, id="vpc-2")], "us-east-1")
    assert isinstance(none, Fault)
    assert none.path == "bluegreen:vpc.tags"
    assert "no VPC with the tags env=prod" in none.message
    assert isinstance(several, Fault)
    assert "vpc-00000001, vpc-2 are all VPCs with the tags env=prod" in several.message


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"vpc": {"id": "vpc-1"}}, r"vpc\.id: 'vpc-1' is not the id of a VPC"),
        ({"vpc": {"id": "vpc-00000001", "tags": {"a": "b"}}}, "vpc: has both id and tags"),
        ({"vpc": {"publicSubnets": ["subnet-00000001"]}}, "vpc: should have id or tags"),
        ({"vpc": {"id": "vpc-00000001", "privateSubnets": ["x"]}}, r"vpc\.privateSubnets: 'x' is not the id of a"),
        ({"vpc": {"id": "vpc-00000001"}, "ipv6": True}, "ipv6: is for a VPC of the stack's own"),
        ({"vpc": {"id": "vpc-00000001"}, "flowLogs": {"days": 1}}, "flowLogs: is for a VPC of the stack's own"),
        ({"zoneNames": ["us-east-1a"]}, "zoneNames: names 1 zones, and zones says 2"),
        ({"zoneNames": ["a", "b"]}, "zoneNames: 'a' is not the name of an availability zone"),
    ],
)
def test_settings_that_can_not_be_are_refused_with_their_path(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=f"bluegreen:{fault}"):
        Settings.parse(config)


def test_in_an_existing_vpc_no_addresses_are_planned() -> None:
    settings = Settings.parse({"vpc": {"id": "vpc-00000001"}, "vpcCidr": "10.0.0.0/24", "maxSize": 500})
    assert settings.preview_sources == ()


def test_where_a_load_balancer_is_there_already_its_zones_count_and_public_subnets_do_not() -> None:
    there = Needs(balancer_zones=frozenset({"us-east-1a", "us-east-1b"}))
    assert faults(PRIVATE, there) == {}
    astray = Needs(balancer_zones=frozenset({"us-east-1a"}))
    assert "some in us-east-1b, where the load balancer" in faults(PRIVATE, astray)["bluegreen:vpc.privateSubnets"]


def test_an_internal_load_balancer_needs_no_public_subnets_and_room_in_the_private_ones() -> None:
    inside = Needs(is_internal=True)
    assert faults(PRIVATE, inside) == {}
    assert faults(GOOD, inside) == {}
    full = tuple(replace(it, free_addresses=7) for it in PRIVATE)
    assert "7 free addresses, and a load balancer needs 8" in faults(full, inside)["bluegreen:vpc.privateSubnets"]
    second = replace(PRIVATE[0], id="subnet-0000000e")
    twice = faults((*PRIVATE, second), inside)["bluegreen:vpc.privateSubnets"]
    assert "a load balancer takes one of a zone" in twice
