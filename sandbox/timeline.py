"""What happened in a rehearsal, and whether it happened in the right order: `Timeline`. Pure but for its clock."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from sandbox.load import Answer

SETTLE_SECONDS = 1.0
"""Requests that left before the cutover may be answered by the old release a little later."""


class Event(StrEnum):
    """What the order is judged by. Other lines of a timeline are for people."""

    CREATED = "server group created"
    PROVEN = "gate passed"
    CUTOVER = "takes the traffic"
    REFUSED = "gate refused"
    DELETING = "server group is being deleted"
    DELETED = "server group deleted"


@dataclass(frozen=True)
class Moment:
    """`at`: seconds since the rehearsal began. `release`: the app's version, empty where none is meant."""

    at: float
    event: str
    release: str


class Timeline:
    """Collects moments from several threads, and shows each as it comes."""

    def __init__(self, show: Callable[[Moment], None]) -> None:
        self._show = show
        self._lock = threading.Lock()
        self.began = time.time()
        self.moments: list[Moment] = []

    def add(self, event: str, release: str = "") -> None:
        with self._lock:
            moment = Moment(round(time.time() - self.began, 2), event, release)
            self.moments.append(moment)
            self._show(moment)


def faults(
    moments: Sequence[Moment], answers: Sequence[Answer], *, began: float, served: Sequence[str], refused: str
) -> list[str]:
    """What went wrong, in words; empty if nothing did.

    `served`: the releases that should have taken the traffic one after the other. `refused`: the one that should not.
    """
    found = [f"{len(failed)} requests failed, the first: {failed[0]}"] if (failed := _failed(answers)) else []
    if not answers:
        found.append("no request was sent")
    at = {(moment.event, moment.release): moment.at for moment in moments}
    for old, new in itertools.pairwise(served):
        found += _out_of_order(
            moments,
            [
                (Event.CREATED, new),
                (Event.PROVEN, new),
                (Event.CUTOVER, new),
                (Event.DELETING, old),
                (Event.DELETED, old),
            ],
        )
        cutover = at.get((Event.CUTOVER, new))
        if cutover is not None:
            late = [a for a in answers if a.release == old and a.sent_at - began > cutover + SETTLE_SECONDS]
            found += [f"release {old} answered {len(late)} requests after release {new} took the traffic"] * bool(late)
        if not any(answer.release == new for answer in answers):
            found.append(f"release {new} never answered")
    found += _out_of_order(
        moments,
        [(Event.CREATED, refused), (Event.REFUSED, refused), (Event.DELETING, refused), (Event.DELETED, refused)],
    )
    if any(answer.release == refused for answer in answers):
        found.append(f"release {refused} answered, though the gate refused it")
    if (Event.CUTOVER, refused) in at:
        found.append(f"release {refused} took the traffic")
    return found


def as_data(moments: Sequence[Moment], answers: Sequence[Answer]) -> dict[str, object]:
    """`{requests, failures, timeline: [{at, event, release}]}`."""
    return {
        "requests": len(answers),
        "failures": len(_failed(answers)),
        "timeline": [asdict(moment) for moment in moments],
    }


def _failed(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.has_failed]


def _out_of_order(moments: Sequence[Moment], wanted: Sequence[tuple[Event, str]]) -> list[str]:
    seen = [(moment.event, moment.release) for moment in moments]
    missing = [
        f"release {release}: '{event}' did not happen" for event, release in wanted if (event, release) not in seen
    ]
    if missing:
        return missing
    return [
        f"'{later[0]}' of release {later[1]} came before '{earlier[0]}' of release {earlier[1]}"
        for earlier, later in itertools.pairwise(wanted)
        if seen.index(later) < seen.index(earlier)
    ]
