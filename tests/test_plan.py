"""What a plan says of the machines: as many as run at once, and no fewer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from bluegreen.model.fleet import Fleet
from bluegreen.model.release import Release
from bluegreen.model.rollout import bring_in, retire
from bluegreen.model.settings import Settings
from bluegreen.plan import PlannedResources, after, peak

ONE = Settings.parse({"ami": "ami-00000001"})
TWO = ONE.with_image("ami-00000002")
OLD, NEW = Release.from_settings(ONE), Release.from_settings(TWO)
NOW = Fleet.from_settings(ONE)


def full(machines: int) -> Mapping[str, int]:
    """Of every release."""
    return defaultdict(lambda: machines)


def strategy(**config: object) -> Settings:
    return Settings.parse({"ami": "ami-00000002", **config})


def test_where_nothing_changes_the_peak_is_what_runs() -> None:
    assert sum(peak({OLD.version: 5}, (), full(5)).values()) == 5


def test_a_first_release_needs_its_own_machines() -> None:
    assert sum(peak({}, bring_in(OLD, None, ONE), full(2)).values()) == 2


def test_two_groups_run_side_by_side_in_a_cutover() -> None:
    assert sum(peak({OLD.version: 5}, bring_in(NEW, NOW, TWO), full(5)).values()) == 10


def test_a_canary_has_both_groups_at_full_size_from_its_first_step_on() -> None:
    assert sum(peak({OLD.version: 5}, bring_in(NEW, NOW, strategy(strategy="canary")), full(5)).values()) == 10


def test_a_standby_counts_beside_the_active_and_the_candidate() -> None:
    settings = strategy(strategy="redBlack", maxRemainingGroups=3)
    second = bring_in(NEW, NOW, settings)[0].fleet
    third = Release.from_settings(ONE.with_image("ami-00000003"))
    steps = bring_in(third, second, settings.with_image("ami-00000003"))
    assert sum(peak({OLD.version: 4, NEW.version: 4}, steps, full(4)).values()) == 12


def test_a_group_that_goes_makes_no_peak() -> None:
    settings = strategy(strategy="redBlack")
    fleet = bring_in(NEW, NOW, settings)[0].fleet
    assert sum(peak({OLD.version: 4, NEW.version: 4}, retire([OLD.version], fleet), full(4)).values()) == 8


def test_what_a_plan_costs_afterwards_is_of_what_then_runs() -> None:
    assert after({OLD.version: 5}, bring_in(NEW, NOW, TWO), full(5)) == {NEW.version: 5}
    assert after({OLD.version: 5}, (), full(5)) == {OLD.version: 5}


def test_resources_are_counted_before_at_the_peak_and_afterwards() -> None:
    changes = {"create": 20, "update": 3, "replace": 1, "delete": 18, "same": 40}
    found = PlannedResources.of_changes(changes)
    assert (found.now, found.at_peak, found.after) == (62, 83, 64)
    assert found.as_record() == {**changes, "now": 62, "at_peak": 83, "after": 64}


def test_what_the_engine_only_reads_is_no_resource_of_the_stack() -> None:
    assert PlannedResources.of_changes({"read": 4}).now == 0
