"""How long a verb takes, by what the history says of earlier ones. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bluegreen.model.history import Event, Kind

LAST_RUNS = 5


def expected_seconds(events: Sequence[Event], verb: str) -> float | None:
    """The median of the last five of this verb that ended well, of its beginning to its end. None where none did.

    `events`: oldest first. Those that moved traffic count alone, where any did: a deploy that changed nothing says
    little of one that does.
    """
    moved = {event.run for event in events if event.kind is Kind.CUTOVER}
    ended = [
        event
        for event in events
        if event.kind is Kind.ENDED and event.evidence.get("verb") == verb and event.evidence.get("outcome") == "done"
    ]
    took = [(event.run in moved, float(event.evidence["seconds"])) for event in ended if "seconds" in event.evidence]
    counted = [seconds for has_moved, seconds in took if has_moved] or [seconds for _, seconds in took]
    return median(counted[-LAST_RUNS:]) if counted else None
