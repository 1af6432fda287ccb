"""A run's name and flags reach the program by its environment, and its recorder says which run it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluegreen.ledger.ledger import DESTROY_VARIABLE, FORCE_VARIABLE, Recorder, Run
from bluegreen.model.history import Event, History, Kind

NOW = datetime(2026, 1, 1, 12, 30, 1, tzinfo=UTC)
PLACE = Path("/project")


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize("is_destroy", [False, True])
@pytest.mark.parametrize("fence", [0, 7])
def test_a_run_survives_the_environment(is_forced: bool, is_destroy: bool, fence: int) -> None:
    run = replace(Run.new(PLACE, "dev", NOW, is_forced=is_forced, is_destroy=is_destroy), fence=fence)
    assert Run.of_environment(PLACE, "dev", run.environment, datetime.now(UTC)) == run


def test_without_a_driver_each_update_is_a_run_of_its_own_and_nothing_is_forced() -> None:
    one, other = (Run.of_environment(PLACE, "dev", {}, NOW) for _ in range(2))
    assert one.name != other.name
    assert not one.is_forced
    assert not one.is_destroy


def test_flags_that_are_off_override_those_of_the_environment_of_the_driver() -> None:
    around = {FORCE_VARIABLE: "true", DESTROY_VARIABLE: "true"}
    run = Run.new(PLACE, "dev", NOW)
    assert Run.of_environment(PLACE, "dev", {**around, **run.environment}, NOW) == run


def test_names_of_runs_sort_by_time() -> None:
    moments = [NOW, NOW.replace(second=59), NOW.replace(hour=13), NOW.replace(month=10), NOW.replace(year=2027)]
    names = [Run.new(PLACE, "dev", moment).name for moment in moments]
    assert names == sorted(names)


def test_runs_of_a_stack_share_its_ledger_and_have_a_folder_each() -> None:
    one, other = Run.new(PLACE, "dev", NOW), Run.new(PLACE, "dev", NOW)
    assert one.ledger == other.ledger
    assert one.folder != other.folder
    assert one.folder.parent == one.ledger.parent
    assert Run.new(PLACE, "prod", NOW).ledger != one.ledger


class Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)

    def read(self) -> History:
        return History(tuple(self.events))


def test_a_recorder_says_when_and_in_which_run() -> None:
    kept = Kept()
    Recorder(ledger=kept, run="one", now=lambda: NOW).record(Kind.CUTOVER, release="1f0c9a52", evidence={"a": 1})
    assert kept.events == [Event(at=NOW, run="one", kind=Kind.CUTOVER, release="1f0c9a52", evidence={"a": 1})]


def test_a_recorder_by_itself_writes_moments_with_a_time_zone() -> None:
    kept = Kept()
    Recorder(ledger=kept, run="one").record(Kind.BEGAN)
    assert kept.events[0].at.tzinfo is not None
