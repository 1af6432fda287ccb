"""The guard at work: asks the load balancer before a server group goes. No Pulumi here.

The rules are in `bluegreen.model.guard`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from bluegreen.checks.patience import delay_after
from bluegreen.errors import GuardRefused
from bluegreen.model.guard import Connections, Part, judge
from bluegreen.model.notice import GUARD, GUARD_CONNECTIONS, GUARD_DRAINS, GUARD_NO_CONNECTIONS, GUARD_STICKY
from bluegreen.model.observation import Group, Listener, Traffic
from bluegreen.model.verdict import Hopeless, Ready


class Sight(Protocol):
    """What the guard asks AWS; `bluegreen.aws.observe.Observer` answers."""

    def group(self, name: str) -> Group | None: ...
    def listeners_of(self, target_groups: Iterable[str]) -> tuple[Listener, ...]: ...
    def drain_seconds(self, target_group: str) -> float: ...
    def traffic(self, listener: str, target_group: str, since: datetime, clock: str) -> Traffic: ...
    def had_no_connections(self, listener: str, since: datetime) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class TrafficMoved:
    """What a change of the production listener (ARN) did, in this very run. `has_gained`: some group got more traffic.

    `at`: when, by the guard's clock. `lost`: target groups that it names no more, or gives no traffic. `now_on`: that
    with most of it. `sticky_seconds`: how long clients may cling to a group, 0 without stickiness.
    """

    at: float
    listener: str
    has_gained: bool
    lost: frozenset[str]
    now_on: str
    sticky_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Lets parts of a server group be deleted, or raises GuardRefused: one verdict per group, part and run."""

    sight: Sight
    report: Callable[[str], None]
    clock: Callable[[], float]  # monotonic, seconds
    now: Callable[[], datetime]  # with a time zone
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _verdicts: dict[tuple[str, Part], asyncio.Task[Ready | Hopeless]] = field(default_factory=dict, init=False)
    _waits: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)

    async def release(
        self,
        group: str,
        part: Part,
        target_groups: tuple[str, ...] | None = None,
        moved: TrafficMoved | None = None,
        connections: Connections | None = None,
    ) -> None:
        """Return if this part of the Auto Scaling group of this name may go. Raises GuardRefused, AwsError.

        `target_groups`: the group's, as ARNs; None where the caller knows only the name. `moved`: what this very run
        has done to the traffic: requests may still be in flight. `connections`: what may be on the group still.
        """
        key = group, part
        if key not in self._verdicts:
            self._verdicts[key] = asyncio.ensure_future(self._judge(group, part, target_groups, moved, connections))
        # shielded: a caller that is cancelled must not cancel the verdict of the others
        match await asyncio.shield(self._verdicts[key]):
            case Hopeless(summary, next_step):
                raise GuardRefused(summary, next_step)

    async def _judge(
        self,
        group: str,
        part: Part,
        target_groups: tuple[str, ...] | None,
        moved: TrafficMoved | None,
        connections: Connections | None,
    ) -> Ready | Hopeless:
        if target_groups is None:
            found = await asyncio.to_thread(self.sight.group, group)
            target_groups = found.target_groups if found else ()
        verdict = await self._ask(group, part, target_groups)
        lost = moved.lost.intersection(target_groups) if moved else frozenset()
        if connections and isinstance(verdict, Ready):
            if moved and lost:
                ago = timedelta(seconds=self.clock() - moved.at)
                connections = replace(connections, moved_at=self.now() - ago)
            await self._until_left(group, connections)
            verdict = await self._ask(group, part, target_groups)
        if part is Part.MACHINES and isinstance(verdict, Ready) and moved and lost:
            await self._drain(group, lost, moved)
            verdict = await self._ask(group, part, target_groups)
        if part is Part.MACHINES or isinstance(verdict, Hopeless):
            self.report(GUARD.with_values(said=verdict.summary))
        return verdict

    async def _ask(self, group: str, part: Part, target_groups: tuple[str, ...]) -> Ready | Hopeless:
        listeners = await asyncio.to_thread(self.sight.listeners_of, target_groups) if target_groups else ()
        return judge(group, part, target_groups, listeners)

    async def _until_left(self, group: str, connections: Connections) -> None:
        """Nothing of the group goes while it may have connections: one wait, whatever part asks for it first."""
        if group not in self._waits:
            self._waits[group] = asyncio.ensure_future(self._wait_for_connections(group, connections))
        await asyncio.shield(self._waits[group])

    async def _wait_for_connections(self, group: str, connections: Connections) -> None:
        """Until their time is over, or the load balancer has had none at all since its listener's change has settled:
        it does not say how many are on which target group."""
        asked = self.now()
        settled_at = connections.settled_at(asked)
        # By the clock that does not jump.
        began, limit = self.clock(), connections.seconds_left(asked)
        if limit <= 0:
            return
        self.report(GUARD_CONNECTIONS.with_values(group=group, seconds=limit))
        while (waited := self.clock() - began) < limit:
            if self.now() >= settled_at and await asyncio.to_thread(
                self.sight.had_no_connections, connections.listener, settled_at
            ):
                self.report(GUARD.with_values(said=GUARD_NO_CONNECTIONS.with_values(group=group)))
                return
            await self.sleep(min(max(delay_after(waited), 1.0), limit - waited))

    async def _drain(self, group: str, lost: frozenset[str], moved: TrafficMoved) -> None:
        """AWS promises no deregistration delay for a target group that no listener names any more."""
        needed = max([await asyncio.to_thread(self.sight.drain_seconds, arn) for arn in lost], default=0.0)
        drain = needed - (self.clock() - moved.at)  # a soak may have taken longer already
        if drain > 0:
            self.report(GUARD_DRAINS.with_values(group=group, seconds=drain))
            await self.sleep(drain)
        if moved.sticky_seconds:
            await self._until_quiet(group, lost, moved)

    async def _until_quiet(self, group: str, lost: frozenset[str], moved: TrafficMoved) -> None:
        """Until the load balancer has reported a whole period without requests to it, or its clients' cookies ended."""
        began, since = self.clock(), self.now()
        self.report(GUARD_STICKY.with_values(group=group, seconds=moved.sticky_seconds))
        while (waited := self.clock() - began) < moved.sticky_seconds and not await self._is_quiet(lost, moved, since):
            await self.sleep(min(max(delay_after(waited), 1.0), moved.sticky_seconds - waited))

    async def _is_quiet(self, target_groups: frozenset[str], moved: TrafficMoved, since: datetime) -> bool:
        for target_group in target_groups:
            seen = await asyncio.to_thread(self.sight.traffic, moved.listener, target_group, since, moved.now_on)
            # Two: the last one's requests may be reported after the other group's hosts, which count the periods.
            if seen.periods < 2 or seen.requests:
                return False
        return True
