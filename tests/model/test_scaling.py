"""How a server group follows its load."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.scaling import Scaling, Step
from bluegreen.model.settings import Settings

QUEUE: dict[str, Any] = {
    "name": "queue",
    "namespace": "Shop",
    "metric": "Waiting",
    "above": 100,
    "changes": [{"by": 1}, {"beyond": 50, "by": 3}],
}
MORNING: dict[str, Any] = {"name": "morning", "recurrence": "0 8 * * mon-fri", "minSize": 4}


def faults(**scaling: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ami": "ami-0123456789abcdef0", "scaling": scaling})
    return {fault.path.removeprefix("bluegreen:scaling."): fault.message for fault in caught.value.faults}


def test_the_steps_above_a_threshold_follow_on_each_other_without_an_end() -> None:
    assert list(Step.model_validate(QUEUE).bounds) == [(0, 50, 1), (50, None, 3)]


def test_the_steps_below_a_threshold_go_down_from_it() -> None:
    below = {"above": None, "below": 10, "changes": [{"by": -1}, {"beyond": 5, "by": -2}]}
    step = Step.model_validate(QUEUE | below)
    assert list(step.bounds) == [(-5, 0, -1), (None, -5, -2)]
    assert step.shrinks
    assert step.threshold == 10


def test_a_dimension_may_be_the_server_group_s_own() -> None:
    step = Step.model_validate(QUEUE | {"dimensions": {"AutoScalingGroupName": "{{ group }}", "Queue": "orders"}})
    assert step.dimensions_of({"{{group}}": "web-1"}) == {"AutoScalingGroupName": "web-1", "Queue": "orders"}


def test_cpu_is_held_unless_told_otherwise() -> None:
    assert Scaling() == Scaling(cpu_percent=60, requests_per_target=0)


@pytest.mark.parametrize(
    ("scaling", "path", "said"),
    [
        ({"cpuPercent": 101}, "cpuPercent", "less than or equal to 100"),
        ({"cpuPercentage": 50}, "cpuPercentage", "did you mean cpuPercent?"),
        ({"steps": [QUEUE | {"below": 1}]}, "steps[0]", "one of above and below"),
        ({"steps": [QUEUE | {"changes": []}]}, "steps[0]", "needs changes"),
        ({"steps": [QUEUE | {"changes": [{"beyond": 5, "by": 1}]}]}, "steps[0]", "at the threshold itself"),
        ({"steps": [QUEUE | {"changes": [{"by": 1}, {"beyond": 5, "by": -1}]}]}, "steps[0]", "all add machines"),
        ({"steps": [QUEUE | {"changes": [{"by": 1}, {"beyond": 0, "by": 2}]}]}, "steps[0]", "should rise"),
        ({"steps": [QUEUE, QUEUE]}, "", "two steps are called queue"),
        ({"steps": [QUEUE | {"name": "requests"}]}, "steps[0].name", "requests is taken"),
        ({"schedules": [MORNING | {"recurrence": "8 o'clock"}]}, "schedules[0].recurrence", "is no recurrence"),
        ({"schedules": [MORNING | {"zone": "Berlin"}]}, "schedules[0].zone", "did you mean Europe/Berlin?"),
        ({"schedules": [MORNING | {"minSize": 1}]}, "schedules[0].minSize", r"within minSize and maxSize (2 to 6)"),
        ({"schedules": [MORNING | {"minSize": 7}]}, "schedules[0].minSize", r"within minSize and maxSize (2 to 6)"),
    ],
)
def test_scaling_that_is_wrong_is_refused_by_path(scaling: dict[str, Any], path: str, said: str) -> None:
    found = faults(**scaling)
    assert any(said in message for key, message in found.items() if key.removeprefix("bluegreen:scaling") == path), (
        found
    )
