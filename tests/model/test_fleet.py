"""The fleet: one that must not be can't be built."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.fleet import NO_MACHINES, Capacity, Fleet, Role, ServerGroupPlan
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings, StandbySize

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


# -- who is named by the listener


def at_zero(number: int) -> ServerGroupPlan:
    return dataclasses.replace(plan(number), capacity=NO_MACHINES)


def versions(forwards: list[tuple[ServerGroupPlan, int]]) -> dict[str, int]:
    return {group.release.image[-1]: weight for group, weight in forwards}


MIXED = Fleet((plan(1, Role.ACTIVE, 70), plan(2, Role.CANDIDATE, 30), plan(3), at_zero(4)))


def test_the_production_listener_names_who_has_traffic_or_may_have_it_back_at_once() -> None:
    assert versions(MIXED.listed(is_sticky=False)) == {"1": 70, "2": 30, "3": 0}
    assert versions(MIXED.shown(is_sticky=False)) == {"2": 1}


def test_with_sticky_clients_it_names_none_without_traffic_and_the_preview_keeps_an_eye_on_those() -> None:
    """Sticky clients ignore weights: they would stay with a group that is to lose its machines."""
    assert versions(MIXED.listed(is_sticky=True)) == {"1": 70, "2": 30}
    assert versions(MIXED.shown(is_sticky=True)) == {"2": 1, "3": 0}
    settled = Fleet((ACTIVE, plan(3), at_zero(4)))
    assert versions(settled.listed(is_sticky=True)) == {"1": 100}
    assert versions(settled.shown(is_sticky=True)) == {"1": 1, "3": 0}


def test_a_candidate_without_traffic_is_shown_and_not_listed() -> None:
    fleet = Fleet((ACTIVE, plan(2, Role.CANDIDATE, 0)))
    for is_sticky in (False, True):
        assert versions(fleet.listed(is_sticky=is_sticky)) == {"1": 100}
        assert versions(fleet.shown(is_sticky=is_sticky)) == {"2": 1}


def test_a_candidate_may_have_all_of_the_traffic_while_the_active_group_stays_the_way_back() -> None:
    fleet = Fleet((plan(1, Role.ACTIVE, 0), plan(2, Role.CANDIDATE, 100)))
    assert versions(fleet.listed(is_sticky=False)) == {"1": 0, "2": 100}
    assert versions(fleet.shown(is_sticky=True)) == {"2": 1, "1": 0}
    assert not any(group.may_scale_in for group in fleet.groups)


def test_only_a_sole_active_group_may_shrink() -> None:
    assert ACTIVE.may_scale_in
    for group in (plan(1, Role.ACTIVE, 95), plan(2, Role.CANDIDATE, 100), plan(3)):
        assert not group.may_scale_in


def test_a_standby_at_zero_survives_config_and_outputs_and_is_not_taken_for_one_at_full_size() -> None:
    settings = Settings.parse({"ami": "ami-00000001"})
    fleet = Fleet((ACTIVE, at_zero(3), plan(4)))
    config = fleet.as_config(serial=1, basis=ACTIVE.release)
    assert [standby.size for standby in config.standbys] == [StandbySize.ZERO, StandbySize.FULL]
    assert Fleet.from_settings(settings.model_copy(update={"fleet": config})) == fleet
    record = json.loads(json.dumps(fleet.as_record(serial=1)))
    assert Fleet.from_record(record) == fleet


def test_a_candidate_with_all_of_the_traffic_survives_the_config() -> None:
    settings = Settings.parse({"ami": "ami-00000001"})
    fleet = Fleet((plan(1, Role.ACTIVE, 0), plan(2, Role.CANDIDATE, 100)))
    config = fleet.as_config(serial=1, basis=ACTIVE.release)
    assert Fleet.from_settings(settings.model_copy(update={"fleet": config})) == fleet


@pytest.mark.parametrize("weight", [101, -1])
def test_a_weight_of_a_candidate_is_a_percentage(weight: int) -> None:
    record = plan(2).release.as_record()
    with pytest.raises(SettingsError, match=r"bluegreen:fleet\.candidate\.weight"):
        Settings.parse({"ami": "ami-00000001", "fleet": {"candidate": {"release": record, "weight": weight}}})


# -- who needs no proof again


def test_the_config_says_which_of_its_releases_were_seen_healthy_and_forgets_all_others() -> None:
    fleet = Fleet((ACTIVE, plan(2)))
    one, two, gone = (plan(number).release.version for number in (1, 2, 3))
    config = fleet.as_config(serial=1, basis=ACTIVE.release, seen_healthy={two, gone, one})
    assert config.seen_healthy == tuple(sorted((one, two)))
    assert fleet.as_config(serial=1, basis=ACTIVE.release, seen_healthy={gone}).seen_healthy == ()
    assert fleet.as_config(serial=1, basis=ACTIVE.release).seen_healthy == (), "none unless somebody says so"


def test_who_was_seen_healthy_survives_being_written_as_text() -> None:
    fleet = Fleet((ACTIVE, plan(2)))
    config = fleet.as_config(serial=1, basis=ACTIVE.release, seen_healthy={ACTIVE.release.version})
    text = config.model_dump_json(by_alias=True, exclude_none=True)
    assert json.loads(text)["seenHealthy"] == [ACTIVE.release.version]
    assert Settings.parse({"ami": "ami-00000001", "fleet": text}).fleet == config


# -- stickiness of a release that was made before


def sticky(number: int, role: Role = Role.STANDBY, weight: int = 0) -> ServerGroupPlan:
    release = Release.from_settings(
        Settings.parse({"ami": f"ami-{number:08x}", "groupStickinessSeconds": "60", "targetStickinessSeconds": "60"})
    )
    return ServerGroupPlan(release=release, role=role, weight=weight, capacity=CAPACITY)


def settings_of(fleet: Fleet, **config: str) -> Settings:
    """Today's, without stickiness to machines, and the fleet that they hold."""
    settings = Settings.parse({"ami": fleet.active.release.image, **config})
    meant = Release.from_settings(settings)
    return settings.model_copy(update={"fleet": fleet.as_config(serial=1, basis=meant)})


@pytest.mark.parametrize(
    "fleet",
    [
        Fleet((ACTIVE, sticky(2))),
        Fleet((plan(1, Role.ACTIVE, 95), sticky(2, Role.CANDIDATE, 5))),
        Fleet((plan(1, Role.ACTIVE, 0), sticky(2, Role.CANDIDATE, 100))),
    ],
)
def test_a_release_that_sticks_clients_to_machines_shares_no_listener_without_stickiness_to_groups(
    fleet: Fleet,
) -> None:
    with pytest.raises(SettingsError, match="bluegreen:groupStickinessSeconds: 0, while release") as caught:
        Fleet.from_settings(settings_of(fleet))
    assert sticky(2).release.version in caught.value.what
    assert Fleet.from_settings(settings_of(fleet, groupStickinessSeconds="60")) == fleet


@pytest.mark.parametrize(
    "fleet",
    [
        Fleet((sticky(1, Role.ACTIVE, 100),)),
        Fleet((ACTIVE, plan(2))),
        Fleet((ACTIVE, sticky(2, Role.CANDIDATE))),
        Fleet((ACTIVE, dataclasses.replace(sticky(2), capacity=NO_MACHINES))),
    ],
)
def test_a_release_that_sticks_clients_and_is_alone_in_its_listener_needs_no_more(fleet: Fleet) -> None:
    assert Fleet.from_settings(settings_of(fleet)) == fleet
