"""What a verb would do, told beforehand: its steps, what it needs at its peak, how long it takes, what refuses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from bluegreen.checks.launchable import check_launchable, check_quota
from bluegreen.checks.place import find_place
from bluegreen.checks.shared import find_front
from bluegreen.course import Course
from bluegreen.errors import EngineError
from bluegreen.model.baseline import Difference
from bluegreen.model.consul import servers_at_peak
from bluegreen.model.cost import Cost, cost_of, machines_of
from bluegreen.model.estimate import expected_seconds
from bluegreen.model.existing_vpc import faults_of
from bluegreen.model.launchable import Beside, Finding, Standing
from bluegreen.model.observation import Subnet, WayOut
from bluegreen.model.release import LaunchSettings, Release
from bluegreen.model.rollout import Step
from bluegreen.model.settings import Settings
from bluegreen.model.shared_listener import judge as judge_front
from bluegreen.model.weights import most_machines, wanted_in, weights_of
from bluegreen.model.zones import choose_zones
from bluegreen.stack import Stack

PUBLIC, PRIVATE = "public", "private"


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One `up`. `weights`: percent of the traffic by version; `roles` by version. `watch_seconds`: how long the release
    that gained traffic is watched after it. `needs_promotion`: it stops here until `bluegreen promote`."""

    name: str
    weights: Mapping[str, int]
    roles: Mapping[str, str]
    watch_seconds: int
    needs_promotion: bool


@dataclass(frozen=True, kw_only=True)
class PlannedSubnet:
    """A subnet that is there, or that the first `up` makes. `free`: addresses that nothing has yet."""

    kind: str
    zone: str
    cidr: str
    free: int


