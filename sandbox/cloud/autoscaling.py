"""Auto Scaling groups: launch, replace and terminate, as Amazon EC2 Auto Scaling does it, in rounds.

moto keeps the groups' settings and lists of instances; this keeps the lists true. Guarded by `Cloud.lock`.
Wording of activities and order of things: the Amazon EC2 Auto Scaling user guide (instance lifecycle, health checks,
"Troubleshoot Amazon EC2 Auto Scaling") and its API reference. What waits beside a group is warm_pool.py's. Not here:
standby, scaling policies that act.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from moto.autoscaling.models import (
    ASG_NAME_TAG,
    AutoScalingBackend,
    FakeAutoScalingGroup,
    FakeScheduledAction,
    InstanceState,
    autoscaling_backends,
)
from moto.core.exceptions import ServiceException

from bluegreen.model.recurrence import Recurrence
from sandbox.cloud import activity as words
from sandbox.cloud.activity import Activity, place_of
from sandbox.cloud.lifecycle import LAUNCHING, TERMINATING, Hook, Wait
from sandbox.cloud.refresh import Refresh
from sandbox.cloud.termination import POLICIES, Candidate, choose
from sandbox.cloud.warm_pool import WarmPool, Warmth
from sandbox.cloud.weights import units, weight

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

log = logging.getLogger("sandbox")

_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0
_PENDING = ("Pending", "Pending:Wait", "Pending:Proceed")


@dataclass
class Member:
    """What moto's entry of an instance does not hold."""

    launch: Activity | None = None
    in_service_since: float = 0.0
    registered: set[str] = field(default_factory=set)
    termination: Activity | None = None
    drains: bool = True  # and waits for its lifecycle actions
    wait: Wait | None = None
    template: tuple[float, int] = (0.0, 0)  # how old what it was launched from is
    is_back: bool = False  # in the warm pool, from the group


@dataclass
class Course:
    """A group's way to its desired capacity."""

    causes: list[str] = field(default_factory=list)
    replacements: int = 0
    balancing: set[str] = field(default_factory=set)  # launched beyond the desired capacity, not in service yet
    is_ending: bool = False
    retry_at: float = 0.0
    retry_seconds: float = _FIRST_RETRY_SECONDS
    refreshes: list[Refresh] = field(default_factory=list)  # newest first
    pool: WarmPool | None = None
    minute: datetime | None = None  # the last that was looked at for scheduled actions
    members: dict[str, Member] = field(default_factory=lambda: defaultdict(Member))

    @property
    def refresh(self) -> Refresh | None:
        return next((each for each in self.refreshes if each.is_under_way), None)


