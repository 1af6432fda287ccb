"""Whether a release can still be launched: what it names is there, and its machines fit in the quota.

Facts in, findings out; who asks is `bluegreen.checks.launchable`. What the image check of a deployment judges
(`bluegreen.checks.image`) is judged here too, by the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bluegreen.model.mixed_instances import SPOT_QUOTAS, mixed_in
from bluegreen.model.observation import Image, InstanceType, Machine
from bluegreen.model.release import Release
from bluegreen.model.weights import machines_of_type, weights_of

AVAILABLE = "available"


class Standing(StrEnum):
    """Where a subject stands."""

    OK = "ok"
    BROKEN = "broken"
    UNKNOWN = "not known"


class Subject(StrEnum):
    """What a launch hangs on, in the order in which it is told."""

    IMAGE = "image"
    ROOT_DEVICE = "root device"
    ARCHITECTURE = "architecture"
    INSTANCE_TYPE = "instance type"
    ZONES = "zones"
    KEY_PAIR = "key pair"
    INSTANCE_PROFILE = "instance profile"
    QUOTA = "quota"


@dataclass(frozen=True)
class Finding:
    """What was found of one subject, and what to do about it where something can be done."""

    subject: Subject
    state: Standing
    detail: str
    next_step: str = ""


@dataclass(frozen=True)
class Launchable:
    """What was found of a release. What is not known breaks nothing, and proves nothing."""

    findings: tuple[Finding, ...]

    @property
    def is_launchable(self) -> bool:
        """Nothing is known to stand in the way."""
        return all(each.state is not Standing.BROKEN for each in self.findings)


@dataclass(frozen=True)
class NotKnown:
    """In place of a fact: why AWS did not tell it, and what to do about that."""

    reason: str
    next_step: str = ""


@dataclass(frozen=True)
class VcpuQuota:
    """A quota on the vCPUs of all machines of some families that run on demand, in one region."""

    code: str
    name: str
    families: frozenset[str]


QUOTAS = (
    VcpuQuota("L-1216C47A", "standard", frozenset(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"))),
    VcpuQuota("L-DB2E81BA", "G and VT", frozenset(("g", "vt"))),
    VcpuQuota("L-74FC7D96", "F", frozenset(("f",))),
    VcpuQuota("L-1945791B", "Inf", frozenset(("inf",))),
    VcpuQuota("L-417A185B", "P", frozenset(("p",))),
    VcpuQuota("L-7295265B", "X", frozenset(("x",))),
)
"""EC2 User Guide, "On-Demand Instance quotas". Im and Is are storage machines like I (OpenShift's installer counts them
so too). Families that are in none have quotas that this does not know."""


def quota_of(instance_type: str) -> VcpuQuota | None:
    """The quota that machines of a type count against: `inf1.xlarge` is of family inf, `t3.small` of t."""
    family = re.match(r"[a-z]*", instance_type)
    return next((each for each in QUOTAS if family and family[0] in each.families), None)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Machines that are launched at the same time. `whose` they are, in words; `known`: what AWS says of the type."""

    instance_type: str
    count: int
    whose: str
    known: InstanceType | NotKnown | None = None

    def __str__(self) -> str:
        return f"{self.count} x {self.instance_type} for {self.whose}"


OtherType = tuple[InstanceType | NotKnown | None, tuple[str, ...] | NotKnown]


@dataclass(frozen=True, kw_only=True)
class LaunchFacts:
    """What AWS says of all that a release needs; None where there is none.

    `has_key_pair`, `has_instance_profile`: of one that the release names. `quota`: in vCPUs. `machines`: all of the
    region that count against it. `zones`: where the machines go, as far as that is known. `offering`: those of the
    region that have machines of the type. `others`: the same two of each type that machines may be of instead.
    `beside`: what else takes of the quota.
    """

    region: str
    image: Image | NotKnown | None
    instance_type: InstanceType | NotKnown | None
    has_key_pair: bool | NotKnown = False
    has_instance_profile: bool | NotKnown = False
    quota: int | NotKnown | None = None
    machines: tuple[Machine, ...] | NotKnown = ()
    zones: tuple[str, ...] = ()
    offering: tuple[str, ...] | NotKnown = ()
    others: Mapping[str, OtherType] = field(default_factory=dict)
    beside: tuple[Beside, ...] = ()


ANOTHER = "roll back to another release"
NEXT_STEPS = {
    Subject.IMAGE: f"Restore it from the Recycle Bin, or share it with this account again, or {ANOTHER}.",
    Subject.ROOT_DEVICE: f"A release does not change: {ANOTHER}.",
    Subject.ARCHITECTURE: f"A release does not change: {ANOTHER}.",
    Subject.INSTANCE_TYPE: f"A release does not change: {ANOTHER}.",
    Subject.ZONES: f"A release does not change: {ANOTHER}.",
}
"""Where a release is recorded, the config has no say in it: what a deployment would advise does not help."""


