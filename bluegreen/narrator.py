"""The narrator: turns what the engine says into our events. It takes the engine's events as they come, and imports
nothing of Pulumi.

What a hook is at is not among the engine's events: phases are told from the resources that steps begin and end with,
and from the lines that the checks say (`bluegreen.model.notice`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from bluegreen.events import (
    Change,
    Check,
    Checked,
    EngineLine,
    Event,
    Failed,
    Health,
    Line,
    OnEvent,
    Phase,
    PhaseBegan,
    ResourceChanged,
    Shifted,
    UpdateEnded,
    Wait,
    WaitBegan,
    Warned,
)
from bluegreen.model.notice import (
    ATTEST,
    GATE,
    GUARD,
    GUARD_CONNECTIONS,
    GUARD_DRAINS,
    GUARD_STICKY,
    HEALTHY,
    HEALTHY_BUT,
    NO_TRAFFIC,
    PASSED,
    SOAK,
    SOAK_BEGAN,
    said_within,
)
from bluegreen.model.tags import LISTENER, RELEASE, Purpose

LISTENER_TYPES = ("aws:lb/listener:Listener", "aws:lb/listenerRule:ListenerRule")
"""What may take the traffic from one release to another."""
ACTIONS = ("defaultActions", "actions")
"""Where either says how."""
TARGET_GROUP_TYPE = "aws:lb/targetGroup:TargetGroup"
STACK_TYPE = "pulumi:pulumi:Stack"
ATTACHMENT_TYPES = ("aws:autoscaling/policy:Policy", "aws:cloudwatch/metricAlarm:MetricAlarm")
"""What hangs on a server group: deleted before it, and held back by its guard, which watches first."""

CHANGES = {
    "create": Change.CREATED,
    "create-replacement": Change.CREATED,
    "import": Change.CREATED,
    "update": Change.UPDATED,
    "delete": Change.DELETED,
    "delete-replaced": Change.DELETED,
}
"""What the engine's steps do to a resource. Others, such as `same`, do nothing."""


