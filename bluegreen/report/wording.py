"""Events in words, for a person: one line each. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from bluegreen.events import (
    Began,
    Change,
    ConfigDiffers,
    Ended,
    EngineLine,
    Event,
    Failed,
    Outcome,
    Phase,
    PhaseBegan,
    PromotionPlanned,
    ResourceChanged,
    RollbackPlanned,
    Shifted,
    StackBegan,
    StepBegan,
    UpdateEnded,
    Warned,
)
from bluegreen.narrator import line_of

MACHINES_TYPE = "aws:autoscaling/group:Group"
"""A server group's machines: the one resource that everybody wants to hear of."""

PHASES = {
    Phase.CREATING: "creating what is new",
    Phase.GATE: "gate: what gains traffic is being proven",
    Phase.CUTOVER: "cutover",
    Phase.WATCHING: "watching what has got the traffic",
    Phase.DELETING: "deleting what is declared no more",
}
"""Those that are worth a line of their own: draining has one that says how long."""

LONGEST_VALUE = 60
"""Of a setting, in a line."""

WAYS = {
    "flip": "its standby has its machines: one change of the listener",
    "inflate": "its standby has no machines: they come back first",
    "redeploy": "it has no server group any more: it is deployed again, as it was recorded",
}

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)?")


def words_of(event: Event) -> str:
    """What a person is told of an event; empty where that is nothing. More than one line where the event has more."""
    match event:
        case EngineLine():
            return ""
        case Began(expected_seconds=expected, weights=weights, roles=roles):
            usual = f"takes about {duration(expected)}" if expected else ""
            return ", ".join(part for part in (spread(weights, roles), usual) if part)
        case StackBegan(wave=wave, waves=waves):
            return f"begins, in wave {wave} of {waves}" if waves > 1 else "begins"
        case PromotionPlanned():
            return "\n".join(_of_promotion(event))
        case RollbackPlanned(release=release, image=image, way=way, last_seconds=last):
            took = f"; last time the traffic was back after {last:.1f} s" if last is not None else ""
            return f"rollback to release {release} ({image}): {way}, {WAYS[way]}{took}"
        case ConfigDiffers(key=key, deployed=deployed, here=here, is_used=is_used, why=why):
            which = "the checkout's counts" if is_used else "the deployed one counts" + (f": {why}" if why else "")
            return f"config: {key} is {_set(here)} here, and {_set(deployed)} in the last update: {which}"
        case StepBegan(name=name, number=number, count=count, weights=weights, roles=roles):
            return f"step {number} of {count}: {name} ({spread(weights, roles)})"
        case PhaseBegan(phase=phase):
            return PHASES.get(phase, "")
        case ResourceChanged(change=change, type=kind, name=name):
            return f"server group {name} {change}" if kind == MACHINES_TYPE else ""
        case Shifted(weights=weights):
            return f"traffic: {spread(weights)}"
        case UpdateEnded(changes=changes):
            return f"update ended: {counted(changes)}"
        case Warned(text=text):
            return f"warning: {text}"
        case Failed(text=text):
            return f"failed: {text}"
        case Ended(outcome=outcome, seconds=seconds, text=text):
            took = f"{outcome} after {duration(seconds)}"
            return f"{took}: {text}" if text else took
        case _:
            return line_of(event)


def _of_promotion(event: PromotionPlanned) -> Iterator[str]:
    of = ", ".join(part for part in (event.version and f"version {event.version}", event.commit[:12]) if part)
    yield f"from {event.source}: release {event.release}, {event.image}" + (f" ({of})" if of else "")
    yield from event.steps
    if not event.drift:
        yield f"settings of {event.source} and {event.stack} are the same"
    for each in event.drift:
        there, here = _short(each["source"]), _short(each["target"])
        mark = "; it makes another release" if each["isOfRelease"] else ""
        yield f"drift: {each['key']} is {there} in {event.source}, and {here} in {event.stack}{mark}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def spread(weights: Mapping[str, int], roles: Mapping[str, str] | None = None) -> str:
    """`active 5e0ec4aa 50 %, candidate 3a14e965 50 %`."""
    roles = roles or {}
    return ", ".join(f"{roles.get(version, '')} {version} {weight} %".strip() for version, weight in weights.items())


def counted(changes: Mapping[str, int]) -> str:
    parts = [f"{changes[change]} {change}" for change in Change if changes.get(change)]
    return ", ".join(parts) or "nothing changed"


def duration(seconds: float) -> str:
    """`0:42`, `1:02:03`."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def plain(text: str, encoding: str = "utf-8") -> str:
    """The text without what would move a cursor, and with nothing that the encoding does not have."""
    shown = "".join(char if char.isprintable() or char == "\n" else " " for char in ESCAPE.sub("", text))
    return shown.encode(encoding, "replace").decode(encoding)


def ending(outcome: Outcome | None) -> str:
    return {
        None: "stopped",
        Outcome.DONE: "done",
        Outcome.FAILED: "failed, and the traffic is where it was",
        Outcome.REFUSED: "refused, and nothing was changed",
        Outcome.STUCK: "needs a person",
    }[outcome]


def _set(value: str | None) -> str:
    return "not set" if value is None else value
