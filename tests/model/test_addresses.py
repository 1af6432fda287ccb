"""The address plan: subnets that fit, and never move."""

from __future__ import annotations

import ipaddress
import itertools

import pytest

from bluegreen.model.addresses import AddressPlan, AddressPlanError

SIZES = [(prefix, zones) for prefix in range(16, 25) for zones in range(2, 7) if prefix < 24 or zones <= 4]


@pytest.mark.parametrize(("prefix", "zones"), SIZES)
def test_subnets_lie_in_the_vpc_and_never_overlap(prefix: int, zones: int) -> None:
    plan = AddressPlan(vpc_cidr=f"10.0.0.0/{prefix}", zones=zones)
    subnets = [ipaddress.ip_network(cidr) for cidr in plan.public + plan.private]
    assert len(subnets) == 2 * zones
    assert all(subnet.subnet_of(ipaddress.ip_network(plan.vpc_cidr)) for subnet in subnets)  # type: ignore[arg-type]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(subnets, 2))


@pytest.mark.parametrize(("prefix", "zones"), SIZES)
def test_every_public_subnet_can_hold_a_load_balancer(prefix: int, zones: int) -> None:
    plan = AddressPlan(vpc_cidr=f"10.0.0.0/{prefix}", zones=zones)
    assert all(ipaddress.ip_network(cidr).prefixlen <= 27 for cidr in plan.public)


@pytest.mark.parametrize("prefix", range(16, 24))
def test_a_stack_that_gains_a_zone_keeps_its_subnets(prefix: int) -> None:
    plans = [AddressPlan(vpc_cidr=f"10.0.0.0/{prefix}", zones=zones) for zones in range(2, 7)]
    for before, after in itertools.pairwise(plans):
        assert after.public[: before.zones] == before.public
        assert after.private[: before.zones] == before.private


@pytest.mark.parametrize("prefix", range(25, 29))
def test_a_vpc_that_is_too_small_is_refused(prefix: int) -> None:
    with pytest.raises(AddressPlanError, match="too small"):
        AddressPlan(vpc_cidr=f"10.0.0.0/{prefix}", zones=2)


def test_a_vpc_that_is_too_small_for_its_zones_is_refused() -> None:
    with pytest.raises(AddressPlanError, match="too small for 5 zones"):
        AddressPlan(vpc_cidr="10.0.0.0/24", zones=5)


def test_a_vpc_larger_than_aws_takes_is_refused() -> None:
    with pytest.raises(AddressPlanError, match="too large"):
        AddressPlan(vpc_cidr="10.0.0.0/15", zones=2)


@pytest.mark.parametrize(
    "cidr", ["0.0.0.0/16", "127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/16", "239.255.0.0/16", "240.0.0.0/20"]
)
def test_a_vpc_of_addresses_that_no_machine_can_have_is_refused(cidr: str) -> None:
    with pytest.raises(AddressPlanError, match="no machine can have"):
        AddressPlan(vpc_cidr=cidr, zones=2)


@pytest.mark.parametrize("cidr", ["10.255.0.0/16", "100.64.0.0/16", "223.255.0.0/16", "1.0.0.0/16"])
def test_a_vpc_may_have_addresses_that_are_private_to_nobody(cidr: str) -> None:
    assert AddressPlan(vpc_cidr=cidr, zones=2).public


def test_addresses_that_aws_keeps_are_not_counted() -> None:
    assert AddressPlan(vpc_cidr="10.0.0.0/24", zones=2).private_addresses == 2 * (32 - 5)
