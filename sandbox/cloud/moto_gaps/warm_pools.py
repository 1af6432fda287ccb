"""Warm pools: made, changed, told of and deleted; the rounds in warm_pool.py do the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.groups import find
from sandbox.cloud.warm_pool import RUNNING, STOPPED

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (Gap("warm-pool", "keeps a warm pool that nothing is ever in"),)


def fill(cloud: Cloud) -> None:
    describe_instances = AutoScalingBackend.describe_auto_scaling_instances

    @replace(AutoScalingResponse, "put_warm_pool")
    def put_warm_pool(self: AutoScalingResponse) -> ActionResult:
        """What a later call leaves out stays."""
        group = find(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
        given = self._get_params()
        _check(group, given)
        known = cloud.autoscaling.warm_pool(group)
        if known and known.is_ending:
            raise AutoscalingClientError("ResourceContention", "The warm pool of this group is being deleted.")
        if any(each.is_under_way for each in cloud.autoscaling.refreshes(group)):
            raise AutoscalingClientError(
                "InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution."
            )
        pool = cloud.autoscaling.keep_warm(group)
        pool.minimum = int(given.get("MinSize", pool.minimum))
        pool.prepared = int(given.get("MaxGroupPreparedCapacity", pool.prepared))
        pool.state = given.get("PoolState") or pool.state
        if (policy := given.get("InstanceReusePolicy")) is not None:
            pool.reuses = bool(policy.get("ReuseOnScaleIn"))
        return EmptyResult()

    @replace(AutoScalingResponse, "describe_warm_pool")
    def describe_warm_pool(self: AutoScalingResponse) -> ActionResult:
        group = find(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
        pool = cloud.autoscaling.warm_pool(group)
        if pool is None:
            return ActionResult({"Instances": []})
        return ActionResult({"WarmPoolConfiguration": pool.as_answer(), "Instances": pool.machines})

    @replace(AutoScalingResponse, "delete_warm_pool")
    def delete_warm_pool(self: AutoScalingResponse) -> ActionResult:
        group = find(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
        pool = cloud.autoscaling.warm_pool(group)
        is_forced = self._get_bool_param("ForceDelete", False)
        if pool is None:
            raise ValidationError(f"No warm pool found for the Auto Scaling group {group.name}")
        if pool.machines and not is_forced:
            raise AutoscalingClientError(
                "ResourceInUse", "You cannot delete a warm pool while there are instances in it."
            )
        pool.is_ending, pool.is_forced = True, pool.is_forced or bool(is_forced)
        return EmptyResult()

    @replace(AutoScalingBackend, "describe_auto_scaling_instances")
    def describe_auto_scaling_instances(self: AutoScalingBackend, instance_ids: list[str]) -> list[InstanceState]:
        """Those in warm pools too; a group's own list has none of them."""
        pools = [cloud.autoscaling.warm_pool(group) for group in self.autoscaling_groups.values()]
        warm = [each for pool in pools if pool for each in pool.machines]
        found: list[InstanceState] = describe_instances(self, instance_ids)
        return [*found, *(each for each in warm if not instance_ids or each.instance_id in instance_ids)]

    def configuration(self: FakeAutoScalingGroup) -> dict[str, Any] | None:
        pool = cloud.autoscaling.warm_pool(self)
        return pool.as_answer() if pool else None

    def size(self: FakeAutoScalingGroup) -> int | None:
        pool = cloud.autoscaling.warm_pool(self)
        return len(pool.machines) if pool else None

    FakeAutoScalingGroup.warm_pool_configuration = property(configuration)  # type: ignore[assignment, method-assign]
    FakeAutoScalingGroup.warm_pool_size = property(size)  # type: ignore[attr-defined]


def _check(group: FakeAutoScalingGroup, given: dict[str, Any]) -> None:
    state, prepared, low = given.get("PoolState"), given.get("MaxGroupPreparedCapacity"), given.get("MinSize")
    if state not in (None, STOPPED, RUNNING):
        raise ValidationError(f"The sandbox's warm pools have no {state} machines.")
    if prepared is not None and int(prepared) < -1:
        raise ValidationError("MaxGroupPreparedCapacity must be at least -1")
    if low is not None and int(low) < 0:
        raise ValidationError("MinSize must be at least 0")
    if group.mixed_instances_policy:
        raise ValidationError("The sandbox's warm pools have machines of one type: no mixed instances policy.")
    template = group.ec2_launch_template
    data = template.get_version(group.launch_template_version).data if template else {}
    if data.get("InstanceMarketOptions"):
        raise ValidationError(
            "You can't add a warm pool to an Auto Scaling group that has a launch template that requests Spot "
            "Instances."
        )
