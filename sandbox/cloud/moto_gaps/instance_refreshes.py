"""Instance refreshes: begun, told of and given up; the rounds in autoscaling.py do the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.groups import find
from sandbox.cloud.weights import weights_in

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

TAKEN = {"MinHealthyPercentage", "MaxHealthyPercentage", "InstanceWarmup", "SkipMatching"}

GAPS = (Gap("instance-refresh", "knows no instance refresh"),)


def fill(cloud: Cloud) -> None:
    @replace(AutoScalingResponse, "start_instance_refresh")
    def start_instance_refresh(self: AutoScalingResponse) -> ActionResult:
        preferences = self._get_param("Preferences") or {}
        if self._get_param("Strategy") not in (None, "Rolling") or self._get_param("DesiredConfiguration"):
            raise ValidationError("The sandbox's instance refresh is Rolling, to what the group launches.")
        if unknown := preferences.keys() - TAKEN:
            raise ValidationError(f"The sandbox's instance refresh has no {', '.join(sorted(unknown))}.")
        low, high = int(preferences.get("MinHealthyPercentage", 90)), int(preferences.get("MaxHealthyPercentage", 100))
        if low != 100 or high == 100:
            raise ValidationError(
                "The sandbox's instance refresh launches before it terminates: MinHealthyPercentage 100, and a "
                "MaxHealthyPercentage above."
            )
        if high - low > 100:
            raise ValidationError("MaxHealthyPercentage cannot be more than 100 above MinHealthyPercentage")
        group = find(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
        if weights_in(group.mixed_instances_policy):
            raise ValidationError(
                "The sandbox's instance refresh counts machines, and those of this group have weights."
            )
        if cloud.autoscaling.warm_pool(group):
            raise ValidationError("The sandbox's instance refresh leaves no warm pool behind: the group has one.")
        refresh = cloud.autoscaling.begin_refresh(group, preferences)
        if refresh is None:
            raise AutoscalingClientError(
                "InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution."
            )
        return ActionResult({"InstanceRefreshId": refresh.id})

    @replace(AutoScalingResponse, "describe_instance_refreshes")
    def describe_instance_refreshes(self: AutoScalingResponse) -> ActionResult:
        group = find(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
        wanted = self._get_param("InstanceRefreshIds") or []
        found = [each for each in cloud.autoscaling.refreshes(group) if not wanted or each.id in wanted]
        return ActionResult({"InstanceRefreshes": [each.as_answer() for each in found]})

    @replace(AutoScalingResponse, "cancel_instance_refresh")
    def cancel_instance_refresh(self: AutoScalingResponse) -> ActionResult:
        """AWS waits for the replacement that is under way. Here it is of the group's own making from then on."""
        group = find(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
        for refresh in cloud.autoscaling.refreshes(group):
            if refresh.is_under_way:
                refresh.end("Cancelled")
                return ActionResult({"InstanceRefreshId": refresh.id})
        raise AutoscalingClientError(
            "ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group"
        )
