"""moto has no scaling activities, and forgets an instance that a group is asked to terminate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from sandbox.cloud.moto_gaps.gap import replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud


def fill(cloud: Cloud) -> None:
    @replace(AutoScalingResponse, "describe_scaling_activities")
    def describe_scaling_activities(self: AutoScalingResponse) -> ActionResult:
        found = cloud.autoscaling.activities(
            self.autoscaling_backend,
            self._get_param("AutoScalingGroupName"),
            self._get_param("ActivityIds", []) or [],
        )
        start = int(self._get_param("NextToken") or 0)
        end = start + (self._get_int_param("MaxRecords") or 100)
        return ActionResult({"Activities": found[start:end], "NextToken": str(end) if end < len(found) else None})

    @replace(AutoScalingResponse, "terminate_instance_in_auto_scaling_group")
    def terminate_instance(self: AutoScalingResponse) -> ActionResult:
        instance_id = self._get_param("InstanceId")
        decrements = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        for group in self.autoscaling_backend.autoscaling_groups.values():
            for state in group.instance_states:
                if state.instance_id != instance_id:
                    continue
                if decrements and (group.desired_capacity or 0) <= (group.min_size or 0):
                    raise ValidationError(
                        f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without "
                        "replacement will violate group's min size constraint. Either set "
                        "shouldDecrementDesiredCapacity flag to false or lower group's min size."
                    )
                if decrements:
                    group.desired_capacity = (group.desired_capacity or 0) - 1
                activity = cloud.autoscaling.terminate(
                    group, state, f"Instance {instance_id} was taken out of service in response to a user request."
                )
                return ActionResult({"Activity": activity.as_answer()})
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance_id}")
