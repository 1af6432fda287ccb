"""The guard: what must hold before a server group is destroyed. Facts in, verdict out."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from bluegreen.model.notice import NO_TRAFFIC
from bluegreen.model.observation import Listener
from bluegreen.model.tags import Purpose
from bluegreen.model.verdict import Hopeless, Ready


class Part(Enum):
    """What of a server group is about to be deleted."""

    MACHINES = "the Auto Scaling group"
    ATTACHMENT = "what hangs on it: a policy, an alarm"


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
