"""The fleet: one that must not be can't be built."""

from __future__ import annotations

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.fleet import Capacity, Fleet, Role, ServerGroupPlan
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

CAPACITY = Capacity(minimum=2, maximum=6, desired=2)


def plan(number: int, role: Role = Role.STANDBY, weight: int = 0, service: str = "web") -> ServerGroupPlan:
    release = Release.from_settings(Settings.parse({"ami": f"ami-{number:08x}", "service": service}))
    return ServerGroupPlan(release=release, role=role, weight=weight, capacity=CAPACITY)


ACTIVE = plan(1, Role.ACTIVE, 100)


def test_with_only_an_image_set_the_fleet_is_one_active_group_with_all_traffic() -> None:
    fleet = Fleet.from_settings(Settings.parse({"ami": "ami-00000001", "minSize": "1", "desiredCapacity": "3"}))
    assert fleet.active.weight == 100
    assert fleet.active.capacity == Capacity(minimum=1, maximum=6, desired=3)
    assert fleet.previewed is fleet.active


@pytest.mark.parametrize(("desired", "starts"), [("1", 2), ("4", 4), ("9", 6)])
def test_the_first_group_starts_within_the_bounds(desired: str, starts: int) -> None:
    settings = Settings.parse({"ami": "ami-00000001", "desiredCapacity": desired})
    assert Fleet.from_settings(settings).active.capacity.desired == starts


def test_without_an_image_there_is_no_fleet() -> None:
    with pytest.raises(SettingsError):
        Fleet.from_settings(Settings.parse({}))


def test_the_preview_listener_shows_the_candidate() -> None:
    candidate = plan(2, Role.CANDIDATE)
    assert Fleet((ACTIVE, candidate)).previewed is candidate


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ((), "one active"),
        ((plan(1, Role.CANDIDATE, 100),), "one active"),
        ((plan(1, Role.ACTIVE, 50), plan(2, Role.ACTIVE, 50)), "one active"),
        ((ACTIVE, plan(2, Role.CANDIDATE), plan(3, Role.CANDIDATE)), "one candidate"),
        ((ACTIVE, *(plan(number) for number in range(2, 7))), "at most 5"),
        ((ACTIVE, plan(1)), "a release has one"),
        ((ACTIVE, plan(2, service="api")), "one service"),
        ((plan(1, Role.ACTIVE, 90),), "sum to 100"),
        ((ACTIVE, plan(2, weight=1)), "sum to 100"),
        ((plan(1, Role.ACTIVE, 110), plan(2, weight=-10)), "sum to 100"),
    ],
)
def test_a_fleet_that_must_not_be_can_not_be_built(groups: tuple[ServerGroupPlan, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Fleet(groups)


@pytest.mark.parametrize(("live", "starts"), [(None, 2), (0, 2), (1, 2), (2, 2), (4, 4), (6, 6), (9, 6)])
def test_a_candidate_starts_at_what_the_active_group_runs_at_within_the_bounds(live: int | None, starts: int) -> None:
    assert CAPACITY.starting_at(live) == starts


@pytest.mark.parametrize(("minimum", "desired", "maximum"), [(3, 2, 6), (2, 7, 6), (-1, 2, 6)])
def test_a_capacity_rises_from_minimum_to_maximum(minimum: int, desired: int, maximum: int) -> None:
    with pytest.raises(ValueError, match="should rise"):
        Capacity(minimum=minimum, maximum=maximum, desired=desired)
