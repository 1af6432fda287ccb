"""Where a stack is: what its last update put out, and what AWS says of that now. Nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bluegreen.events import OnEvent
from bluegreen.model.agreement import judge
from bluegreen.model.record import deployments
from bluegreen.model.stack_name import short
from bluegreen.model.verdict import Ready
from bluegreen.stack import Stack, likely_first

MOST_LOOKED_AT = 2
"""Server groups whose machines are looked at, one call of AWS each: the active one, and a candidate or the newest
standby. With the others a status is at most 8 calls."""


@dataclass(frozen=True, kw_only=True)
class GroupStatus:
    """A server group. `wanted_weight` is declared, `weight` is what the load balancer gives it, both in percent.

    `healthy` of `machines`: as its target group sees them; None where it was not looked at.
    """

    release: str
    image: str
    role: str
    wanted_weight: int
    weight: int
    desired: int
    healthy: int | None
    machines: int | None
    warm: int = 0


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a stack is.

    - `groups`: the fleet, as declared and as it is
    - `stray`: versions of releases that have a server group and are declared no more: an update that failed left them
    - `serving`: percent of the traffic by version, as the load balancer says
    - `disagreement`: what ledger and state say of the traffic, where that is not the same
    - `holder`: who has the stack's lease, empty where nobody has
    - `last`: the last deployment, and how it ended
    """

    stack: str
    is_deployed: bool
    url: str
    preview_url: str
    groups: tuple[GroupStatus, ...]
    stray: tuple[str, ...]
    serving: Mapping[str, int]
    is_rollout_open: bool
    disagreement: str
    holder: str
    last: str
    last_at: datetime | None
    outputs: Mapping[str, Any]

    @property
    def is_as_declared(self) -> bool:
        """Whether the load balancer does what the last update said."""
        return all(group.weight == group.wanted_weight for group in self.groups)

    def as_record(self) -> dict[str, Any]:
        """Plain data; times in ISO 8601."""
        return {**asdict(self), "last_at": self.last_at.isoformat() if self.last_at else None}


def status(stack: str, *, directory: Path | None = None, on_event: OnEvent | None = None) -> Status:
    """Raises EngineError where there is no such stack, AwsError where AWS can't be asked. At most 8 calls of AWS."""
    there = Stack(stack, directory=directory, on_event=on_event)
    there.tell_differences()
    known = deployments(there.history, short(stack))
    last = known[-1] if known else None
    groups: list[GroupStatus] = []
    serving: dict[str, int] = {}
    stray: tuple[str, ...] = ()
    if there.fleet:
        observer = there.observer
        live = {group.release: group for group in observer.groups(there.owner)}
        declared = [plan.release.version for plan in there.fleet.groups]
        serving = observer.shares(likely_first(live.values(), there.fleet))
        for number, plan in enumerate(there.fleet.groups):
            version = plan.release.version
            group = live.get(version)
            targets = None
            if group and group.target_groups and number < MOST_LOOKED_AT:
                targets = observer.targets(group.target_groups[0])
            groups.append(
                GroupStatus(
                    release=version,
                    image=plan.release.image,
                    role=plan.role.value,
                    wanted_weight=plan.weight,
                    weight=serving.get(version, 0),
                    desired=group.desired if group else 0,
                    healthy=None if targets is None else sum(target.is_healthy for target in targets),
                    machines=None if targets is None else len(targets),
                    warm=group.pool.size if group and group.pool else 0,
                )
            )
        stray = tuple(sorted(version for version in live if version and version not in declared))
    agreed = judge(there.history, there.fleet, serving or None) if there.fleet else Ready("nothing is deployed")
    return Status(
        stack=stack,
        is_deployed=there.fleet is not None,
        url=there.outputs.get("url", ""),
        preview_url=there.outputs.get("previewUrl", ""),
        groups=tuple(groups),
        stray=stray,
        serving=serving,
        is_rollout_open=bool(there.fleet and there.fleet.candidate),
        disagreement="" if isinstance(agreed, Ready) else agreed.summary,
        holder=str(there.ledger.lease().holder or ""),
        last=f"{last.verb} of release {last.release} by {last.operator or 'somebody'}: {last.outcome}" if last else "",
        last_at=last.began_at if last else None,
        outputs=there.outputs,
    )
