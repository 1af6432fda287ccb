"""How far a stack's deployment is, out of the events that tell of it: `Progress`. Pure: time is told to it.

What it looks like is `bluegreen.report`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bluegreen.events import (
    Began,
    Change,
    Ended,
    Event,
    Health,
    Outcome,
    Phase,
    PhaseBegan,
    ResourceChanged,
    Shifted,
    StepBegan,
    Wait,
    WaitBegan,
)


@dataclass(frozen=True)
class Machines:
    """`healthy` of `wanted` machines of a group, and why the others are not."""

    healthy: int
    wanted: int
    reason: str = ""


@dataclass(frozen=True)
class Waiting:
    """What only takes its time: so many seconds, since `began`."""

    wait: Wait
    group: str
    seconds: float
    began: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of one stack after some events. Times are seconds of whatever clock `after` is given.

    `releases`: versions in the order in which they were first told of. `weights`: percent of the traffic by version.
    """

    stack: str
    verb: str = ""
    expected_seconds: float | None = None
    has_begun: bool = False
    began: float = 0
    ended: float | None = None
    outcome: Outcome | None = None
    step: StepBegan | None = None
    phase: Phase | None = None
    phase_began: float = 0
    machines: Machines | None = None
    waiting: Waiting | None = None
    releases: tuple[str, ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[Change, int] = field(default_factory=dict)

    def after(self, event: Event, at: float) -> Progress:
        """The state once this was told, at this time."""
        before = self if self.has_begun else replace(self, has_begun=True, began=at)
        return before._told(event, at)

    def _told(self, event: Event, at: float) -> Progress:
        match event:
            case Began(verb=verb, weights=weights, roles=roles, expected_seconds=expected):
                shared = self._sharing(weights, roles)
                return replace(shared, verb=verb, expected_seconds=expected)
            case StepBegan(roles=roles):
                shared = self._sharing(self.weights, {**self.roles, **roles})
                return replace(shared, step=event, phase=None, machines=None, waiting=None)
            case PhaseBegan(phase=phase):
                # A soak that was begun is watched until the phase is over; what was seen of machines stays true.
                return replace(self, phase=phase, phase_began=at, waiting=None)
            case Health(healthy=healthy, wanted=wanted, reason=reason):
                return replace(self, machines=Machines(healthy, wanted, reason))
            case WaitBegan(wait=wait, group=group, seconds=seconds):
                return replace(self, waiting=Waiting(wait, group, seconds, at))
            case Shifted(weights=weights):
                return self._sharing(weights, self.roles)
            case ResourceChanged(change=change):
                return replace(self, changes={**self.changes, change: self.changes.get(change, 0) + 1})
            case Ended(outcome=outcome):
                return replace(self, outcome=outcome, ended=at, waiting=None)
            case _:
                return self

    def _sharing(self, weights: Mapping[str, int], roles: Mapping[str, str]) -> Progress:
        new = [version for version in (*weights, *roles) if version not in self.releases]
        return replace(self, weights=weights, roles=roles, releases=(*self.releases, *dict.fromkeys(new)))

    def stopped(self, at: float) -> Progress:
        """The state once nobody tells of it any more, though it has not ended."""
        return replace(self, ended=at, waiting=None)

    def elapsed(self, now: float) -> float:
        """Seconds that it works, or has worked, 0 before it began."""
        return (self.ended if self.ended is not None else now) - self.began if self.has_begun else 0.0

    @property
    def is_over(self) -> bool:
        return self.ended is not None

    @property
    def is_at_work(self) -> bool:
        return self.has_begun and not self.is_over
