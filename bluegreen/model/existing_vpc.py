"""A VPC that was there before the stack: which, which of its subnets, and whether a service can live there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, model_validator

from bluegreen.errors import Fault
from bluegreen.model.observation import Subnet, Vpc, WayOut
from bluegreen.model.schema import ConfigModel, refusal

PATH = "bluegreen:vpc"
FEWEST_ZONES = 2
"""AWS: an Application Load Balancer has subnets in two zones at the least."""
BALANCER_ADDRESSES = 8
"""AWS: so many must be free in each of its subnets."""


def _id(value: str) -> str:
    if value and not re.fullmatch(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})", value):
        raise refusal(f"{value!r} is not the id of a VPC; ids look like vpc-0123456789abcdef0")
    return value


def _subnets(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        if not re.fullmatch(r"subnet-([0-9a-f]{8}|[0-9a-f]{17})", each):
            raise refusal(f"{each!r} is not the id of a subnet; ids look like subnet-0123456789abcdef0")
    if twice := sorted({each for each in value if value.count(each) > 1}):
        raise refusal(f"names {', '.join(twice)} twice")
    return value


Subnets = Annotated[tuple[str, ...], AfterValidator(_subnets)]


class ExistingVpc(ConfigModel):
    """By `id` or by `tags`; with neither, the stack makes one of its own.

    Subnets are named by id, or by their tags; where nothing is said, those are public whose routes lead to an internet
    gateway, and the others private.
    """

    id: Annotated[str, AfterValidator(_id)] = ""
    tags: dict[str, str] = {}
    public_subnets: Subnets = ()
    private_subnets: Subnets = ()
    public_subnet_tags: dict[str, str] = {}
    private_subnet_tags: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_way(self) -> ExistingVpc:
        if self.id and self.tags:
            raise refusal("has both id and tags; one of them says which VPC it is")
        if self.public_subnets and self.public_subnet_tags:
            raise refusal("has both publicSubnets and publicSubnetTags; one of them says which they are")
        if self.private_subnets and self.private_subnet_tags:
            raise refusal("has both privateSubnets and privateSubnetTags; one of them says which they are")
        if not self.is_set and self.model_fields_set and self != type(self)():
            raise refusal("should have id or tags, which say whose subnets are meant")
        return self

    @property
    def is_set(self) -> bool:
        return bool(self.id or self.tags)

    @property
    def description(self) -> str:
        return self.id or "with the tags " + ", ".join(f"{key}={value}" for key, value in sorted(self.tags.items()))


OWN = ExistingVpc()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in an existing VPC a stack lives: load balancers in the public subnets, machines in the private ones."""

    vpc: Vpc
    public: tuple[Subnet, ...]
    private: tuple[Subnet, ...]

    @property
    def free_addresses(self) -> int:
        """Of the private subnets."""
        return sum(subnet.free_addresses for subnet in self.private)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a service asks of an existing VPC. `addresses`: how many more its machines take, `whose` they are in words.
    `balancer_zones`: of a load balancer that is there already; None where one is made, in the public subnets, or in the
    private ones where it `is_internal`."""

    has_way_out: bool = True
    addresses: int = 0
    whose: str = "the machines of two fleets of maxSize"
    balancer_zones: frozenset[str] | None = None
    is_internal: bool = False


def the_one(wanted: ExistingVpc, found: Sequence[Vpc], region: str) -> Vpc | Fault:
    """The VPC that is meant."""
    if len(found) == 1:
        return found[0]
    key = f"{PATH}.id" if wanted.id else f"{PATH}.tags"
    if not found:
        return Fault(key, f"{region} has no VPC {wanted.description}, or this account may not use it")
    several = ", ".join(sorted(vpc.id for vpc in found))
    return Fault(key, f"{several} are all VPCs {wanted.description}; name one by its id")


def place_in(wanted: ExistingVpc, vpc: Vpc, subnets: Sequence[Subnet]) -> Place:
    """The subnets that are meant, in the order of their ids."""
    ordered = sorted(subnets, key=lambda subnet: subnet.id)

    def chosen(ids: tuple[str, ...], tags: Mapping[str, str], *, is_public: bool) -> tuple[Subnet, ...]:
        if ids:
            return tuple(subnet for subnet in ordered if subnet.id in ids)
        if tags:
            return tuple(subnet for subnet in ordered if tags.items() <= subnet.tags.items())
        return tuple(it for it in ordered if (it.way_out is WayOut.INTERNET_GATEWAY) is is_public)

    return Place(
        vpc=vpc,
        public=chosen(wanted.public_subnets, wanted.public_subnet_tags, is_public=True),
        private=chosen(wanted.private_subnets, wanted.private_subnet_tags, is_public=False),
    )


def faults_of(wanted: ExistingVpc, place: Place, needs: Needs) -> Iterator[Fault]:
    """What keeps a service from living there, each with what to do about it."""
    there = {subnet.id for subnet in (*place.public, *place.private)}
    for key, ids in (("publicSubnets", wanted.public_subnets), ("privateSubnets", wanted.private_subnets)):
        if absent := [each for each in ids if each not in there]:
            yield Fault(f"{PATH}.{key}", f"{', '.join(absent)}: no such subnet in {place.vpc.id}")
    if needs.balancer_zones is None and needs.is_internal:
        yield from _faults_for_balancer(f"{PATH}.privateSubnets", place.private)
    elif needs.balancer_zones is None:
        yield from _faults_of_public(place)
    yield from _faults_of_private(place, needs)


def _faults_of_public(place: Place) -> Iterator[Fault]:
    key, subnets = f"{PATH}.publicSubnets", place.public
    yield from _too_few_zones(key, "public", place.vpc.id, subnets)
    for subnet in subnets:
        if subnet.way_out is not WayOut.INTERNET_GATEWAY:
            yield Fault(
                key, f"{subnet.id} has no route to an internet gateway: nobody would reach a load balancer in it"
            )
    yield from _faults_for_balancer(key, subnets)


def _faults_for_balancer(key: str, subnets: Sequence[Subnet]) -> Iterator[Fault]:
    zones = [subnet.zone for subnet in subnets]
    for zone in sorted({zone for zone in zones if zones.count(zone) > 1}):
        several = ", ".join(subnet.id for subnet in subnets if subnet.zone == zone)
        yield Fault(key, f"{several} are all in {zone}, and a load balancer takes one of a zone: name those to take")
    for subnet in subnets:
        if (free := subnet.free_addresses) < BALANCER_ADDRESSES:
            yield Fault(key, f"{subnet.id} has {free} free addresses, and a load balancer needs {BALANCER_ADDRESSES}")


def _faults_of_private(place: Place, needs: Needs) -> Iterator[Fault]:
    key, subnets = f"{PATH}.privateSubnets", place.private
    yield from _too_few_zones(key, "private", place.vpc.id, subnets)
    balancers = place.private if needs.is_internal else place.public
    reached = {it.zone for it in balancers} if needs.balancer_zones is None else needs.balancer_zones
    if reached and (astray := sorted({it.zone for it in subnets} - reached)):
        yield Fault(
            key, f"there are some in {', '.join(astray)}, where the load balancer has no subnet and sends no requests"
        )
    for subnet in subnets if needs.has_way_out else ():
        if subnet.way_out is WayOut.NONE:
            yield Fault(
                key, f"{subnet.id} has no route to the internet; add one, or set `nat` to none if it needs none"
            )
        elif subnet.way_out is WayOut.INTERNET_GATEWAY:
            yield Fault(
                key,
                f"{subnet.id} leads to an internet gateway, which machines without a public address can't use; name "
                "others, or set `nat` to none if no way out is needed",
            )
    if subnets and place.free_addresses < needs.addresses:
        yield Fault(
            key,
            f"they have {place.free_addresses} free addresses, and {needs.whose} need {needs.addresses} more; "
            "name more subnets, or lower maxSize",
        )


def _too_few_zones(key: str, kind: str, vpc: str, subnets: Sequence[Subnet]) -> Iterator[Fault]:
    zones = sorted({subnet.zone for subnet in subnets})
    if len(zones) < FEWEST_ZONES:
        where = f"in {zones[0]} alone" if zones else "nowhere"
        yield Fault(key, f"{vpc} has {kind} subnets {where}, and {FEWEST_ZONES} zones are needed")
