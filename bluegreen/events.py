"""What a deployment tells while it goes on: typed events, for a callback. Who shows them is the caller's matter.

docs/json.md describes them for those who read them as JSON, and docs/events.schema.json is made of these types.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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


class Change(StrEnum):
    """What was done to a resource."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Check(StrEnum):
    """What has to hold before an update goes on."""

    GATE = "gate"
    ATTEST = "attest"
    SOAK = "soak"
    GUARD = "guard"


class Wait(StrEnum):
    """What only takes its time."""

    SOAK = "soak"
    DRAIN = "drain"  # of requests in flight
    STICKY = "sticky"  # until sticky clients have left, at most so long
    LEAVING = "leaving"  # of connections, which a Network Load Balancer leaves where they are: at most so long


class Outcome(StrEnum):
    """How a command ended."""

    DONE = "done"
    FAILED = "failed"  # and was taken back, or never got that far: the traffic is where it was
    REFUSED = "refused"  # wrong input: nothing was changed
    STUCK = "needs a person"

    @property
    def exit_code(self) -> int:
        return list(Outcome).index(self)

    @classmethod
    def of_exit_code(cls, code: int) -> Outcome:
        """What a code stands for; one that is none of ours needs a person."""
        return list(cls)[code] if 0 <= code < len(cls) else cls.STUCK


@dataclass(frozen=True, kw_only=True)
class Event:
    """`stack`: of which stack it tells. Each kind has a name, which its record has as `event`."""

    stack: str

    def as_record(self) -> dict[str, Any]:
        """Plain data: `event`, and the fields, their names in camelCase."""
        return {"event": KINDS[type(self)], **{camel(name): value for name, value in dataclasses.asdict(self).items()}}


@dataclass(frozen=True, kw_only=True)
class Line(Event):
    """What a check or the driver says that no other kind has a place for, without a line break at its end."""

    text: str


@dataclass(frozen=True, kw_only=True)
class EngineLine(Event):
    """A line of the engine's own output. It repeats in its words what other kinds tell."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something that a person should know, and that holds nothing up."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """A check or a resource has failed. What becomes of the deployment is told by what follows."""

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
class PromotionPlanned(Event):
    """The release that `source` runs comes to this stack, proven there by `run` of its ledger.

    `steps`: what has to happen to its image. `drift`: settings of the two that differ, each {key, source, target,
    isOfRelease}; the last says whether it makes another release.
    """

    source: str
    release: str
    image: str
    content_digest: str
    commit: str
    version: str
    run: str
    steps: tuple[str, ...]
    drift: tuple[Mapping[str, Any], ...]


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
class Began(Event):
    """A command has begun to work on a stack.

    `weights` and `roles`: percent of the traffic, and role, by version of a release, as they are then.
    `expected_seconds`: what earlier ones took, None where nobody knows.
    """

    verb: str
    weights: Mapping[str, int] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    expected_seconds: float | None = None


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
    """An update has come to its next part. A part that has nothing to do is left out."""

    phase: Phase


@dataclass(frozen=True, kw_only=True)
class ResourceChanged(Event):
    """`type` and `name` as the program has them, such as aws:lb/listener:Listener and web-production."""

    change: Change
    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Health(Event):
    """What the gate saw of a candidate: `healthy` of `wanted` machines, and why the others are not."""

    group: str
    healthy: int
    wanted: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Checked(Event):
    """What a check found, so far, or at last if it has passed. `group` is empty where it is of all that answer."""

    check: Check
    group: str
    text: str
    is_passed: bool


@dataclass(frozen=True, kw_only=True)
class WaitBegan(Event):
    """`seconds`: how long it takes; a soak takes longer where metrics come late."""

    wait: Wait
    group: str
    seconds: float


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
class UpdateEnded(Event):
    """One update of the engine is over, well or not. `changes`: how many resources, by what was done to them."""

    changes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Ended(Event):
    """A stack is done with, where a command has several. `text`: the result or the error, for a person."""

    outcome: Outcome
    seconds: float
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Result(Event):
    """The last one of a command that did what it should. `stack` is empty where it had several.

    `text`: for a person. `details`: plain data, by verb.
    """

    outcome: Outcome = Outcome.DONE
    exit_code: int = 0
    verb: str = ""
    text: str = ""
    seconds: float | None = None
    release: str = ""
    url: str = ""
    weights: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Error(Event):
    """The last one of a command that did not. `error`: the kind of it, a class of `bluegreen.errors`."""

    outcome: Outcome
    exit_code: int
    error: str
    what: str
    next_step: str = ""


KINDS: dict[type[Event], str] = {
    Began: "began",
    ConfigDiffers: "config",
    PromotionPlanned: "promotion",
    RollbackPlanned: "rollback",
    StepBegan: "step",
    PhaseBegan: "phase",
    ResourceChanged: "resource",
    Health: "health",
    Checked: "check",
    WaitBegan: "wait",
    Shifted: "shifted",
    StackBegan: "stack",
    UpdateEnded: "update",
    Line: "line",
    Warned: "warning",
    Failed: "failure",
    EngineLine: "engine",
    Ended: "ended",
    Result: "result",
    Error: "error",
}

OnEvent = Callable[[Event], None]


def camel(name: str) -> str:
    """A field's name as JSON has it."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
