"""The right to change a stack over several `up`s: who has it, and who may take it. Pure.

A lease has a number, its fence, that only rises: whoever finds another number than the one that he took is out, however
he came to be silent for so long. Time alone ends no lease: a heartbeat that is missing is no proof that its owner is
dead, since a machine that is cut off may still be at work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bluegreen.model.verdict import Hopeless, Ready

SILENT_AFTER = timedelta(minutes=1)
"""Six heartbeats missed."""

WAIT_OR_FORCE = (
    "Wait until it ends; `bluegreen history` tells how far it is. If you know that it is dead, `--force` takes it over."
)


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who has the lease. `run`: its deployment. `born`: the birthmark of its process (`bluegreen.process`)."""

    run: str
    verb: str
    operator: str
    host: str
    process: int
    born: str
    since: datetime
    ci_run: str = ""

    def __str__(self) -> str:
        told = f"{self.operator} on {self.host} (process {self.process})"
        ci = f", CI run {self.ci_run}" if self.ci_run else ""
        return f"{told}{ci}: {self.verb}, run {self.run}, since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Lease:
    """A stack's lease as it stands. Without a holder it is free; its fence stays. `beat_at`: the last sign of life."""

    fence: int = 0
    holder: Holder | None = None
    beat_at: datetime | None = None

    def taken_by(self, holder: Holder, now: datetime) -> Lease:
        return Lease(self.fence + 1, holder, now)

    def beaten(self, now: datetime) -> Lease:
        return dataclasses.replace(self, beat_at=now)

    def released(self, now: datetime) -> Lease:
        return Lease(self.fence, None, now)

    def is_of(self, run: str) -> bool:
        return self.holder is not None and self.holder.run == run

    def as_record(self) -> dict[str, Any]:
        """Plain data; moments in ISO 8601."""
        holder = self.holder and {**dataclasses.asdict(self.holder), "since": self.holder.since.isoformat()}
        return {"fence": self.fence, "holder": holder, "beat_at": self.beat_at and self.beat_at.isoformat()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Lease:
        """The lease that `as_record` described. Raises ValueError, KeyError or TypeError where that was changed."""
        holder, beat_at = record["holder"], record["beat_at"]
        return cls(
            int(record["fence"]),
            holder and Holder(**{**holder, "since": datetime.fromisoformat(holder["since"])}),
            beat_at and datetime.fromisoformat(beat_at),
        )


@dataclass(frozen=True)
class Take:
    """The lease may be taken. `left`: from whom, where somebody still has it; `is_forced`: without proof that he is
    gone."""

    left: Holder | None = None
    is_forced: bool = False

    def __str__(self) -> str:
        if not self.left:
            return "the lease was free"
        how = "by force" if self.is_forced else "whose process is gone"
        return f"the lease is taken over from {self.left}, {how}"


@dataclass(frozen=True)
class Keep:
    """The run has it already."""


def decide(lease: Lease, run: str, now: datetime, *, is_gone: bool, is_forced: bool) -> Take | Keep | Hopeless:
    """Whether a run may have the lease. `is_gone`: the holder's process is known to be gone."""
    match lease.holder:
        case None:
            return Take()
        case Holder(run=holders) if holders == run:
            return Keep()
        case holder if is_gone or is_forced:
            return Take(left=holder, is_forced=not is_gone)
        case holder:
            return Hopeless(f"the stack is being changed by {holder}; {_sign_of_life(lease, now)}", WAIT_OR_FORCE)


def judge(
    lease: Lease, run: str, fence: int, now: datetime, *, is_gone: bool = False, is_forced: bool = False
) -> Ready | Hopeless:
    """Whether a run may act on the stack now. `fence`: of the lease that it took; 0 for a run that took none.

    A run that has lost its lease may not, by no force: whoever took it relies on that.
    """
    if fence:
        if lease.fence == fence and lease.is_of(run):
            return Ready("the lease is this run's")
        now_with = f"by {lease.holder}" if lease.holder else "and given back since"
        return Hopeless(
            f"another deployment has taken the stack over: lease {lease.fence}, taken {now_with}; this run had "
            f"lease {fence}",
            "This run does nothing more. `bluegreen status` and `bluegreen history` tell where the stack is now.",
        )
    match decide(lease, run, now, is_gone=is_gone, is_forced=is_forced):
        case Hopeless(summary):
            return Hopeless(
                summary,
                "Wait until it ends, or use the verbs of `bluegreen` (promote, abort, rollback) that go on with it. If "
                "you know that it is dead, BLUEGREEN_FORCE=true in the environment lets this pass.",
            )
        case Take() as take if take.left:
            how = "and is passed by force" if take.is_forced else "and is gone"
            return Ready(f"the stack's lease is held by {take.left}, {how}")
        case _:
            return Ready("nobody else has the lease")


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago in words; clocks of two machines may differ, so never less than nothing."""
    if moment is None:
        return "at an unknown time"
    seconds = max(0, round((now - moment).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _sign_of_life(lease: Lease, now: datetime) -> str:
    told = f"its last heartbeat was {ago(lease.beat_at, now)}"
    is_silent = lease.beat_at is not None and now - lease.beat_at > SILENT_AFTER
    return f"{told}, which alone does not prove that it is dead: it may only be cut off" if is_silent else told
