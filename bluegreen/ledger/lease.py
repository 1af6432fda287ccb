"""Keeps a stack's lease while a deployment goes on: takes it, shows signs of life, and gives it back.

with LeaseKeeper(ledger, holder_here(...)) as lease:
    lease.check()  # before every act
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType

from bluegreen.errors import LeaseHeld, LeaseLost, LedgerError
from bluegreen.ledger.ledger import Ledger
from bluegreen.model.history import Event, Kind
from bluegreen.model.lease import SILENT_AFTER, WAIT_OR_FORCE, Holder, Keep, Lease, Take, decide, judge
from bluegreen.model.verdict import Hopeless
from bluegreen.process import birthmark, is_gone

BEAT_SECONDS = 10.0
RELEASE_PAUSES_SECONDS = (1.0, 3.0, 0.0)
"""Whoever comes next would have to force a lease that is not given back."""
TRIES = 5
"""To take a lease that others try to take at the same moment."""


def holder_here(*, run: str, verb: str, operator: str, now: datetime, ci_run: str = "") -> Holder:
    """A holder whose process is this one."""
    process = os.getpid()
    return Holder(
        run=run,
        verb=verb,
        operator=operator,
        host=socket.gethostname(),
        process=process,
        born=birthmark(process),
        since=now,
        ci_run=ci_run,
    )


def has_died(holder: Holder | None) -> bool:
    """Whether a holder is known to be dead: it ran on this host, and its process is gone."""
    return holder is not None and holder.host == socket.gethostname() and is_gone(holder.process, holder.born)


class LeaseKeeper:
    """Holds the lease from `with` to its end, however that comes.

    Raises LeaseHeld where another run has it and is not known to be dead, unless forced, and LedgerError, unless it
    `is_needed` no more than that this is told. Where this run has it already, by a keeper around this one, that one
    keeps it. `report` hears of a lease that was taken over,
    and of heartbeats that can't be written. `wait`: returns True once the heartbeat is to end; a thread's own by
    default.
    """

    def __init__(
        self,
        ledger: Ledger,
        holder: Holder,
        *,
        is_forced: bool = False,
        is_needed: bool = True,
        report: Callable[[str], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        beat_seconds: float = BEAT_SECONDS,
        silent_after: timedelta = SILENT_AFTER,
        wait: Callable[[float], bool] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        has_died: Callable[[Holder | None], bool] = has_died,
    ) -> None:
        self._ledger = ledger
        self._holder = holder
        self._is_forced = is_forced
        self._is_needed = is_needed
        self._report = report
        self._clock = clock
        self._beat_seconds = beat_seconds
        self._silent_after = silent_after
        self._has_died = has_died
        self._sleep = sleep
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._lock = threading.Lock()
        self._lease = Lease()
        self.before = Lease()
        """As it was when it was taken."""
        self._is_inner = False
        self._is_lost = False
        self._is_silent = False
        self._beaten_at = holder.since

    @property
    def fence(self) -> int:
        """For the environment of the program (`Run.fence`)."""
        return self._lease.fence

    def __enter__(self) -> LeaseKeeper:
        try:
            taken = self._acquire()
            if taken and taken.left:
                self._tell_takeover(taken, taken.left)
            if not self._is_inner:
                threading.Thread(target=self._beat_on, name="lease", daemon=True).start()
        except BaseException as error:
            self._release()
            if self._is_needed or not isinstance(error, LedgerError):
                raise
            self._lease = Lease()
            self._report(f"going on without the stack's lease: {error}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def check(self, *, is_way_back: bool = False) -> None:
        """Return if the lease still is this run's. Raises LeaseLost if not, LedgerError where that can't be known.

        `is_way_back`: what can't be known is only told; traffic must come back from a bad release all the same.
        """
        try:
            found = self._ledger.lease()
        except LedgerError as error:
            if not is_way_back:
                raise
            self._report(f"nobody knows whether the lease is still this run's: {error}")
            return
        match judge(found, self._holder.run, self.fence, self._clock(), is_forced=self._is_forced):
            case Hopeless(summary, next_step):
                self._is_lost = True
                raise LeaseLost(summary, next_step)

    def beat(self) -> bool:
        """Show a sign of life. False once there is no more to show: the lease is lost, or was given back."""
        with self._lock:
            if self._ended.is_set() or self._is_lost:
                return False
            now = self._clock()
            try:
                self._write(self._lease.beaten(now))
            except LedgerError as error:
                if not self._is_silent and now - self._beaten_at >= self._silent_after:
                    self._is_silent = True
                    self._report(f"the lease shows no sign of life since {self._beaten_at:%H:%M:%S}: {error}")
                return True
            if self._is_silent and not self._is_lost:
                self._is_silent = False
                self._report("the lease shows signs of life again")
            self._beaten_at = now
            return not self._is_lost

    def _beat_on(self) -> None:
        while not self._wait(self._beat_seconds):
            if not self.beat():
                return

    def _acquire(self) -> Take | None:
        for _ in range(TRIES):
            found, now = self._ledger.lease(), self._clock()
            is_dead = self._has_died(found.holder)
            match decide(found, self._holder.run, now, is_gone=is_dead, is_forced=self._is_forced):
                case Hopeless(summary, next_step):
                    raise LeaseHeld(summary, next_step)
                case Keep():
                    self._lease, self.before, self._is_inner = found, found, True
                    return None
                case take:
                    self._lease = found.taken_by(self._holder, now)  # known before it is written: Ctrl-C gives it back
                    if self._swapped(found, self._lease):
                        self._beaten_at, self.before = now, found
                        return take
                    self._lease = Lease()
        raise LeaseHeld("others take the stack's lease at the same moment, again and again", WAIT_OR_FORCE)

    def _write(self, new: Lease) -> None:
        """In the place of what is this run's. Sets `_is_lost` where nothing is."""
        if self._swapped(self._lease, new):
            self._lease = new
            return
        found = self._ledger.lease()
        if found.fence == self.fence and found.is_of(self._holder.run):
            self._lease = found  # a beat whose answer got lost was written after all
            return
        self._is_lost = True
        self._report(f"the lease is this run's no more: {found.holder or 'it was given back'}")

    def _swapped(self, expected: Lease, new: Lease) -> bool:
        """An answer that got lost says nothing: the lease itself is asked then."""
        try:
            return self._ledger.swap_lease(expected, new)
        except LedgerError:
            found = self._ledger.lease()
            if found == expected:
                raise
            return found == new

    def _release(self) -> None:
        self._ended.set()
        with self._lock:
            if self._is_inner or self._is_lost or not self._lease.fence:
                return
            for pause_seconds in RELEASE_PAUSES_SECONDS:
                try:
                    # What is there may be a beat that nobody heard was written.
                    found = self._ledger.lease()
                    if found.fence == self.fence and found.is_of(self._holder.run):
                        self._swapped(found, found.released(self._clock()))
                    return
                except LedgerError as error:
                    why = error
                    self._sleep(pause_seconds)
            self._report(f"the lease could not be given back: {why}")

    def _tell_takeover(self, taken: Take, left: Holder) -> None:
        self._report(str(taken))
        evidence = {"from": Lease(holder=left).as_record()["holder"], "forced": taken.is_forced}
        event = Event(
            at=self._clock(), run=self._holder.run, kind=Kind.TAKEN_OVER, summary=str(taken), evidence=evidence
        )
        try:
            self._ledger.append(event)
        except LedgerError as error:
            self._report(f"not in the ledger: {event.kind.value}: {error}")