def judge(release: Release, machines: int, facts: LaunchFacts) -> Launchable:
    """What stands in the way of so many more machines of a release as it was recorded, or units, where it has
    weights."""

    def findings() -> Iterator[Finding]:
        image, instance_type = facts.image, facts.instance_type
        found = judge_image(image, release.image, facts.region)
        yield found
        if isinstance(image, Image) and found.state is Standing.OK:
            yield judge_root_device(image, release.launch.root_device)
            if isinstance(instance_type, InstanceType):
                yield judge_architecture(image, instance_type)
            else:
                yield _unknown(Subject.ARCHITECTURE, "can't be told without the instance type")
        else:
            yield _unknown(Subject.ROOT_DEVICE, "can't be told without the image")
            yield _unknown(Subject.ARCHITECTURE, "can't be told without the image")
        yield judge_instance_type(instance_type, release.launch.instance_type, facts.region)
        if facts.zones:
            yield judge_zones(release.launch.instance_type, facts.zones, facts.offering)
        for name, (other, offered) in facts.others.items():
            yield judge_instance_type(other, name, facts.region)
            if facts.zones:
                yield judge_zones(name, facts.zones, offered)
            if isinstance(image, Image) and isinstance(other, InstanceType):
                yield judge_architecture(image, other)
        if name := release.launch.key_pair:
            yield _judge_named(Subject.KEY_PAIR, name, facts.has_key_pair, facts.region)
        if name := release.launch.instance_profile:
            yield _judge_named(Subject.INSTANCE_PROFILE, name, facts.has_instance_profile, "this account")
        mixed = mixed_in(release.launch.mixed_instances)
        on_demand = mixed.on_demand(machines) if mixed else machines
        yield _judge_quota_of(release, on_demand, facts)
        if machines > on_demand and (counted_in := quota_of(release.launch.instance_type)):
            which = f"Spot machines have a quota of their own ({SPOT_QUOTAS[counted_in.code]})"
            what = "units of them" if weights_of(release) else "of them"
            yield _unknown(Subject.QUOTA, f"{which}, which was not asked for {machines - on_demand} {what}")

    return Launchable(tuple(_for_a_record(each) for each in findings()))


