"""Auto Scaling's instance refresh: every instance is replaced, and the group stays whole meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.world import Aws, eventually

OVERVIEW = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html"
PREFERENCES = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html"
KEPT_WHOLE = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}
HOOK = {"LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}


def refresh(aws: Aws, name: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=name)
    return dict(found["InstanceRefreshes"][0])


@pytest.mark.documented("an instance refresh replaces every instance of a group, and keeps its capacity", OVERVIEW)
def test_every_instance_is_replaced(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 2)
    eventually(lambda: len(aws.instances(name, "InService")) == 2)
    before = set(aws.instances(name))
    aws.autoscaling.start_instance_refresh(AutoScalingGroupName=name, Preferences=KEPT_WHOLE)
    with pytest.raises(ClientError, match="InstanceRefreshInProgress"):
        aws.autoscaling.start_instance_refresh(AutoScalingGroupName=name, Preferences=KEPT_WHOLE)
    seen: list[int] = []

    def has_ended() -> bool:
        seen.append(len(aws.instances(name, "InService")))
        return bool(refresh(aws, name)["Status"] == "Successful")

    eventually(has_ended)
    assert min(seen) >= 2
    assert not before & set(aws.instances(name))
    assert refresh(aws, name)["PercentageComplete"] == 100


@pytest.mark.documented("with a minimum of 100 percent nobody goes before the new instance is in service", PREFERENCES)
def test_nobody_goes_while_the_new_one_waits_for_its_launch_action(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    (old,) = eventually(lambda: aws.instances(name, "InService"))
    aws.autoscaling.put_lifecycle_hook(AutoScalingGroupName=name, **HOOK)
    aws.autoscaling.start_instance_refresh(
        AutoScalingGroupName=name, Preferences={**KEPT_WHOLE, "MaxHealthyPercentage": 200}
    )
    (new,) = eventually(lambda: aws.instances(name, "Pending:Wait"))
    assert aws.instances(name, "InService") == [old]
    aws.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName=name, LifecycleHookName="h", LifecycleActionResult="CONTINUE", InstanceId=new
    )
    eventually(lambda: aws.instances(name) == [new])


def test_a_refresh_that_is_given_up_leaves_the_rest(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    eventually(lambda: aws.instances(name, "InService"))
    aws.autoscaling.put_lifecycle_hook(AutoScalingGroupName=name, **HOOK)
    aws.autoscaling.start_instance_refresh(AutoScalingGroupName=name, Preferences=KEPT_WHOLE)
    eventually(lambda: aws.instances(name, "Pending:Wait"))
    aws.autoscaling.cancel_instance_refresh(AutoScalingGroupName=name)
    assert refresh(aws, name)["Status"] == "Cancelled"
    eventually(lambda: len(aws.instances(name)) == 1)


@pytest.mark.parametrize("preferences", [{}, {"MinHealthyPercentage": 100}, {**KEPT_WHOLE, "AutoRollback": True}])
def test_another_way_to_refresh_is_refused_by_name(aws: Aws, preferences: dict[str, Any]) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    with pytest.raises(ClientError, match="The sandbox's instance refresh"):
        aws.autoscaling.start_instance_refresh(AutoScalingGroupName=name, Preferences=preferences)
