"""Machines of several types in one server group, and of the Spot market. Pure.

Part of the release, as JSON text (`schema.as_text`). Every machine counts as one, whatever its type, or as its type's
weight: `bluegreen.model.weights`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from bluegreen.model.schema import ConfigModel, refusal

SPOT_QUOTAS = {
    "L-1216C47A": "L-34B43A08",
    "L-DB2E81BA": "L-3819A6DF",
    "L-74FC7D96": "L-88CF9481",
    "L-1945791B": "L-B5D1601B",
    "L-417A185B": "L-7212CCBC",
    "L-7295265B": "L-E3A00192",
}
"""The quota of Spot vCPUs beside each of on-demand ones (EC2 User Guide, "Spot Instance quotas")."""


class SpotStrategy(StrEnum):
    """How Auto Scaling chooses among the types and zones of the Spot market."""

    PRICE_CAPACITY = "price-capacity-optimized"
    CAPACITY = "capacity-optimized"
    LOWEST_PRICE = "lowest-price"


def _types(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", value):
            raise refusal(f"{value!r} is not an instance type; one looks like t3.small")
    if twice := sorted({each for each in values if values.count(each) > 1}):
        raise refusal(f"names {', '.join(twice)} twice")
    return values


Weight = Annotated[int, Field(ge=1, le=999)]
"""Auto Scaling API, LaunchTemplateOverrides."""


class MixedInstances(ConfigModel):
    """`types`: what may stand in for `instanceType`, in this order. Of the machines beyond the first `on_demand_base`,
    `on_demand_percent` run on demand, rounded up, and the rest on the Spot market. `capacity_rebalance`: one that
    is likely to be taken back is replaced before it is. `weights`: what a machine of each type counts for; then all
    sizes are in those units, `on_demand_base` too."""

    types: Annotated[tuple[str, ...], AfterValidator(_types), Field(max_length=39)] = ()
    on_demand_base: int = Field(0, ge=0)
    on_demand_percent: int = Field(100, ge=0, le=100)
    spot_strategy: SpotStrategy = SpotStrategy.PRICE_CAPACITY
    capacity_rebalance: bool = True
    weights: dict[str, Weight] = {}

    @model_validator(mode="after")
    def _mixes_something(self) -> MixedInstances:
        if not self.types and not self.has_spot:
            raise refusal("mixes nothing: name types, or an onDemandPercent under 100")
        return self

    @property
    def has_spot(self) -> bool:
        return self.on_demand_percent < 100

    def on_demand(self, machines: int) -> int:
        """How many of so many run on demand, in units where there are weights (Auto Scaling API,
        InstancesDistribution)."""
        base = min(machines, self.on_demand_base)
        return base + math.ceil((machines - base) * self.on_demand_percent / 100)


def faults(mixed: MixedInstances, instance_type: str, maximum: int) -> Iterator[tuple[str, str]]:
    """What does not go with instanceType and maxSize: path within `mixedInstances`, and message."""
    if instance_type in mixed.types:
        yield "types", f"names {instance_type}, which is instanceType: that comes first anyway"
    if not mixed.weights:
        return
    types = {instance_type, *mixed.types}
    if lacking := sorted(types - mixed.weights.keys()):
        yield "weights", f"has none for {', '.join(lacking)}; every type has a weight, instanceType too, or none has"
    if unknown := sorted(mixed.weights.keys() - types):
        yield "weights", f"has one for {', '.join(unknown)}, which is neither instanceType nor one of types"
    if heavy := sorted(name for name, weight in mixed.weights.items() if weight > maximum):
        yield (
            "weights",
            f"one machine of {', '.join(heavy)} counts for more than maxSize ({maximum}), which is in units too",
        )


def mixed_in(text: str) -> MixedInstances | None:
    """Of a release."""
    return MixedInstances.model_validate_json(text) if text else None
