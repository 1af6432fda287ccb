"""The server groups that should exist now, each with a role, a weight and a capacity: `Fleet`. Pure.

A fleet that must not be can't be built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bluegreen.errors import Fault, SettingsError
from bluegreen.model.release import Release
from bluegreen.model.settings import CandidateConfig, FleetConfig, Settings, StandbyConfig, StandbySize

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

    @property
    def is_zero(self) -> bool:
        return self.maximum == 0

    def starting_at(self, live_desired: int | None) -> int:
        """The number to launch: what the active group runs at now, within the bounds; `desired` where none runs."""
        if live_desired is None:
            return self.desired
        return max(self.minimum, min(live_desired, self.maximum))


NO_MACHINES = Capacity(minimum=0, maximum=0, desired=0)
"""What a standby has that is kept for its settings alone."""


@dataclass(frozen=True, kw_only=True)
class ServerGroupPlan:
    """One server group that should exist."""

    release: Release
    role: Role
    weight: int  # percent of the traffic
    capacity: Capacity

    @property
    def is_way_back(self) -> bool:
        """Whether it may have to take all of the traffic at once: a listener names it, without weight, so that its
        health is known."""
        return self.role is not Role.CANDIDATE and not self.capacity.is_zero

    @property
    def may_scale_in(self) -> bool:
        """An idle candidate or standby would shrink; so would a group that shares the traffic, when it is to take all
        of it soon."""
        return self.role is Role.ACTIVE and self.weight == ALL_TRAFFIC

    def as_record(self) -> dict[str, Any]:
        """Plain data for the stack's outputs."""
        return {
            "role": self.role.value,
            "weight": self.weight,
            "capacity": dataclasses.asdict(self.capacity),
            "release": self.release.as_record(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ServerGroupPlan:
        """The plan that `as_record` described. Raises ValueError where that was changed."""
        return cls(
            release=Release.from_record(record["release"]),
            role=Role(record["role"]),
            weight=record["weight"],
            capacity=Capacity(**record["capacity"]),
        )


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
        """The fleet that a stack's config describes.

        With only `ami` set: one active group with all of the traffic. What else there is, `fleet` says. A release other
        than the one that `fleet` was written for takes all of the traffic at once, and keeps the standbys; while a
        rollout is open it may only be the candidate.

        Raises SettingsError where `ami` is unset, where a rollout is open and the settings mean a third release, or
        where `fleet` was changed by hand.
        """
        config = settings.fleet
        meant = Release.from_settings(settings)
        candidate = _release(config.candidate.release, "candidate.release") if config.candidate else None
        is_as_written = config.basis in ("", meant.version)
        if candidate and not is_as_written and meant.version != candidate.version:
            message = (
                f"a rollout of release {candidate.version} is open, and these settings mean release {meant.version}, "
                "which is neither that nor the active one. End it first: `bluegreen promote` or `bluegreen abort`"
            )
            raise SettingsError([Fault("bluegreen:ami", message)])
        active = _release(config.active, "active") if config.active and is_as_written else meant
        share = config.candidate.weight if config.candidate and is_as_written else 0
        groups = [
            ServerGroupPlan(
                release=active, role=Role.ACTIVE, weight=ALL_TRAFFIC - share, capacity=full_capacity(settings)
            )
        ]
        if candidate and is_as_written:
            groups.append(
                ServerGroupPlan(release=candidate, role=Role.CANDIDATE, weight=share, capacity=full_capacity(settings))
            )
        for number, standby in enumerate(config.standbys):
            release = _release(standby.release, f"standbys[{number}].release")
            if release.version not in {group.release.version for group in groups}:
                groups.append(
                    ServerGroupPlan(
                        release=release,
                        role=Role.STANDBY,
                        weight=0,
                        capacity=NO_MACHINES if standby.size is StandbySize.ZERO else full_capacity(settings),
                    )
                )
        try:
            fleet = cls(tuple(groups))
        except ValueError as error:
            raise SettingsError([Fault("bluegreen:fleet", str(error))]) from error
        if fault := _stickiness_fault(fleet, settings) or _kind_fault(fleet, settings):
            raise SettingsError([fault])
        return fleet

    def as_config(self, *, serial: int, basis: Release, seen_healthy: Iterable[str] = ()) -> FleetConfig:
        """What `fleet` in the config has to be, for this fleet to come of it. `basis`: what the settings mean.

        `seen_healthy`: versions of releases that need no proof again; those that are not of this fleet are left out.
        """
        return FleetConfig(
            serial=serial,
            seen_healthy=tuple(sorted({group.release.version for group in self.groups}.intersection(seen_healthy))),
            basis=basis.version,
            active=None if self.active.release == basis else self.active.release.as_record(),
            candidate=CandidateConfig(release=self.candidate.release.as_record(), weight=self.candidate.weight)
            if self.candidate
            else None,
            standbys=tuple(
                StandbyConfig(release=group.release.as_record(), size=_size(group)) for group in self.standbys
            ),
        )

    def as_record(self, *, serial: int) -> dict[str, Any]:
        """Plain data for the stack's outputs."""
        return {"serial": serial, "groups": [group.as_record() for group in self.groups]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Fleet:
        """The fleet that `as_record` described. Raises ValueError where that was changed."""
        return cls(tuple(ServerGroupPlan.from_record(group) for group in record["groups"]))

    @property
    def active(self) -> ServerGroupPlan:
        return next(group for group in self.groups if group.role is Role.ACTIVE)

    @property
    def candidate(self) -> ServerGroupPlan | None:
        return next((group for group in self.groups if group.role is Role.CANDIDATE), None)

    @property
    def standbys(self) -> tuple[ServerGroupPlan, ...]:
        return tuple(group for group in self.groups if group.role is Role.STANDBY)

    @property
    def shares(self) -> list[tuple[Role, int, str]]:
        """What it is but for the machines: role, weight and release of each group."""
        return [(group.role, group.weight, group.release.version) for group in self.groups]

    @property
    def previewed(self) -> ServerGroupPlan:
        """What the preview listener shows: the candidate where there is one, else the active group."""
        return self.candidate or self.active

    def listed(self, *, is_sticky: bool) -> list[tuple[ServerGroupPlan, int]]:
        """What the production listener forwards to, with weights.

        What may have to take the traffic at once is named too, without weight. Not with group stickiness: sticky
        clients ignore weights, and would stay with a group that is to lose its machines.
        """
        return [(group, group.weight) for group in self.groups if group.weight or (group.is_way_back and not is_sticky)]

    def shown(self, *, is_sticky: bool) -> list[tuple[ServerGroupPlan, int]]:
        """What the preview listener forwards to, with weights; it names what else is a way back, so that its health is
        known."""
        listed = {group.release.version for group, _ in self.listed(is_sticky=is_sticky)}
        watched = [
            (group, 0)
            for group in self.groups
            if group.is_way_back and group.release.version not in listed and group is not self.previewed
        ]
        return [(self.previewed, 1), *watched]

    def group_of(self, version: str) -> ServerGroupPlan | None:
        """The server group of a release."""
        return next((group for group in self.groups if group.release.version == version), None)


def _stickiness_fault(fleet: Fleet, settings: Settings) -> Fault | None:
    """A release keeps the stickiness that it was made with, whatever the settings say today."""
    if settings.group_stickiness_seconds:
        return None
    listed = [group for group, _ in fleet.listed(is_sticky=False)]
    sticky = [group.release.version for group in listed if group.release.target.stickiness_seconds]
    if len(listed) > 1 and sticky:
        message = (
            f"0, while release {sticky[0]} sticks clients to its machines and shares the listener with another: AWS "
            "refuses that. Keep groupStickinessSeconds until that release is gone"
        )
        return Fault("bluegreen:groupStickinessSeconds", message)
    return None


def _kind_fault(fleet: Fleet, settings: Settings) -> Fault | None:
    """A target group is for one kind of load balancer."""
    for group in fleet.groups:
        if group.release.target.is_network is not settings.is_network:
            message = (
                f"is {settings.load_balancer}, and release {group.release.version} was made for the other kind of load "
                "balancer: its target group can't be behind this one. Set it back, or make another stack with it, and "
                "deploy the image there"
            )
            return Fault("bluegreen:loadBalancer", message)
    return None


def _size(group: ServerGroupPlan) -> StandbySize:
    if group.capacity.is_zero:
        return StandbySize.ZERO
    return StandbySize.FULL


def check_serial(config: FleetConfig, last: Mapping[str, Any]) -> None:
    """Raise SettingsError where `config` is older than the one that `last`, the stack's output `fleet`, came from."""
    serial = int(last.get("serial", 0))
    if config.serial < serial:
        message = (
            f"is of serial {config.serial}, and the stack's last update was of {serial}: this config is older than "
            "what runs. Run `pulumi config refresh`, which takes that update's config, then change what you meant to"
        )
        raise SettingsError([Fault("bluegreen:fleet", message)])


def full_capacity(settings: Settings) -> Capacity:
    """What a server group has that serves, or is about to."""
    # The engine fills in the default of a key that is unset, so a number out of bounds may be nobody's choice.
    desired = max(settings.min_size, min(settings.desired_capacity, settings.max_size))
    return Capacity(minimum=settings.min_size, maximum=settings.max_size, desired=desired)


def _release(record: Mapping[str, Any], path: str) -> Release:
    try:
        return Release.from_record(record)
    except (ValueError, KeyError, TypeError) as error:
        message = f"is not a release's record ({error!r}); it is written by the bluegreen command, not by hand"
        raise SettingsError([Fault(f"bluegreen:fleet.{path}", message)]) from error