class AutoScaling:
    """All groups of a sandbox."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._activities: list[Activity] = []
        self._courses: dict[str, Course] = defaultdict(Course)  # by the group's ARN
        self._warmth = Warmth(self)

    # -- for the API

    def activities(
        self, backend: AutoScalingBackend, group: str | None, ids: list[str], *, of_deleted: bool = False
    ) -> list[dict[str, Any]]:
        """Newest first."""
        home = (backend.account_id, backend.region_name)
        return [
            activity.as_answer()
            for activity in reversed(self._activities)
            if activity.home == home
            and group in (None, activity.group)
            and (not ids or activity.id in ids)
            and (of_deleted or not activity.group_is_deleted)
        ]

    def note_change(self, group: FakeAutoScalingGroup, what: str, before: int, who: str = "user request") -> None:
        """Something changed the desired capacity: it will be named as the cause."""
        if group.desired_capacity != before:
            self._courses[group.arn].causes = [
                f"At {words.now()} a {who} {what} changing the desired capacity from {before} to "
                f"{group.desired_capacity}."
            ]
            self._courses[group.arn].retry_at = 0.0

    def begin_refresh(self, group: FakeAutoScalingGroup, preferences: dict[str, Any]) -> Refresh | None:
        """None where one is under way."""
        course = self._courses[group.arn]
        if course.refresh:
            return None
        refresh = Refresh(group.name, {state.instance_id for state in _counted(group)}, preferences)
        course.refreshes.insert(0, refresh)
        return refresh

    def refreshes(self, group: FakeAutoScalingGroup) -> list[Refresh]:
        """Newest first."""
        return list(self._courses[group.arn].refreshes)

    def warm_pool(self, group: FakeAutoScalingGroup) -> WarmPool | None:
        return self._courses[group.arn].pool

    def keep_warm(self, group: FakeAutoScalingGroup) -> WarmPool:
        """The group's warm pool; it has one from now on."""
        course = self._courses[group.arn]
        course.pool = course.pool or WarmPool()
        return course.pool

    def waits(self, group: FakeAutoScalingGroup, instance_id: str | None) -> Iterator[Wait]:
        """What an instance of the group waits for, or any."""
        for each, member in self._courses[group.arn].members.items():
            if member.wait and instance_id in (None, each):
                yield member.wait

    def mark(self, group: FakeAutoScalingGroup, state: InstanceState, health: str, *, minds_grace: bool) -> None:
        """SetInstanceHealth: a word during the grace period is not heard, unless it doesn't mind that."""
        if not minds_grace or self._is_past_grace(group, self._courses[group.arn].members[state.instance_id]):
            state.health_status = health

    def has_activity_under_way(self, group: FakeAutoScalingGroup) -> bool:
        wanted = (group.name, _home(group))
        return any((it.group, it.home) == wanted and it.ended is None for it in self._activities)

    def terminate(
        self, group: FakeAutoScalingGroup, state: InstanceState, cause: str, *, drains: bool = True
    ) -> Activity:
        """Take an instance out: deregister it, let it drain, stop it. The rounds do the rest."""
        member = self._courses[group.arn].members[state.instance_id]
        if member.termination is None:
            if member.launch and member.launch.ended is None:
                member.launch.end("Cancelled", message="The instance was terminated before it was in service.")
            state.lifecycle_state, member.wait = "Terminating", None
            member.drains = drains
            description = f"Terminating EC2 instance: {state.instance_id}"
            place = place_of(state.instance.subnet_id, state.availability_zone)
            member.termination = self.record(group, description, cause, "InProgress", place)
            self.deregister(group, state)
            self._show_draining(group, member, state)
        return member.termination

    # -- for the warm pools too

    def deregister(self, group: FakeAutoScalingGroup, state: InstanceState) -> None:
        for arn in group.target_group_arns:
            self._cloud.deregister(arn, state.instance_id)

    def is_draining(self, group: FakeAutoScalingGroup, state: InstanceState) -> bool:
        return any(self._cloud.is_draining(arn, state.instance_id) for arn in group.target_group_arns)

    def wait_at(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, transition: str) -> Wait:
        """For the group's hooks at a transition, from now on."""
        return Wait(_hooks(backend, group, transition), time.monotonic())

    def may_launch(self, group: FakeAutoScalingGroup, course: Course) -> bool:
        return "Launch" not in group._suspended_processes and time.monotonic() >= course.retry_at

    def put_off(self, course: Course) -> None:
        """A launch has failed: the next one is tried later, and the more so the more have failed."""
        course.retry_at = time.monotonic() + course.retry_seconds
        course.retry_seconds = min(course.retry_seconds * 2, _LONGEST_RETRY_SECONDS)

    def delete(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup) -> None:
        """ForceDelete: the group goes when its instances are gone; nothing waits for draining or a lifecycle hook."""
        course = self._courses[group.arn]
        course.is_ending = True
        group.status = "Delete in progress"  # type: ignore[attr-defined]  # DescribeAutoScalingGroups shows it
        group.min_size = group.max_size = group.desired_capacity = 0
        if course.pool:
            course.pool.is_ending = course.pool.is_forced = True
        for state in list(group.instance_states):
            self.terminate(group, state, f"At {words.now()} the group was deleted with ForceDelete.", drains=False)
            course.members[state.instance_id].drains = False

    def forget(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup) -> None:
        """The group is gone; its history stays."""
        for activity in self._activities:
            if activity.group_arn == group.arn:
                activity.group_is_deleted = True
        for action in backend.describe_scheduled_actions(group.name):
            backend.delete_scheduled_action(group.name, action.scheduled_action_name)
        for hook in backend.describe_lifecycle_hooks(group.name):
            backend.delete_lifecycle_hook(group.name, hook.name)
        backend.autoscaling_groups.pop(group.name, None)
        self._courses.pop(group.arn, None)

    def measures(self) -> Iterator[tuple[str, str, str, float]]:
        """What the groups report of themselves that are told to: home, group, metric, value."""
        for account in list(autoscaling_backends.values()):
            for backend in list(account.values()):
                for group in list(backend.autoscaling_groups.values()):
                    states = Counter(state.lifecycle_state for state in group.instance_states)
                    sizes = {
                        "GroupMinSize": group.min_size,
                        "GroupMaxSize": group.max_size,
                        "GroupDesiredCapacity": group.desired_capacity,
                        "GroupInServiceInstances": states["InService"],
                        "GroupTotalInstances": states.total(),
                    }
                    for name in sizes.keys() & set(group.metrics):
                        yield f"{group.region}:{group.account_id}", group.name, name, float(sizes[name] or 0)

    # -- the rounds

    def advance(self) -> None:
        for account in list(autoscaling_backends.values()):
            for backend in list(account.values()):
                for group in list(backend.autoscaling_groups.values()):
                    try:
                        self._advance_group(backend, group)
                    except Exception:
                        log.exception("the Auto Scaling group %s could not be advanced", group.name)  # the others can

    def _advance_group(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup) -> None:
        course = self._courses[group.arn]
        self._act_on_schedule(backend, group, course)
        for state in list(group.instance_states):
            self._advance_instance(backend, group, course, state)
        if course.refresh:
            self._refresh(backend, group, course, course.refresh)
        elif "Terminate" not in group._suspended_processes:
            self._scale_in(group, course)
        if self.may_launch(group, course):
            self._scale_out(backend, group, course)
            if course.refresh is None:
                self._rebalance(backend, group, course)
        self._warmth.advance(backend, group, course)
        if course.is_ending and not group.instance_states and course.pool is None:
            self.forget(backend, group)

    def _act_on_schedule(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course) -> None:
        """Once in each minute that a scheduled action recurs in."""
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        if course.minute == minute:
            return
        is_first, course.minute = course.minute is None, minute
        if is_first or "ScheduledActions" in group._suspended_processes:
            return
        for action in backend.describe_scheduled_actions(group.name):
            local = minute.astimezone(ZoneInfo(action.time_zone or "UTC"))
            if Recurrence.parse(action.recurrence or "").matches(local):
                self._scale_as_scheduled(group, action)

    def _scale_as_scheduled(self, group: FakeAutoScalingGroup, action: FakeScheduledAction) -> None:
        low, high = action.min_size, action.max_size
        low = (group.min_size or 0) if low is None else low
        high = (group.max_size or 0) if high is None else high
        before = group.desired_capacity or 0
        desired = before if action.desired_capacity is None else action.desired_capacity
        group.min_size, group.max_size = low, max(low, high)
        group.desired_capacity = min(max(desired, low), group.max_size)
        what = (
            f"update of AutoScalingGroup constraints to min: {low}, max: {group.max_size}, "
            f"desired: {group.desired_capacity}"
        )
        self.note_change(group, what, before, who="scheduled action")

    def _advance_instance(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, state: InstanceState
    ) -> None:
        member, ec2_state = course.members[state.instance_id], state.instance.state
        if member.termination:
            self._advance_termination(backend, group, course, state)
        elif ec2_state not in ("pending", "running"):
            self._replace_dead(group, course, state)
        elif state.lifecycle_state in _PENDING:
            self._advance_launch(backend, group, course, state)
        if state.lifecycle_state == "InService" and not member.termination:
            self._register(group, member, state)
            self._check_health(group, course, state)

    def _advance_launch(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, state: InstanceState
    ) -> None:
        member = course.members[state.instance_id]
        launch = member.launch
        assert launch
        if state.lifecycle_state == "Pending":
            if member.wait is None:
                member.wait = self.wait_at(backend, group, LAUNCHING)
            if member.wait.tokens():
                state.lifecycle_state, launch.status = "Pending:Wait", "MidLifecycleAction"
        if state.lifecycle_state == "Pending:Wait":
            assert member.wait
            ending = member.wait.ending(time.monotonic())
            if ending and ending.is_abandoned:
                launch.fail("Cancelled", f"Instance failed to complete user's Lifecycle Action: {ending.why}")
                self.put_off(course)
                self.terminate(group, state, words.taken_out("a launch failure"))
            elif ending:
                state.lifecycle_state, launch.status = "Pending:Proceed", "PreInService"
        elif state.instance.state == "running":
            state.lifecycle_state, member.wait = "InService", None
            member.in_service_since = time.monotonic()
            launch.end("Successful")

    def _advance_termination(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, state: InstanceState
    ) -> None:
        member = course.members[state.instance_id]
        activity = member.termination
        assert activity
        match state.instance.state:
            case "pending" | "running" | "stopped":
                if not self._show_draining(group, member, state) and not self._waits(backend, group, member, state):
                    activity.progress = 60
                    backend.ec2_backend.terminate_instances([state.instance_id])
            case "terminated":
                activity.end("Successful")
                group.instance_states.remove(state)
                course.members.pop(state.instance_id, None)

    def _waits(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, member: Member, state: InstanceState
    ) -> bool:
        """For its lifecycle actions, once it has drained. However they end, it goes."""
        assert member.termination
        if not member.drains:
            return False
        if member.wait is None:
            member.wait = self.wait_at(backend, group, TERMINATING)
        if not member.wait.tokens():
            return False
        waits = member.wait.ending(time.monotonic()) is None
        state.lifecycle_state = "Terminating:Wait" if waits else "Terminating:Proceed"
        member.termination.status = "MidLifecycleAction" if waits else "InProgress"
        return waits

    def _show_draining(self, group: FakeAutoScalingGroup, member: Member, state: InstanceState) -> bool:
        """Whether the termination has to wait for requests under way; its activity says so."""
        assert member.termination
        waits = member.drains and state.instance.state == "running" and self.is_draining(group, state)
        member.termination.status = "WaitingForELBConnectionDraining" if waits else "InProgress"
        member.termination.description = f"Terminating EC2 instance: {state.instance_id}" + (
            " - Waiting For ELB Connection Draining." if waits else ""
        )
        return waits

    def _replace_dead(self, group: FakeAutoScalingGroup, course: Course, state: InstanceState) -> None:
        """Gone by itself or by somebody's hand: replaced at once, grace period or not."""
        member = course.members[state.instance_id]
        if member.launch and member.launch.ended is None:
            reason = state.instance.state_reason
            member.launch.end(
                "Cancelled",
                message="Instance became unhealthy while waiting for instance to be in InService state. "
                f"Termination Reason: {reason.message}",
            )
            self.put_off(course)
        if "HealthCheck" not in group._suspended_processes:
            state.health_status = "Unhealthy"
        if state.health_status == "Healthy" or not _replaces_unhealthy(group):
            return
        course.replacements += 1
        self.terminate(
            group,
            state,
            words.taken_out("an EC2 health check indicating it has been terminated or stopped"),
        )

    def _check_health(self, group: FakeAutoScalingGroup, course: Course, state: InstanceState) -> None:
        suspended = group._suspended_processes
        member = course.members[state.instance_id]
        cause = "a user health-check"
        if state.health_status == "Healthy":
            if group.health_check_type != "ELB" or "HealthCheck" in suspended or not self._is_past_grace(group, member):
                return
            states = [self._cloud.target_health(arn, state.instance_id).state for arn in member.registered]
            if "unhealthy" not in states:
                return
            state.health_status = "Unhealthy"
            cause = "an ELB system health check failure"
        if _replaces_unhealthy(group):
            course.replacements += 1
            self.terminate(group, state, words.taken_out(cause))

    def _is_past_grace(self, group: FakeAutoScalingGroup, member: Member) -> bool:
        """It begins when an instance is in service."""
        since = member.in_service_since
        return bool(since) and time.monotonic() >= since + (group.health_check_grace_period or 0)

    def _register(self, group: FakeAutoScalingGroup, member: Member, state: InstanceState) -> None:
        """Once per target group: AWS does not undo a deregistration by hand, nor make up for a suspended process."""
        for arn in group.target_group_arns:
            if arn not in member.registered:
                member.registered.add(arn)
                if "AddToLoadBalancer" not in group._suspended_processes:
                    self._cloud.register(arn, state.instance_id)
        member.registered.intersection_update(group.target_group_arns)

    def _scale_in(self, group: FakeAutoScalingGroup, course: Course) -> None:
        counted = _counted(group)
        course.balancing &= {state.instance_id for state in counted if state.lifecycle_state in _PENDING}
        balancing = [state for state in counted if state.instance_id in course.balancing]
        wanted = (group.desired_capacity or 0) + units(group, balancing)
        while (size := units(group, counted)) > wanted:
            policies = [policy for policy in group.termination_policies or [] if policy in POLICIES]
            chosen = choose([_candidate(group, state, course) for state in counted], policies)
            if chosen is None:
                return
            state = next(state for state in counted if state.instance_id == chosen.id)
            if size - (by := weight(group, state.instance_type)) < wanted:
                return  # a group never has less than it is to have
            counted.remove(state)
            if not self._warmth.takes_back(group, course, state):
                self.terminate(group, state, words.removed(course.causes, state.instance_id, size=size, by=by))

    def _refresh(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, refresh: Refresh
    ) -> None:
        """The next step, once the last one is done: nothing is coming or going."""
        refresh.old &= {state.instance_id for state in group.instance_states}
        if course.is_ending or not group.desired_capacity:
            refresh.end("Cancelled")
        if any(state.lifecycle_state != "InService" for state in group.instance_states):
            return
        old = [state for state in group.instance_states if state.instance_id in refresh.old]
        cause = f"At {words.now()} an instance refresh replaced an instance."
        if len(group.instance_states) > (group.desired_capacity or 0):
            if old:
                self.terminate(group, old[0], cause)
            else:
                refresh.end("Successful")  # the group is too large for another reason
        elif old and time.monotonic() >= course.retry_at:
            self._launch(backend, group, course, cause)
        elif not old and len(group.instance_states) == group.desired_capacity:
            refresh.end("Successful")

    def _scale_out(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course) -> None:
        desired, before = group.desired_capacity or 0, units(group, _counted(group))
        while (size := units(group, _counted(group))) < desired:
            if course.replacements:
                course.replacements -= 1
                cause = (
                    f"At {words.now()} an instance was launched in response to an unhealthy instance needing to be "
                    "replaced."
                )
            else:
                cause = words.created(course.causes, size=size, by=weight(group, _market(group)[0]))
            if not self._launch(backend, group, course, cause):
                return
        if before < desired:
            course.retry_seconds = _FIRST_RETRY_SECONDS

    def _rebalance(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course) -> None:
        """One more where there are too few, or for one that is where the group launches no more; when it is in service,
        the group is too large, and shrinks elsewhere."""
        counted = _counted(group)
        smallest = min((weight(group, state.instance_type) for state in counted), default=1)
        if not 0 <= units(group, counted) - (group.desired_capacity or 0) < smallest:
            return
        course.causes = []
        if "AZRebalance" in group._suspended_processes or (
            any(state.lifecycle_state != "InService" for state in group.instance_states)
        ):
            return
        zones = Counter(zone for _, zone in _places(backend, group))
        load = {zone: sum(state.availability_zone == zone for state in counted) for zone in zones}
        fewest = min(load.values())
        if max(load.values()) - fewest < 2 and not any(_is_astray(group, state) for state in counted):
            return
        course.causes = [words.rebalanced(zone for zone in load if load[zone] == fewest)]
        if launched := self._launch(backend, group, course, course.causes[0]):
            course.balancing.add(launched.instance_id)

    def _launch(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, cause: str
    ) -> InstanceState | None:
        """None, with a failed activity, if EC2 refuses. What is warm comes before what is new."""
        subnet, zone = self.emptiest_place(backend, group)
        place, what = place_of(subnet, zone), "Launching a new EC2 instance"
        try:
            if state := self._warmth.take(backend, group, course, zone):
                what, place = f"{what} from warm pool", place_of(state.instance.subnet_id, state.availability_zone)
            else:
                state = self.run_instance(backend, group, subnet, zone)
                group.instance_states.append(state)
        except ServiceException as fault:
            self.record(group, what, cause, "Failed", place).fail("Failed", words.not_launched(fault))
            self.put_off(course)
            return None
        member = self.new_member(group, course, state)
        member.launch = self.record(group, f"{what}: {state.instance_id}", cause, "PreInService", place)
        return state

    def new_member(self, group: FakeAutoScalingGroup, course: Course, state: InstanceState) -> Member:
        """For a machine that has just come, and may have been here before."""
        known = course.members.pop(state.instance_id, None)
        member = course.members[state.instance_id] = Member()
        if known:
            member.template = known.template
        elif template := group.ec2_launch_template:
            version = template.get_version(group.launch_template_version)
            member.template = (template.create_time.timestamp(), version.number)
        return member

    def run_instance(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, subnet_id: str | None, zone: str
    ) -> InstanceState:
        template = group.ec2_launch_template
        launch_template = (
            {"LaunchTemplateId": template.id, "Version": group.launch_template_version} if template else None
        )
        type_of_machine, is_spot = _market(group)
        reservation = backend.ec2_backend.run_instances(
            group.image_id,
            1,
            group.user_data,
            group.security_groups,
            instance_type=type_of_machine or group.instance_type,
            is_instance_type_default=False,
            tags={"instance": {**group.instance_tags, **group.get_propagated_tags(), ASG_NAME_TAG: group.name}},
            placement=zone,
            launch_config=group.launch_config,
            launch_template=launch_template,
            associate_public_ip=group.launch_config.associate_public_ip_address if group.launch_config else None,
            subnet_id=subnet_id,
        )
        instance = reservation.instances[0]
        instance.lifecycle = "spot" if is_spot else instance.lifecycle
        instance.autoscaling_group = group  # type: ignore[attr-defined]  # moto reads it back
        return InstanceState(
            instance, lifecycle_state="Pending", protected_from_scale_in=group.new_instances_protected_from_scale_in
        )

    def emptiest_place(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, besides: Sequence[InstanceState] = ()
    ) -> tuple[str | None, str]:
        """The subnet (if the group has any) and zone with the fewest instances of the group, and of others besides."""
        load = Counter(state.availability_zone for state in (*_counted(group), *besides))
        return min(_places(backend, group), key=lambda place: load[place[1]])

    def record(
        self, group: FakeAutoScalingGroup, description: str, cause: str, status: str, place: dict[str, str]
    ) -> Activity:
        activity = Activity(group.name, group.arn, _home(group), description, cause, status, place)
        self._activities.append(activity)
        return activity


