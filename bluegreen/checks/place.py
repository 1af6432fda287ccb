"""Asks AWS about a VPC that was there before the stack. The rules are in `bluegreen.model.existing_vpc`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bluegreen.errors import Fault, SettingsError
from bluegreen.model.existing_vpc import ExistingVpc, Place, place_in, the_one
from bluegreen.model.observation import Subnet, Vpc


class Sight(Protocol):
    """What is asked; `bluegreen.aws.observe.Observer` answers."""

    @property
    def region(self) -> str: ...
    def vpcs(self, *, vpc_id: str = "", tags: Mapping[str, str] | None = None) -> tuple[Vpc, ...]: ...
    def subnets(self, vpc: str) -> tuple[Subnet, ...]: ...


def find_place(sight: Sight, wanted: ExistingVpc) -> Place:
    """Three calls. Raises SettingsError where there is no such VPC, or more than one; AwsError."""
    vpc = the_one(wanted, sight.vpcs(vpc_id=wanted.id, tags=wanted.tags), sight.region)
    if isinstance(vpc, Fault):
        raise SettingsError([vpc])
    return place_in(wanted, vpc, sight.subnets(vpc.id))
