"""The guard: what must hold before a server group is destroyed. Facts in, verdict out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from bluegreen.model.network_balancer import SETTLED_SECONDS
from bluegreen.model.notice import NO_TRAFFIC
from bluegreen.model.observation import Listener
from bluegreen.model.tags import Purpose
from bluegreen.model.verdict import Hopeless, Ready


class Part(Enum):
    """What of a server group is about to be deleted."""

    MACHINES = "the Auto Scaling group"
    ATTACHMENT = "what hangs on it: a policy, an alarm"


@dataclass(frozen=True, kw_only=True)
class Connections:
    """What a Network Load Balancer leaves on a server group that it sends no new connections to: those that it has.

    They stay until client or machine ends them. `limit_seconds`: how long they may. `listener`: the ARN of one of the
    load balancer's, `moved_at`: when it was last changed; None where nobody knows.
    """

    limit_seconds: float
    listener: str
    moved_at: datetime | None

    def seconds_left(self, now: datetime) -> float:
        """How long the limit still lasts; all of it where nobody knows when it began."""
        if self.moved_at is None:
            return self.limit_seconds
        return self.limit_seconds - (now - self.moved_at).total_seconds()

    def settled_at(self, now: datetime) -> datetime:
        """From when on the change of the listener has been followed everywhere. `now`: when it was at the latest."""
        return (self.moved_at or now) + timedelta(seconds=SETTLED_SECONDS)


def judge(group: str, part: Part, target_groups: tuple[str, ...], listeners: Iterable[Listener]) -> Ready | Hopeless:
    """Whether a part of the Auto Scaling group `group`, with these target groups (ARNs), may be deleted.

    Machines go when no listener but a preview listener sends them anything. An attachment is asked about first, and the
    stack's own production listener does not hold it: in an update it has moved already, on a destroy it is deleted
    between the attachment and the machines.
    """
    uncounted = {Purpose.PREVIEW} if part is Part.MACHINES else {Purpose.PREVIEW, Purpose.PRODUCTION}
    for listener in listeners:
        if listener.weight_of(target_groups) > 0 and listener.purpose not in uncounted:
            return Hopeless(
                f"{group} still takes traffic: the listener on port {listener.port} forwards to it",
                "It was left whole. Run `pulumi refresh`, then `pulumi up`, so that the traffic moves first; a "
                f"listener or rule that the stack does not own must be changed where it is made ({listener.arn}).",
            )
    return Ready(NO_TRAFFIC.with_values(group=group))
