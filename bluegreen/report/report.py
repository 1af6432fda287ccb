"""The reports: one for each way to show what a command does. All take the same events, from any thread.

A report must not hold a deployment up: output that nobody takes any more is dropped.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TextIO

from bluegreen.errors import BluegreenError
from bluegreen.events import Ended, EngineLine, Error, Event, Health, Outcome, Result
from bluegreen.progress import Progress
from bluegreen.report.wording import duration, plain, words_of

QUIET_SECONDS = 30.0
"""How long the same line is not said again, and after how long without a line one says that it goes on."""


class Mode(StrEnum):
    """How to show it."""

    LIVE = "live"
    PLAIN = "plain"
    JSON = "json"


def mode_of(*, as_json: bool, out: TextIO | None = None, environment: Mapping[str, str] = os.environ) -> Mode:
    """What suits where the output goes: a live view needs a terminal that can move its cursor."""
    if as_json:
        return Mode.JSON
    is_terminal = (out or sys.stdout).isatty() and environment.get("TERM", "") not in ("", "dumb")
    return Mode.PLAIN if environment.get("CI") or not is_terminal else Mode.LIVE


def reporter(
    mode: Mode,
    stacks: Sequence[str],
    *,
    verb: str = "",
    is_verbose: bool = False,
    out: TextIO | None = None,
    err: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    environment: Mapping[str, str] = os.environ,
) -> Report:
    """The report of a command on these stacks. `is_verbose`: the engine's own lines are shown as well.

    Everything goes to `out` but for errors in words, which go to `err`.
    """
    out, err = out or sys.stdout, err or sys.stderr
    match mode:
        case Mode.JSON:
            return JsonReport(stacks, is_verbose=is_verbose, out=out, err=err, clock=clock, now=now)
        case Mode.PLAIN:
            return PlainReport(stacks, is_verbose=is_verbose, out=out, err=err, clock=clock)
        case Mode.LIVE:
            from bluegreen.report.on_terminal import LiveReport

            return LiveReport(
                stacks, verb=verb, is_verbose=is_verbose, out=out, err=err, clock=clock, environment=environment
            )


class Report(ABC):
    """Shows events as they come, and how it ended. A context: what it has taken of a terminal is given back."""

    def __init__(
        self, stacks: Sequence[str], *, is_verbose: bool, out: TextIO, err: TextIO, clock: Callable[[], float]
    ) -> None:
        self._stacks = {stack: Progress(stack=stack) for stack in stacks}
        self._is_verbose = is_verbose
        self._out, self._err = out, err
        self._clock = clock
        self._began = clock()
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            with self._lock:
                for progress in self._stacks.values():
                    if progress.is_at_work:
                        self._keep(progress.stopped(self._clock()))
        self.close()

    def see(self, event: Event) -> None:
        """Something has happened."""
        with self._lock:
            at = self._clock()
            before = self._stacks.get(event.stack) or Progress(stack=event.stack)
            if not isinstance(event, EngineLine):
                self._keep(before.after(event, at))
            if self._is_verbose or not isinstance(event, EngineLine):
                self._show(event, at)

    def result(self, result: Result) -> None:
        """It is done: the last thing that is told."""
        with self._lock:
            self._end(result.stack, result.outcome)
            self.close()
            self._show_result(result)

    def error(self, error: BaseException, code: int, *, stack: str = "") -> None:
        """It has failed, and the command ends with this exit code: the last thing that is told."""
        what, next_step = (error.what, error.next_step) if isinstance(error, BluegreenError) else (str(error), "")
        outcome = Outcome.of_exit_code(code)
        with self._lock:
            self._end(stack, outcome)
            self.close()
            self._show_error(
                Error(
                    stack=stack or self._only_stack,
                    outcome=outcome,
                    exit_code=code,
                    error=type(error).__name__,
                    what=what or type(error).__name__,
                    next_step=next_step,
                )
            )

    @abstractmethod
    def close(self) -> None:
        """Nothing more is shown while it goes on. Twice is once."""

    @abstractmethod
    def _show(self, event: Event, at: float) -> None: ...

    @abstractmethod
    def _show_result(self, result: Result) -> None: ...

    def _show_error(self, error: Error) -> None:
        next_step = f"\n  {error.next_step}" if error.next_step else ""
        self._write(self._err, f"error: {error.what}{next_step}")

    @property
    def _only_stack(self) -> str:
        return next(iter(self._stacks)) if len(self._stacks) == 1 else ""

    def _end(self, stack: str, outcome: Outcome) -> None:
        """The one stack of a command ends with it; of several each tells its own end."""
        progress = self._stacks.get(stack or self._only_stack)
        if progress and not progress.is_over and len(self._stacks) == 1:
            at = self._clock()
            ended = Ended(stack=progress.stack, outcome=outcome, seconds=progress.elapsed(at))
            self._keep(progress.after(ended, at))

    def _keep(self, progress: Progress) -> None:
        """In a new dict: who has taken the old one can read it in peace."""
        self._stacks = {**self._stacks, progress.stack: progress}

    def _write(self, stream: TextIO, text: str) -> None:
        with suppress(OSError, ValueError):  # a pipe that nobody reads any more, a stream that is closed
            print(plain(text, stream.encoding or "ascii"), file=stream, flush=True)


class JsonReport(Report):
    """A line for each event, and one for the end."""

    def __init__(self, stacks: Sequence[str], *, now: Callable[[], datetime], **options: Any) -> None:
        super().__init__(stacks, **options)
        self._now = now

    def close(self) -> None:
        """Nothing is held."""

    def _show(self, event: Event, at: float) -> None:
        record = {"at": self._now().astimezone(UTC).isoformat(timespec="milliseconds"), **event.as_record()}
        self._write(self._out, json.dumps(record, default=str))

    def _show_result(self, result: Result) -> None:
        self._show(result, self._clock())

    def _show_error(self, error: Error) -> None:
        self._show(error, self._clock())


class PlainReport(Report):
    """A line for each event that matters, with the seconds since the command began."""

    def __init__(self, stacks: Sequence[str], **options: Any) -> None:
        super().__init__(stacks, **options)
        self._is_one = len(stacks) == 1
        self._said_at: dict[str, float] = {}  # by stack: its last line
        self._health_at: dict[tuple[str, str], float] = {}  # by stack and line
        self._last_health: dict[str, str] = {}  # by stack
        self._over = threading.Event()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._watch = threading.Thread(target=self._tick_on, daemon=True)
        self._watch.start()
        return self

    def close(self) -> None:
        self._over.set()

    def tick(self) -> None:
        """Say of each stack that was silent for long that it goes on: some CI ends jobs that say nothing."""
        with self._lock:
            at = self._clock()
            for stack, progress in self._stacks.items():
                if not progress.is_at_work or at - self._said_at.get(stack, at) < QUIET_SECONDS:
                    continue
                machines = progress.machines
                where = f"still {progress.phase}" if progress.phase else "still at work"
                health = f", {machines.healthy} of {machines.wanted} healthy" if machines else ""
                self._say(stack, f"{where}{health}, {duration(at - progress.phase_began)} now", at)

    def _tick_on(self) -> None:
        while not self._over.wait(1.0):
            self.tick()

    def _show(self, event: Event, at: float) -> None:
        if isinstance(event, EngineLine):
            self._say(event.stack, event.text, at)
        elif (words := words_of(event)) and not (isinstance(event, Health) and self._is_stale(event, words, at)):
            self._say(event.stack, words, at)

    def _is_stale(self, event: Health, words: str, at: float) -> bool:
        """Said already: machines that flap bring the same few lines over and over."""
        key = event.stack, words
        is_stale = key in self._health_at and at - self._health_at[key] < QUIET_SECONDS
        if not is_stale:
            self._health_at[key] = at
        return is_stale

    def _say(self, stack: str, text: str, at: float) -> None:
        self._said_at[stack] = at
        first, *others = plain(text).rstrip().splitlines() or [""]
        prefix = "" if self._is_one or not stack else f"{stack}: "
        self._write(self._out, f"{prefix}{at - self._began:7.1f} s  {first}")
        for line in others:
            self._write(self._out, f"{prefix}{'':9}  {line}")

    def _show_result(self, result: Result) -> None:
        if result.text:
            self._write(self._out, result.text)
