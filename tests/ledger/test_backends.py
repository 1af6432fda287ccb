"""What every ledger keeps to, whatever keeps it: order, wholeness, and a lease that one alone can have."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.transfer import import_events
from bluegreen.model.history import Event, Kind
from bluegreen.model.lease import Holder, Lease
from tests.ledger.conftest import OpenLedger

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(number: int, run: str = "run", at: datetime = NOW, **evidence: object) -> Event:
    told = {"number": number, "said": "two\nlines, ü \u2028", "share": 0.1, "none": None, "empty": "", **evidence}
    return Event(at=at, run=run, kind=Kind.BEGAN, evidence=told)


def holder(run: str) -> Holder:
    return Holder(
        run=run, verb="deploy", operator="ada", host="ci-1", process=7, born="boot pid:[1] 5", since=NOW, ci_run="9"
    )


def at_once(number: int, act: Callable[[int], None]) -> None:
    """Run it so often, all at the same moment."""
    barrier = threading.Barrier(number)
    failures: list[BaseException] = []

    def run(index: int) -> None:
        barrier.wait()
        try:
            act(index)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


# -- events


def test_where_nothing_was_kept_there_is_no_history_and_a_free_lease(open_ledger: OpenLedger) -> None:
    ledger = open_ledger()
    assert ledger.read().events == ()
    assert ledger.lease() == Lease()
    assert ledger.place


def test_what_is_kept_is_read_whole_and_by_others(open_ledger: OpenLedger) -> None:
    kept = replace(event(1), release="aaaaaaaa", summary="deploy")
    open_ledger().append(kept)
    assert open_ledger().read().events == (kept,)


def test_events_are_read_in_their_order_also_those_of_one_moment(open_ledger: OpenLedger) -> None:
    ledger = open_ledger()
    kept = [event(number, at=NOW + timedelta(microseconds=number // 3)) for number in range(12)]
    for each in kept:
        ledger.append(each)
    assert list(open_ledger().read().events) == kept


def test_a_moment_of_another_zone_is_in_its_place(open_ledger: OpenLedger) -> None:
    ledger = open_ledger()
    first = event(1, at=NOW.astimezone(timezone(timedelta(hours=-5))))
    ledger.append(first)
    ledger.append(event(2, at=NOW + timedelta(seconds=1)))
    assert [each.evidence["number"] for each in ledger.read().events] == [1, 2]


def test_writers_at_once_lose_nothing(open_ledger: OpenLedger) -> None:
    def write(writer: int) -> None:
        ledger = open_ledger()
        for number in range(10):
            ledger.append(event(number, run=f"run-{writer}", at=NOW + timedelta(seconds=number)))

    at_once(4, write)
    events = open_ledger().read().events
    assert len(events) == 40
    for writer in range(4):
        assert [each.evidence["number"] for each in events if each.run == f"run-{writer}"] == list(range(10))


def test_a_long_history_is_read_to_its_end(open_ledger: OpenLedger) -> None:
    ledger = open_ledger()
    for number in range(12):
        ledger.append(event(number, at=NOW + timedelta(seconds=number), text="x" * 200_000))
    assert [each.evidence["number"] for each in ledger.read().events] == list(range(12))


def test_an_event_that_is_too_large_for_the_store_is_kept_without_its_largest_evidence(
    open_ledger: OpenLedger,
) -> None:
    ledger = open_ledger()
    ledger.append(replace(event(1, log="ü" * 600_000), summary="a failure"))
    (kept,) = ledger.read().events
    assert (kept.summary, kept.evidence["number"]) == ("a failure", 1)
    if not isinstance(ledger, FileLedger):
        assert "log" not in kept.evidence
        assert kept.evidence["leftOut"]["log"] > 600_000


# -- the lease


def test_a_lease_is_read_as_it_was_taken(open_ledger: OpenLedger) -> None:
    taken = Lease().taken_by(holder("one"), NOW)
    assert open_ledger().swap_lease(Lease(), taken)
    assert open_ledger().lease() == taken


def test_a_swap_loses_to_the_other_writer_and_changes_nothing(open_ledger: OpenLedger) -> None:
    one, other = open_ledger(), open_ledger()
    expected = one.lease()
    theirs = expected.taken_by(holder("other"), NOW)
    assert other.swap_lease(expected, theirs)
    assert not one.swap_lease(expected, expected.taken_by(holder("one"), NOW))
    assert one.lease() == theirs


@pytest.mark.parametrize(
    "change",
    [
        lambda lease: lease.beaten(NOW + timedelta(seconds=10)),
        lambda lease: replace(lease, fence=lease.fence + 1),
        lambda lease: lease.released(NOW),
    ],
    ids=["beat", "fence", "holder"],
)
def test_a_swap_minds_every_part_of_the_lease(open_ledger: OpenLedger, change: Callable[[Lease], Lease]) -> None:
    ledger = open_ledger()
    taken = Lease().taken_by(holder("one"), NOW)
    ledger.swap_lease(Lease(), taken)
    assert ledger.swap_lease(taken, change(taken))
    assert not ledger.swap_lease(taken, taken.taken_by(holder("two"), NOW))
    assert ledger.lease() == change(taken)


def test_one_of_many_gets_the_lease(open_ledger: OpenLedger) -> None:
    got: list[str] = []

    def take(index: int) -> None:
        name = f"run-{index}"
        if open_ledger().swap_lease(Lease(), Lease().taken_by(holder(name), NOW)):
            got.append(name)

    at_once(6, take)
    (winner,) = got
    assert open_ledger().lease().is_of(winner)


def test_a_fence_rises_over_releases(open_ledger: OpenLedger) -> None:
    ledger = open_ledger()
    for number in range(1, 4):
        found = ledger.lease()
        taken = found.taken_by(holder(f"run-{number}"), NOW)
        assert ledger.swap_lease(found, taken)
        assert ledger.swap_lease(taken, taken.released(NOW))
        assert ledger.lease() == Lease(number, None, NOW)


def test_the_lease_is_no_event(open_ledger: OpenLedger) -> None:
    ledger = open_ledger()
    ledger.append(event(1))
    ledger.swap_lease(Lease(), Lease().taken_by(holder("one"), NOW))
    assert ledger.read().events == (event(1),)


# -- for others


def test_what_is_published_for_a_service_of_any_name_spoils_no_history(open_ledger: OpenLedger) -> None:
    ledger = open_ledger()
    ledger.append(event(1))
    for service in ("web", "events", "lease"):
        ledger.publish(service, {"image": "ami-00000001", "release": "aaaaaaaa"})
    assert ledger.read().events == (event(1),)
    assert ledger.lease() == Lease()


# -- from another ledger


def test_an_import_brings_what_is_not_there_and_does_nothing_the_second_time(
    open_ledger: OpenLedger, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file, ledger = FileLedger(tmp_path_factory.mktemp("old") / "ledger.jsonl"), open_ledger()
    old = [event(number, at=NOW + timedelta(seconds=number // 2)) for number in range(6)]
    for each in old:
        file.append(each)
    for each in old[:2]:
        ledger.append(each)  # an import that broke off
    new = event(9, run="later", at=NOW + timedelta(hours=1))
    ledger.append(new)
    assert import_events(file, ledger) == 4
    assert list(ledger.read().events) == (
        [*old, new] if not isinstance(ledger, FileLedger) else [*old[:2], new, *old[2:]]
    )
    assert import_events(file, ledger) == 0
    assert len(ledger.read().events) == 7
