"""The soak: what must hold while a release that takes traffic is watched. Facts in, verdict out.

Who watches is `bluegreen.checks.watch`. Sources: Elastic Load Balancing reports a target group's metrics only while
requests flow, host counts always, once a minute (ELB User Guide, "CloudWatch metrics for your Application Load
Balancer"); an alarm without data is INSUFFICIENT_DATA (CloudWatch User Guide, "Using CloudWatch alarms").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bluegreen.errors import AwsError
from bluegreen.model.alarms import UNHEALTHY, alarms_of
from bluegreen.model.observation import DRAINING, INITIAL, Alarm, Target, Traffic
from bluegreen.model.settings import AlarmSettings, Settings
from bluegreen.model.verdict import Hopeless, Ready, Verdict, Wait

LEAST_PERIODS = 3
"""Metric periods that a soak lasts at least: fewer than that, and no alarm has judged it."""
MOST_PERIODS_BEYOND = 3
"""How many more periods are waited for, once the time is over, until what is still open is settled."""
UNHEALTHY_SECONDS = 10
"""How long no machine at all may be healthy: a look at the very moment of a replacement must not end a soak."""
LONGEST_SILENCE_SECONDS = 900
"""How long metrics are waited for beyond the soak, where none come at all."""

NO_DATA = (
    "No data is not fine: nobody knows how the release does. Send it requests, or set `soakSeconds` or the step's "
    "pause to 0 where there are none to be expected."
)

NO_CONNECTIONS = (
    "No data is not fine: who is connected stays with the release that he has, and nobody knows how this one does. Let "
    "new connections come to it, for as long as the soak lasts, or set `soakSeconds` or the step's pause to 0."
)


@dataclass(frozen=True, kw_only=True)
class SoakPolicy:
    """What a stack asks of a soak. `alarm_names`: the user's own, besides those that come with the release. `is_alone`:
    whether one of these is the load balancer's. `is_network`: whether that is one which counts connections, of all its
    target groups together, in place of requests."""

    alarms: AlarmSettings
    alarm_names: tuple[str, ...] = ()
    min_healthy_percentage: int = 100
    is_alone: bool = True
    is_network: bool = False

    @property
    def own_alarms(self) -> int:
        """How many come with a release."""
        return len(list(alarms_of(self.alarms, 0, is_alone=self.is_alone, is_network=self.is_network)))

    @property
    def counted(self) -> str:
        """What tells that the release is in use."""
        return "connections" if self.is_network else "requests"

    @classmethod
    def from_settings(cls, settings: Settings) -> SoakPolicy:
        return cls(
            alarms=settings.alarms,
            alarm_names=settings.soak_alarms,
            min_healthy_percentage=settings.min_healthy_percentage,
            is_alone=settings.listener is None,
            is_network=settings.is_network,
        )


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen at one moment of a soak of one release.

    `traffic` is None until the soak's time is over: before that nobody asks. `unhealthy_seconds`: for how long no
    machine was healthy. `periods_at_end`: how many there were when the time was over.
    """

    release: str
    waited_seconds: float
    targets: tuple[Target, ...]
    own_alarms: tuple[Alarm, ...]
    user_alarms: tuple[Alarm, ...] = ()
    traffic: Traffic | None = None
    unhealthy_seconds: float = 0.0
    periods_at_end: int = 0

    @property
    def present(self) -> list[Target]:
        return [target for target in self.targets if target.state != DRAINING]

    @property
    def healthy(self) -> int:
        return sum(target.is_healthy for target in self.present)


def judge(look: Look, policy: SoakPolicy, seconds: float) -> Verdict:
    """Whether the soak of `seconds` is over and well."""
    if missing := missing_alarms(policy.alarm_names, look.user_alarms):
        return Hopeless(*missing)
    alarms = (*look.own_alarms, *look.user_alarms)
    # Machines that boot fail their checks for a while, before the cutover too: that alarm has a say at the end.
    if on := [alarm for alarm in alarms if alarm.is_on and not _is_of_health(alarm)]:
        return Hopeless("; ".join(f"alarm {alarm.name} is on ({alarm.reason.rstrip('.')})" for alarm in on))
    if look.unhealthy_seconds >= UNHEALTHY_SECONDS:
        return Hopeless(f"none of {len(look.present)} machines is healthy: {_conditions(look.present)}")
    if look.waited_seconds < seconds or look.traffic is None:
        return Wait(f"{len(alarms)} alarms quiet, {look.healthy} of {len(look.present)} healthy")
    return _at_the_end(look, policy, alarms, seconds)


