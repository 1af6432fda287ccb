"""Where a stack's history is kept: the interface, and the recorder that hooks and driver write with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bluegreen.errors import LedgerError
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.lease import Lease

RUN_VARIABLE = "BLUEGREEN_RUN"
"""The environment variables by which the driver tells the program which run its `up` belongs to, and what it is."""
FORCE_VARIABLE = "BLUEGREEN_FORCE"
DESTROY_VARIABLE = "BLUEGREEN_DESTROY"
FENCE_VARIABLE = "BLUEGREEN_FENCE"

RUNS = "runs"
"""The directory, beside Pulumi.yaml, of ledger and evidence."""


class Ledger(Protocol):
    """One stack's events, and the lease on it. Safe to share between threads. Making one asks nobody anything."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    def append(self, event: Event) -> None:
        """A reader sees the event whole or not at all. Raises LedgerError where it can't be kept."""

    def read(self) -> History:
        """All events, oldest first; none where there is no ledger yet. Raises LedgerError."""

    def lease(self) -> Lease:
        """As it stands. Raises LedgerError."""

    def swap_lease(self, expected: Lease, new: Lease) -> bool:
        """Put another lease in the place of the expected one. False, and nothing done, where another is there by now.

        Raises LedgerError, after which it may have been done or not.
        """

    def publish(self, service: str, values: Mapping[str, str]) -> None:
        """Tell other systems what a service of the stack is now, where the backend is made for it. Raises
        LedgerError."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One deployment: a verb of the bluegreen command with all its `up`s, or a plain `pulumi up`.

    `name` sorts by time. `is_forced`: a person let it pass what would be refused. `is_destroy`: all is to go. `fence`:
    of the lease that it holds, 0 where it has none.
    """

    directory: Path
    stack: str
    name: str
    is_forced: bool = False
    is_destroy: bool = False
    fence: int = 0

    @classmethod
    def new(
        cls, directory: Path, stack: str, now: datetime, *, is_forced: bool = False, is_destroy: bool = False
    ) -> Run:
        name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        return cls(directory=directory, stack=stack, name=name, is_forced=is_forced, is_destroy=is_destroy)

    @classmethod
    def of_environment(cls, directory: Path, stack: str, environment: Mapping[str, str], now: datetime) -> Run:
        """The one that the driver has begun, else a new one."""
        new = cls.new(directory, stack, now)
        return replace(
            new,
            name=environment.get(RUN_VARIABLE) or new.name,
            is_forced=bool(environment.get(FORCE_VARIABLE)),
            is_destroy=bool(environment.get(DESTROY_VARIABLE)),
            fence=int(environment.get(FENCE_VARIABLE) or 0),
        )

    @property
    def environment(self) -> dict[str, str]:
        """What `of_environment` reads."""
        flags = {FORCE_VARIABLE: self.is_forced, DESTROY_VARIABLE: self.is_destroy}
        return {
            RUN_VARIABLE: self.name,
            FENCE_VARIABLE: str(self.fence or ""),
            **{name: "true" if flag else "" for name, flag in flags.items()},
        }

    @property
    def ledger(self) -> Path:
        return self.directory / RUNS / self.stack / "ledger.jsonl"

    @property
    def folder(self) -> Path:
        """Of what this run leaves for people to look at."""
        return self.directory / RUNS / self.stack / self.name


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Appends the events of one run. `report` hears of what can't be kept."""

    ledger: Ledger
    run: str
    report: Callable[[str], None] = lambda _: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def record(
        self, kind: Kind, *, release: str = "", summary: str = "", evidence: Mapping[str, Any] | None = None
    ) -> None:
        """Raises LedgerError."""
        self.ledger.append(
            Event(at=self.now(), run=self.run, kind=kind, release=release, summary=summary, evidence=evidence or {})
        )

    def note(
        self, kind: Kind, *, release: str = "", summary: str = "", evidence: Mapping[str, Any] | None = None
    ) -> None:
        """The same, but what can't be recorded neither stops nor hides what it is about: the way back least of all."""
        try:
            self.record(kind, release=release, summary=summary, evidence=evidence)
        except LedgerError as error:
            self.report(f"not in the ledger: {kind.value}: {error}")

    def read(self) -> History:
        """All events; none where they can't be read: then nothing counts as seen healthy."""
        try:
            return self.ledger.read()
        except LedgerError as error:
            self.report(str(error))
            return History()
