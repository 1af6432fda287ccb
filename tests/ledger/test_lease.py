"""The keeper of a lease: it is given back however the run ends, and whoever lost it learns so before the next act."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import LeaseHeld, LeaseLost, LedgerError
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.lease import LeaseKeeper, has_died, holder_here
from bluegreen.ledger.ledger import Ledger
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.lease import Holder, Lease
from tests.ledger.conftest import OpenLedger

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
PROJECT = Path(__file__).parents[2]


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def never(_seconds: float) -> bool:
    """The thread ends at once: the test beats itself."""
    return True


def here(run: str = "mine", verb: str = "deploy") -> Holder:
    return holder_here(run=run, verb=verb, operator="ada", now=START)


def elsewhere(run: str = "theirs") -> Holder:
    return replace(here(run), host="ci-7", process=4711)


def keeper(ledger: Ledger, holder: Holder | None = None, **options: Any) -> LeaseKeeper:
    return LeaseKeeper(ledger, holder or here(), **{"clock": Clock(), "wait": never, **options})


def taken_by(ledger: Ledger, holder: Holder) -> Lease:
    """Somebody else has it."""
    found = ledger.lease()
    new = found.taken_by(holder, START)
    assert ledger.swap_lease(found, new)
    return new


class Failing:
    """A ledger whose calls fail while their names are in `broken`. `loses_answers`: what it does is not heard of."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.broken: set[str] = set()
        self.loses_answers = False

    place = "nowhere"

    def _called(self, name: str) -> None:
        if name in self.broken:
            raise LedgerError(f"{name} can't be reached")

    def append(self, event: Event) -> None:
        self._called("append")
        self._ledger.append(event)

    def read(self) -> History:
        self._called("read")
        return self._ledger.read()

    def lease(self) -> Lease:
        self._called("lease")
        return self._ledger.lease()

    def swap_lease(self, expected: Lease, new: Lease) -> bool:
        self._called("swap")
        swapped = self._ledger.swap_lease(expected, new)
        if self.loses_answers:
            raise LedgerError("timed out")
        return swapped

    def publish(self, service: str, values: Any) -> None: ...


# -- on every backend


def test_a_lease_is_held_within_and_free_after(open_ledger: OpenLedger) -> None:
    with keeper(open_ledger()) as lease:
        found = open_ledger().lease()
        assert (found.fence, found.holder) == (lease.fence, here())
        lease.check()
    assert open_ledger().lease() == Lease(1, None, START)


def test_a_second_run_is_refused_and_the_first_goes_on(open_ledger: OpenLedger) -> None:
    with keeper(open_ledger()) as lease:
        with (
            pytest.raises(LeaseHeld, match="the stack is being changed by ada") as caught,
            keeper(open_ledger(), here("other")),
        ):
            pass
        assert "--force" in caught.value.next_step
        lease.check()
    assert open_ledger().read().events == ()