class Narrator:
    """Tells of one stack. Give it every event of the engine, and every line that a check says in this process."""

    def __init__(self, stack: str, tell: OnEvent) -> None:
        self._stack = stack
        self._tell = tell
        self._releases: dict[str, str] = {}  # by ARN of the target group
        self._phase: Phase | None = None
        self._has_shifted = False
        self._said: set[str] = set()

    def see(self, event: Any) -> None:
        """An event of the engine, `pulumi.automation.EngineEvent` or alike."""
        if event.prelude_event:
            self._phase, self._has_shifted, self._said = None, False, set()
            self._enter(Phase.PREPARING)
        elif diagnostic := event.diagnostic_event:
            self._read(diagnostic)
        elif (begins := event.resource_pre_event) and not begins.planning:
            self._step_begins(begins.metadata)
        elif (ends := event.res_outputs_event) and not ends.planning:
            self._step_ends(ends.metadata)
        elif summary := event.summary_event:
            self._tell(UpdateEnded(stack=self._stack, changes=_counts(summary.resource_changes or {})))

    def hear(self, text: str) -> None:
        """A line that a check, or the driver, says in this process."""
        for line in text.splitlines():
            if line.strip():
                self._hear(line.rstrip())

    def _hear(self, line: str) -> None:
        """One event for a line, or two; and the phase, where the line tells it."""
        events = list(events_in(line, self._stack))
        for event in events:
            match event:
                case Checked(check=Check.GATE, is_passed=True):
                    self._tell(event)
                    self._enter(Phase.CUTOVER)
                    continue
                case Health():
                    self._enter(Phase.GATE)
                case Checked(check=Check.ATTEST | Check.SOAK) | WaitBegan(wait=Wait.SOAK):
                    self._enter(Phase.WATCHING)
                case WaitBegan():
                    self._enter(Phase.DRAINING)
                case Checked(check=Check.GUARD):
                    self._enter(Phase.DELETING)
            self._tell(event)

    def _read(self, diagnostic: Any) -> None:
        text = said_within(diagnostic.message.strip())
        is_about_resource = bool(diagnostic.urn) and _type_in(diagnostic.urn) != STACK_TYPE
        if diagnostic.ephemeral or not text:
            return
        match diagnostic.severity:
            case "info":
                self.hear(text)
            case "warning" if not diagnostic.urn and text not in self._said:
                self._tell(EngineLine(stack=self._stack, text=text))
            case "warning" if text not in self._said:
                self._tell(Warned(stack=self._stack, text=text))
            case "error" if is_about_resource and text not in self._said:  # a guard's comes once for each part
                self._tell(Failed(stack=self._stack, text=text))
        if diagnostic.severity != "info":
            self._said.add(text)

    def _step_begins(self, step: Any) -> None:
        self._learn(step)
        change = CHANGES.get(_op(step))
        if change is None or not _is_of_aws(step):
            return
        if _is_production(step) and change is not Change.DELETED:
            self._enter(Phase.GATE)
        elif change is Change.DELETED:
            if self._has_shifted and self._phase is Phase.CUTOVER:
                self._enter(Phase.WATCHING)  # what has got the traffic is attested before anything goes
            elif not self._has_shifted or step.type not in ATTACHMENT_TYPES:
                self._enter(Phase.DELETING, unless=(Phase.WATCHING, Phase.DRAINING))
        elif self._phase in (None, Phase.PREPARING):
            self._enter(Phase.CREATING)

    def _step_ends(self, step: Any) -> None:
        self._learn(step)
        change = CHANGES.get(_op(step))
        if change is None or not _is_of_aws(step):
            return
        if _is_production(step) and change is not Change.DELETED:
            self._enter(Phase.CUTOVER)
            self._has_shifted = True
            self._tell(Shifted(stack=self._stack, weights=self._weights(step.new)))
        elif change is Change.DELETED and step.type not in ATTACHMENT_TYPES:
            self._enter(Phase.DELETING)
        name = step.urn.rpartition("::")[2]
        self._tell(ResourceChanged(stack=self._stack, change=change, type=step.type, name=name))

    def _enter(self, phase: Phase, *, unless: tuple[Phase, ...] = ()) -> None:
        if self._phase is not phase and self._phase not in unless:
            self._phase = phase
            self._tell(PhaseBegan(stack=self._stack, phase=phase))

    def _learn(self, step: Any) -> None:
        """Which release a target group is of."""
        if step.type != TARGET_GROUP_TYPE:
            return
        for state in (step.old, step.new):
            if state and state.id and (release := _tags(state).get(RELEASE)):
                self._releases[state.id] = release

    def _weights(self, listener: Any) -> dict[str, int]:
        """Percent of the traffic by version."""
        told = [known.get(key) for known in (listener.outputs or {}, listener.inputs or {}) for key in ACTIONS]
        actions: list[Mapping[str, Any]] = next((each for each in told if each), [])
        weights = {self._releases.get(arn, _name_in(arn)): weight for arn, weight in _forwarded(actions)}
        total = sum(weights.values()) or 1
        return {version: round(100 * weight / total) for version, weight in weights.items()}


def events_in(line: str, stack: str) -> Iterator[Event]:
    """What a line says, in events; a `Line` where no other kind has a place for it."""
    if found := SOAK_BEGAN.values_in(line):
        yield WaitBegan(stack=stack, wait=Wait.SOAK, group=found["group"], seconds=float(found["seconds"]))
    elif found := GUARD_DRAINS.values_in(line):
        yield WaitBegan(stack=stack, wait=Wait.DRAIN, group=found["group"], seconds=float(found["seconds"]))
    elif found := GUARD_STICKY.values_in(line):
        yield WaitBegan(stack=stack, wait=Wait.STICKY, group=found["group"], seconds=float(found["seconds"]))
    elif found := GUARD_CONNECTIONS.values_in(line):
        yield WaitBegan(stack=stack, wait=Wait.LEAVING, group=found["group"], seconds=float(found["seconds"]))
    elif found := SOAK.values_in(line):
        yield _checked(stack, Check.SOAK, found["said"], found["group"])
    elif found := ATTEST.values_in(line):
        yield _checked(stack, Check.ATTEST, found["said"])
    elif (found := GUARD.values_in(line)) and (quiet := NO_TRAFFIC.values_in(found["said"])):
        yield Checked(stack=stack, check=Check.GUARD, group=quiet["group"], text="", is_passed=True)
    elif (found := GATE.values_in(line)) and (health := _health(stack, **found)):
        yield health
        if line.endswith(PASSED):
            yield Checked(stack=stack, check=Check.GATE, group=found["group"], text="", is_passed=True)
    else:
        yield Line(stack=stack, text=line)