@dataclass(frozen=True, kw_only=True)
class PlannedResources:
    """What the next `up` does to the stack's resources, as a preview by the engine foresees it.

    `now`, `at_peak` and `after`: how many there are before, while what goes is still there, and when it is done.
    """

    create: int = 0
    update: int = 0
    replace: int = 0
    delete: int = 0
    same: int = 0

    @classmethod
    def of_changes(cls, changes: Mapping[str, int]) -> PlannedResources:
        """`changes`: how many by what is done to them, as the engine sums them up."""
        return cls(**{each.name: changes.get(each.name, 0) for each in fields(cls)})

    @property
    def now(self) -> int:
        return self.same + self.update + self.replace + self.delete

    @property
    def after(self) -> int:
        return self.same + self.update + self.replace + self.create

    @property
    def at_peak(self) -> int:
        return self.now + self.create + self.replace

    def as_record(self) -> dict[str, int]:
        """Plain data."""
        return {**asdict(self), "now": self.now, "at_peak": self.at_peak, "after": self.after}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a verb would do. Nothing was changed for it.

    `resources`: of the first step; None where it would be refused: `refusals` or `findings` say why. `machines_now` and
    `machines_at_peak`: of all server groups of the stack together; two run side by side while a release is changed.
    Consul's servers are among them: `consul_now`, and `consul_at_peak`, one more while they are replaced.
    Of a release with weights it is as many as there can be. `warm_now` and `warm_at_peak`: in the warm pools beside.
    `addresses`: how many machines the private subnets hold; `subnets`: these and the public ones. `findings`: what the
    new machines need, image and quota among them. `refusals`: why it would not be begun. `seconds`: how long the last
    deployments took, None where there were none; `watch_seconds` of the steps are in it or come on top. `kept_seconds`:
    how long connections stay on what goes, at most. `cost`: when all is done; `cost_at_peak`: while most machines run.
    """

    stack: str
    verb: str
    release: str
    image: str
    active: str
    steps: tuple[PlannedStep, ...]
    differences: tuple[Difference, ...]
    resources: PlannedResources | None
    machines_now: int
    machines_at_peak: int
    consul_now: int
    consul_at_peak: int
    warm_now: int = 0
    warm_at_peak: int = 0
    addresses: int
    subnets: tuple[PlannedSubnet, ...]
    cost: Cost
    cost_at_peak: Cost
    findings: tuple[Finding, ...]
    refusals: tuple[str, ...]
    watch_seconds: int
    kept_seconds: int
    seconds: float | None

    @property
    def is_change(self) -> bool:
        return bool(self.steps)

    def as_record(self) -> dict[str, Any]:
        """Plain data."""
        record = asdict(self)
        record["resources"] = self.resources.as_record() if self.resources else None
        record["cost"], record["cost_at_peak"] = self.cost.as_record(), self.cost_at_peak.as_record()
        return record


def plan(stack: Stack, course: Course) -> Plan:
    """Asks AWS, and has the engine preview the first step.

    Raises AwsError where AWS can't be asked, SettingsError where there is no network that the settings mean."""
    groups = stack.observer.groups(stack.owner)
    live = {group.release: group.desired for group in groups}
    active = stack.fleet.active.release.version if stack.fleet else ""
    settings = course.settings
    weights = {each.version: weights_of(each) for each in (course.release, *_releases(stack, course))}
    serving = next((group for group in groups if group.release == active and group.desired), None)
    fulls = {
        version: max(
            settings.min_size,
            min(wanted_in(own, serving) if serving else settings.desired_capacity, settings.max_size),
        )
        for version, own in weights.items()
    }
    full = fulls[course.release.version]
    is_new = bool(course.steps) and not live.get(course.release.version)
    subnets, misplaced = _network(stack, is_there=bool(groups))
    private = [subnet for subnet in subnets if subnet.kind == PRIVATE]
    consul_now, consul_most = _consul(stack, settings)
    beside = None
    if settings.consul and (more := consul_most - consul_now):
        beside = Beside(instance_type=settings.consul.instance_type, count=more, whose="Consul")
    findings: tuple[Finding, ...] = ()
    if is_new and course.verb in ("deploy", "rollback"):
        findings = check_launchable(
            stack.observer,
            course.release,
            full + settings.warm_beside(full),  # what is warm runs before it stops
            zones=tuple(sorted({subnet.zone for subnet in private})),
            beside=beside,
        ).findings
    elif beside:
        findings = (check_quota(stack.observer, beside),)
    watch_seconds = sum(step.watch_seconds for step in course.steps)
    if any(step.fleet.active.release.version != active for step in course.steps) and not course.is_way_back:
        watch_seconds += settings.soak_seconds
    most = peak(live, course.steps, fulls)
    launches = {each.version: each.launch for each in _releases(stack, course)}

    def launch_of(version: str) -> LaunchSettings:
        return launches.get(version, course.release.launch)

    def warm(machines: Mapping[str, int]) -> int:
        with_pool = [count for version, count in machines.items() if not launch_of(version).mixed_instances]
        return sum(settings.warm_beside(count) for count in with_pool)

    def cost(machines: Mapping[str, int], consul_servers: int | None = None) -> Cost:
        of_type: Counter[str] = Counter()
        for version, count in machines.items():
            of_type.update(machines_of(launch_of(version), count))
        groups = len([count for count in machines.values() if count])
        return cost_of(settings, of_type, groups, warm=warm(machines), consul_servers=consul_servers)

    is_broken = any(finding.state is Standing.BROKEN for finding in findings)
    resources, refused = (None, ()) if is_broken else _resources(stack, course)
    return Plan(
        stack=stack.name,
        verb=course.verb,
        release=course.release.version,
        image=course.release.image,
        active=active,
        steps=tuple(_planned(step) for step in course.steps),
        differences=stack.differences,
        resources=resources,
        machines_now=sum(group.serving_machines for group in groups) + consul_now,
        machines_at_peak=sum(most_machines(count, weights.get(version, {})) for version, count in most.items())
        + consul_most,
        consul_now=consul_now,
        consul_at_peak=consul_most,
        warm_now=sum(group.machines - group.serving_machines for group in groups),
        warm_at_peak=warm(most),
        addresses=sum(subnet.free for subnet in private) + sum(group.machines for group in groups) + consul_now,
        subnets=subnets,
        cost=cost(after(live, course.steps, fulls)),
        cost_at_peak=cost(most, consul_most),
        findings=findings,
        refusals=(*misplaced, *(str(danger) for danger in course.dangers), *refused),
        watch_seconds=watch_seconds,
        kept_seconds=settings.kept_seconds if active and course.steps else 0,
        seconds=expected_seconds(stack.history.events, course.verb),
    )


def _consul(stack: Stack, settings: Settings) -> tuple[int, int]:
    """How many servers of Consul run now, and while most do."""
    if settings.consul is None:
        return 0, 0
    running = stack.observer.consul_servers(stack.owner)
    return len(running), servers_at_peak(settings.consul, stack.owner, settings.tags, running)