def test_of_runs_that_begin_at_once_one_gets_it(open_ledger: OpenLedger) -> None:
    barrier, got, refused = threading.Barrier(4), [], []

    def begin(index: int) -> None:
        ledger = open_ledger()
        barrier.wait()
        lease = keeper(ledger, here(f"run-{index}"))
        try:
            lease.__enter__()
        except LeaseHeld:
            refused.append(index)
        else:
            got.append(index)

    threads = [threading.Thread(target=begin, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(got), len(refused)) == (1, 3)
    assert open_ledger().lease().is_of(f"run-{got[0]}")


def test_a_heartbeat_is_written(open_ledger: OpenLedger) -> None:
    clock = Clock()
    with keeper(open_ledger(), clock=clock) as lease:
        clock.passes(10)
        assert lease.beat()
        assert open_ledger().lease().beat_at == START + timedelta(seconds=10)
        lease.check()
    assert not lease.beat(), "there is none after the end"


def test_whoever_lost_the_lease_is_refused_at_the_next_act_and_spoils_nothing(open_ledger: OpenLedger) -> None:
    with keeper(open_ledger()) as lease:
        theirs = taken_by(open_ledger(), elsewhere())
        with pytest.raises(
            LeaseLost, match="another deployment has taken the stack over: lease 2, taken by ada on ci-7"
        ):
            lease.check()
        assert not lease.beat()
    assert open_ledger().lease() == theirs, "it is not given back for the other one"


def test_a_lease_taken_by_force_is_recorded_as_such(open_ledger: OpenLedger) -> None:
    ledger, said = open_ledger(), list[str]()
    taken_by(ledger, elsewhere())
    with keeper(ledger, is_forced=True, report=said.append) as lease:
        assert lease.fence == 2
    (event,) = ledger.read().events
    assert (event.kind, event.run) == (Kind.TAKEN_OVER, "mine")
    assert event.evidence["forced"] is True
    assert event.evidence["from"]["host"] == "ci-7"
    assert said == [event.summary]


# -- how a run ends


@pytest.fixture
def ledger(tmp_path: Path) -> FileLedger:
    return FileLedger(tmp_path / "ledger.jsonl")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_lease_is_given_back_however_the_run_ends(ledger: FileLedger, error: type[BaseException]) -> None:
    with pytest.raises(error), keeper(ledger):
        raise error
    assert ledger.lease().holder is None


def test_ctrl_c_while_the_lease_is_taken_gives_it_back(ledger: FileLedger) -> None:
    class Interrupting(Failing):
        def swap_lease(self, expected: Lease, new: Lease) -> bool:
            super().swap_lease(expected, new)
            if new.holder:
                raise KeyboardInterrupt
            return True

    with pytest.raises(KeyboardInterrupt), keeper(Interrupting(ledger)):
        pass
    assert ledger.lease().holder is None


def test_a_lease_that_can_not_be_given_back_is_told_and_hides_no_error(ledger: FileLedger) -> None:
    failing, said = Failing(ledger), list[str]()
    held = keeper(failing, report=said.append)
    with pytest.raises(ValueError, match="the real reason"), held:
        raise _reason_that_breaks(failing)
    assert said == ["the lease could not be given back: lease can't be reached"]


def _reason_that_breaks(failing: Failing) -> ValueError:
    failing.broken = {"lease", "swap"}
    return ValueError("the real reason")


# -- the same run


def test_the_same_run_may_take_it_again_and_the_inner_end_does_not_give_it_back(ledger: FileLedger) -> None:
    with keeper(ledger) as outer:
        with keeper(ledger, here(verb="rollback")) as inner:
            assert inner.fence == outer.fence
            inner.check()
        assert ledger.lease().is_of("mine")
        outer.check()
        assert outer.beat()
    assert ledger.lease().holder is None


# -- the dead


DIE_WITH_IT = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.lease import LeaseKeeper, holder_here
holder = holder_here(run="dead", verb="deploy", operator="ada", now=datetime.now(UTC))
LeaseKeeper(FileLedger(Path(sys.argv[1])), holder).__enter__()
os._exit(9)
"""


def test_a_dead_ones_lease_is_taken_over_with_proof_and_said(ledger: FileLedger) -> None:
    subprocess.run([sys.executable, "-c", DIE_WITH_IT, str(ledger.file)], cwd=PROJECT, check=False)
    assert ledger.lease().is_of("dead")
    assert has_died(ledger.lease().holder)
    said: list[str] = []
    with keeper(ledger, report=said.append) as lease:
        assert lease.fence == 2
    assert "whose process is gone" in said[0]
    (event,) = ledger.read().events
    assert event.evidence["forced"] is False


@pytest.mark.parametrize("change", [{"host": "ci-7"}, {"born": "another boot pid:[1] 5"}], ids=["host", "boot"])
def test_who_is_silent_elsewhere_is_not_dead(ledger: FileLedger, change: dict[str, str]) -> None:
    taken_by(ledger, replace(here("theirs"), process=2**22 + 1, **change))
    clock = Clock(START + timedelta(days=2))
    with (
        pytest.raises(LeaseHeld, match="2 d ago, which alone does not prove that it is dead"),
        keeper(ledger, clock=clock),
    ):
        pass


def test_who_lives_here_is_not_dead(ledger: FileLedger) -> None:
    assert not has_died(here())
    assert not has_died(None)
    assert here().process == os.getpid()


# -- a ledger that fails


def test_a_ledger_that_can_not_be_reached_gives_no_lease(ledger: FileLedger) -> None:
    failing = Failing(ledger)
    failing.broken = {"lease"}
    with pytest.raises(LedgerError, match="can't be reached"), keeper(failing):
        pass


def test_without_an_answer_nothing_is_done_but_the_traffic_may_come_back(ledger: FileLedger) -> None:
    failing, said = Failing(ledger), list[str]()
    with keeper(failing, report=said.append) as lease:
        failing.broken = {"lease"}
        with pytest.raises(LedgerError):
            lease.check()
        lease.check(is_way_back=True)
        assert "nobody knows whether the lease is still this run's" in said[-1]
        failing.broken = set()


def test_a_lost_lease_is_lost_on_the_way_back_too(ledger: FileLedger) -> None:
    with keeper(ledger) as lease:
        taken_by(ledger, elsewhere())
        with pytest.raises(LeaseLost):
            lease.check(is_way_back=True)


def test_a_heartbeat_that_fails_is_told_after_a_while_once_and_so_is_its_return(ledger: FileLedger) -> None:
    failing, clock, said = Failing(ledger), Clock(), list[str]()
    with keeper(failing, clock=clock, report=said.append) as lease:
        failing.broken = {"swap"}
        for _ in range(5):
            clock.passes(10)
            assert lease.beat()
        assert said == []
        for _ in range(5):
            clock.passes(10)
            assert lease.beat()
        assert said == ["the lease shows no sign of life since 12:00:00: swap can't be reached"]
        lease.check()
        failing.broken = set()
        assert lease.beat()
        assert said[1:] == ["the lease shows signs of life again"]
    assert ledger.lease().holder is None


@pytest.mark.parametrize("act", ["take", "beat", "give back"])
def test_a_write_whose_answer_got_lost_was_done_all_the_same(ledger: FileLedger, act: str) -> None:
    failing, clock = Failing(ledger), Clock()
    failing.loses_answers = act == "take"
    with keeper(failing, clock=clock) as lease:
        failing.loses_answers = act == "beat"
        clock.passes(10)
        assert lease.beat()
        clock.passes(10)
        failing.loses_answers = False
        assert lease.beat()
        lease.check()
        failing.loses_answers = act == "give back"
    assert ledger.lease().holder is None


def test_a_beat_that_was_written_unheard_is_taken_for_this_runs_own(ledger: FileLedger) -> None:
    """Its answer got lost, and so did the question that followed."""

    class Deaf(Failing):
        def swap_lease(self, expected: Lease, new: Lease) -> bool:
            swapped = super().swap_lease(expected, new)
            if self.loses_answers:
                self.broken = {"lease"}
                raise LedgerError("timed out")
            return swapped

    deaf, clock = Deaf(ledger), Clock()
    with keeper(deaf, clock=clock) as lease:
        deaf.loses_answers = True
        clock.passes(10)
        assert lease.beat()
        deaf.loses_answers, deaf.broken = False, set()
        clock.passes(10)
        assert lease.beat()
        assert lease.beat()
        lease.check()
    assert ledger.lease().holder is None


# -- the thread


def test_the_heartbeat_goes_on_by_itself_until_the_end(ledger: FileLedger) -> None:
    beats, more, clock = threading.Semaphore(0), threading.Semaphore(0), Clock()
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        beats.release()
        more.acquire()
        return False

    with keeper(ledger, clock=clock, wait=wait, beat_seconds=7) as lease:
        assert beats.acquire(timeout=20)
        for number in range(1, 4):
            clock.passes(7)
            more.release()
            assert beats.acquire(timeout=20)
            assert ledger.lease().beat_at == START + timedelta(seconds=7 * number)
        lease.check()
    more.release()  # the thread finds that it has ended
    assert set(waited) == {7}
    assert ledger.lease() == Lease(1, None, clock.now)


def test_the_thread_of_a_keeper_ends_with_it(ledger: FileLedger) -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "lease"}

    before = threads()
    with LeaseKeeper(ledger, here()):
        (mine,) = threads() - before
        assert mine.daemon
    mine.join(20)
    assert not mine.is_alive()


def test_a_lease_that_could_not_be_given_back_at_once_is_tried_again(
    ledger: FileLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes next from another machine would have to force it."""
    read, slept = FileLedger.lease, list[float]()
    with LeaseKeeper(ledger, here(), sleep=slept.append):

        def throttled(made: FileLedger) -> Lease:
            if len(slept) < 2:
                raise LedgerError("throttled")
            return read(made)

        monkeypatch.setattr(FileLedger, "lease", throttled)
    assert len(slept) == 2
    assert read(ledger).holder is None
