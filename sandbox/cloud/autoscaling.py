"""Auto Scaling groups: launch, replace and terminate, as Amazon EC2 Auto Scaling does it, in rounds.

moto keeps the groups' settings and lists of instances; this keeps the lists true. Guarded by `Cloud.lock`.
Wording of activities and order of things: the Amazon EC2 Auto Scaling user guide (instance lifecycle, health checks,
"Troubleshoot Amazon EC2 Auto Scaling") and its API reference (Activity). Not here yet: lifecycle hooks, warm pools,
scaling policies that act, instance refresh.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import (
    ASG_NAME_TAG,
    AutoScalingBackend,
    FakeAutoScalingGroup,
    InstanceState,
    autoscaling_backends,
)
from moto.core.exceptions import ServiceException

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

log = logging.getLogger("sandbox")

_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0


@dataclass
class Activity:
    """An entry of a group's history."""

    group: str
    home: tuple[str, str]  # account and region
    description: str
    cause: str
    status: str
    progress: int = 30
    message: str | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def end(self, status: str, *, message: str | None = None) -> None:
        self.status, self.message, self.progress, self.ended = status, message, 100, datetime.now(UTC)

    def as_answer(self) -> dict[str, Any]:
        return {
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.started,
            "EndTime": self.ended,
            "StatusCode": self.status,
            "StatusMessage": self.message,
            "Progress": self.progress,
            "Details": "{}",
        }


@dataclass
class Member:
    """What moto's entry of an instance does not hold."""

    launch: Activity | None = None
    in_service_since: float = 0.0
    registered: set[str] = field(default_factory=set)
    termination: Activity | None = None
    drains: bool = True


@dataclass
class Course:
    """A group's way to its desired capacity."""

    causes: list[str] = field(default_factory=list)
    replacements: int = 0
    is_ending: bool = False
    retry_at: float = 0.0
    retry_seconds: float = _FIRST_RETRY_SECONDS
    members: dict[str, Member] = field(default_factory=lambda: defaultdict(Member))


