"""What a machine counts for in the capacity of its server group: its type's weight, or one where there are none. Pure.

Where a release has weights, every size of its group is in units: least, most and desired, live and declared. Who counts
machines (addresses, vCPUs, dollars) asks here how many there can be.
Source: the Amazon EC2 Auto Scaling user guide, "Configure an Auto Scaling group to use instance weights".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from bluegreen.model.mixed_instances import mixed_in

if TYPE_CHECKING:
    from bluegreen.model.observation import Group
    from bluegreen.model.release import Release

Weights = Mapping[str, int]
"""Units by instance type; empty where every machine is one."""
NO_WEIGHTS: Weights = MappingProxyType({})


def weights_of(release: Release) -> Weights:
    mixed = mixed_in(release.launch.mixed_instances)
    return mixed.weights if mixed else {}


def machines_of_type(units: int, weights: Weights, instance_type: str) -> int:
    """How many machines of a type make so many units: the last one may have too many (Auto Scaling API,
    LaunchTemplateOverrides)."""
    return -(-units // weights.get(instance_type, 1))


def most_machines(units: int, weights: Weights) -> int:
    """How many machines so many units can be: all of the lightest type."""
    return -(-units // min(weights.values(), default=1))


def wanted_in(weights: Weights, group: Group) -> int:
    """What a group is to have, in the units of other weights: of a type that those don't know, as the heaviest."""
    if group.weights == weights:
        return group.desired
    heaviest = max(weights.values(), default=1)
    if not group.units:
        return most_machines(group.desired, group.weights) * heaviest
    there = sum(weights.get(group.types.get(each, ""), heaviest) for each in group.instances)
    return -(-group.desired * there // group.units)
