"""How many units of its group's capacity a machine counts for. One, where the group's types have no weights.

Source: the Amazon EC2 Auto Scaling user guide, "Configure an Auto Scaling group to use instance weights".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState


def weights_in(policy: dict[str, Any] | None) -> dict[str, int]:
    """By instance type, of a mixed instances policy; empty where it has none."""
    overrides = policy["LaunchTemplate"].get("Overrides") or [] if policy else []
    return {it["InstanceType"]: int(it["WeightedCapacity"]) for it in overrides if it.get("WeightedCapacity")}


def weight(group: FakeAutoScalingGroup, instance_type: str) -> int:
    return weights_in(group.mixed_instances_policy).get(instance_type, 1)


def units(group: FakeAutoScalingGroup, states: Iterable[InstanceState]) -> int:
    return sum(weight(group, state.instance_type) for state in states)
