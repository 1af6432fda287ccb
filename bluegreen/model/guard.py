"""The guard: what must hold before a server group is destroyed. Facts in, verdict out. Soak and attest join it here."""

from __future__ import annotations

from collections.abc import Iterable

from bluegreen.model.observation import Listener
from bluegreen.model.verdict import Hopeless, Ready


def judge(group: str, target_groups: tuple[str, ...], listeners: Iterable[Listener]) -> Ready | Hopeless:
    """Whether the Auto Scaling group `group`, with these target groups (ARNs), may be deleted.

    Every listener counts that is not known to be a preview listener: nothing that a rule still sends weight to goes.
    """
    for listener in listeners:
        if listener.weight_of(target_groups) > 0 and not listener.is_preview:
            return Hopeless(
                f"{group} still takes traffic: the listener on port {listener.port} forwards to it",
                "It was left whole. Run `pulumi up` again, so that the traffic moves first; a listener or rule that "
                f"the stack does not own must be changed where it is made ({listener.arn}).",
            )
    return Ready(f"{group} takes no traffic")