def _judge_quota_of(release: Release, units: int, facts: LaunchFacts) -> Finding:
    """With weights, of the type that takes most vCPUs for so many units: which are launched, nobody knows."""
    first, weights = release.launch.instance_type, weights_of(release)
    types = {first: facts.instance_type, **{name: other for name, (other, _) in facts.others.items()}}
    known = {
        name: -(-units // weights[name]) * each.vcpus
        for name, each in types.items()
        if name in weights and isinstance(each, InstanceType) and each.vcpus and quota_of(name) == quota_of(first)
    }
    worst = max(known, key=known.__getitem__, default=first)
    facts = replace(facts, instance_type=types[worst])
    return judge_quota(worst, machines_of_type(units, weights, worst), facts)


def judge_image(image: Image | NotKnown | None, wanted: str, region: str) -> Finding:
    """Whether the image is there to be launched."""
    match image:
        case NotKnown():
            return _unknown(Subject.IMAGE, image.reason, image.next_step)
        case None:
            return _broken(
                Subject.IMAGE,
                f"{wanted} does not exist in {region}, or this account may not use it",
                "Check the id, the region and that the image is shared with this account.",
            )
        case Image(state=state) if state != AVAILABLE:
            return _broken(
                Subject.IMAGE,
                f"{image.id} is {state}, not {AVAILABLE}",
                "Wait until it is available, or deploy another.",
            )
    return _ok(Subject.IMAGE, f"{image.id} is {AVAILABLE}")


def judge_instance_type(instance_type: InstanceType | NotKnown | None, wanted: str, region: str) -> Finding:
    """Whether the region has machines of the type."""
    match instance_type:
        case NotKnown():
            return _unknown(Subject.INSTANCE_TYPE, instance_type.reason, instance_type.next_step)
        case None:
            return _broken(
                Subject.INSTANCE_TYPE, f"{wanted} does not exist in {region}", "Choose one that the region offers."
            )
    return _ok(Subject.INSTANCE_TYPE, f"{region} offers {instance_type.name}")


def judge_zones(wanted: str, zones: tuple[str, ...], offering: tuple[str, ...] | NotKnown) -> Finding:
    """Whether each of the zones has machines of the type. `offering`: the zones of the region that have."""
    if isinstance(offering, NotKnown):
        return _unknown(Subject.ZONES, offering.reason, offering.next_step)
    if absent := [zone for zone in zones if zone not in offering]:
        return _broken(
            Subject.ZONES,
            f"{', '.join(absent)} has no {wanted}; it is offered in {', '.join(offering) or 'no zone'}",
            "Choose another instanceType, or other zones (`zoneNames`) for a stack that is not there yet.",
        )
    return _ok(Subject.ZONES, f"{', '.join(zones)} offer {wanted}")


def judge_architecture(image: Image, instance_type: InstanceType) -> Finding:
    """Whether machines of the type run the image."""
    if image.architecture in instance_type.architectures:
        return _ok(Subject.ARCHITECTURE, f"{instance_type.name} runs {image.architecture}")
    return _broken(
        Subject.ARCHITECTURE,
        f"{image.id} is built for {image.architecture}, and {instance_type.name} runs "
        f"{' or '.join(instance_type.architectures)}",
        "Deploy an image of that architecture, or choose another instanceType.",
    )


def judge_root_device(image: Image, wanted: str) -> Finding:
    """Whether the volume that is encrypted is the image's root."""
    if image.root_device == wanted:
        return _ok(Subject.ROOT_DEVICE, f"{wanted} is the image's")
    return _broken(
        Subject.ROOT_DEVICE,
        f"{wanted} is not the root device of {image.id}, which is {image.root_device}",
        f"Run `pulumi config set rootDevice {image.root_device}`: its volume would stay unencrypted otherwise.",
    )


def judge_quota(wanted: str, machines: int, facts: LaunchFacts, whose: str = "") -> Finding:
    """Whether so many more machines of a type fit in the account's quota, as it is used now. `whose`: as `Beside`'s."""
    counted_in = quota_of(wanted)
    if counted_in is None:
        console = "Look for it among the EC2 quotas of the Service Quotas console."
        return _unknown(Subject.QUOTA, f"which quota {wanted} counts against is not known", console)
    which = f"{counted_in.name} on-demand machines in {facts.region} ({counted_in.code})"
    for fact in (facts.quota, facts.machines, facts.instance_type, *(each.known for each in facts.beside)):
        if isinstance(fact, NotKnown):
            return _unknown(Subject.QUOTA, fact.reason, fact.next_step)
    match facts:
        case LaunchFacts(instance_type=InstanceType(vcpus=int(each)), quota=int(quota), machines=tuple(running)):
            counted = [machine for machine in running if quota_of(machine.instance_type) == counted_in]
        case LaunchFacts(quota=None):
            return _unknown(Subject.QUOTA, f"Service Quotas does not tell the quota of {which}")
        case _:
            return _unknown(Subject.QUOTA, f"how many vCPUs {wanted} has is not known")
    used = sum(machine.vcpus or 0 for machine in counted)
    vcpus = {it: it.known.vcpus for it in facts.beside if isinstance(it.known, InstanceType) and it.known.vcpus}
    if lacking := [it.instance_type for it in facts.beside if it not in vcpus]:
        return _unknown(Subject.QUOTA, f"how many vCPUs {', '.join(lacking)} has is not known")
    needed = machines * each + sum(it.count * count for it, count in vcpus.items())
    launches = " and ".join((f"{machines} x {wanted}{whose and f' for {whose}'}", *map(str, facts.beside)))
    detail = f"{launches} need {needed} vCPUs, and {used} of {quota} are in use, of {which}"
    if used + needed > quota:
        return _broken(Subject.QUOTA, detail, f"Ask for a higher quota ({counted_in.code}), or free instances.")
    if untold := sorted({machine.instance_type for machine in counted if machine.vcpus is None}):
        return _unknown(Subject.QUOTA, f"how many vCPUs {', '.join(untold)} have is not known")
    return _ok(Subject.QUOTA, detail)


def _judge_named(subject: Subject, name: str, is_there: bool | NotKnown, place: str) -> Finding:
    match is_there:
        case NotKnown():
            return _unknown(subject, is_there.reason, is_there.next_step)
        case True:
            return _ok(subject, f"{place} has {name}")
    return _broken(subject, f"{place} has no {name}", f"Make one of that name, or {ANOTHER}.")


def _for_a_record(finding: Finding) -> Finding:
    if finding.state is not Standing.BROKEN:
        return finding
    return replace(finding, next_step=NEXT_STEPS.get(finding.subject, finding.next_step))


def _ok(subject: Subject, detail: str) -> Finding:
    return Finding(subject, Standing.OK, detail)


def _broken(subject: Subject, detail: str, next_step: str) -> Finding:
    return Finding(subject, Standing.BROKEN, detail, next_step)


def _unknown(subject: Subject, detail: str, next_step: str = "") -> Finding:
    return Finding(subject, Standing.UNKNOWN, detail, next_step)
