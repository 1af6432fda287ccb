"""Asks AWS what there is of a stateful tier, before anything of it is declared. The rules are in
`bluegreen.model.stateful`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from bluegreen.errors import TierError
from bluegreen.model.observation import DataVolume, Subnet, Vpc
from bluegreen.model.stateful import Member, faults
from bluegreen.model.tags import TIER, Owner


class Sight(Protocol):
    """What is asked; `bluegreen.aws.observe.Observer` answers."""

    def volumes(self, tags: Mapping[str, str], ids: Collection[str] = ()) -> tuple[DataVolume, ...]: ...
    def vpcs(self, *, vpc_id: str = "", tags: Mapping[str, str] | None = None) -> tuple[Vpc, ...]: ...
    def subnets(self, vpc: str) -> tuple[Subnet, ...]: ...


def check_tier(
    sight: Sight,
    owner: Owner,
    tier: str,
    members: Sequence[Member],
    *,
    cidrs: Sequence[str],
    zones: Mapping[str, str],
    renew: Sequence[str],
) -> None:
    """One call, two where members name volumes, three more for a network of the stack's own that is there.

    `zones`: of the subnets of an existing VPC, by CIDR. Raises TierError, AwsError.
    """
    adopted = [member.volume for member in members if member.volume]
    volumes = sight.volumes({**owner.tags, TIER: tier}, adopted)
    if volumes and not zones:
        own = sight.vpcs(tags=owner.tags)
        zones = {subnet.cidr: subnet.zone for vpc in own for subnet in sight.subnets(vpc.id)}
    if found := list(faults(members, cidrs=cidrs, zones=zones, volumes=volumes, renew=renew)):
        raise TierError(tier, found)
