"""The guard at work: asks the load balancer before a server group goes. No Pulumi here.

The rules are in `bluegreen.model.guard`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from bluegreen.errors import GuardRefused
from bluegreen.model.guard import Part, judge
from bluegreen.model.observation import Group, Listener
from bluegreen.model.verdict import Hopeless, Ready


class Sight(Protocol):
    """What the guard asks AWS; `bluegreen.aws.observe.Observer` answers."""

    def group(self, name: str) -> Group | None: ...
    def listeners_of(self, target_groups: Iterable[str]) -> tuple[Listener, ...]: ...
    def drain_seconds(self, target_group: str) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Lets parts of a server group be deleted, or raises GuardRefused: one verdict per group, part and run."""

    sight: Sight
    report: Callable[[str], None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _verdicts: dict[tuple[str, Part], asyncio.Task[Ready | Hopeless]] = field(default_factory=dict, init=False)

    async def release(
        self,
        group: str,
        part: Part,
        target_groups: tuple[str, ...] | None = None,
        lost_traffic: frozenset[str] = frozenset(),
    ) -> None:
        """Return if this part of the Auto Scaling group of this name may go. Raises GuardRefused, AwsError.

        `target_groups`: the group's, as ARNs; None where the caller knows only the name. `lost_traffic`: target groups
        from which this very run has taken the traffic: requests to them may still be in flight.
        """
        key = group, part
        if key not in self._verdicts:
            self._verdicts[key] = asyncio.ensure_future(self._judge(group, part, target_groups, lost_traffic))
        # shielded: a caller that is cancelled must not cancel the verdict of the others
        match await asyncio.shield(self._verdicts[key]):
            case Hopeless(summary, next_step):
                raise GuardRefused(summary, next_step)

    async def _judge(
        self, group: str, part: Part, target_groups: tuple[str, ...] | None, lost_traffic: frozenset[str]
    ) -> Ready | Hopeless:
        if target_groups is None:
            found = await asyncio.to_thread(self.sight.group, group)
            target_groups = found.target_groups if found else ()
        verdict = await self._ask(group, part, target_groups)
        if part is Part.MACHINES and isinstance(verdict, Ready):
            drain = await self._drain_seconds(lost_traffic.intersection(target_groups))
            if drain:
                self.report(f"guard: {group} has {drain:.0f} s for the requests in flight")
                await self.sleep(drain)
                verdict = await self._ask(group, part, target_groups)
        if part is Part.MACHINES or isinstance(verdict, Hopeless):
            self.report(f"guard: {verdict.summary}")
        return verdict

    async def _ask(self, group: str, part: Part, target_groups: tuple[str, ...]) -> Ready | Hopeless:
        listeners = await asyncio.to_thread(self.sight.listeners_of, target_groups) if target_groups else ()
        return judge(group, part, target_groups, listeners)

    async def _drain_seconds(self, target_groups: frozenset[str]) -> float:
        """The deregistration delay: AWS promises none for a target group that no listener names any more."""
        return max([await asyncio.to_thread(self.sight.drain_seconds, arn) for arn in target_groups], default=0.0)
