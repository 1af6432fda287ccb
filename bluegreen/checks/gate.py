"""The gate at work: asks AWS, judges, waits, until the candidate is proven or given up. No Pulumi here.

The rules are in `bluegreen.model.gate`.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from bluegreen.checks.patience import delay_after
from bluegreen.checks.probe import Headers, Probe, probe, probe_at
from bluegreen.checks.smoke import SmokeRun
from bluegreen.errors import GateFailed
from bluegreen.model.command import Ended, GateCommand
from bluegreen.model.command import judge as judge_command
from bluegreen.model.compat import judge as judge_schema
from bluegreen.model.compat import told_schema
from bluegreen.model.gate import (
    NOBODY,
    Candidate,
    GatePolicy,
    Passed,
    Proofs,
    Serving,
    capacity_needed,
    capacity_wanted,
    judge,
    serving,
)
from bluegreen.model.network_balancer import url_of
from bluegreen.model.notice import GATE, GATE_RAISED, PASSED
from bluegreen.model.observation import Alarm, Entrance, Group, Image, ScalingActivity, Target
from bluegreen.model.soak import missing_alarms
from bluegreen.model.tags import Owner, Purpose
from bluegreen.model.verdict import Hopeless, Ready, Wait

CLOCKS_DIFFER_BY = timedelta(seconds=30)
"""At most, between AWS and this machine."""
VISIBLE_AFTER_SECONDS = 30.0
"""What AWS made is not at once in what it lists."""


class Sight(Protocol):
    """What the gate asks AWS; `bluegreen.aws.observe.Observer` answers."""

    def default_weights(self, listener: str) -> Mapping[str, int]: ...
    def groups(self, owner: Owner) -> tuple[Group, ...]: ...
    def targets(self, target_group: str) -> tuple[Target, ...]: ...
    def activities(self, group: str) -> tuple[ScalingActivity, ...]: ...
    def entrance(self, target_group: str, purpose: Purpose) -> Entrance | None: ...
    def image(self, image: str) -> Image | None: ...
    def alarms(self, names: Sequence[str]) -> tuple[Alarm, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Cutover:
    """The change of a production listener that the gate stands before."""

    owner: Owner
    listener: str | None  # ARN; None while the listener does not exist yet
    weights: Mapping[str, int]  # wanted, by target group ARN


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What a cutover does to the traffic, by target group (ARN): to whom it gives more, and whom the listener names
    until then and gives none afterwards.

    `passed`: what was seen of each that gains. `before`, `after`: who serves, as far as anybody was asked: only where
    somebody gains.
    """

    gained: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    passed: tuple[Passed, ...] = ()
    before: Serving = NOBODY
    after: Serving = NOBODY


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Lets a cutover pass, or raises GateFailed. Time, sleep, the eyes and the one write are passed in.

    `began`: when this `up` did. A launch that failed before says nothing of it: the cause may have been mended.
    `run_command`: the user's command, with variables for its environment. `on_migrated`: a release's migration has
    succeeded, and may have told the schema's version.
    """

    sight: Sight
    raise_desired_capacity: Callable[[Group, int], Group]
    run_command: Callable[[GateCommand, Mapping[str, str]], Awaitable[Ended]]
    on_migrated: Callable[[str, int | None], None]
    report: Callable[[str], None]
    clock: Callable[[], float]  # monotonic, seconds
    began: datetime  # with a time zone
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    probe: Probe = probe
    probe_at: Callable[[str, Headers], Probe] = probe_at

    async def prove(self, cutover: Cutover, policy: GatePolicy) -> Moves:
        """Return, with what it will do, once every server group that gains traffic by this cutover is proven.

        Raises GateFailed, AwsError.
        """
        live: Mapping[str, int] = {}
        if cutover.listener:
            live = await asyncio.to_thread(self.sight.default_weights, cutover.listener)
        now, then = _shares(live), _shares(cutover.weights)
        gaining = [target_group for target_group, share in then.items() if share > now.get(target_group, 0)]
        passed: list[Passed] = []
        groups: tuple[Group, ...] = ()
        for target_group in gaining:
            try:
                candidate, seen = await self._prove(target_group, live, cutover, policy)
                passed.append(seen)
                groups = (candidate.group, *candidate.others)
            except GateFailed as failed:
                failed.target_group = target_group
                raise
        # One without weight too: sticky clients come to whatever the listener names.
        lost = frozenset(arn for arn in now if not then.get(arn))
        return Moves(
            gained=frozenset(gaining),
            lost=lost,
            passed=tuple(passed),
            before=serving(live, groups) if gaining else NOBODY,
            after=serving(cutover.weights, groups) if gaining else NOBODY,
        )

    async def _prove(
        self, target_group: str, live: Mapping[str, int], cutover: Cutover, policy: GatePolicy
    ) -> tuple[Candidate, Passed]:
        began = self.clock()
        candidate, summary = await self._until_healthy(target_group, live, cutover, policy)
        is_proven = candidate.group.release in policy.proven
        is_listed = target_group in live  # it serves, or is a standby, without weight, that did
        if live and not is_proven:  # what goes back must, most of all while an alarm is on
            await self._insist_on_quiet_alarms(policy)
        if policy.minds_schema and not live.get(target_group):
            await self._insist_on_schema(candidate, policy)
        is_to_prove = not (is_listed or is_proven or policy.proofs.are_none)
        if is_to_prove:
            self.report(GATE.with_values(group=candidate.group.name, said=summary))
            if policy.proofs.migration and candidate.group.release not in policy.migrated:
                await self._migrate(policy.proofs.migration, target_group, candidate, cutover, policy)
            await self._show_proofs(target_group, candidate, cutover, policy, began)
            # That may have taken minutes, in which the active group may have grown.
            candidate, summary = await self._until_healthy(target_group, live, cutover, policy)
        self.report(GATE.with_values(group=candidate.group.name, said=f"{summary}{PASSED}"))
        proofs = policy.proofs if is_to_prove else Proofs()
        return candidate, Passed(
            release=candidate.group.release,
            healthy=candidate.healthy,
            wanted=capacity_needed(policy, candidate.active, candidate.group.weights),
            smoke_tests=tuple(test.path for test in proofs.smoke_tests),
            command=shlex.join(proofs.command.command) if proofs.command else "",
        )

    async def _until_healthy(
        self, target_group: str, live: Mapping[str, int], cutover: Cutover, policy: GatePolicy
    ) -> tuple[Candidate, str]:
        """The candidate once it is healthy and as large as it should be, and that in words."""
        began = self.clock()
        said = ""
        while True:
            candidate = await self._look(target_group, live, cutover)
            waited = self.clock() - began
            verdict = self._judged(candidate, target_group, policy, waited)
            name = candidate.group.name if candidate else cutover.owner.service
            match verdict:
                case Hopeless(summary, next_step):
                    raise GateFailed(summary, _with_traffic(candidate, next_step))
                case Wait(summary) if waited >= policy.deadline_seconds:
                    raise GateFailed(
                        f"{name}: {summary}, after {waited:.0f} of {policy.deadline_seconds:.0f} s",
                        _with_traffic(candidate, "Deploy a release that gets healthy, or set `ami` back."),
                    )
                case Wait(summary) if summary != said:
                    self.report(GATE.with_values(group=name, said=summary))
                    said = summary
            if candidate:
                candidate = await self._keep_up(candidate, policy)
                if isinstance(verdict, Ready):
                    return candidate, verdict.summary
            await self.sleep(min(delay_after(waited), max(0.0, policy.deadline_seconds - waited)))

    async def _show_proofs(
        self, target_group: str, candidate: Candidate, cutover: Cutover, policy: GatePolicy, began: float
    ) -> None:
        """Smoke tests, then the user's command. `began`: when the gate did: its deadline is of the smoke tests too."""
        group, proofs = candidate.group, policy.proofs
        preview = await self._preview(target_group, candidate, policy)
        if proofs.smoke_tests:
            smoke = SmokeRun(
                name=group.name,
                url=preview.url,
                release=group.release,
                probe=self.probe_at(preview.address, preview.headers) if preview.address else self.probe,
                report=self.report,
                sleep=self.sleep,
                waited=lambda: self.clock() - began,
                deadline_seconds=policy.deadline_seconds,
            )
            self._insist(await smoke.run(proofs), candidate)
        if proofs.command:
            variables = _variables(preview, group, cutover, policy)
            ended = await self.run_command(proofs.command, variables)
            self._insist(judge_command(proofs.command, ended, "gateCommand"), candidate)

    async def _migrate(
        self, migration: GateCommand, target_group: str, candidate: Candidate, cutover: Cutover, policy: GatePolicy
    ) -> None:
        preview = await self._preview(target_group, candidate, policy)
        ended = await self.run_command(migration, _variables(preview, candidate.group, cutover, policy))
        self._insist(judge_command(migration, ended, "migration"), candidate)
        told = told_schema(ended.last_lines)
        self.on_migrated(candidate.group.release, told)
        if policy.minds_schema and told is not None:
            await self._insist_on_schema(
                candidate, replace(policy, schema=told, migrated=policy.migrated | {candidate.group.release})
            )

    async def _insist_on_schema(self, candidate: Candidate, policy: GatePolicy) -> None:
        """The image can live with the database; with one that is still to be migrated, the serving one can as well."""
        image = policy.images.get(candidate.group.release)
        serving = policy.images.get(candidate.active.release) if candidate.active else None
        if image is None:
            return
        tags = {each: await self._image_tags(each) for each in {image, serving} if each}
        is_to_migrate = policy.proofs.migration is not None and candidate.group.release not in policy.migrated
        schema = None if is_to_migrate else policy.schema
        verdict = judge_schema(image, tags[image], {serving: tags[serving]} if serving else {}, schema)
        match verdict:
            case Hopeless(summary, next_step):
                raise GateFailed(summary, _with_traffic(candidate, next_step))

    async def _image_tags(self, image: str) -> Mapping[str, str]:
        found = await asyncio.to_thread(self.sight.image, image)
        return found.tags if found else {}

    async def _insist_on_quiet_alarms(self, policy: GatePolicy) -> None:
        """What is wrong before a shift would be laid at the new release's door."""
        found = await asyncio.to_thread(self.sight.alarms, policy.alarm_names)
        if missing := missing_alarms(policy.alarm_names, found):
            raise GateFailed(*missing)
        if on := [alarm.name for alarm in found if alarm.is_on]:
            raise GateFailed(
                f"alarm {', '.join(on)} is on already, before the traffic moves",
                "Mend what it tells of, or take its name out of `soakAlarms`. The traffic stays where it is; "
                "`bluegreen abort` gives a candidate up.",
            )

    async def _preview(self, target_group: str, candidate: Candidate, policy: GatePolicy) -> Entrance:
        """Where the candidate is shown to those who prove it, and nothing else is."""
        began = self.clock()
        while True:
            preview = await asyncio.to_thread(self.sight.entrance, target_group, Purpose.PREVIEW)
            if preview and preview.is_hidden:
                raise GateFailed(
                    f"{candidate.group.name} can't be shown to smoke tests and command: its preview rule comes after "
                    "the one that users meet",
                    _with_traffic(
                        candidate, "Set `ami` back and run `pulumi up`, so that a change of listener.priority ends."
                    ),
                )
            if preview and preview.shows_only(target_group):
                return preview.known_as(policy.proofs.domain)
            if (waited := self.clock() - began) >= VISIBLE_AFTER_SECONDS:
                break
            await self.sleep(delay_after(waited))
        shown = "forwards elsewhere" if preview else "is not there"
        raise GateFailed(
            f"{candidate.group.name} can't be shown to smoke tests and command: its preview listener {shown}",
            _with_traffic(candidate, "Run `pulumi refresh`, so that the state says what is there, then `pulumi up`."),
        )

    def _insist(self, verdict: Ready | Hopeless, candidate: Candidate) -> None:
        match verdict:
            case Ready(summary):
                self.report(GATE.with_values(group=candidate.group.name, said=summary))
            case Hopeless(summary, next_step):
                raise GateFailed(summary, _with_traffic(candidate, next_step))

    def _judged(
        self, candidate: Candidate | None, target_group: str, policy: GatePolicy, waited: float
    ) -> Ready | Wait | Hopeless:
        if candidate:
            return judge(candidate, policy, self.began - CLOCKS_DIFFER_BY)
        if waited < VISIBLE_AFTER_SECONDS:
            return Wait("its Auto Scaling group is not listed yet")
        return Hopeless(
            f"no Auto Scaling group registers its machines in {target_group}",
            "Run `pulumi refresh`, so that the state says what is there, then `pulumi up`.",
        )

    async def _keep_up(self, candidate: Candidate, policy: GatePolicy) -> Candidate:
        """Raise the candidate to what the active group has grown to."""
        wanted = capacity_wanted(policy, candidate.active, candidate.group.weights)
        wanted = min(wanted, candidate.group.maximum)
        if candidate.group.desired < wanted:
            raised = await asyncio.to_thread(self.raise_desired_capacity, candidate.group, wanted)
            self.report(GATE_RAISED.with_values(group=raised.name, desired=raised.desired))
            return replace(candidate, group=raised)
        return candidate

    async def _look(self, target_group: str, live: Mapping[str, int], cutover: Cutover) -> Candidate | None:
        groups, targets = await asyncio.gather(
            asyncio.to_thread(self.sight.groups, cutover.owner),
            asyncio.to_thread(self.sight.targets, target_group),
        )
        group = next((each for each in groups if target_group in each.target_groups), None)
        if group is None:
            return None
        others = tuple(each for each in groups if each is not group)
        return Candidate(
            group=group,
            targets=targets,
            activities=await asyncio.to_thread(self.sight.activities, group.name),
            active=_with_most_traffic(others, live),
            others=others,
        )


