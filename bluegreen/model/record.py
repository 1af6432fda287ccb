"""One record per deployment, made of its events. Pure.

Events stay what is stored: they are appended before an act and after it, whoever acts, so a record can be had of a run
that was killed as well. What a record needs beyond what other rules read, events keep as `image_evidence` and
`gate_evidence` write it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic.alias_generators import to_camel

from bluegreen.model import tags
from bluegreen.model.gate import Passed, Serving
from bluegreen.model.history import ATTEST, FAILURES, SOAK, Event, History, Kind
from bluegreen.model.observation import Image

PULUMI_UP, PULUMI_DESTROY, DESTROY = "pulumi up", "pulumi destroy", "destroy"
"""Verbs of runs that the command did not begin, or of which it notes the end alone."""

IMAGE_TAGS = {
    "contentDigest": tags.CONTENT_DIGEST,
    "commit": tags.COMMIT,
    "artifact": tags.ARTIFACT_SHA256,
    "version": tags.VERSION,
    "playbooks": tags.PLAYBOOK_DIGEST,
}
"""What events keep of an image, by its tag."""

VERDICTS = frozenset({Kind.REVOKED, Kind.RESTORED})
"""Of an image: who says that acts on no stack."""

PASSES = {ATTEST: Kind.ATTEST_PASSED, SOAK: Kind.SOAK_PASSED}
WATCH = frozenset({Kind.ATTEST_PASSED, Kind.ATTEST_FAILED, Kind.SOAK_BEGAN, Kind.SOAK_PASSED, Kind.SOAK_FAILED})
PHASES = {
    Kind.CUTOVER: "cutover",
    **dict.fromkeys(WATCH, "watching"),
    **dict.fromkeys((Kind.ENDED, Kind.ROLLED_BACK, Kind.DESTROYED), "deleting"),
}
"""The phase that an event ends. A gate's end two: what came before its seconds is `creating`."""


class Outcome(StrEnum):
    """How a deployment ended."""

    DONE = "done"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    INTERRUPTED = "interrupted"
    UNDER_WAY = "under way"  # it has not ended, and no other has acted since
    NEVER_ENDED = "never ended"  # nor will it: another has acted since


