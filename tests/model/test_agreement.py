"""Ledger and state that disagree: both are told, who is right is the load balancer's to say, and there is a way out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bluegreen.model.agreement import judge, told_by
from bluegreen.model.fleet import Fleet
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.verdict import Hopeless, Ready, Wait

START = datetime(2026, 11, 25, tzinfo=UTC)
FLEET = Fleet.from_settings(Settings.parse({"ami": "ami-00000001"}))
HERE = FLEET.active.release.version
OTHER = Release.from_settings(Settings.parse({"ami": "ami-00000002"})).version


def history(*weights: dict[str, int] | None) -> History:
    """Changes of the listener; None is where all was destroyed."""
    return History(
        tuple(
            Event(
                at=START + timedelta(minutes=number),
                run="run",
                kind=Kind.DESTROYED if each is None else Kind.CUTOVER,
                evidence={} if each is None else {"weights": each},
            )
            for number, each in enumerate(weights)
        )
    )


def test_what_both_say_is_no_question_for_the_load_balancer() -> None:
    assert isinstance(judge(history({OTHER: 100}, {HERE: 100, OTHER: 0}), FLEET, None), Ready)


def test_a_ledger_that_knows_nothing_is_told_with_where_to_look() -> None:
    found = judge(History(), FLEET, None)
    assert isinstance(found, Wait)
    assert f"the state says that release {HERE} has all traffic" in found.summary
    assert "`ledger` in the config" in found.summary


def test_what_was_before_all_was_destroyed_says_nothing() -> None:
    assert told_by(history({OTHER: 100}, None)) is None
    assert told_by(history(None, {HERE: 100})) == {HERE: 100}


def test_an_update_that_did_not_end_leaves_the_state_behind_and_both_are_told() -> None:
    found = judge(history({HERE: 100}, {OTHER: 100}), FLEET, {OTHER: 100})
    assert isinstance(found, Wait)
    assert f"the ledger says that release {OTHER} has all traffic, and the state that release {HERE}" in found.summary
    assert "`bluegreen deploy` goes on" in found.summary


def test_a_ledger_that_is_behind_is_told_as_such() -> None:
    found = judge(history({OTHER: 100}), FLEET, {HERE: 100})
    assert isinstance(found, Wait)
    assert "the ledger is behind" in found.summary


def test_where_the_load_balancer_bears_neither_out_a_person_has_to_say() -> None:
    found = judge(history({OTHER: 100}), FLEET, {HERE: 50, OTHER: 50})
    assert isinstance(found, Hopeless)
    assert f"the load balancer does neither: release {HERE} has 50 %, release {OTHER} has 50 %" in found.summary
    assert "pulumi refresh" in found.next_step
    assert isinstance(judge(history({OTHER: 100}), FLEET, {}), Hopeless)