def _market(group: FakeAutoScalingGroup) -> tuple[str, bool]:
    """The type of the next machine of a group that mixes them, the first always, and whether it is a Spot instance."""
    policy = group.mixed_instances_policy
    if not policy:
        return "", False
    distribution, counted = policy["InstancesDistribution"], _counted(group)
    base = int(distribution.get("OnDemandBaseCapacity", 0))
    percent = int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100))
    overrides = policy["LaunchTemplate"].get("Overrides") or [{}]
    first = str(overrides[0].get("InstanceType", ""))
    wanted = units(group, counted) + weight(group, first)
    on_demand = units(group, [state for state in counted if state.instance.lifecycle != "spot"])
    due = min(base, wanted) + math.ceil(max(0, wanted - base) * percent / 100)
    return first, on_demand >= due


def _home(group: FakeAutoScalingGroup) -> tuple[str, str]:
    return group.account_id, group.region


def _counted(group: FakeAutoScalingGroup) -> list[InstanceState]:
    """What counts as capacity: not what is on its way out, nor in standby."""
    return [state for state in group.instance_states if state.lifecycle_state in (*_PENDING, "InService")]


def _candidate(group: FakeAutoScalingGroup, state: InstanceState, course: Course) -> Candidate:
    return Candidate(
        id=state.instance_id,
        zone=state.availability_zone or "",
        template=course.members[state.instance_id].template,
        launched_at=state.instance.launch_time.timestamp(),
        is_protected=bool(state.protected_from_scale_in),
        is_astray=_is_astray(group, state),
    )


