"""Auto Scaling's lifecycle hooks: instances wait for whoever completes their lifecycle action."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.world import Aws, eventually

OVERVIEW = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html"
HOOKS = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html"
COMPLETING = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/completing-lifecycle-hooks.html"
DELETE = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html"
PUT = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html"


def hook(transition: str, **changes: Any) -> dict[str, Any]:
    return {"LifecycleHookName": "h", "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}", **changes}


def complete(aws: Aws, group: str, result: str, instance: str) -> None:
    aws.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName=group, LifecycleHookName="h", LifecycleActionResult=result, InstanceId=instance
    )


@pytest.mark.documented("a launched instance waits in Pending:Wait, then goes on through Pending:Proceed", OVERVIEW)
def test_an_instance_is_in_service_only_when_its_launch_action_is_completed(aws: Aws) -> None:
    target_group = aws.target_group()
    name = aws.scaling_group(
        aws.template(aws.image()),
        1,
        target_group=target_group,
        LifecycleHookSpecificationList=[hook("LAUNCHING")],
    )
    (instance,) = eventually(lambda: aws.instances(name, "Pending:Wait"))
    eventually(lambda: aws.machines().get(instance, {}).get("state") == "running")
    (activity,) = aws.activities(name)
    assert (activity["StatusCode"], aws.instances(name)) == ("MidLifecycleAction", [instance])
    assert aws.health(target_group) == {}  # registered only when it comes into service
    complete(aws, name, "CONTINUE", instance)
    eventually(lambda: aws.instances(name, "InService") == [instance])
    assert [it["StatusCode"] for it in aws.activities(name)] == ["Successful"]


@pytest.mark.documented("an instance whose launch action is abandoned is terminated and replaced", HOOKS)
def test_an_abandoned_launch_is_cancelled_and_tried_again(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1, LifecycleHookSpecificationList=[hook("LAUNCHING")])
    (instance,) = eventually(lambda: aws.instances(name, "Pending:Wait"))
    complete(aws, name, "ABANDON", instance)
    cancelled = eventually(lambda: [it for it in aws.activities(name) if it["StatusCode"] == "Cancelled"])[0]
    assert cancelled["Description"].startswith(
        f"Launching a new EC2 instance: {instance}.  Status Reason: Instance failed to complete user's Lifecycle "
        "Action: Lifecycle Action with token "
    )
    assert cancelled["StatusMessage"].endswith("was abandoned: Lifecycle Action Completed with ABANDON Result")
    (other,) = eventually(lambda: [it for it in aws.instances(name, "Pending:Wait") if it != instance])
    eventually(lambda: instance not in aws.machines())
    complete(aws, name, "CONTINUE", other)
    eventually(lambda: aws.instances(name, "InService") == [other])


@pytest.mark.documented("a terminating instance is deregistered and drained, then waits in Terminating:Wait", OVERVIEW)
@pytest.mark.parametrize(
    "result",
    [
        pytest.param(
            result, marks=pytest.mark.documented(f"a terminating instance goes on {result}: it is terminated", HOOKS)
        )
        for result in ("CONTINUE", "ABANDON")
    ],
)
def test_a_terminating_instance_waits_when_it_has_drained(aws: Aws, result: str) -> None:
    _, name, target_group = aws.served(1)
    aws.autoscaling.put_lifecycle_hook(AutoScalingGroupName=name, **hook("TERMINATING"))
    (instance,) = aws.instances(name)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    eventually(lambda: aws.instances(name, "Terminating") == [instance])
    assert aws.activities(name)[0]["StatusCode"] == "WaitingForELBConnectionDraining"
    eventually(lambda: aws.instances(name, "Terminating:Wait") == [instance])
    assert aws.health(target_group) == {}
    assert aws.activities(name)[0]["StatusCode"] == "MidLifecycleAction"
    assert aws.machines()[instance]["state"] == "running"
    complete(aws, name, result, instance)
    eventually(lambda: aws.instances(name) == [])
    assert aws.activities(name)[0]["StatusCode"] == "Successful"


@pytest.mark.documented("ForceDelete waits for no lifecycle action", DELETE)
def test_a_group_that_is_deleted_by_force_waits_for_no_hook(aws: Aws) -> None:
    hooks = [hook("LAUNCHING"), hook("TERMINATING", LifecycleHookName="t")]
    name = aws.scaling_group(aws.template(aws.image()), 1, LifecycleHookSpecificationList=hooks)
    eventually(lambda: aws.instances(name, "Pending:Wait"))
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    eventually(lambda: aws.group(name) is None)


@pytest.mark.documented("a lifecycle action is named by its instance or its token, and completed once", COMPLETING)
def test_an_action_that_is_not_under_way_is_refused(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1, LifecycleHookSpecificationList=[hook("LAUNCHING")])
    (instance,) = eventually(lambda: aws.instances(name, "Pending:Wait"))
    named = {"AutoScalingGroupName": name, "LifecycleHookName": "h"}
    aws.autoscaling.record_lifecycle_action_heartbeat(**named, InstanceId=instance)
    with pytest.raises(ClientError, match="No active Lifecycle Action found with token 0"):
        aws.autoscaling.record_lifecycle_action_heartbeat(**named, LifecycleActionToken="0")
    complete(aws, name, "CONTINUE", instance)
    with pytest.raises(ClientError, match=f"No active Lifecycle Action found with instance ID {instance}"):
        complete(aws, name, "CONTINUE", instance)


@pytest.mark.documented("a hook's timeout is an hour and its default result ABANDON unless set", PUT)
def test_hooks_have_the_defaults_of_aws(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0, LifecycleHookSpecificationList=[hook("LAUNCHING")])
    (found,) = aws.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
    assert found == {
        "AutoScalingGroupName": name,
        **hook("LAUNCHING", HeartbeatTimeout=3600, DefaultResult="ABANDON", GlobalTimeout=172800),
    }


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"HeartbeatTimeout": 29}, "Heartbeat Timeout must be between 30 and 7200 seconds"),
        ({"DefaultResult": "MAYBE"}, "The default result must be CONTINUE or ABANDON"),
        ({"LifecycleTransition": "autoscaling:NEVER"}, "Invalid Lifecycle Transition"),
        ({"NotificationTargetARN": "arn:aws:sqs:us-east-1:1:q"}, "The sandbox sends no notifications"),
    ],
)
def test_a_group_with_a_hook_that_can_not_be_is_not_made(aws: Aws, changes: dict[str, Any], why: str) -> None:
    hooks = [hook("LAUNCHING") | changes]
    with pytest.raises(ClientError, match=why):
        aws.scaling_group(aws.template(aws.image()), 0, LifecycleHookSpecificationList=hooks, AutoScalingGroupName="no")
    assert aws.group("no") is None
