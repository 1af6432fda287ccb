"""The gate: what must hold before the cutover. Facts in, verdict out; who waits is `bluegreen.checks.gate`.

Targets are healthy and capacity is enough. What else a candidate must show (`Proofs`) has files of its own: `smoke`,
`command`, `attest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bluegreen.model.attest import NOTHING, Attest
from bluegreen.model.command import GateCommand
from bluegreen.model.fleet import Capacity, Fleet
from bluegreen.model.notice import HEALTHY, HEALTHY_BUT
from bluegreen.model.observation import DRAINING, Group, ScalingActivity, Target
from bluegreen.model.settings import Settings
from bluegreen.model.smoke import SmokeTest
from bluegreen.model.verdict import Hopeless, Ready, Verdict, Wait
from bluegreen.model.weights import NO_WEIGHTS, Weights, wanted_in

CURABLE = (
    "insufficientinstancecapacity",
    "do not have sufficient",
    "throttl",
    "request limit exceeded",
    "internalerror. an internal error",
    "serviceunavailable",
    "insufficientfreeaddressesinsubnet",  # machines that end give theirs back
    "not enough free addresses",
    "not supported in your requested availability zone",  # another zone may do
)
"""Parts of messages of failed activities that Auto Scaling tries again, later or elsewhere, with some hope."""

HOPELESS = (
    ("invalidamiid", "The image is gone: deploy one that exists."),
    ("image id", "The image is gone: deploy one that exists."),
    ("does not exist", "Mend what the message names, then run `pulumi up` again."),
    ("not authorized", "Give the role that the message names the permission, then run `pulumi up` again."),
    ("unauthorizedoperation", "Give the role that the message names the permission, then run `pulumi up` again."),
    ("access denied", "Give the role that the message names the permission, then run `pulumi up` again."),
    ("client.internalerror", "Usually a KMS key that the Auto Scaling service-linked role may not use: grant it."),
    ("client error on launch", "Usually a KMS key that the Auto Scaling service-linked role may not use: grant it."),
    ("vcpulimitexceeded", "Ask for a higher quota, or free instances: old and new fleet run side by side."),
    (
        "vcpu capacity than your current",
        "Ask for a higher quota, or free instances: old and new fleet run side by side.",
    ),
    ("instancelimitexceeded", "Ask for a higher quota, or free instances: old and new fleet run side by side."),
    ("currently not supported", "Choose an instanceType that fits the image and the zones."),
    ("unsupported", "Choose an instanceType that fits the image and the zones."),
    ("invalidkeypair", "Mend what the message names, then run `pulumi up` again."),
    ("invalid iam instance profile", "Mend what the message names, then run `pulumi up` again."),
    ("invalidblockdevicemapping", "Set rootDevice to the image's own root device."),
)
"""Parts of messages of failed activities that no waiting cures, each with what to do. Texts: EC2 Auto Scaling User
Guide, "Troubleshoot Amazon EC2 Auto Scaling"; EC2 API error codes."""


MOST_INSTANCES_NAMED = 3
"""A line of progress stays readable with a hundred machines."""


@dataclass(frozen=True, kw_only=True)
class Proofs:
    """What a candidate must show through the preview listener, beside healthy machines.

    `preview_sources`: the networks that may reach that listener. `domain`: what it is asked by, if it speaks HTTPS.
    `speaks_http`: whether it may be asked by HTTP.
    """

    smoke_tests: tuple[SmokeTest, ...] = ()
    migration: GateCommand | None = None
    command: GateCommand | None = None
    attest: Attest = NOTHING
    preview_sources: tuple[str, ...] = ()
    domain: str = ""
    speaks_http: bool = True

    @property
    def are_none(self) -> bool:
        return not (self.smoke_tests or self.migration or self.command)


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """What a stack asks of its gate.

    `images`: by release. `proven`: releases that have served before, and need not show the proofs again. `migrated`:
    releases whose migration has succeeded. `schema`: the version that the database has, None where no migration has
    told it. `minds_schema`: whether an image's range of schema versions counts: a person may force a rollback.
    `alarm_names`: the user's, which must be quiet before the traffic moves.
    """

    capacity: Capacity
    deadline_seconds: int
    min_healthy_percentage: int = 100
    proofs: Proofs = Proofs()
    images: Mapping[str, str] = field(default_factory=dict)
    proven: frozenset[str] = frozenset()
    migrated: frozenset[str] = frozenset()
    schema: int | None = None
    minds_schema: bool = True
    alarm_names: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings, fleet: Fleet) -> GatePolicy:
        return cls(
            capacity=fleet.active.capacity,
            deadline_seconds=settings.progress_deadline_seconds,
            min_healthy_percentage=settings.min_healthy_percentage,
            proofs=Proofs(
                smoke_tests=settings.smoke_tests,
                migration=settings.migration,
                command=settings.gate_command,
                attest=settings.attested,
                preview_sources=settings.preview_sources,
                domain=settings.domain,
                speaks_http=settings.speaks_http,
            ),
            images={plan.release.version: plan.release.image for plan in fleet.groups},
            proven=frozenset(settings.fleet.seen_healthy),
            alarm_names=settings.soak_alarms,
        )


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What was seen of a candidate, and of the group that takes the traffic meanwhile (none on a first deployment)."""

    group: Group
    targets: tuple[Target, ...]
    activities: tuple[ScalingActivity, ...] = ()  # newest first
    active: Group | None = None
    others: tuple[Group, ...] = ()  # all of the service but this one

    @property
    def present(self) -> tuple[Target, ...]:
        """Its targets, without those that leave, and those that only wait in its warm pool."""
        own = self.group.instances if self.group.pool else tuple(target.instance for target in self.targets)
        return tuple(target for target in self.targets if target.state != DRAINING and target.instance in own)

    @property
    def healthy(self) -> int:
        """What they count for."""
        return self.group.units_of(target.instance for target in self.present if target.is_healthy)


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What the gate saw of a server group that it let through.

    `smoke_tests`: paths of those that passed, `command`: the user's, that did. Neither, where it has served before: it
    does not show its proofs again.
    """

    release: str
    healthy: int
    wanted: int
    smoke_tests: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The releases that a production listener names: percent of the traffic, and capacity wanted, by version.

    A target group that is of none of ours is named itself.
    """

    weights: Mapping[str, int] = field(default_factory=dict)
    capacity: Mapping[str, int] = field(default_factory=dict)


