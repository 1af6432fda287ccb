"""The server groups that should exist now, each with a role, a weight and a capacity: `Fleet`. Pure.

A fleet that must not be can't be built.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

MOST_GROUPS = 5
"""Target groups in one forward action of an Application Load Balancer (ELB quota)."""
ALL_TRAFFIC = 100


class Role(StrEnum):
    """What a server group is for."""

    ACTIVE = "active"
    CANDIDATE = "candidate"
    STANDBY = "standby"


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Machines: the bounds that the program declares, and the number to start with where nothing is known."""

    minimum: int
    maximum: int
    desired: int

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.desired <= self.maximum:
            raise ValueError(f"{self} should rise from minimum over desired to maximum")

    def starting_at(self, live_desired: int | None) -> int:
        """The number to launch: what the active group runs at now, within the bounds; `desired` where none runs."""
        if live_desired is None:
            return self.desired
        return max(self.minimum, min(live_desired, self.maximum))


@dataclass(frozen=True, kw_only=True)
class ServerGroupPlan:
    """One server group that should exist."""

    release: Release
    role: Role
    weight: int  # percent of the traffic
    capacity: Capacity


@dataclass(frozen=True)
class Fleet:
    """Server groups that share the traffic of one service. Raises ValueError for a fleet that must not be."""

    groups: tuple[ServerGroupPlan, ...]

    def __post_init__(self) -> None:
        if sum(group.role is Role.ACTIVE for group in self.groups) != 1:
            raise ValueError("a fleet has one active server group")
        if sum(group.role is Role.CANDIDATE for group in self.groups) > 1:
            raise ValueError("a fleet has at most one candidate")
        if len(self.groups) > MOST_GROUPS:
            raise ValueError(f"a listener forwards to at most {MOST_GROUPS} server groups, not {len(self.groups)}")
        if len({group.release.version for group in self.groups}) != len(self.groups):
            raise ValueError("a release has one server group")
        if len({group.release.service for group in self.groups}) != 1:
            raise ValueError("a fleet serves one service")
        if any(group.weight < 0 for group in self.groups) or sum(group.weight for group in self.groups) != ALL_TRAFFIC:
            raise ValueError(f"the weights of a fleet sum to {ALL_TRAFFIC}")

    @classmethod
    def from_settings(cls, settings: Settings) -> Fleet:
        """With only `ami` set: one active group with all of the traffic. Raises SettingsError where it is unset."""
        # The engine fills in the default of a key that is unset, so a number out of bounds may be nobody's choice.
        desired = max(settings.min_size, min(settings.desired_capacity, settings.max_size))
        capacity = Capacity(minimum=settings.min_size, maximum=settings.max_size, desired=desired)
        release = Release.from_settings(settings)
        return cls((ServerGroupPlan(release=release, role=Role.ACTIVE, weight=ALL_TRAFFIC, capacity=capacity),))

    @property
    def active(self) -> ServerGroupPlan:
        return next(group for group in self.groups if group.role is Role.ACTIVE)

    @property
    def previewed(self) -> ServerGroupPlan:
        """What the preview listener shows: the candidate where there is one, else the active group."""
        return next((group for group in self.groups if group.role is Role.CANDIDATE), self.active)
