"""The watch over a release that has just got traffic: attest, then soak. No Pulumi here.

The guard keeps it before it lets the old server group go, the driver after each shift of a rollout. The rules are in
`bluegreen.model.attest` and `bluegreen.model.soak`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Protocol

from bluegreen.checks.attest import DEADLINE_SECONDS, AttestRun
from bluegreen.checks.patience import delay_after
from bluegreen.checks.probe import Headers, Probe, probe, probe_at
from bluegreen.errors import WatchFailed
from bluegreen.model.attest import Attest
from bluegreen.model.history import Kind
from bluegreen.model.network_balancer import SETTLED_SECONDS, is_network
from bluegreen.model.notice import ATTEST, PASSED, SOAK, SOAK_BEGAN
from bluegreen.model.observation import Alarm, Entrance, Group, Target, Traffic
from bluegreen.model.soak import Look, SoakPolicy, judge
from bluegreen.model.tags import Owner, Purpose
from bluegreen.model.verdict import Hopeless, Ready, Wait

SHORTEST_INTERVAL_SECONDS = 1.0
"""Between two looks of a soak: CloudWatch takes nine DescribeAlarms a second from a whole account."""


class Sight(Protocol):
    """What the watch asks AWS; `bluegreen.aws.observe.Observer` answers."""

    def groups(self, owner: Owner) -> tuple[Group, ...]: ...
    def entrance(self, target_group: str, purpose: Purpose) -> Entrance | None: ...
    def targets(self, target_group: str) -> tuple[Target, ...]: ...
    def alarms(self, names: Sequence[str]) -> tuple[Alarm, ...]: ...
    def alarms_of(self, release: str, target_group: str, listener: str) -> tuple[Alarm, ...]: ...
    def traffic(self, listener: str, target_group: str, since: datetime) -> Traffic: ...


class Record(Protocol):
    """Keeps an event: `bluegreen.ledger.ledger.Recorder.record`."""

    def __call__(self, kind: Kind, *, release: str, summary: str, evidence: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A change of a production listener that was made: `release` has gained traffic by it.

    `shares`: percent of the traffic by release, of those that have any. `domain`: by which users reach it with HTTPS.
    """

    owner: Owner
    release: str
    shares: Mapping[str, int]
    domain: str = ""


