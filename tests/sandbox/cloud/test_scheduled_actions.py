"""Scheduled actions: kept by group, done in their minute, gone with their group."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.world import Aws, eventually

_GUIDE = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scheduled-scaling.html"
_PUT = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScheduledUpdateGroupAction.html"


def put(aws: Aws, group: str, **given: Any) -> None:
    asked = {"ScheduledActionName": "morning", "Recurrence": "0 8 * * 1-5", "MinSize": 1} | given
    asked = {key: value for key, value in asked.items() if value is not None}
    aws.autoscaling.put_scheduled_update_group_action(AutoScalingGroupName=group, **asked)


def actions(aws: Aws, group: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.autoscaling.describe_scheduled_actions(AutoScalingGroupName=group)[
        "ScheduledUpdateGroupActions"
    ]
    return found


@pytest.mark.documented("a scheduled action's name is the group's own, and says nothing of another group's", _PUT)
def test_an_action_is_its_group_s_and_goes_with_it(aws: Aws) -> None:
    template = aws.template(aws.image())
    one, other = aws.scaling_group(template, 0), aws.scaling_group(template, 0)
    put(aws, one, MinSize=0, TimeZone="Europe/Berlin")
    put(aws, other, MinSize=1)
    (found,) = actions(aws, one)
    assert (found["MinSize"], found["TimeZone"]) == (0, "Europe/Berlin")
    assert "DesiredCapacity" not in found
    assert f"autoScalingGroupName/{one}:scheduledActionName/morning" in found["ScheduledActionARN"]
    aws.autoscaling.delete_scheduled_action(AutoScalingGroupName=one, ScheduledActionName="morning")
    assert actions(aws, one) == []
    assert actions(aws, other)
    with pytest.raises(ClientError, match="not found"):
        aws.autoscaling.delete_scheduled_action(AutoScalingGroupName=one, ScheduledActionName="morning")
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=other)
    eventually(lambda: aws.group(other) is None)
    assert actions(aws, other) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Recurrence": "0 8 * *"}, "recurrence string: 0 8 .* is invalid"),
        ({"Recurrence": "0 24 * * *"}, "is invalid: '24' is no hour"),
        ({"TimeZone": "Europe/Berlyn"}, "is invalid"),
        ({"MinSize": None}, "At least one"),
        ({"StartTime": "2030-01-01T00:00:00Z"}, "recur, and have no start time"),
    ],
)
def test_an_action_that_can_not_be_is_refused(aws: Aws, given: dict[str, Any], said: str) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0)
    with pytest.raises(ClientError, match=said):
        put(aws, name, **given)


def test_an_action_needs_its_group(aws: Aws) -> None:
    with pytest.raises(ClientError, match="not found"):
        put(aws, "gone")


@pytest.mark.conformance  # it waits for the next minute
@pytest.mark.documented("a scheduled action changes the group's sizes at its time, and is named as the cause", _GUIDE)
def test_an_action_is_done_in_its_minute(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0)
    put(aws, name, Recurrence="* * * * *", MinSize=1)
    eventually(lambda: aws.instances(name, "InService"), within=75)
    (activity,) = aws.activities(name)
    assert "a scheduled action update of AutoScalingGroup constraints to min: 1, max:" in activity["Cause"]
    assert "changing the desired capacity from 0 to 1" in activity["Cause"]
