"""An event that is too large for an entry is kept in part, and says what is missing."""

from __future__ import annotations

from datetime import UTC, datetime

from bluegreen.model.fitted import fitted, size_of
from bluegreen.model.history import Event, Kind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(summary: str = "why", **evidence: object) -> Event:
    return Event(at=NOW, run="run", kind=Kind.SOAK_FAILED, release="aaaaaaaa", summary=summary, evidence=evidence)


def test_an_event_that_fits_is_left_as_it_is() -> None:
    whole = event(log="x" * 100)
    assert fitted(whole, size_of(whole.as_record())) is whole


def test_the_largest_is_left_out_and_named_and_the_rest_stays() -> None:
    kept = fitted(event(log="ü" * 1000, weights={"aaaaaaaa": 100}, more="y" * 500), 1000)
    assert kept.evidence == {"weights": {"aaaaaaaa": 100}, "more": "y" * 500, "leftOut": {"log": 6002}}
    assert size_of(kept.as_record()) <= 1000


def test_no_more_is_left_out_than_has_to_be() -> None:
    kept = fitted(event(one="x" * 400, two="y" * 300, three="z" * 200), 800)
    assert set(kept.evidence) == {"two", "three", "leftOut"}


def test_a_summary_alone_that_is_too_long_is_cut() -> None:
    kept = fitted(event(summary="x" * 100_000, log="y"), 5000)
    assert kept.summary == "x" * 2000
    assert size_of(kept.as_record()) <= 5000


def test_what_was_left_out_is_read_again_as_an_event() -> None:
    kept = fitted(event(releases={"aaaaaaaa": "x" * 5000}), 1000)
    assert Event.from_record(kept.as_record()) == kept
