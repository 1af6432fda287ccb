"""How a server group follows its load: `Scaling`. Pure; who declares it is `bluegreen.components.server_group`.

None of it is part of the release: a running group takes a change of it in place.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from bluegreen.model.recurrence import Recurrence
from bluegreen.model.schema import ConfigModel, refusal
from bluegreen.model.window import zone_name

CPU_TARGET_PERCENT = 60.0
RESERVED = ("requests",)
"""What policies of our own are called."""


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", value) or value in RESERVED:
        taken = "; requests is taken" if value in RESERVED else ""
        raise refusal(f"{value!r} should be at most 32 small letters, digits and hyphens{taken}")
    return value


def _recurrence(value: str) -> str:
    try:
        Recurrence.parse(value)
    except ValueError as error:
        raise refusal(f"{value!r} is no recurrence ({error}); one looks like 0 8 * * mon-fri") from None
    return value


Name = Annotated[str, AfterValidator(_name)]


class Unit(StrEnum):
    """What a change of capacity is counted in."""

    MACHINES = "machines"
    PERCENT = "percent"


class Change(ConfigModel):
    """`by` so many, from where the metric is `beyond` the threshold by so much."""

    beyond: float = Field(0, ge=0, allow_inf_nan=False)
    by: int = Field(ge=-1000, le=1000)


class Step(ConfigModel):
    """Capacity that follows a metric in steps: more machines above a threshold, or other than that below one.

    The values `{{group}}`, `{{targetGroup}}` and `{{loadBalancer}}` of `dimensions` are the server group's own.
    """

    name: Name
    namespace: str = Field(min_length=1, max_length=255)
    metric: str = Field(min_length=1, max_length=255)
    dimensions: dict[str, str] = {}
    statistic: str = Field("Average", pattern="^(Average|Sum|Minimum|Maximum|SampleCount)$")
    above: float | None = Field(None, allow_inf_nan=False)
    below: float | None = Field(None, allow_inf_nan=False)
    minutes: int = Field(2, ge=1, le=60)
    changes: tuple[Change, ...]
    unit: Unit = Unit.MACHINES

    @model_validator(mode="after")
    def _goes_one_way(self) -> Step:
        if (self.above is None) == (self.below is None):
            raise refusal("needs one of above and below")
        if not self.changes or self.changes[0].beyond != 0:
            raise refusal("needs changes, the first of them beyond 0: at the threshold itself")
        if any(one.beyond >= other.beyond for one, other in itertools.pairwise(self.changes)):
            raise refusal("the changes should rise by what they are beyond")
        signs = {each.by > 0 for each in self.changes}
        if len(signs) > 1 or any(each.by == 0 for each in self.changes):
            raise refusal("its changes should all add machines, or all take some away")
        return self

    @property
    def shrinks(self) -> bool:
        return self.changes[0].by < 0

    @property
    def threshold(self) -> float:
        return self.above if self.above is not None else self.below or 0.0

    @property
    def bounds(self) -> Iterator[tuple[float | None, float | None, int]]:
        """Of each change: from where to where, in the metric's distance from the threshold, and by how many."""
        ends = [each.beyond for each in self.changes[1:]]
        for change, end in zip(self.changes, [*ends, None], strict=True):
            if self.above is not None:
                yield change.beyond, end, change.by
            else:
                yield None if end is None else -end, -change.beyond, change.by

    def dimensions_of(self, own: Mapping[str, str]) -> dict[str, str]:
        """With the server group's own values in place of their names."""
        return {key: own.get(value.replace(" ", ""), value) for key, value in self.dimensions.items()}


class Schedule(ConfigModel):
    """From each of these times on there are at least so many machines, until another schedule says otherwise."""

    name: Name
    recurrence: Annotated[str, AfterValidator(_recurrence)]
    zone: Annotated[str, AfterValidator(zone_name)] = "UTC"
    min_size: int = Field(ge=0)


class Scaling(ConfigModel):
    """`cpu_percent`: of all machines together, 0 for not at all. `requests_per_target`: in a minute, 0 for not at
    all. With both, the one that asks for more machines has its way."""

    cpu_percent: float = Field(CPU_TARGET_PERCENT, ge=0, le=100, allow_inf_nan=False)
    requests_per_target: float = Field(0, ge=0, allow_inf_nan=False)
    steps: tuple[Step, ...] = ()
    schedules: tuple[Schedule, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Scaling:
        for kind, names in (("steps", self._names(self.steps)), ("schedules", self._names(self.schedules))):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise refusal(f"two {kind} are called {', '.join(twice)}")
        return self

    @staticmethod
    def _names(named: tuple[Step, ...] | tuple[Schedule, ...]) -> list[str]:
        return [each.name for each in named]


DEFAULT = Scaling()


def faults(scaling: Scaling, minimum: int, maximum: int) -> Iterator[tuple[str, str]]:
    """What does not go with minSize and maxSize: path within `scaling`, and message."""
    for at, schedule in enumerate(scaling.schedules):
        if not minimum <= schedule.min_size <= maximum:
            # Fewer than minSize, and no new release would come through its gate; more than maxSize can't be.
            yield (
                f"schedules[{at}].minSize",
                f"{schedule.min_size} should be within minSize and maxSize ({minimum} to {maximum})",
            )