class AutoScaling:
    """All groups of a sandbox."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._activities: list[Activity] = []
        self._courses: dict[str, Course] = defaultdict(Course)  # by the group's ARN

    # -- for the API

    def activities(self, backend: AutoScalingBackend, group: str | None, ids: list[str]) -> list[dict[str, Any]]:
        """Newest first."""
        home = (backend.account_id, backend.region_name)
        return [
            activity.as_answer()
            for activity in reversed(self._activities)
            if activity.home == home and group in (None, activity.group) and (not ids or activity.id in ids)
        ]

    def note_change(self, group: FakeAutoScalingGroup, what: str, before: int) -> None:
        """A request changed the desired capacity: it will be named as the cause."""
        if group.desired_capacity != before:
            self._courses[group.arn].causes = [
                f"At {_now()} a user request {what} changing the desired capacity from {before} to "
                f"{group.desired_capacity}."
            ]
            self._courses[group.arn].retry_at = 0.0

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
            state.lifecycle_state = "Terminating"
            member.drains = drains
            description = f"Terminating EC2 instance: {state.instance_id}"
            member.termination = self._record(group, description, cause, "InProgress")
            for arn in group.target_group_arns:
                self._cloud.deregister(arn, state.instance_id)
            self._show_draining(group, member, state)
        return member.termination

    def delete(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup) -> None:
        """ForceDelete: the group goes when its instances are gone; nothing waits for draining."""
        course = self._courses[group.arn]
        course.is_ending = True
        group.status = "Delete in progress"  # type: ignore[attr-defined]  # DescribeAutoScalingGroups shows it
        group.min_size = group.max_size = group.desired_capacity = 0
        for state in list(group.instance_states):
            self.terminate(group, state, f"At {_now()} the group was deleted with ForceDelete.", drains=False)
            course.members[state.instance_id].drains = False

    def forget(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup) -> None:
        """The group is gone; its history stays."""
        backend.autoscaling_groups.pop(group.name, None)
        self._courses.pop(group.arn, None)

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
        for state in list(group.instance_states):
            self._advance_instance(backend, group, course, state)
        if "Terminate" not in group._suspended_processes:
            self._scale_in(group, course)
        if "Launch" not in group._suspended_processes and time.monotonic() >= course.retry_at:
            self._scale_out(backend, group, course)
        if course.is_ending and not group.instance_states:
            self.forget(backend, group)

    def _advance_instance(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, state: InstanceState
    ) -> None:
        member, ec2_state = course.members[state.instance_id], state.instance.state
        if member.termination:
            self._advance_termination(backend, group, course, state)
        elif ec2_state not in ("pending", "running"):
            self._replace_dead(group, course, state)
        elif state.lifecycle_state == "Pending" and ec2_state == "running":
            state.lifecycle_state = "InService"
            member.in_service_since = time.monotonic()
            if member.launch:
                member.launch.end("Successful")
        if state.lifecycle_state == "InService" and not member.termination:
            self._register(group, member, state)
            self._check_health(group, course, state)

    def _advance_termination(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, state: InstanceState
    ) -> None:
        member = course.members[state.instance_id]
        activity = member.termination
        assert activity
        match state.instance.state:
            case "pending" | "running" | "stopped":
                if not self._show_draining(group, member, state):
                    activity.progress = 60
                    backend.ec2_backend.terminate_instances([state.instance_id])
            case "terminated":
                activity.end("Successful")
                group.instance_states.remove(state)
                course.members.pop(state.instance_id, None)

    def _show_draining(self, group: FakeAutoScalingGroup, member: Member, state: InstanceState) -> bool:
        """Whether the termination has to wait for requests under way; its activity says so."""
        assert member.termination
        waits = (
            member.drains
            and state.instance.state == "running"
            and any(self._cloud.is_draining(arn, state.instance_id) for arn in group.target_group_arns)
        )
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
            course.retry_at, course.retry_seconds = _later(course)
        if "HealthCheck" in group._suspended_processes or "ReplaceUnhealthy" in group._suspended_processes:
            return
        state.health_status = "Unhealthy"
        course.replacements += 1
        self.terminate(
            group,
            state,
            f"At {_now()} an instance was taken out of service in response to an EC2 health check indicating it has "
            "been terminated or stopped.",
        )

    def _check_health(self, group: FakeAutoScalingGroup, course: Course, state: InstanceState) -> None:
        suspended = group._suspended_processes
        member = course.members[state.instance_id]
        grace_is_over = time.monotonic() >= member.in_service_since + (group.health_check_grace_period or 0)
        cause = "a user health-check"
        if state.health_status == "Healthy":
            if group.health_check_type != "ELB" or "HealthCheck" in suspended or not grace_is_over:
                return
            states = [self._cloud.target_health(arn, state.instance_id).state for arn in member.registered]
            if "unhealthy" not in states:
                return
            state.health_status = "Unhealthy"
            cause = "an ELB system health check failure"
        if "ReplaceUnhealthy" not in suspended:
            course.replacements += 1
            self.terminate(group, state, f"At {_now()} an instance was taken out of service in response to {cause}.")

    def _register(self, group: FakeAutoScalingGroup, member: Member, state: InstanceState) -> None:
        """Once per target group: AWS does not undo a deregistration by hand."""
        if "AddToLoadBalancer" in group._suspended_processes:
            return
        for arn in group.target_group_arns:
            if arn not in member.registered:
                member.registered.add(arn)
                self._cloud.register(arn, state.instance_id)
        member.registered.intersection_update(group.target_group_arns)

    def _scale_in(self, group: FakeAutoScalingGroup, course: Course) -> None:
        counted = _counted(group)
        excess = len(counted) - (group.desired_capacity or 0)
        for _ in range(excess):
            zones = Counter(state.availability_zone for state in counted)
            candidates = [state for state in counted if not state.protected_from_scale_in]
            if not candidates:
                return
            state = min(candidates, key=lambda it: (-zones[it.availability_zone], it.instance.launch_time))
            counted.remove(state)
            size = len(counted) + 1
            self.terminate(
                group,
                state,
                "  ".join(
                    [
                        *course.causes,
                        f"At {_now()} an instance was taken out of service in response to a difference between desired "
                        f"and actual capacity, shrinking the capacity from {size} to {size - 1}.",
                        f"At {_now()} instance {state.instance_id} was selected for termination.",
                    ]
                ),
            )

    def _scale_out(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course) -> None:
        missing = (group.desired_capacity or 0) - len(_counted(group))
        for _ in range(missing):
            size = len(_counted(group))
            if course.replacements:
                course.replacements -= 1
                cause = (
                    f"At {_now()} an instance was launched in response to an unhealthy instance needing to be replaced."
                )
            else:
                cause = "  ".join(
                    [
                        *course.causes,
                        f"At {_now()} an instance was started in response to a difference between desired and actual "
                        f"capacity, increasing the capacity from {size} to {size + 1}.",
                    ]
                )
            try:
                state = self._launch(backend, group)
            except ServiceException as fault:
                message = f"{str(fault.message).rstrip('.')}. Launching EC2 instance failed."
                description = f"Launching a new EC2 instance.  Status Reason: {message}"
                self._record(group, description, cause, "Failed").end("Failed", message=message)
                course.retry_at, course.retry_seconds = _later(course)
                return
            course.members[state.instance_id].launch = self._record(
                group, f"Launching a new EC2 instance: {state.instance_id}", cause, "PreInService"
            )
        if missing > 0:
            course.retry_seconds = _FIRST_RETRY_SECONDS

    def _launch(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup) -> InstanceState:
        subnet_id, zone = self._emptiest_place(backend, group)
        template = group.ec2_launch_template
        launch_template = (
            {"LaunchTemplateId": template.id, "Version": group.launch_template_version} if template else None
        )
        reservation = backend.ec2_backend.run_instances(
            group.image_id,
            1,
            group.user_data,
            group.security_groups,
            instance_type=group.instance_type,
            is_instance_type_default=False,
            tags={"instance": {**group.instance_tags, **group.get_propagated_tags(), ASG_NAME_TAG: group.name}},
            placement=zone,
            launch_config=group.launch_config,
            launch_template=launch_template,
            associate_public_ip=group.launch_config.associate_public_ip_address if group.launch_config else None,
            subnet_id=subnet_id,
        )
        instance = reservation.instances[0]
        instance.autoscaling_group = group  # type: ignore[attr-defined]  # moto reads it back
        state = InstanceState(
            instance, lifecycle_state="Pending", protected_from_scale_in=group.new_instances_protected_from_scale_in
        )
        group.instance_states.append(state)
        return state

    def _emptiest_place(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup) -> tuple[str | None, str]:
        """The subnet (if the group has any) and zone with the fewest instances of the group."""
        load = Counter(state.availability_zone for state in _counted(group))
        if not group.vpc_zone_identifier:
            return None, min(group.availability_zones, key=lambda zone: load[zone])
        subnets = [backend.ec2_backend.get_subnet(it.strip()) for it in group.vpc_zone_identifier.split(",")]
        subnet = min(subnets, key=lambda it: load[it.availability_zone])
        return subnet.id, subnet.availability_zone

    def _record(self, group: FakeAutoScalingGroup, description: str, cause: str, status: str) -> Activity:
        activity = Activity(group.name, _home(group), description, cause, status)
        self._activities.append(activity)
        return activity


def _home(group: FakeAutoScalingGroup) -> tuple[str, str]:
    return group.account_id, group.region


def _counted(group: FakeAutoScalingGroup) -> list[InstanceState]:
    """What counts as capacity: not what is on its way out, nor in standby."""
    return [state for state in group.instance_states if state.lifecycle_state in ("Pending", "InService")]


def _later(course: Course) -> tuple[float, float]:
    return time.monotonic() + course.retry_seconds, min(course.retry_seconds * 2, _LONGEST_RETRY_SECONDS)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
