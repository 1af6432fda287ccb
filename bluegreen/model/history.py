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
    GATE_PASSED = "gate passed"  # and the listener is about to change
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
    TAKEN_OVER = "taken over"  # the lease, from a holder who had not given it back
    DESTROYED = "destroyed"  # what was known of releases says nothing of those that come
    REVOKED = "revoked"  # no stack takes the image any more
    RESTORED = "restored"  # a revoked image may be taken again


ATTEST, SOAK = "attest", "soak"
ROLLBACK = "rollback"
"""The verb."""

GRAVITY = {Kind.GATE_FAILED: 1, Kind.ATTEST_FAILED: 2, Kind.SOAK_FAILED: 3}
"""How much a release has to pass before a failure of it is past: as much as it had passed by then."""
FAILURES = frozenset(GRAVITY)
WATCH_FAILURES = frozenset({Kind.ATTEST_FAILED, Kind.SOAK_FAILED})


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened. `run`: the deployment it belongs to. `release`: the version it is about, if any.

    `evidence` is plain data, by kind:

    - BEGAN: `verb`, `strategy` of one that has one, `operator`, `ciRun`, `image`, `made`, what that was made of,
      `releases` as they ran, `from` of a rollback, `promotedFrom` {stack, image, run} of one that brings in what
      another stack runs, `forced`, a list of what a person let pass
    - ENDED: `verb`, `outcome`, `seconds`, `error`; `serving` {version: percent}, where the load balancer was asked
    - GATE_PASSED, CUTOVER: `weights` {version: percent}, `releases` {version: the whole release's record}
    - GATE_PASSED: `awaits`, what of "attest" and "soak" has to follow; `gate`, what it saw; `before`
      {weights, capacity} and `capacity` {version: machines wanted}, of whom the listener named and is to name;
      `forced`, what a person let it pass
    - GATE_PASSED, GATE_FAILED: `waitedSeconds` of the gate
    - these and CUTOVER: `image`, what that of the release was made of, where a new launch template had it looked at
    - what a hook notes of a gate, and DESTROYED: `operator`, `ciRun`, `began`, when the update did
    - MIGRATED: `schema`, the database's version from then on, where the command told it
    - ROLLED_BACK: `way`, `trafficSeconds`
    - FORENSICS: `folder`
    - TAKEN_OVER: `from`, who had the lease; `forced`, whether without proof that he is gone
    - REVOKED, RESTORED: `image`, `copies` of it (ids), `contentDigest`, empty where it is not known, `why`, `operator`
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
        """The event that `as_record` described. Raises ValueError, KeyError or TypeError where that was changed, or
        tells of a release what can't be read."""
        event = cls(**{**record, "at": datetime.fromisoformat(record["at"]), "kind": Kind(record["kind"])})
        if not isinstance(event.evidence, Mapping):
            raise TypeError(f"evidence should be an object, not {event.evidence!r}")
        for name in ("weights", "releases"):
            if not isinstance(event.evidence.get(name, {}), Mapping):
                raise TypeError(f"{name} should be an object, not {event.evidence[name]!r}")
        for release in event.evidence.get("releases", {}).values():
            Release.from_record(release)
        if event.kind in (Kind.REVOKED, Kind.RESTORED):
            Revocation.from_event(event)
        return event


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the history says of one release.

    `served_at`: when it last got all of the traffic, None where it never did. `failure`: the gravest gate, attest or
    soak that it failed and has not passed since. `awaits`: which of "attest" and "soak" were due or begun, and did not
    end. `left_at`: when the traffic was taken from it by a rollback, None where it was brought in again since.
    """

    release: Release
    served_at: datetime | None = None
    failure: Event | None = None
    awaits: frozenset[str] = frozenset()
    left_at: datetime | None = None

    @property
    def doubt(self) -> str:
        """Why it does not count as healthy, empty where it does."""
        if self.failure:
            return f"{self.failure.kind.value}: {self.failure.summary}"
        if self.left_at:
            return f"it was rolled back from at {self.left_at:%Y-%m-%d %H:%M}"
        if self.awaits:
            return f"its {' and '.join(sorted(self.awaits))} has not ended"
        return "" if self.served_at else "it never took all of the traffic"

    @property
    def is_healthy(self) -> bool:
        return not self.doubt

    def after(self, event: Event) -> Seen:
        """What an event about this release makes of it."""
        match event.kind:
            case Kind.GATE_PASSED:
                # Each shift has a watch of its own: what an earlier one left open ends with it.
                awaits = frozenset(event.evidence.get("awaits", ()))
                failure = None if self.failure and self.failure.kind is Kind.GATE_FAILED else self.failure
                return dataclasses.replace(self, awaits=awaits, failure=failure, left_at=None)
            case Kind.CUTOVER if event.evidence.get("weights", {}).get(self.release.version) == ALL_TRAFFIC:
                return dataclasses.replace(self, served_at=event.at)
            case Kind.SOAK_BEGAN:
                return dataclasses.replace(self, awaits=self.awaits | {SOAK})
            case Kind.SOAK_PASSED:
                return dataclasses.replace(self, awaits=frozenset(), failure=None)
            case Kind.ATTEST_PASSED:
                failure = None if self.failure and self.failure.kind is Kind.ATTEST_FAILED else self.failure
                return dataclasses.replace(self, awaits=self.awaits - {ATTEST}, failure=failure)
            case Kind.GATE_FAILED if self.served_at:
                return self  # a gate that refuses what has served before says nothing of how it served
            case kind if kind in FAILURES:
                # A smaller failure, once mended, must not take a graver one with it.
                is_graver = self.failure is None or GRAVITY[kind] >= GRAVITY[self.failure.kind]
                return dataclasses.replace(self, failure=event) if is_graver else self
            case Kind.ROLLED_BACK:
                return dataclasses.replace(self, left_at=event.at)
            case _:
                return self


@dataclass(frozen=True, kw_only=True)
class LastRollback:
    """A rollback after which nothing was deployed. `left`: whom it took the traffic from. `is_open`: it has not ended
    well."""

    release: str
    left: str
    at: datetime
    is_open: bool


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """That an image was vetoed: by whom, when, and why. `images`: its id and those of its known copies."""

    images: frozenset[str]
    content_digest: str
    why: str
    operator: str
    at: datetime

    @classmethod
    def from_event(cls, event: Event) -> Revocation:
        evidence = event.evidence
        return cls(
            images=frozenset((evidence["image"], *evidence.get("copies", ()))),
            content_digest=str(evidence.get("contentDigest", "")),
            why=str(evidence.get("why", "")),
            operator=str(evidence.get("operator", "")),
            at=event.at,
        )

    def is_about(self, image: str, content_digest: str) -> bool:
        return image in self.images or bool(content_digest and content_digest == self.content_digest)

    def __str__(self) -> str:
        return f"revoked by {self.operator or 'somebody'} on {self.at:%Y-%m-%d %H:%M}: {self.why}"


@dataclass(frozen=True)
class History:
    """The events of a stack, oldest first."""

    events: tuple[Event, ...] = ()

    def seen(self) -> dict[str, Seen]:
        """What is known of each release that a listener ever named, by version.

        A release counts as healthy once it has taken all of the traffic, unless an attest or a soak of it is still to
        end, the last one has failed, or a rollback took the traffic from it.
        """
        found: dict[str, Seen] = {}
        for event in self._since_destroyed():
            for version, record in event.evidence.get("releases", {}).items():
                found.setdefault(version, Seen(release=Release.from_record(record)))
            about = event.evidence.get("from", "") if event.kind is Kind.ROLLED_BACK else event.release
            concerned = found if event.kind is Kind.CUTOVER else {about}.intersection(found)
            for version in concerned:
                found[version] = found[version].after(event)
        return found

    def _since_destroyed(self) -> tuple[Event, ...]:
        ends = [at for at, event in enumerate(self.events) if event.kind is Kind.DESTROYED]
        return self.events[ends[-1] + 1 :] if ends else self.events

    @property
    def healthy(self) -> frozenset[str]:
        """Versions of the releases that were seen healthy."""
        return frozenset(version for version, seen in self.seen().items() if seen.is_healthy)

    def before(self, version: str) -> Release | None:
        """The healthy release that served last before the release of this version; None where there is none."""
        others = [
            (seen.served_at, seen.release)
            for name, seen in self.seen().items()
            if seen.is_healthy and seen.served_at and name != version
        ]
        return max(others, key=lambda other: other[0])[1] if others else None

    def has_migrated(self, version: str) -> bool:
        return any(event.kind is Kind.MIGRATED and event.release == version for event in self._since_destroyed())

    @property
    def schema(self) -> int | None:
        """The version of the database's schema, as the last migration that told it; None where none did."""
        events = self._since_destroyed()
        told = [event.evidence["schema"] for event in events if event.evidence.get("schema") is not None]
        return int(told[-1]) if told else None

    @property
    def refused(self) -> str:
        """The release that a gate has refused since the listener last changed; empty where none was."""
        for event in reversed(self._since_destroyed()):
            if event.kind is Kind.CUTOVER:
                break
            if event.kind is Kind.GATE_FAILED:
                return event.release
        return ""

    @property
    def moved_at(self) -> datetime | None:
        """When the production listener was last changed; None where nobody noted it, or may have died before."""
        for event in reversed(self._since_destroyed()):
            if event.kind is Kind.CUTOVER:
                return event.at
            if event.kind is Kind.GATE_PASSED:
                return None
        return None

    def last_rollback(self) -> LastRollback | None:
        """The last deployment, if it was a rollback."""
        began = [
            (at, event)
            for at, event in enumerate(self.events)
            if event.kind is Kind.BEGAN and event.evidence.get("verb") == ROLLBACK
        ]
        if not began:
            return None
        position, last = began[-1]
        later = self.events[position + 1 :]
        if any(event.kind in (Kind.BEGAN, Kind.CUTOVER) and event.run != last.run for event in later):
            return None
        is_done = any(event.kind is Kind.ROLLED_BACK for event in later)
        left = str(last.evidence.get("from", ""))
        return LastRollback(release=last.release, left=left, at=last.at, is_open=not is_done)

    def has_evidence(self, version: str) -> bool:
        """Whether what is known of a release was saved since it last failed; also where it never did."""
        about = [event for event in self.events if event.release == version]
        failed = [at for at, event in enumerate(about) if event.kind in FAILURES]
        return not failed or any(event.kind is Kind.FORENSICS for event in about[failed[-1] :])

    def says_of(self, image: str, content_digest: str = "") -> Event | None:
        """The last revocation or restoring of an image, or of any with its content; None where neither was recorded.

        A destroy does not end a revocation: it is about the image, not about what ran.
        """
        for event in reversed(self.events):
            if event.kind in (Kind.REVOKED, Kind.RESTORED) and Revocation.from_event(event).is_about(
                image, content_digest
            ):
                return event
        return None

    def revocation(self, image: str, content_digest: str = "") -> Revocation | None:
        """Why an image may not be taken; None where it may. Copies have other ids: the content is what counts."""
        last = self.says_of(image, content_digest)
        return Revocation.from_event(last) if last and last.kind is Kind.REVOKED else None

    def seconds_of_last_rollback(self, way: str) -> float | None:
        """How long it took the traffic to be back, the last time that a rollback went this way."""
        took = [
            event.evidence["trafficSeconds"]
            for event in self.events
            if event.kind is Kind.ROLLED_BACK
            and event.evidence.get("way") == way
            and event.evidence["trafficSeconds"] is not None  # where the traffic was back before it began
        ]
        return float(took[-1]) if took else None

    def of_run(self, run: str) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.run == run)
