"""The members of a stateful tier: machines that stay, each with a volume and an address that outlive it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field

from bluegreen.errors import Fault
from bluegreen.model.observation import DataVolume
from bluegreen.model.schema import ConfigModel, refusal

DEVICE = "/dev/sdf"
"""What the volume is attached as; the machine may see it under another name (NVMe), and by its volume id."""

_NAME = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
_RESERVED_FIRST, _RESERVED_LAST = 4, 1


def _address(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise refusal(f"{value!r} is not an IPv4 address; one looks like 10.0.128.10") from None


def _volume_id(value: str) -> str:
    if value and not re.fullmatch(r"vol-([0-9a-f]{8}|[0-9a-f]{17})", value):
        raise refusal(f"{value!r} is not the id of a volume; ids look like vol-0123456789abcdef0")
    return value


def _instance_type(value: str) -> str:
    if value and not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", value):
        raise refusal(f"{value!r} is not an instance type; one looks like t3.medium")
    return value


class Member(ConfigModel):
    """A machine, its volume and its address. The address says which subnet, and so which zone, it lives in.

    `role`: what it does, for Ansible. `set`: which members hold the same data; of these, one is renewed at a time.
    `volume`: the id of one that is there, in place of a new one. `is_protected`: whether Pulumi refuses to let go of
    the volume. `instance_type`: the tier's where it is empty.
    """

    name: str = Field(pattern=f"^{_NAME}$")
    address: Annotated[str, AfterValidator(_address)]
    role: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    set: str = Field("", pattern=rf"^({_NAME})?$")
    size_gb: int = Field(ge=1, le=16384)
    iops: int | None = Field(None, ge=3000, le=16000)
    throughput: int | None = Field(None, ge=125, le=1000)
    volume: Annotated[str, AfterValidator(_volume_id)] = ""
    is_protected: bool = True
    instance_type: Annotated[str, AfterValidator(_instance_type)] = ""


def subnet_of(address: str, cidrs: Sequence[str]) -> int | None:
    """Which of the subnets an address is in."""
    return next((at for at, cidr in enumerate(cidrs) if IPv4Address(address) in IPv4Network(cidr)), None)


def faults(
    members: Sequence[Member],
    *,
    cidrs: Sequence[str],
    zones: Mapping[str, str],
    volumes: Sequence[DataVolume],
    renew: Sequence[str] = (),
) -> Iterator[Fault]:
    """What can't be, each with what to do about it.

    `cidrs`: of the network's private subnets, and `zones`: theirs, as far as they are there. `volumes`: those of the
    tier that AWS has, and those that members name.
    """
    yield from _twice(members)
    for at, member in enumerate(members):
        yield from _misplaced(at, member, cidrs)
        yield from _at_odds(at, member, cidrs, zones, volumes, renew)
    yield from _left_out(members, volumes)
    yield from _renewed_together(members, renew)


def _path(at: int, key: str = "") -> str:
    return f"members[{at}].{key}" if key else f"members[{at}]"


def _twice(members: Sequence[Member]) -> Iterator[Fault]:
    for key in ("name", "address", "volume"):
        seen: dict[str, str] = {}
        for at, member in enumerate(members):
            value = getattr(member, key)
            if value and value in seen:
                yield Fault(_path(at, key), f"{value} is that of {seen[value]} too")
            seen.setdefault(value, f"members[{at}]")


def _misplaced(at: int, member: Member, cidrs: Sequence[str]) -> Iterator[Fault]:
    where = subnet_of(member.address, cidrs)
    if where is None:
        there = ", ".join(cidrs)
        yield Fault(_path(at, "address"), f"{member.address} is in none of the network's private subnets: {there}")
        return
    network = IPv4Network(cidrs[where])
    offset = int(IPv4Address(member.address)) - int(network.network_address)
    if offset < _RESERVED_FIRST or offset >= network.num_addresses - _RESERVED_LAST:
        message = f"AWS keeps {member.address} for itself: the first four addresses of {network} and its last one"
        yield Fault(_path(at, "address"), message)


def _at_odds(
    at: int,
    member: Member,
    cidrs: Sequence[str],
    zones: Mapping[str, str],
    volumes: Sequence[DataVolume],
    renew: Sequence[str],
) -> Iterator[Fault]:
    """With the volume that holds its data."""
    if member.volume:
        own = [each for each in volumes if each.id == member.volume]
        if not own:
            yield Fault(_path(at, "volume"), f"the region has no volume {member.volume}")
    else:
        own = [each for each in volumes if each.member == member.name]
    if len(own) > 1:
        several = ", ".join(sorted(each.id for each in own))
        yield Fault(
            _path(at),
            f"{several} are all volumes of {member.name}; name the one with its data as `volume`, or take the tag "
            "bluegreen:member off the others",
        )
        return
    for volume in own:
        where = subnet_of(member.address, cidrs)
        zone = zones.get(cidrs[where]) if where is not None else None
        if zone and zone != volume.zone:
            yield Fault(
                _path(at, "address"),
                f"{member.address} is in {zone}, and the volume {volume.id} in {volume.zone}: a volume stays in its "
                f"zone. Give {member.name} an address there, or make a new member and let the data move to it",
            )
        if member.size_gb < volume.size_gb:
            yield Fault(
                _path(at, "sizeGb"),
                f"{member.size_gb} is less than the {volume.size_gb} GiB of {volume.id}, and a volume never shrinks",
            )
        if volume.address not in ("", member.address) and member.name not in renew:
            yield Fault(
                _path(at, "address"),
                f"{member.name} is at {volume.address}; at another address it is another machine. Set it back, or have "
                f"`renew` name it",
            )


def _left_out(members: Sequence[Member], volumes: Sequence[DataVolume]) -> Iterator[Fault]:
    names, adopted = {member.name for member in members}, {member.volume for member in members}
    for volume in volumes:
        if volume.is_protected and volume.member not in names and volume.id not in adopted:
            yield Fault(
                "members",
                f"{volume.member} is not among them, and its volume {volume.id} ({volume.zone}, {volume.size_gb} GiB) "
                "is protected. Declare it with is_protected=False and deploy; then leave it out. Its machine goes, and "
                "the volume stays in AWS until you delete it there",
            )


def _renewed_together(members: Sequence[Member], renew: Sequence[str]) -> Iterator[Fault]:
    for name in renew:
        if name not in {member.name for member in members}:
            yield Fault("renew", f"there is no member {name}")
    for group in sorted({member.set for member in members if member.set}):
        together = [member.name for member in members if member.set == group and member.name in renew]
        if len(together) > 1:
            yield Fault(
                "renew",
                f"{', '.join(together)} hold the same data ({group}): renew one, see it back among the others, then "
                "the next",
            )