def _variables(entrance: Entrance, group: Group, cutover: Cutover, policy: GatePolicy) -> dict[str, str]:
    """What a user's command finds in its environment."""
    return {
        "BLUEGREEN_PREVIEW_URL": url_of(entrance.url, speaks_http=policy.proofs.speaks_http),
        "BLUEGREEN_PREVIEW_ADDRESS": entrance.address or urlsplit(entrance.url).hostname or "",
        "BLUEGREEN_PREVIEW_HEADER": "".join(f"{name}: {value}" for name, value in entrance.headers),
        "BLUEGREEN_RELEASE": group.release,
        "BLUEGREEN_IMAGE": policy.images.get(group.release, ""),
        "BLUEGREEN_SERVICE": cutover.owner.service,
        "BLUEGREEN_STACK": cutover.owner.stack,
    }


def _shares(weights: Mapping[str, int]) -> dict[str, float]:
    total = sum(weights.values()) or 1
    return {arn: weight / total for arn, weight in weights.items()}


def _with_most_traffic(groups: Sequence[Group], weights: Mapping[str, int]) -> Group | None:
    def weight(group: Group) -> int:
        return sum(weights.get(arn, 0) for arn in group.target_groups)

    return max((group for group in groups if weight(group) > 0), key=weight, default=None)


def _with_traffic(candidate: Candidate | None, next_step: str) -> str:
    if candidate is None or candidate.active is None:
        return f"No traffic was moved. {next_step}"
    return f"The traffic stays on {candidate.active.name}. {next_step}"