def check_credentials_last(end: datetime | None, now: datetime, seconds: float) -> None:
    """Raise AwsError where credentials that nobody renews end before so many seconds are over. `end`: None: unknown."""
    if end and (end - now).total_seconds() < seconds:
        left = max(0, (end - now).total_seconds())
        raise AwsError(
            f"the credentials end in {left:.0f} s, and gate and soak may take {seconds:.0f} s",
            "Renew them, or use a role that renews itself (`aws:assumeRoles`, a profile). Nothing was changed.",
        )


def missing_alarms(names: Sequence[str], found: Sequence[Alarm]) -> tuple[str, str] | None:
    """What to say and do about alarms that don't exist; None where all of them do."""
    gone = sorted(set(names) - {alarm.name for alarm in found})
    if not gone:
        return None
    what = "is no alarm" if len(gone) == 1 else "are no alarms"
    return (
        f"there {what} {', '.join(gone)} in this account and region",
        "Make it, or take its name out of `soakAlarms`: an alarm that does not exist can't say that all is well.",
    )


def _at_the_end(look: Look, policy: SoakPolicy, alarms: Sequence[Alarm], seconds: float) -> Verdict:
    """The time is over. It may still take until CloudWatch has said enough, and until the machines are well."""
    assert look.traffic
    periods, requests = look.traffic.periods, look.traffic.requests
    if periods < LEAST_PERIODS:
        if look.waited_seconds - seconds > LONGEST_SILENCE_SECONDS:
            return Hopeless(f"CloudWatch has reported {periods} of {LEAST_PERIODS} metric periods: no data", NO_DATA)
        return Wait(f"{periods} of {LEAST_PERIODS} metric periods reported")
    lost_patience = periods - max(look.periods_at_end, LEAST_PERIODS) >= MOST_PERIODS_BEYOND
    if not requests:  # a zero that was reported says no more than none
        if lost_patience:
            next_step = NO_CONNECTIONS if policy.is_network else NO_DATA
            return Hopeless(f"no {policy.counted} in {periods} metric periods: no data", next_step)
        return Wait(f"no {policy.counted} yet in {periods} metric periods")
    if len(look.own_alarms) < policy.own_alarms:
        if lost_patience:
            return Hopeless(
                f"{len(look.own_alarms)} of its {policy.own_alarms} alarms exist",
                "Run `pulumi refresh`, so that the state says what is there, then `pulumi up`.",
            )
        return Wait(f"{len(look.own_alarms)} of its {policy.own_alarms} alarms exist yet")
    if silent := [alarm.name for alarm in alarms if alarm.has_no_data]:
        if lost_patience:
            return Hopeless(f"no data for alarm {', '.join(silent)} in {periods} metric periods", NO_DATA)
        return Wait(f"no data yet for alarm {', '.join(silent)}")
    if unwell_alarms := [alarm.name for alarm in alarms if alarm.is_on]:
        line = f"alarm {', '.join(unwell_alarms)} is on"
        return Hopeless(line) if lost_patience else Wait(line)
    settled = [target for target in look.present if target.state != INITIAL]  # one that starts is not unwell
    if look.healthy * 100 < len(settled) * policy.min_healthy_percentage or not look.healthy:
        unwell = f"{look.healthy} of {len(look.present)} healthy: {_conditions(look.present)}"
        return Hopeless(unwell) if lost_patience else Wait(unwell)
    return Ready(f"{len(alarms)} alarms quiet, {requests:.0f} {policy.counted} in {periods} metric periods")


def _is_of_health(alarm: Alarm) -> bool:
    """One of the release's own, named `web-4d197941-unhealthy-1a2b3c4`."""
    return f"-{UNHEALTHY}-" in alarm.name


def _conditions(targets: Sequence[Target]) -> str:
    return "; ".join(sorted({target.condition for target in targets if not target.is_healthy})) or "there is none"