def _is_astray(group: FakeAutoScalingGroup, state: InstanceState) -> bool:
    """In a subnet, or a zone, that has been taken from the group."""
    if group.vpc_zone_identifier:
        return state.instance.subnet_id not in {each.strip() for each in group.vpc_zone_identifier.split(",")}
    return state.availability_zone not in group.availability_zones


def _places(backend: AutoScalingBackend, group: FakeAutoScalingGroup) -> list[tuple[str | None, str]]:
    """Where the group may launch: subnet, if it has any, and zone."""
    if not group.vpc_zone_identifier:
        return [(None, zone) for zone in group.availability_zones]
    subnets = [backend.ec2_backend.get_subnet(it.strip()) for it in group.vpc_zone_identifier.split(",")]
    return [(subnet.id, subnet.availability_zone) for subnet in subnets]


def _hooks(backend: AutoScalingBackend, group: FakeAutoScalingGroup, transition: str) -> list[Hook]:
    found = backend.describe_lifecycle_hooks(group.name)
    return [
        Hook(it.name, it.heartbeat_timeout, it.default_result) for it in found if it.lifecycle_transition == transition
    ]


def _replaces_unhealthy(group: FakeAutoScalingGroup) -> bool:
    return not {"ReplaceUnhealthy", "Terminate"} & set(group._suspended_processes)