NOBODY = Serving()
"""Also where it is not known."""


def serving(weights: Mapping[str, int], groups: Iterable[Group]) -> Serving:
    """Who serves while a listener forwards so. `weights`: by target group (ARN)."""
    owners = {arn: group for group in groups for arn in group.target_groups}
    total = sum(weights.values()) or 1
    return Serving(
        weights={
            owners[arn].release if arn in owners else arn: round(100 * weight / total)
            for arn, weight in weights.items()
        },
        capacity={owners[arn].release: owners[arn].desired for arn in weights if arn in owners},
    )


def capacity_wanted(policy: GatePolicy, active: Group | None, weights: Weights = NO_WEIGHTS) -> int:
    """What the candidate should run, in its own units: as much as the active group wants now, at least the minimum and
    one."""
    return max(policy.capacity.minimum, wanted_in(weights, active) if active else 0, 1)


def capacity_needed(policy: GatePolicy, active: Group | None, weights: Weights = NO_WEIGHTS) -> int:
    """What must be healthy of it: a share of what the active group wants now, at least the minimum and one."""
    serving = wanted_in(weights, active) if active else 0
    return max(policy.capacity.minimum, -(-serving * policy.min_healthy_percentage // 100), 1)  # rounded up


def judge(candidate: Candidate, policy: GatePolicy, since: datetime) -> Verdict:
    """Whether the candidate may take the traffic.

    `since`: activities that began before are of an earlier `up`, whose cause may have been mended.
    """
    group, declared = candidate.group, policy.capacity
    needed = capacity_needed(policy, candidate.active, group.weights)
    if needed > declared.maximum:
        return Hopeless(
            f"{needed} {'units' if group.weights else 'machines'} serve now, and maxSize is {declared.maximum}",
            "Raise maxSize, or let the active group shrink first.",
        )
    if group.maximum < needed or group.minimum < declared.minimum:
        # An interrupted deletion leaves a group at zero, while the state still says otherwise.
        return Hopeless(
            f"{group.name} is at min {group.minimum}, max {group.maximum}, and not at the declared "
            f"min {declared.minimum}, max {declared.maximum}",
            "Run `pulumi refresh`, so that the state says so too, then `pulumi up`.",
        )
    healthy = candidate.healthy
    summary = HEALTHY.with_values(healthy=healthy, wanted=needed)
    if healthy >= needed:
        return Ready(summary)
    if cause := _hopeless_cause(candidate.activities, since):
        activity, next_step = cause
        return Hopeless(f"{group.name} can't launch: {_sentence(activity)}", next_step)
    reasons = _reasons_for_waiting(candidate, needed, since)
    if not reasons:
        return Wait(summary)
    return Wait(HEALTHY_BUT.with_values(healthy=healthy, wanted=needed, said="; ".join(reasons)))


def _hopeless_cause(activities: Sequence[ScalingActivity], since: datetime) -> tuple[ScalingActivity, str] | None:
    for activity in activities:
        if activity.started < since or not activity.has_failed or activity.is_of_pool:
            continue
        text = f"{activity.message} {activity.description}".lower()
        if any(part in text for part in CURABLE):
            continue
        for part, next_step in HOPELESS:
            if part in text:
                return activity, next_step
    return None


def _reasons_for_waiting(candidate: Candidate, needed: int, since: datetime) -> list[str]:
    present = candidate.present
    alike: dict[str, list[str]] = {}
    for target in present:
        if not target.is_healthy:
            alike.setdefault(target.condition, []).append(target.instance)
    reasons = [f"{len(instances)} {condition}: {_few(instances)}" for condition, instances in alike.items()]
    started, launched = len(candidate.group.instances), candidate.group.units
    if started > len(present):
        reasons.append(f"{started - len(present)} starting")
    if needed > launched:
        reasons.append(f"{needed - launched} not launched yet")
    # Nothing scales a candidate in: a machine of it that ends has crashed, or was given up.
    ended = [activity for activity in candidate.activities if activity.is_termination and activity.started >= since]
    if ended:
        reasons.append(f"{len(ended)} ended already, the last one: {ended[0].cause.rstrip('.')}")
    latest = next((activity for activity in candidate.activities if not activity.is_of_pool), None)
    if latest and latest.has_failed:
        reasons.append(f"last try: {_sentence(latest)}")
    return reasons


def _few(instances: Sequence[str]) -> str:
    shown = ", ".join(instances[:MOST_INSTANCES_NAMED])
    return shown if len(instances) <= MOST_INSTANCES_NAMED else f"{shown} and others"


def _sentence(activity: ScalingActivity) -> str:
    return (activity.message or activity.description).rstrip(".")