@dataclass(frozen=True, kw_only=True)
class _Watched:
    """A release that takes traffic, and since when it is watched: by the clock (`began`), and for CloudWatch (`since`),
    which must not take the attest's own sample for the users' requests."""

    name: str
    release: str
    target_group: str
    listener: str
    began: float
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Returns when a shift has proven well, or raises WatchFailed. Time, sleep and the eyes are passed in."""

    sight: Sight
    record: Record
    report: Callable[[str], None]
    clock: Callable[[], float]  # monotonic, seconds
    now: Callable[[], datetime]  # with a time zone
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    probe: Probe = probe
    probe_at: Callable[[str, Headers], Probe] = probe_at

    async def keep(self, shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        """Attest, where the app says which release it is, then soak, where it has `seconds`. Raises AwsError too."""
        name, version = f"{shift.owner.service}-{shift.release}", shift.release
        began = self.clock()
        groups = await asyncio.to_thread(self.sight.groups, shift.owner)
        target_group = next((arn for each in groups if each.release == version for arn in each.target_groups), None)
        entrance = (
            await asyncio.to_thread(self.sight.entrance, target_group, Purpose.PRODUCTION) if target_group else None
        )
        # The preview listener is of the same load balancer.
        is_elsewhere = version in shift.shares and entrance and not entrance.weights.get(target_group or "")
        if not target_group or not entrance or is_elsewhere:
            next_step = "Run `pulumi refresh`, so that the state says what is there, then `pulumi up`."
            self._fail(Kind.ATTEST_FAILED, version, f"{name} is behind no production listener", {}, next_step)
        if attest.is_on:
            await self._attest(shift, attest, entrance.known_as(shift.domain))
        if seconds:
            watched = _Watched(
                name=name,
                release=version,
                target_group=target_group,
                listener=entrance.listener,
                began=began,
                since=self.now(),
            )
            await self._soak(watched, policy, seconds)

    async def _attest(self, shift: Shift, attest: Attest, entrance: Entrance) -> None:
        url = entrance.url
        run = AttestRun(
            url=url,
            attest=attest,
            wanted=shift.shares,
            probe=self.probe_at(entrance.address, entrance.headers) if entrance.address else self.probe,
            report=self.report,
            clock=self.clock,
            sleep=self.sleep,
            deadline_seconds=SETTLED_SECONDS if is_network(entrance.listener) else DEADLINE_SECONDS,
        )
        match await run.run():
            case Ready(summary):
                self.report(ATTEST.with_values(said=f"{summary}{PASSED}"))
                self._keep(Kind.ATTEST_PASSED, shift.release, summary, {"shares": dict(shift.shares)})
            case Hopeless(summary, next_step):
                evidence = {"url": url, "shares": dict(shift.shares)}
                self._fail(Kind.ATTEST_FAILED, shift.release, f"attest: {summary}", evidence, next_step)

    async def _soak(self, watched: _Watched, policy: SoakPolicy, seconds: float) -> None:
        name, release = watched.name, watched.release
        self._keep(Kind.SOAK_BEGAN, release, f"for {seconds:.0f} s", {"seconds": seconds})
        self.report(SOAK_BEGAN.with_values(group=name, seconds=seconds))
        said = ""
        unwell_since: float | None = None
        periods_at_end: int | None = None
        while True:
            waited = self.clock() - watched.began
            targets, own, users = await asyncio.gather(
                asyncio.to_thread(self.sight.targets, watched.target_group),
                asyncio.to_thread(self.sight.alarms_of, name, watched.target_group, watched.listener),
                asyncio.to_thread(self.sight.alarms, policy.alarm_names),
            )
            traffic = None
            if waited >= seconds:
                traffic = await asyncio.to_thread(
                    self.sight.traffic, watched.listener, watched.target_group, watched.since
                )
                periods_at_end = traffic.periods if periods_at_end is None else periods_at_end
            # From the first look that saw it: the one before may be long ago, where AWS was slow to answer.
            if any(target.is_healthy for target in targets):
                unwell_since = None
            elif unwell_since is None:
                unwell_since = self.clock()
            look = Look(
                release=release,
                waited_seconds=waited,
                targets=targets,
                own_alarms=own,
                user_alarms=users,
                traffic=traffic,
                unhealthy_seconds=0.0 if unwell_since is None else self.clock() - unwell_since,
                periods_at_end=periods_at_end or 0,
            )
            match judge(look, policy, seconds):
                case Ready(summary):
                    self.report(SOAK.with_values(group=name, said=f"{summary}{PASSED}"))
                    self._keep(Kind.SOAK_PASSED, release, summary, _evidence(look))
                    return
                case Hopeless(summary, next_step):
                    what = f"soak: {name}: {summary}, after {waited:.0f} s"
                    self._fail(Kind.SOAK_FAILED, release, what, _evidence(look), next_step)
                case Wait(summary) if summary != said:
                    self.report(SOAK.with_values(group=name, said=summary))
                    said = summary
            interval = max(delay_after(waited), SHORTEST_INTERVAL_SECONDS)
            await self.sleep(max(min(interval, seconds - waited), 0.1) if waited < seconds else interval)

    def _keep(self, kind: Kind, release: str, summary: str, evidence: Mapping[str, Any]) -> None:
        self.record(kind, release=release, summary=summary, evidence=evidence)

    def _fail(self, kind: Kind, release: str, what: str, evidence: Mapping[str, Any], next_step: str = "") -> NoReturn:
        self._keep(kind, release, what, evidence)
        raise WatchFailed(what, next_step)


def _evidence(look: Look) -> dict[str, Any]:
    return {
        "seconds": round(look.waited_seconds, 1),
        "requests": look.traffic.requests if look.traffic else None,
        "alarms": {alarm.name: f"{alarm.state}: {alarm.reason}" for alarm in (*look.own_alarms, *look.user_alarms)},
        "targets": {target.instance: target.condition for target in look.targets},
    }
