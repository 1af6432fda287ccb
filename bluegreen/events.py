"""What a deployment tells while it goes on: typed events, for a callback. Who shows them is the caller's matter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """Where an update is."""

    PREPARING = "preparing"  # config, lease and plan
    CREATING = "creating"  # the candidate's server group, and what it needs
    GATE = "gate"  # the candidate is being proven
    CUTOVER = "cutover"  # the production listener changes
    WATCHING = "watching"  # attest and soak
    DRAINING = "draining"  # requests in flight finish
    DELETING = "deleting"  # what is declared no more


@dataclass(frozen=True, kw_only=True)
class Event:
    """`stack`: of which stack it tells. Each kind has a name, which its record has as `event`."""

    stack: str

    def as_record(self) -> dict[str, Any]:
        """Plain data: `event`, and the fields."""
        return {"event": KINDS[type(self)], **dataclasses.asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Line(Event):
    """What the engine or a check says, as a person reads it, without a line break at its end."""

    text: str


@dataclass(frozen=True, kw_only=True)
class ConfigDiffers(Event):
    """A setting of the checkout is not the one of the stack's last update. None: it is not set there.

    `is_used`: the checkout's counts; else it is set aside, and `why`.
    """

    key: str
    deployed: str | None
    here: str | None
    is_used: bool
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class RollbackPlanned(Event):
    """How the traffic will go back: `way` is flip, inflate or redeploy.

    `last_seconds`: how long it took the traffic to be back the last time that a rollback of this stack went this way;
    None where none did.
    """

    release: str
    image: str
    way: str
    last_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class StepBegan(Event):
    """`number` of `count` steps, from 1. `weights`: percent of the traffic by version, when it is done."""

    name: str
    number: int
    count: int
    weights: Mapping[str, int]
    roles: Mapping[str, str]
    watch_seconds: float = 0


@dataclass(frozen=True, kw_only=True)
class PhaseBegan(Event):
    phase: Phase


@dataclass(frozen=True, kw_only=True)
class Health(Event):
    """What the gate saw of a candidate: `healthy` of `wanted` machines."""

    group: str
    healthy: int
    wanted: int


@dataclass(frozen=True, kw_only=True)
class Shifted(Event):
    """The production listener forwards so: percent by version."""

    weights: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class StackBegan(Event):
    """Of many stacks this one is begun, in `wave` of `waves`, from 1."""

    wave: int
    waves: int


@dataclass(frozen=True, kw_only=True)
class StackEnded(Event):
    """Of many stacks this one is over. `outcome`: done, failed, or not begun where it was called back.

    `said`: what went wrong.
    """

    outcome: str
    seconds: float
    said: str = ""


KINDS: dict[type[Event], str] = {
    Line: "line",
    ConfigDiffers: "config",
    RollbackPlanned: "rollback",
    StepBegan: "step",
    PhaseBegan: "phase",
    Health: "health",
    Shifted: "shifted",
    StackBegan: "stack began",
    StackEnded: "stack ended",
}

OnEvent = Callable[[Event], None]
