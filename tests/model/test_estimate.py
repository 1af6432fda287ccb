"""How long a verb takes: the median of the last five that are alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bluegreen.model.estimate import expected_seconds
from bluegreen.model.history import Event, Kind

START = datetime(2026, 11, 25, tzinfo=UTC)


def run(number: int, seconds: float, *, verb: str = "deploy", outcome: str = "done", moves: bool = True) -> list[Event]:
    at, name = START + timedelta(hours=number), f"run-{number}"
    cutover = [Event(at=at, run=name, kind=Kind.CUTOVER)] if moves else []
    evidence = {"verb": verb, "outcome": outcome, "seconds": seconds}
    return [*cutover, Event(at=at, run=name, kind=Kind.ENDED, evidence=evidence)]


def events(*runs: list[Event]) -> list[Event]:
    return [event for each in runs for event in each]


def test_nobody_knows_before_the_first() -> None:
    assert expected_seconds([], "deploy") is None
    assert expected_seconds(run(1, 30, verb="rollback"), "deploy") is None


def test_the_last_five_count() -> None:
    seconds = (1000, 1000, 50, 10, 30, 20, 40)
    assert expected_seconds(events(*(run(at, each) for at, each in enumerate(seconds))), "deploy") == 30


def test_one_that_failed_does_not_count() -> None:
    assert expected_seconds(events(run(1, 30), run(2, 900, outcome="EngineError")), "deploy") == 30


def test_a_deploy_that_changed_nothing_says_little_of_one_that_does() -> None:
    assert expected_seconds(events(run(1, 90), *(run(at, 3, moves=False) for at in range(2, 9))), "deploy") == 90
    assert expected_seconds(run(1, 3, verb="retire", moves=False), "retire") == 3


def test_an_ending_without_a_time_is_passed_over() -> None:
    bare = Event(at=START, run="x", kind=Kind.ENDED, evidence={"verb": "deploy", "outcome": "done"})
    assert expected_seconds([bare], "deploy") is None
