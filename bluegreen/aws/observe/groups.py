"""Auto Scaling groups, what becomes of their launches, and the role that makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from bluegreen.aws.observe.asking import Asking
from bluegreen.aws.session import in_our_words, is_fault
from bluegreen.model.encryption import AUTO_SCALING_ROLE
from bluegreen.model.observation import (
    Group,
    LivePool,
    ScalingActivity,
)
from bluegreen.model.tags import (
    BALANCER,
    RELEASE,
    SERVICE,
    SHARED,
    Owner,
)

MOST_ACTIVITIES = 20
"""The newest scaling activities are enough to say why nothing launches."""


class Groups(Asking):
    """Questions about Auto Scaling groups."""

    @in_our_words
    def groups(self, owner: Owner) -> tuple[Group, ...]:
        """Every Auto Scaling group of a stack, or of one service of it, whatever its release. One call."""
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in owner.tags.items()]
        return tuple(self._describe_groups(Filters=filters))

    @in_our_words
    def group(self, name: str) -> Group | None:
        """One Auto Scaling group; None where there is none of that name. One call."""
        return next(self._describe_groups(AutoScalingGroupNames=[name]), None)

    @in_our_words
    def activities(self, group: str) -> tuple[ScalingActivity, ...]:
        """The latest scaling activities of a group, newest first. One call."""
        answer = self._session.client("autoscaling").describe_scaling_activities(
            AutoScalingGroupName=group, MaxRecords=MOST_ACTIVITIES
        )
        return tuple(
            ScalingActivity(
                started=each["StartTime"],
                status=each["StatusCode"],
                description=each.get("Description", ""),
                message=each.get("StatusMessage", ""),
                cause=each.get("Cause", ""),
            )
            for each in answer["Activities"]
        )

    @in_our_words
    def has_auto_scaling_role(self) -> bool:
        """Whether Auto Scaling has the role yet by which it launches machines. One call."""
        try:
            self._session.client("iam").get_role(RoleName=AUTO_SCALING_ROLE)
        except ClientError as error:
            if is_fault(error, "NoSuchEntity"):
                return False
            raise
        return True

    def _describe_groups(self, **request: Any) -> Iterator[Group]:
        pages = self._session.client("autoscaling").get_paginator("describe_auto_scaling_groups").paginate(**request)
        for page in pages:
            for each in page["AutoScalingGroups"]:
                tags = {tag["Key"]: tag.get("Value", "") for tag in each.get("Tags", [])}
                instances = [
                    it for it in each.get("Instances", []) if not it.get("LifecycleState", "").startswith("Warmed:")
                ]
                yield Group(
                    name=each["AutoScalingGroupName"],
                    service=tags.get(SERVICE, ""),
                    minimum=each["MinSize"],
                    maximum=each["MaxSize"],
                    desired=each["DesiredCapacity"],
                    target_groups=tuple(each.get("TargetGroupARNs", [])),
                    instances=tuple(it["InstanceId"] for it in instances),
                    release=tags.get(RELEASE, ""),
                    subnets=tuple(filter(None, each.get("VPCZoneIdentifier", "").split(","))),
                    zones=tuple(each.get("AvailabilityZones", [])),
                    is_behind_shared=tags.get(BALANCER) == SHARED,
                    pool=_pool(each),
                    weights=weights_in(each),
                    types={it["InstanceId"]: it.get("InstanceType", "") for it in instances},
                    counts={it["InstanceId"]: int(it.get("WeightedCapacity") or 1) for it in instances},
                )


def weights_in(group: Mapping[str, Any]) -> dict[str, int]:
    """By instance type, of a group as AWS describes it; empty where its types have none."""
    template = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    return {
        each["InstanceType"]: int(each["WeightedCapacity"])
        for each in template.get("Overrides", [])
        if each.get("WeightedCapacity")
    }


def _pool(group: Mapping[str, Any]) -> LivePool | None:
    pool = group.get("WarmPoolConfiguration")
    if pool is None:
        return None
    return LivePool(
        size=group.get("WarmPoolSize", 0),
        minimum=pool.get("MinSize", 0),
        is_running=pool.get("PoolState") == "Running",
        reuses=pool.get("InstanceReusePolicy", {}).get("ReuseOnScaleIn", False),
    )