ENDS = {
    "RolledBack": Outcome.ROLLED_BACK,
    "Interrupted": Outcome.INTERRUPTED,
    "KeyboardInterrupt": Outcome.INTERRUPTED,
    **{outcome.value: outcome for outcome in Outcome},
}
"""By what ENDED tells: a word of ours, or the name of an error. Any other error is a failure."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a promoted release came from: another stack, the image that it runs, and the deployment that proved it."""

    stack: str
    image: str = ""
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class GateRecord:
    """What the gate saw when it let the release pass. Of several shifts: the last numbers, every proof, all waits."""

    healthy: int
    wanted: int
    waited_seconds: float
    smoke_tests: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment of a stack: a verb of the bluegreen command, or a plain `pulumi up`.

    What is not known is empty, or None.

    - `release`: the version that it was to bring in; `image`: its id; `content_digest`, `commit`, `artifact` (SHA-256),
      `version` (the app's) and `playbooks` (digest): what that was made of, as its tags said to any run
    - `capacity_before`, `capacity_after`: machines wanted of the releases that the production listener named before its
      first change, and after its last, {version: machines}, as the gate read them
    - `weights_before`, `weights_after`: percent of the traffic of the same
    - `seconds`: as a whole; `phases`: {creating, gate, cutover, watching, deleting: seconds}
    - `serving`: who has the traffic at its end, {version: percent}: as the load balancer said then, or else as it was
      last known to have been changed
    - `forced`: what a person let pass
    """

    run: str
    stack: str
    verb: str
    release: str
    image: str
    content_digest: str
    commit: str
    artifact: str
    version: str
    playbooks: str
    operator: str
    ci_run: str
    strategy: str
    promoted_from: Origin | None
    gate: GateRecord | None
    capacity_before: Mapping[str, int]
    capacity_after: Mapping[str, int]
    weights_before: Mapping[str, int]
    weights_after: Mapping[str, int]
    began_at: datetime
    ended_at: datetime | None
    seconds: float | None
    phases: Mapping[str, float]
    outcome: Outcome
    serving: Mapping[str, int]
    forced: tuple[str, ...]
    error: str
    events: tuple[Event, ...] = field(repr=False)

    def as_record(self) -> dict[str, Any]:
        """Plain data without the events: keys in camelCase, moments in ISO 8601."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "events"}
        return {to_camel(name): _plain(value) for name, value in fields.items()}


def image_evidence(image: Image) -> dict[str, str]:
    """What is to be kept of an image: what it was made of. One that another account has shared shows no tags."""
    told = {key: image.tags[tag] for key, tag in IMAGE_TAGS.items() if image.tags.get(tag)}
    return {"id": image.id, **told}


def gate_evidence(
    release: str, passed: Sequence[Passed], before: Serving, after: Serving, waited_seconds: float
) -> dict[str, Any]:
    """What is to be kept of a gate that let a release pass."""
    seen = next((each for each in passed if each.release == release), passed[0])
    return {
        "gate": {
            "healthy": seen.healthy,
            "wanted": seen.wanted,
            "smokeTests": list(seen.smoke_tests),
            "command": seen.command,
        },
        "waitedSeconds": round(waited_seconds, 1),
        "before": {"weights": dict(before.weights), "capacity": dict(before.capacity)},
        "capacity": dict(after.capacity),
    }


def deployments(history: History, stack: str = "") -> tuple[Deployment, ...]:
    """One record per run, by the moment of its first event. Who only vetoes an image, or lifts that, deploys nothing.

    Runs may interleave. What one has learnt of an image counts for all, since an image does not change; who had the
    traffic when a run began is what the last change of the listener left.
    """
    runs: dict[str, list[int]] = {}
    for position, event in enumerate(history.events):
        runs.setdefault(event.run, []).append(position)
    acts = [position for position, event in enumerate(history.events) if event.kind not in VERDICTS]
    told = [_mapping(event.evidence.get(key)) for event in history.events for key in ("image", "made")]
    images = {str(each["id"]): each for each in told if "id" in each}
    found = []
    for name, positions in runs.items():
        events = tuple(history.events[position] for position in positions)
        if all(event.kind in VERDICTS for event in events):
            continue
        run = _Run(name=name, stack=stack, events=events, is_last=positions[-1] == acts[-1])
        found.append(
            run.record(
                before=_listener(history.events[: positions[0]]),
                after=_listener(history.events[: positions[-1] + 1]),
                images=images,
            )
        )
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """The events of one run, of which there is one at least. `is_last`: no other has acted since."""

    name: str
    stack: str
    events: tuple[Event, ...]
    is_last: bool

    def record(
        self, *, before: Mapping[str, int], after: Mapping[str, int], images: Mapping[str, Mapping[str, Any]]
    ) -> Deployment:
        """`before`, `after`: to whom the listener forwarded when it began, and by its last event. `images`: what is
        known of each, by id."""
        passed = self._of(Kind.GATE_PASSED)
        first, final = (passed[0], passed[-1]) if passed else (None, None)
        was = _mapping(first.evidence.get("before")) if first else {}
        outcome = self._outcome()
        has_ended = outcome not in (Outcome.UNDER_WAY, Outcome.NEVER_ENDED)
        ended_at = (self._end or self.events[-1]).at if has_ended else None
        said = _mapping(self._told("serving", Kind.ENDED))
        made_of = images.get(self._image, {})
        origin = _mapping(self._told("promotedFrom"))
        return Deployment(
            run=self.name,
            stack=self.stack,
            verb=self._verb,
            release=self._release,
            image=self._image,
            content_digest=str(made_of.get("contentDigest", "")),
            commit=str(made_of.get("commit", "")),
            artifact=str(made_of.get("artifact", "")),
            version=str(made_of.get("version", "")),
            playbooks=str(made_of.get("playbooks", "")),
            operator=str(self._told("operator") or ""),
            ci_run=str(self._told("ciRun") or ""),
            strategy=str(self._told("strategy") or ""),
            promoted_from=Origin(
                stack=str(origin["stack"]), image=str(origin.get("image", "")), run=str(origin.get("run", ""))
            )
            if "stack" in origin
            else None,
            gate=self._gate(),
            capacity_before=_mapping(was.get("capacity")),
            capacity_after=_mapping(final.evidence.get("capacity")) if final else {},
            weights_before=_mapping(was.get("weights")) or before,
            weights_after=after,
            began_at=self._began_at,
            ended_at=ended_at,
            seconds=self._seconds(ended_at),
            phases=self._phases(),
            outcome=outcome,
            serving=said or {version: weight for version, weight in after.items() if weight},
            forced=self._forced(),
            error=self._error(outcome),
            events=self.events,
        )

    @property
    def _begin(self) -> Event | None:
        """A deployment that rolls back by itself begins and ends another verb in the middle: the first one counts."""
        return next(iter(self._of(Kind.BEGAN)), None)

    @property
    def _end(self) -> Event | None:
        ended = [event for event in self._of(Kind.ENDED) if event.evidence.get("verb", self._verb) == self._verb]
        return ended[-1] if ended else None

    @property
    def _verb(self) -> str:
        if begin := self._begin:
            return str(begin.evidence.get("verb", begin.summary))
        if ended := self._of(Kind.ENDED):
            return str(ended[-1].evidence.get("verb", ""))
        destroyed = self._of(Kind.DESTROYED)
        if not destroyed:
            return PULUMI_UP
        # The command notes that the whole stack is gone, a hook that a server group is.
        return PULUMI_DESTROY if all(event.release for event in destroyed) else DESTROY

    @property
    def _release(self) -> str:
        named = [event.release for event in self.events if event.release]
        return self._begin.release if self._begin else next(iter(named), "")

    @property
    def _image(self) -> str:
        if self._begin and (image := self._begin.evidence.get("image")):
            return str(image)
        for event in self.events:
            record = _mapping(_mapping(event.evidence.get("releases")).get(self._release))
            if image := record.get("image") or _mapping(event.evidence.get("image")).get("id"):
                return str(image)
        return ""

    @property
    def _began_at(self) -> datetime:
        """A plain update tells of itself only when its gate has ended, and when it began."""
        told = self._told("began")
        if self._begin or not isinstance(told, str):
            return self.events[0].at
        try:
            return min(datetime.fromisoformat(told), self.events[0].at)
        except (ValueError, TypeError):  # TypeError: without a time zone
            return self.events[0].at

    def _of(self, *kinds: Kind) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.kind in kinds)

    def _told(self, name: str, *kinds: Kind) -> object:
        """What the first event that tells it says."""
        events = self._of(*kinds) if kinds else self.events
        return next((event.evidence[name] for event in events if event.evidence.get(name)), None)

    def _outcome(self) -> Outcome:
        if self._end:
            return ENDS.get(str(self._end.evidence.get("outcome", "")), Outcome.FAILED)
        if self._begin and self._of(Kind.ROLLED_BACK):
            return Outcome.DONE if self._verb == "rollback" else Outcome.ROLLED_BACK
        if not self._begin and self._has_failed:
            return Outcome.FAILED
        if not self._begin and self._is_whole:
            return Outcome.DONE
        return Outcome.UNDER_WAY if self.is_last else Outcome.NEVER_ENDED

    @property
    def _is_whole(self) -> bool:
        """Whether a run that no ENDED closes has done all that it said it would."""
        if self._of(Kind.DESTROYED):
            return True
        kinds = [event.kind for event in self.events]
        if Kind.CUTOVER not in kinds:
            return False
        gates = [at for at, kind in enumerate(kinds) if kind is Kind.GATE_PASSED]
        later = kinds[gates[-1] :] if gates else kinds
        awaits = self.events[gates[-1]].evidence.get("awaits", ()) if gates else ()
        return Kind.CUTOVER in later and all(PASSES.get(each) in later for each in awaits)

    @property
    def _has_failed(self) -> bool:
        """Whether something has failed, and the traffic has not moved since."""
        kinds = [event.kind for event in self.events if event.kind in FAILURES or event.kind is Kind.CUTOVER]
        return bool(kinds) and kinds[-1] in FAILURES

    def _gate(self) -> GateRecord | None:
        """Of the release's own: a rollback in the same run passes a gate, too."""
        passed = [event for event in self._of(Kind.GATE_PASSED) if event.release == self._release]
        gates = [seen for event in passed if "healthy" in (seen := _mapping(event.evidence.get("gate")))]
        if not gates:
            return None
        return GateRecord(
            healthy=gates[-1]["healthy"],
            wanted=gates[-1].get("wanted", 0),
            waited_seconds=round(sum(_waited(event) for event in passed), 1),
            smoke_tests=tuple(dict.fromkeys(path for seen in gates for path in seen.get("smokeTests", ()))),
            command=next((seen["command"] for seen in gates if seen.get("command")), ""),
        )

    def _seconds(self, ended_at: datetime | None) -> float | None:
        told = self._end.evidence.get("seconds") if self._end else None
        if isinstance(told, int | float):
            return float(told)
        return round((ended_at - self._began_at).total_seconds(), 1) if ended_at else None

    def _phases(self) -> dict[str, float]:
        """Each event ends the phase that led to it; what says nothing of a phase belongs to the next one."""
        took: dict[str, float] = {}
        since = self._began_at
        for event in self.events:
            seconds = max(0.0, (event.at - since).total_seconds())
            if event.kind in (Kind.GATE_PASSED, Kind.GATE_FAILED):
                waited = min(_waited(event), seconds)
                parts = {"creating": seconds - waited, "gate": waited}
            elif event.kind in PHASES:
                parts = {PHASES[event.kind]: seconds}
            else:
                continue
            for phase, part in parts.items():
                took[phase] = took.get(phase, 0.0) + part
            since = event.at
        return {phase: round(seconds, 1) for phase, seconds in took.items()}

    def _forced(self) -> tuple[str, ...]:
        """An event tells what was forced, or, with a plain yes, that what it says was."""
        said: list[str] = []
        for event in self.events:
            told = event.evidence.get("forced")
            said += (
                [event.summary or event.kind.value]
                if told is True
                else map(str, told)
                if isinstance(told, list | tuple)
                else []
            )
        return tuple(dict.fromkeys(said))

    def _error(self, outcome: Outcome) -> str:
        if outcome is Outcome.DONE:
            return ""
        told = str(self._end.evidence.get("error", "")) if self._end else ""
        failed = self._of(*FAILURES)
        return told or (failed[-1].summary if failed else "")


def _listener(events: Sequence[Event]) -> Mapping[str, int]:
    """To whom the production listener forwards after these events."""
    for event in reversed(events):
        match event.kind:
            case Kind.CUTOVER:
                return _mapping(event.evidence.get("weights"))
            case Kind.DESTROYED:
                return {}
    return {}


def _waited(event: Event) -> float:
    told = event.evidence.get("waitedSeconds")
    return float(told) if isinstance(told, int | float) else 0.0


def _mapping(value: object) -> Mapping[str, Any]:
    """Evidence of another version may be anything."""
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case Origin() | GateRecord():
            return {to_camel(name): _plain(each) for name, each in dataclasses.asdict(value).items()}
        case Mapping():
            return dict(value)
        case tuple():
            return list(value)
        case StrEnum():
            return value.value
        case _:
            return value
