"""Scaling activities, and what a user does to one instance of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloud.activity import now
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("scaling-activities", "has no scaling activities"),
    Gap("health-of-a-stranger", "fails with an internal error at the health of an instance in no group"),
)


def fill(cloud: Cloud) -> None:
    @replace(AutoScalingResponse, "describe_scaling_activities")
    def describe_scaling_activities(self: AutoScalingResponse) -> ActionResult:
        found = cloud.autoscaling.activities(
            self.autoscaling_backend,
            self._get_param("AutoScalingGroupName"),
            self._get_param("ActivityIds", []) or [],
            of_deleted=self._get_bool_param("IncludeDeletedGroups", False),
        )
        start = int(self._get_param("NextToken") or 0)
        end = start + (self._get_int_param("MaxRecords") or 100)
        return ActionResult({"Activities": found[start:end], "NextToken": str(end) if end < len(found) else None})

    @replace(AutoScalingResponse, "terminate_instance_in_auto_scaling_group")
    def terminate_instance(self: AutoScalingResponse) -> ActionResult:
        instance_id = self._get_param("InstanceId")
        decrements = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        group, state = _member(self.autoscaling_backend, instance_id)
        if decrements and (group.desired_capacity or 0) <= (group.min_size or 0):
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
                "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or "
                "lower group's min size."
            )
        cause = f"At {now()} instance {instance_id} was taken out of service in response to a user request"
        if decrements:
            size = group.desired_capacity or 0
            group.desired_capacity = size - 1
            cause += f", shrinking the capacity from {size} to {size - 1}"
        return ActionResult({"Activity": cloud.autoscaling.terminate(group, state, f"{cause}.").as_answer()})

    @replace(AutoScalingResponse, "set_instance_health")
    def set_instance_health(self: AutoScalingResponse) -> ActionResult:
        health = self._get_param("HealthStatus")
        if health not in ("Healthy", "Unhealthy"):
            raise ValidationError(f"Valid instance health states are: [Healthy, Unhealthy]. Not {health}")
        group, state = _member(self.autoscaling_backend, self._get_param("InstanceId"))
        minds_grace = self._get_bool_param("ShouldRespectGracePeriod", True)
        cloud.autoscaling.mark(group, state, health, minds_grace=minds_grace)
        return EmptyResult()


def _member(backend: AutoScalingBackend, instance_id: str) -> tuple[FakeAutoScalingGroup, InstanceState]:
    for group in backend.autoscaling_groups.values():
        for state in group.instance_states:
            if state.instance_id == instance_id:
                return group, state
    raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance_id}")
