"""The history of a stack's releases: events in their order, and what they say of each release. Pure.

History, not state: what runs is in the stack's outputs, and who takes the traffic only the load balancer knows. Where
events are kept is `bluegreen.ledger`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bluegreen.model.fleet import ALL_TRAFFIC
from bluegreen.model.release import Release


class Kind(StrEnum):
    """What an event tells. Those that end in `failed` carry their evidence."""

    BEGAN = "began"  # a verb of the bluegreen command, before it acts
    ENDED = "ended"  # the same verb, with its outcome
    GATE_PASSED = "gate passed"
    GATE_FAILED = "gate failed"
    MIGRATED = "migrated"  # the migration of a release has succeeded
    CUTOVER = "cutover"  # the production listener forwards as declared
    ATTEST_PASSED = "attest passed"
    ATTEST_FAILED = "attest failed"
    SOAK_BEGAN = "soak began"
    SOAK_PASSED = "soak passed"
    SOAK_FAILED = "soak failed"
    FORENSICS = "forensics"  # what was saved of a group before it goes
    ROLLED_BACK = "rolled back"


FAILURES = frozenset({Kind.GATE_FAILED, Kind.ATTEST_FAILED, Kind.SOAK_FAILED})
WATCH_FAILURES = frozenset({Kind.ATTEST_FAILED, Kind.SOAK_FAILED})


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened. `run`: the deployment it belongs to. `release`: the version it is about, if any.

    `evidence` is plain data, by kind:

    - CUTOVER: `weights` {version: percent}, `releases` {version: the whole release's record}, `awaitsSoak` bool
    - MIGRATED: `schema`, the database's version from then on, where the command told it
    - ROLLED_BACK: `way`, `trafficSeconds`
    - FORENSICS: `folder`
    - failures: what was seen
    """

    at: datetime
    run: str
    kind: Kind
    release: str = ""
    summary: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """Plain data; `at` in ISO 8601."""
        return {**dataclasses.asdict(self), "at": self.at.isoformat(), "kind": self.kind.value}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Event:
        """The event that `as_record` described. Raises ValueError, KeyError or TypeError where that was changed."""
        return cls(**{**record, "at": datetime.fromisoformat(record["at"]), "kind": Kind(record["kind"])})


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the history says of one release.

    `served_at`: when it last got all of the traffic, None where it never did. `failure`: the last gate, attest or soak
    that it failed and has not passed since. `awaits_soak`: one was due or begun, and has not ended.
    """

    release: Release
    served_at: datetime | None = None
    failure: Event | None = None
    awaits_soak: bool = False

    @property
    def doubt(self) -> str:
        """Why it does not count as healthy, empty where it does."""
        if self.failure:
            return f"{self.failure.kind.value}: {self.failure.summary}"
        if self.awaits_soak:
            return "its soak has not ended"
        return "" if self.served_at else "it never took all of the traffic"

    @property
    def is_healthy(self) -> bool:
        return not self.doubt

    @property
    def awaits_watch(self) -> bool:
        return self.awaits_soak or (self.failure is not None and self.failure.kind in WATCH_FAILURES)

    def after(self, event: Event) -> Seen:
        """What an event about this release makes of it."""
        match event.kind:
            case Kind.CUTOVER if event.evidence.get("weights", {}).get(self.release.version) == ALL_TRAFFIC:
                awaits = self.awaits_soak or bool(event.evidence.get("awaitsSoak"))
                return dataclasses.replace(self, served_at=event.at, awaits_soak=awaits)
            case Kind.SOAK_BEGAN:
                return dataclasses.replace(self, awaits_soak=True)
            case Kind.SOAK_PASSED:
                return dataclasses.replace(self, awaits_soak=False, failure=None)
            case Kind.GATE_PASSED if self.failure and self.failure.kind is Kind.GATE_FAILED:
                return dataclasses.replace(self, failure=None)
            case Kind.ATTEST_PASSED if self.failure and self.failure.kind is Kind.ATTEST_FAILED:
                return dataclasses.replace(self, failure=None)
            case kind if kind in FAILURES:
                return dataclasses.replace(self, failure=event)
            case _:
                return self


@dataclass(frozen=True)
class History:
    """The events of a stack, oldest first."""

    events: tuple[Event, ...] = ()

    def seen(self) -> dict[str, Seen]:
        """What is known of each release that a listener ever named, by version.

        A release counts as healthy once it has taken all of the traffic, unless a soak of it is still to end, or the
        last gate, attest or soak of it has failed.
        """
        found: dict[str, Seen] = {}
        for event in self.events:
            for version, record in event.evidence.get("releases", {}).items():
                seen = found.get(version) or Seen(release=Release.from_record(record))
                found[version] = seen.after(event)
            if event.kind is not Kind.CUTOVER and event.release in found:
                found[event.release] = found[event.release].after(event)
        return found

    @property
    def healthy(self) -> frozenset[str]:
        """Versions of the releases that were seen healthy."""
        return frozenset(version for version, seen in self.seen().items() if seen.is_healthy)

    def before(self, version: str) -> Release | None:
        """The healthy release that served last before the release of this version; None where there is none."""
        others = [seen for name, seen in self.seen().items() if seen.is_healthy and seen.served_at and name != version]
        newest = max(others, key=lambda seen: seen.served_at or datetime.min, default=None)
        return newest.release if newest else None

    def awaits_watch(self, version: str) -> bool:
        """Whether an attest or a soak of this release has failed, or was due or begun and has not ended."""
        seen = self.seen().get(version)
        return seen is not None and seen.awaits_watch

    def has_migrated(self, version: str) -> bool:
        return any(event.kind is Kind.MIGRATED and event.release == version for event in self.events)

    @property
    def schema(self) -> int | None:
        """The version of the database's schema, as the last migration that told it; None where none did."""
        told = [event.evidence["schema"] for event in self.events if event.evidence.get("schema") is not None]
        return int(told[-1]) if told else None

    def seconds_of_last_rollback(self, way: str) -> float | None:
        """How long it took the traffic to be back, the last time that a rollback went this way."""
        took = [
            event.evidence["trafficSeconds"]
            for event in self.events
            if event.kind is Kind.ROLLED_BACK and event.evidence.get("way") == way
        ]
        return float(took[-1]) if took else None

    def of_run(self, run: str) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.run == run)