def _resources(stack: Stack, course: Course) -> tuple[PlannedResources | None, tuple[str, ...]]:
    """Those of the first step, else why the program would refuse it."""
    config = dict(stack.baseline.edits)
    if course.steps:
        config |= stack.config_of(
            course.steps[0].fleet, course.settings, serial=stack.next_serial, is_way_back=course.is_way_back
        )
    try:
        return PlannedResources.of_changes(stack.engine.preview(config, stack.secrets)), ()
    except EngineError as error:
        return None, (str(error),)


def _network(stack: Stack, *, is_there: bool) -> tuple[tuple[PlannedSubnet, ...], tuple[str, ...]]:
    """The subnets, and why the service can't live in them. Raises SettingsError where there are none."""
    settings, observer = stack.settings, stack.observer
    if settings.vpc.is_set:
        place = find_place(observer, settings.vpc)
        reached: frozenset[str] | None = None
        faults = []
        if listener := settings.listener:
            front = find_front(observer, listener)
            reached = frozenset(front.balancer.zones if front else ())
            faults = list(judge_front(listener, front, owner=stack.owner, vpc=place.vpc.id))
        needs = settings.needs(settings.most, reached)
        faults += () if is_there else faults_of(settings.vpc, place, needs)
        subnets = (*(_live(PUBLIC, it) for it in place.public), *(_live(PRIVATE, it) for it in place.private))
        return subnets, tuple(f"{fault.path}: {fault.message}" for fault in faults)
    for vpc in observer.vpcs(tags=stack.owner.tags):
        found = [
            _live(PUBLIC if subnet.way_out is WayOut.INTERNET_GATEWAY else PRIVATE, subnet)
            for subnet in observer.subnets(vpc.id)
        ]
        return tuple(sorted(found, key=lambda subnet: (subnet.kind != PUBLIC, subnet.zone))), ()
    plan = settings.address_plan
    zones = choose_zones(settings.zones, settings.zone_names, observer.zones())
    return tuple(
        PlannedSubnet(kind=kind, zone=zone, cidr=cidr, free=plan.addresses_of(cidr))
        for kind, cidrs in ((PUBLIC, plan.public), (PRIVATE, plan.private))
        for zone, cidr in zip(zones, cidrs, strict=True)
    ), ()


def _live(kind: str, subnet: Subnet) -> PlannedSubnet:
    return PlannedSubnet(kind=kind, zone=subnet.zone, cidr=subnet.cidr, free=subnet.free_addresses)


def peak(live: Mapping[str, int], steps: Sequence[Step], full: Mapping[str, int]) -> Mapping[str, int]:
    """The machines of each release while most run: in each step what was there stays until what is new has been proven.
    Units in place of machines, where a release has weights.

    `live`: machines by version, of what runs now. `full`: by version, of a server group that serves, or is about to.
    """
    there, most = dict(live), dict(live)
    for step in steps:
        wanted = _wanted(step, there, full)
        beside = {**there, **{name: max(count, there.get(name, 0)) for name, count in wanted.items()}}
        most = max(most, beside, key=lambda machines: sum(machines.values()))
        there = wanted
    return most


def after(live: Mapping[str, int], steps: Sequence[Step], full: Mapping[str, int]) -> Mapping[str, int]:
    """The machines of each release when all is done."""
    for step in steps:
        live = _wanted(step, live, full)
    return live


def _wanted(step: Step, there: Mapping[str, int], full: Mapping[str, int]) -> dict[str, int]:
    """The machines of each release when a step is done."""
    return {
        version: 0 if group.capacity.is_zero else max(full[version], there.get(version, 0))
        for group in step.fleet.groups
        for version in (group.release.version,)
    }


def _releases(stack: Stack, course: Course) -> Iterator[Release]:
    """Those that run, and those of the steps."""
    for fleet in (*([stack.fleet] if stack.fleet else []), *(step.fleet for step in course.steps)):
        yield from (group.release for group in fleet.groups)


def _planned(step: Step) -> PlannedStep:
    return PlannedStep(
        name=step.name,
        weights={group.release.version: group.weight for group in step.fleet.groups},
        roles={group.release.version: group.role.value for group in step.fleet.groups},
        watch_seconds=step.watch_seconds,
        needs_promotion=step.needs_promotion,
    )
