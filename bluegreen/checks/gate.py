"""The gate at work: asks AWS, judges, waits, until the candidate is proven or given up. No Pulumi here.

The rules are in `bluegreen.model.gate`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bluegreen.checks.patience import delay_after
from bluegreen.errors import GateFailed
from bluegreen.model.gate import Candidate, GatePolicy, capacity_needed, judge
from bluegreen.model.observation import Group, ScalingActivity, Target
from bluegreen.model.verdict import Hopeless, Ready, Wait

PASSED = ": passed"
"""How the line ends that says so."""
EARLIER_TRY = timedelta(minutes=2)
"""A failed launch that began longer before the gate than this belongs to an earlier `up`: its cause may be mended."""


class Sight(Protocol):
    """What the gate asks AWS; `bluegreen.aws.observe.Observer` answers."""

    def listener_weights(self, listener: str) -> Mapping[str, int]: ...
    def groups(self, stack: str, service: str) -> tuple[Group, ...]: ...
    def targets(self, target_group: str) -> tuple[Target, ...]: ...
    def activities(self, group: str) -> tuple[ScalingActivity, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Cutover:
    """The change of a production listener that the gate stands before."""

    stack: str
    service: str
    listener: str | None  # ARN; None while the listener does not exist yet
    weights: Mapping[str, int]  # wanted, by target group ARN


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Lets a cutover pass, or raises GateFailed. Time, sleep, the eyes and the one write are passed in."""

    sight: Sight
    raise_desired_capacity: Callable[[Group, int], Group]
    report: Callable[[str], None]
    clock: Callable[[], float]  # monotonic, seconds
    now: Callable[[], datetime]  # with a time zone
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def prove(self, cutover: Cutover, policy: GatePolicy) -> None:
        """Return once every server group that gains traffic by this cutover is proven. Raises GateFailed, AwsError."""
        live: Mapping[str, int] = {}
        if cutover.listener:
            live = await asyncio.to_thread(self.sight.listener_weights, cutover.listener)
        for target_group, weight in cutover.weights.items():
            if weight > 0 and live.get(target_group, 0) == 0:
                await self._prove(target_group, live, cutover, policy)

    async def _prove(self, target_group: str, live: Mapping[str, int], cutover: Cutover, policy: GatePolicy) -> None:
        began = self.clock()
        since = self.now() - EARLIER_TRY
        said = ""
        while True:
            candidate = await self._look(target_group, live, cutover)
            needed = capacity_needed(policy, candidate.active)
            if candidate.group.desired < needed <= candidate.group.maximum:
                raised = await asyncio.to_thread(self.raise_desired_capacity, candidate.group, needed)
                self.report(f"gate: {raised.name} raised to {raised.desired}, what the active group runs at")
            verdict = judge(candidate, policy, since)
            waited = self.clock() - began
            line = f"gate: {candidate.group.name}: {verdict.summary}"
            match verdict:
                case Ready():
                    self.report(line + PASSED)
                    return
                case Hopeless(summary, next_step):
                    raise GateFailed(summary, _with_traffic(candidate, next_step))
                case Wait(summary) if waited >= policy.deadline_seconds:
                    raise GateFailed(
                        f"{candidate.group.name}: {summary}, after {waited:.0f} of {policy.deadline_seconds:.0f} s",
                        _with_traffic(candidate, "Deploy a release that gets healthy, or set `ami` back."),
                    )
                case Wait():
                    if line != said:
                        self.report(line)
                        said = line
            await self.sleep(min(delay_after(waited), max(0.0, policy.deadline_seconds - waited)))

    async def _look(self, target_group: str, live: Mapping[str, int], cutover: Cutover) -> Candidate:
        groups, targets = await asyncio.gather(
            asyncio.to_thread(self.sight.groups, cutover.stack, cutover.service),
            asyncio.to_thread(self.sight.targets, target_group),
        )
        group = next((each for each in groups if target_group in each.target_groups), None)
        if group is None:
            raise GateFailed(
                f"no Auto Scaling group registers its machines in {target_group}",
                "Run `pulumi refresh`, so that the state says what is there, then `pulumi up`.",
            )
        return Candidate(
            group=group,
            targets=targets,
            activities=await asyncio.to_thread(self.sight.activities, group.name),
            active=_with_most_traffic(groups, live),
        )


def _with_most_traffic(groups: tuple[Group, ...], weights: Mapping[str, int]) -> Group | None:
    def weight(group: Group) -> int:
        return sum(weights.get(arn, 0) for arn in group.target_groups)

    return max((group for group in groups if weight(group) > 0), key=weight, default=None)


def _with_traffic(candidate: Candidate, next_step: str) -> str:
    if candidate.active is None:
        return f"No traffic was moved. {next_step}"
    return f"The traffic stays on {candidate.active.name}. {next_step}"