def line_of(event: Event) -> str:
    """The line that says what the event tells: what `events_in` reads. Empty where checks say no such thing."""
    match event:
        case WaitBegan(wait=Wait.SOAK, group=group, seconds=seconds):
            return SOAK_BEGAN.with_values(group=group, seconds=seconds)
        case WaitBegan(wait=Wait.DRAIN, group=group, seconds=seconds):
            return GUARD_DRAINS.with_values(group=group, seconds=seconds)
        case WaitBegan(wait=Wait.STICKY, group=group, seconds=seconds):
            return GUARD_STICKY.with_values(group=group, seconds=seconds)
        case WaitBegan(wait=Wait.LEAVING, group=group, seconds=seconds):
            return GUARD_CONNECTIONS.with_values(group=group, seconds=seconds)
        case Health(group=group, healthy=healthy, wanted=wanted, reason=reason):
            said = (HEALTHY_BUT if reason else HEALTHY).with_values(healthy=healthy, wanted=wanted, said=reason)
            return GATE.with_values(group=group, said=said)
        case Checked(check=Check.GATE, group=group):
            return GATE.with_values(group=group, said=PASSED.removeprefix(": "))
        case Checked(check=Check.SOAK, group=group, text=text, is_passed=is_passed):
            return SOAK.with_values(group=group, said=text + PASSED * is_passed)
        case Checked(check=Check.GUARD, group=group):
            return GUARD.with_values(said=NO_TRAFFIC.with_values(group=group))
        case Checked(text=text, is_passed=is_passed):
            return ATTEST.with_values(said=text + PASSED * is_passed)
        case Line(text=text) | EngineLine(text=text):
            return text
        case _:
            return ""


def _checked(stack: str, check: Check, said: str, group: str = "") -> Checked:
    return Checked(
        stack=stack, check=check, group=group, text=said.removesuffix(PASSED), is_passed=said.endswith(PASSED)
    )


def _health(stack: str, group: str, said: str) -> Health | None:
    said = said.removesuffix(PASSED)
    found = HEALTHY_BUT.values_in(said) or HEALTHY.values_in(said)
    if not found:
        return None
    reason = found.get("said", "")
    return Health(stack=stack, group=group, healthy=int(found["healthy"]), wanted=int(found["wanted"]), reason=reason)


def _counts(changes: Mapping[Any, int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for op, count in changes.items():
        if change := CHANGES.get(getattr(op, "value", op)):
            counts[change] = counts.get(change, 0) + count
    return counts


def _op(step: Any) -> str:
    return str(getattr(step.op, "value", step.op))


def _is_of_aws(step: Any) -> bool:
    return str(step.type).startswith("aws:")


def _is_production(step: Any) -> bool:
    state = step.new or step.old
    return bool(step.type in LISTENER_TYPES and state and _tags(state).get(LISTENER) == Purpose.PRODUCTION)


def _tags(state: Any) -> Mapping[str, str]:
    return (state.inputs or {}).get("tags") or {}


def _forwarded(actions: list[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """Target groups (ARN) and weights of a listener's default actions."""
    for action in actions:
        groups = (action.get("forward") or {}).get("targetGroups") or []
        for group in groups:
            yield group["arn"], math.floor(group.get("weight", 1))
        if not groups and (arn := action.get("targetGroupArn")):
            yield arn, 1


def _name_in(arn: str) -> str:
    return arn.split("/")[1] if arn.count("/") > 1 else arn


def _type_in(urn: str) -> str:
    """The type of a resource, without those of its parents."""
    return urn.split("::")[2].rpartition("$")[2] if urn.count("::") >= 3 else ""
