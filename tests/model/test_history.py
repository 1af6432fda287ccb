"""The history: what its events say of each release, and that nothing unfinished or failed counts as healthy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen.model.history import ATTEST, SOAK, WATCH_FAILURES, Event, History, Kind, LastRollback, Seen
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)


def release(number: int) -> Release:
    return Release.from_settings(Settings.parse({"ami": f"ami-{number:08x}"}))


ONE, TWO, THREE = release(1), release(2), release(3)


def happened(kind: Kind, about: Release = TWO, run: str = "run", **evidence: Any) -> Event:
    return Event(at=START, run=run, kind=kind, release=about.version, summary=f"of {kind.value}", evidence=evidence)


def told(*shares: tuple[Release, int]) -> dict[str, Any]:
    return {
        "weights": {each.version: share for each, share in shares},
        "releases": {each.version: each.as_record() for each, _ in shares},
    }


def cutover(*shares: tuple[Release, int], run: str = "run") -> Event:
    """The first is the one that the cutover is about."""
    return happened(Kind.CUTOVER, shares[0][0], run, **told(*shares))


def gate_passed(*shares: tuple[Release, int], awaits: Sequence[str] = ()) -> Event:
    """The first is the one that the gate let pass."""
    return happened(Kind.GATE_PASSED, shares[0][0], **told(*shares), awaits=list(awaits))


def left(about: Release = TWO, to: Release = ONE) -> Event:
    """A rollback took the traffic from a release."""
    return happened(Kind.ROLLED_BACK, to, **{"from": about.version})


def history(*events: Event) -> History:
    """A minute between each."""
    moments = (START + timedelta(minutes=number) for number in range(len(events)))
    return History(tuple(Event(**{**vars(event), "at": at}) for event, at in zip(events, moments, strict=False)))


def seen(*events: Event) -> Seen:
    """What is known of release two."""
    return history(*events).seen()[TWO.version]


ALL = cutover((TWO, 100))
A_SOAK_DUE = gate_passed((TWO, 100), awaits=[SOAK])


@pytest.mark.parametrize("kind", Kind)
def test_an_event_survives_its_record_and_json(kind: Kind) -> None:
    event = Event(
        at=START + timedelta(microseconds=1),
        run="20260101-000000-abcd",
        kind=kind,
        release="1f0c9a52",
        summary="soak: ü \n  alarm",
        evidence={"weights": {"1f0c9a52": 100}, "schema": None, "image": "ami-00000001"},
    )
    assert Event.from_record(json.loads(json.dumps(event.as_record()))) == event


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "party"},
        {"at": "yesterday"},
        {"at": 3},
        {"colour": "green"},
        {"run": None, "at": None},
        {"evidence": None},
        {"evidence": []},
        {"evidence": {"releases": None}},
        {"evidence": {"releases": {TWO.version: None}}},
        {"evidence": {"releases": {TWO.version: []}}},
        {"evidence": {"releases": {TWO.version: {**TWO.as_record(), "launch": []}}}},
        {"evidence": {"releases": {TWO.version: {**TWO.as_record(), "image": "ami-00000009"}}}},
        {"evidence": {"weights": None}},
    ],
)
def test_a_record_that_was_changed_is_no_event(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Event.from_record({**ALL.as_record(), **change})


def test_a_record_that_lacks_something_is_no_event() -> None:
    for key in ("at", "kind", "run"):
        record = ALL.as_record()
        del record[key]
        with pytest.raises((ValueError, KeyError, TypeError)):
            Event.from_record(record)


# -- healthy


def test_a_release_that_took_all_traffic_with_no_soak_due_is_healthy() -> None:
    assert seen(ALL).is_healthy
    assert history(ALL).healthy == {TWO.version}


@pytest.mark.parametrize("share", [0, 1, 50, 99])
def test_a_share_of_the_traffic_is_not_yet_healthy(share: int) -> None:
    found = seen(cutover((ONE, 100 - share), (TWO, share)))
    assert found.doubt == "it never took all of the traffic"
    assert found.served_at is None


def test_a_passed_soak_at_a_share_of_the_traffic_is_not_yet_healthy() -> None:
    half = cutover((ONE, 50), (TWO, 50))
    passed = (half, happened(Kind.ATTEST_PASSED), happened(Kind.SOAK_BEGAN), happened(Kind.SOAK_PASSED))
    assert seen(*passed).doubt == "it never took all of the traffic"
    assert seen(*passed, ALL).is_healthy


def test_what_a_gate_said_is_to_follow_is_a_doubt_until_it_has_passed() -> None:
    assert seen(A_SOAK_DUE, ALL).doubt == "its soak has not ended"
    assert seen(A_SOAK_DUE, ALL, happened(Kind.SOAK_PASSED)).is_healthy
    attest_due = gate_passed((TWO, 100), awaits=[ATTEST])
    assert seen(attest_due, ALL).doubt == "its attest has not ended"
    assert seen(attest_due, ALL, happened(Kind.ATTEST_PASSED)).is_healthy


def test_an_attest_that_passed_does_not_stand_for_the_soak_that_is_due_too() -> None:
    both_due = gate_passed((TWO, 100), awaits=[SOAK, ATTEST])
    assert seen(both_due, ALL).doubt == "its attest and soak has not ended"
    assert seen(both_due, ALL, happened(Kind.ATTEST_PASSED)).awaits == {SOAK}
    assert seen(both_due, ALL, happened(Kind.ATTEST_PASSED), happened(Kind.SOAK_PASSED)).is_healthy


def test_what_is_due_is_known_before_the_listener_has_changed() -> None:
    assert seen(A_SOAK_DUE).awaits == {SOAK}
    assert seen(A_SOAK_DUE).served_at is None


def test_a_soak_that_began_and_did_not_end_is_a_doubt() -> None:
    assert seen(ALL, happened(Kind.SOAK_BEGAN)).doubt == "its soak has not ended"


def test_a_soak_that_is_due_is_not_forgotten_by_a_second_cutover() -> None:
    assert not seen(A_SOAK_DUE, ALL, ALL).is_healthy


def test_a_gate_resets_what_an_earlier_shift_left_open() -> None:
    half = (gate_passed((TWO, 50), (ONE, 50), awaits=[ATTEST]), cutover((TWO, 50), (ONE, 50)))
    begun = (*half, happened(Kind.SOAK_BEGAN))
    assert seen(*begun).awaits == {ATTEST, SOAK}
    assert seen(*begun, gate_passed((TWO, 100)), ALL).is_healthy
    assert seen(*begun, gate_passed((TWO, 100), awaits=[ATTEST]), ALL).awaits == {ATTEST}


def test_a_gate_of_another_release_leaves_open_what_this_one_awaits() -> None:
    assert seen(A_SOAK_DUE, ALL, gate_passed((THREE, 100), (TWO, 0))).awaits == {SOAK}


def test_a_cutover_is_one_for_every_release_that_it_names() -> None:
    about_the_candidate = cutover((TWO, 0), (ONE, 100))
    assert history(about_the_candidate).healthy == {ONE.version}
    assert seen(about_the_candidate).served_at is None


@pytest.mark.parametrize(
    ("failed", "passed"),
    [(Kind.ATTEST_FAILED, Kind.ATTEST_PASSED), (Kind.SOAK_FAILED, Kind.SOAK_PASSED)],
)
def test_what_failed_is_a_doubt_until_the_same_has_passed(failed: Kind, passed: Kind) -> None:
    assert seen(ALL, happened(failed)).doubt == f"{failed.value}: of {failed.value}"
    assert seen(ALL, happened(failed), happened(passed)).is_healthy


def test_a_gate_that_failed_is_a_doubt_of_a_release_that_never_served_until_it_has_passed() -> None:
    share = cutover((TWO, 5), (ONE, 95))
    assert seen(share, happened(Kind.GATE_FAILED)).doubt == "gate failed: of gate failed"
    assert seen(share, happened(Kind.GATE_FAILED), happened(Kind.GATE_PASSED), ALL).is_healthy
    assert not seen(share, happened(Kind.GATE_FAILED), ALL).is_healthy


def test_a_gate_that_failed_says_nothing_against_a_release_that_has_served() -> None:
    assert seen(ALL, happened(Kind.GATE_FAILED)).is_healthy


@pytest.mark.parametrize(
    ("failed", "passed"),
    [
        (Kind.ATTEST_FAILED, Kind.GATE_PASSED),
        (Kind.SOAK_FAILED, Kind.GATE_PASSED),
        (Kind.SOAK_FAILED, Kind.ATTEST_PASSED),
        (Kind.SOAK_FAILED, Kind.SOAK_BEGAN),
        (Kind.SOAK_FAILED, Kind.ROLLED_BACK),
        (Kind.SOAK_FAILED, Kind.FORENSICS),
    ],
)
def test_what_failed_stays_a_doubt_after_something_less_has_passed(failed: Kind, passed: Kind) -> None:
    assert not seen(ALL, happened(failed), happened(passed)).is_healthy


@pytest.mark.parametrize(
    ("failed", "later"),
    [
        (Kind.SOAK_FAILED, (Kind.GATE_FAILED, Kind.GATE_PASSED)),
        (Kind.SOAK_FAILED, (Kind.ATTEST_FAILED, Kind.ATTEST_PASSED)),
        (Kind.ATTEST_FAILED, (Kind.GATE_FAILED, Kind.GATE_PASSED)),
    ],
)
def test_a_failure_is_not_forgotten_over_a_smaller_one_that_was_mended(failed: Kind, later: tuple[Kind, Kind]) -> None:
    assert not seen(ALL, happened(failed), *map(happened, later)).is_healthy


def test_a_release_that_was_rolled_back_from_is_in_doubt_until_it_is_brought_in_again() -> None:
    assert seen(ALL, left()).doubt == "it was rolled back from at 2026-01-01 00:01"
    assert not seen(ALL, left(), ALL).is_healthy, "a listener that was changed by hand proves nothing"
    assert not seen(ALL, left(), happened(Kind.ATTEST_PASSED), happened(Kind.SOAK_PASSED)).is_healthy
    assert seen(ALL, left(), gate_passed((TWO, 100))).is_healthy


def test_a_rollback_says_nothing_against_the_release_that_it_goes_to() -> None:
    events = (cutover((ONE, 100)), ALL, left(TWO, to=ONE))
    assert history(*events).healthy == {ONE.version}


def test_bringing_a_release_in_again_does_not_take_back_why_it_was_left() -> None:
    failed = (ALL, happened(Kind.SOAK_FAILED), left(), gate_passed((TWO, 100)), ALL)
    assert seen(*failed).doubt == "soak failed: of soak failed"
    assert seen(*failed, happened(Kind.SOAK_PASSED)).is_healthy


def test_a_failure_of_another_release_says_nothing_of_this_one() -> None:
    events = (cutover((TWO, 100), (THREE, 0)), happened(Kind.SOAK_FAILED, THREE))
    assert history(*events).healthy == {TWO.version}


def test_a_release_that_no_listener_ever_named_is_not_known() -> None:
    events = (happened(Kind.GATE_FAILED), happened(Kind.MIGRATED))
    assert history(*events).seen() == {}
    assert not history(*events).healthy


def test_a_gate_that_failed_before_any_listener_named_the_release_says_nothing() -> None:
    assert seen(happened(Kind.GATE_FAILED), gate_passed((TWO, 100)), ALL).is_healthy


def test_the_last_time_of_all_traffic_is_kept() -> None:
    found = seen(ALL, cutover((ONE, 100), (TWO, 0)), ALL)
    assert found.served_at == START + timedelta(minutes=2)


# -- before


def test_the_release_before_is_the_healthy_one_that_served_last() -> None:
    events = (cutover((ONE, 100)), cutover((TWO, 100)), cutover((THREE, 100)))
    assert history(*events).before(THREE.version) == TWO
    assert history(*events).before(TWO.version) == THREE
    assert history(*events, cutover((ONE, 100))).before(THREE.version) == ONE


def test_the_release_before_is_never_one_in_doubt() -> None:
    events = (cutover((ONE, 100)), A_SOAK_DUE, ALL, cutover((THREE, 100)))
    assert history(*events).before(THREE.version) == ONE
    gone_back = (cutover((ONE, 100)), ALL, left(), cutover((ONE, 100)), cutover((THREE, 100)))
    assert history(*gone_back).before(THREE.version) == ONE
    failed = (cutover((ONE, 100)), ALL, happened(Kind.SOAK_FAILED), cutover((THREE, 100)))
    assert history(*failed).before(THREE.version) == ONE


def test_there_is_nothing_before_the_first_release() -> None:
    assert History().before(ONE.version) is None
    assert history(cutover((ONE, 100))).before(ONE.version) is None


# -- destroyed


def test_what_was_known_before_all_was_destroyed_says_nothing_of_what_comes() -> None:
    gone = (ALL, happened(Kind.MIGRATED, schema=12), Event(at=START, run="run", kind=Kind.DESTROYED))
    past = history(*gone)
    assert past.seen() == {}
    assert past.healthy == frozenset()
    assert past.before(THREE.version) is None
    assert not past.has_migrated(TWO.version)
    assert past.schema is None


def test_what_happens_after_all_was_destroyed_counts_again() -> None:
    destroyed = Event(at=START, run="run", kind=Kind.DESTROYED)
    again = history(ALL, happened(Kind.SOAK_FAILED), destroyed, happened(Kind.MIGRATED, schema=1), destroyed, ALL)
    assert again.healthy == {TWO.version}
    assert again.schema is None


# -- what a gate has refused


def test_a_refused_release_is_known_until_the_listener_changes() -> None:
    assert History().refused == ""
    refused = (cutover((ONE, 100)), happened(Kind.GATE_FAILED, TWO))
    assert history(*refused).refused == TWO.version
    assert history(*refused, cutover((THREE, 100))).refused == ""


# -- the last rollback


BACK = happened(Kind.BEGAN, ONE, run="back", verb="rollback", **{"from": TWO.version})
"""A rollback to release one."""
DONE = happened(Kind.ROLLED_BACK, ONE, run="back", **{"from": TWO.version})


def test_the_last_rollback_is_open_until_it_is_known_to_have_ended() -> None:
    assert History().last_rollback() is None
    assert history(ALL, BACK).last_rollback() == LastRollback(
        release=ONE.version, left=TWO.version, at=START + timedelta(minutes=1), is_open=True
    )
    moved = (ALL, BACK, cutover((ONE, 100), run="back"), happened(Kind.ENDED, ONE, run="back", verb="rollback"))
    found = history(*moved).last_rollback()
    assert found
    assert found.is_open, "a verb that ended may have ended with an error"
    found = history(*moved, DONE).last_rollback()
    assert found
    assert not found.is_open


@pytest.mark.parametrize(
    "later",
    [
        happened(Kind.BEGAN, THREE, run="next", verb="deploy"),
        cutover((THREE, 100), run="by pulumi up"),
    ],
)
@pytest.mark.parametrize("done", [(), (DONE,)])
def test_after_another_run_has_begun_or_moved_the_traffic_a_rollback_is_not_the_last_deployment(
    later: Event, done: tuple[Event, ...]
) -> None:
    assert history(ALL, BACK, *done, later).last_rollback() is None


def test_another_verb_is_no_rollback_and_of_two_rollbacks_the_last_counts() -> None:
    assert history(happened(Kind.BEGAN, ONE, verb="deploy")).last_rollback() is None
    assert history(happened(Kind.BEGAN, ONE, run="deploy", verb="deploy"), BACK).last_rollback()
    again = happened(Kind.BEGAN, THREE, run="again", verb="rollback")
    found = history(BACK, DONE, again).last_rollback()
    assert found
    assert (found.release, found.is_open) == (THREE.version, True), "an earlier one's end does not end it"


# -- evidence


SAVED = happened(Kind.FORENSICS, folder="runs/dev/x")


@pytest.mark.parametrize("failed", [Kind.GATE_FAILED, Kind.ATTEST_FAILED, Kind.SOAK_FAILED])
def test_evidence_of_a_release_is_wanting_from_its_failure_until_it_was_saved(failed: Kind) -> None:
    assert not history(happened(failed)).has_evidence(TWO.version)
    assert history(happened(failed), SAVED).has_evidence(TWO.version)
    assert not history(happened(failed), SAVED, happened(failed)).has_evidence(TWO.version), "of the last failure"


def test_evidence_of_another_release_is_none_of_this_one() -> None:
    other = happened(Kind.FORENSICS, THREE)
    assert not history(happened(Kind.SOAK_FAILED), other).has_evidence(TWO.version)
    assert history(happened(Kind.SOAK_FAILED, THREE)).has_evidence(TWO.version)


def test_of_a_release_that_never_failed_there_is_nothing_to_save() -> None:
    assert History().has_evidence(TWO.version)
    assert history(ALL, A_SOAK_DUE).has_evidence(TWO.version)


# -- migrations and rollbacks


def test_a_migration_counts_for_the_release_that_ran_it_alone() -> None:
    past = history(happened(Kind.MIGRATED, schema=12))
    assert past.has_migrated(TWO.version)
    assert not past.has_migrated(THREE.version)
    assert not history(happened(Kind.GATE_PASSED)).has_migrated(TWO.version)


def test_the_schema_is_what_the_last_migration_told_that_told_one() -> None:
    assert History().schema is None
    assert history(happened(Kind.MIGRATED)).schema is None
    events = (happened(Kind.MIGRATED, schema=12), happened(Kind.MIGRATED, schema=14), happened(Kind.MIGRATED, THREE))
    assert history(*events).schema == 14
    assert history(happened(Kind.MIGRATED, schema=0)).schema == 0, "zero is a version"


def test_a_rollback_is_told_by_the_last_one_that_went_the_same_way() -> None:
    events = tuple(
        happened(Kind.ROLLED_BACK, way=way, trafficSeconds=took)
        for way, took in (("flip", 3.0), ("redeploy", 90.0), ("flip", 4.5))
    )
    assert history(*events).seconds_of_last_rollback("flip") == 4.5
    assert history(*events).seconds_of_last_rollback("redeploy") == 90
    assert history(*events).seconds_of_last_rollback("inflate") is None


def test_a_rollback_that_found_the_traffic_back_already_tells_no_time() -> None:
    untimed = happened(Kind.ROLLED_BACK, way="flip", trafficSeconds=None)
    assert history(untimed).seconds_of_last_rollback("flip") is None
    timed = happened(Kind.ROLLED_BACK, way="flip", trafficSeconds=3.0)
    assert history(timed, untimed).seconds_of_last_rollback("flip") == 3


def test_a_run_has_its_own_events_alone() -> None:
    other = Event(at=START, run="other", kind=Kind.BEGAN)
    assert History((ALL, other)).of_run("other") == (other,)


def test_nothing_but_a_watch_that_failed_or_did_not_end_makes_a_release_doubtful_that_has_served() -> None:
    kinds = set(Kind) - {Kind.DESTROYED}
    assert {kind for kind in kinds if not seen(ALL, happened(kind)).is_healthy} == {*WATCH_FAILURES, Kind.SOAK_BEGAN}
