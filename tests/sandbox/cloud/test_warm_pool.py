"""Warm pools: machines that have booted and wait beside their group."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.world import Aws, eventually

GUIDE = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html"
HOOKS = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/warm-pool-instance-lifecycle.html"
PUT = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html"
DELETE = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteWarmPool.html"
DELETE_GROUP = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html"
INSTANCE = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingInstanceDetails.html"


def keep_warm(aws: Aws, group: str, **settings: Any) -> None:
    aws.autoscaling.put_warm_pool(AutoScalingGroupName=group, **settings)


def warm(aws: Aws, group: str) -> dict[str, str]:
    """States by instance."""
    found = aws.autoscaling.describe_warm_pool(AutoScalingGroupName=group)["Instances"]
    return {each["InstanceId"]: each["LifecycleState"] for each in found}


def settled(aws: Aws, group: str, count: int, state: str = "Warmed:Stopped") -> list[str]:
    """Once so many are warm, and no other is in the pool."""
    found: dict[str, str] = {}

    def look() -> bool:
        found.clear()
        found.update(warm(aws, group))
        return list(found.values()) == [state] * count

    eventually(look, what=f"{count} {state}")
    return list(found)


def said(aws: Aws, group: str) -> list[str]:
    return [each["Description"] for each in aws.activities(group)]


@pytest.mark.documented("a warm pool has as many machines as the group's maximum leaves, booted and stopped", GUIDE)
def test_machines_boot_into_the_pool_and_stop(aws: Aws) -> None:
    target_group = aws.target_group()
    name = aws.scaling_group(aws.template(aws.image()), 1, target_group=target_group, MaxSize=3)
    keep_warm(aws, name)
    found = settled(aws, name, 2)
    assert {f"Launching a new EC2 instance into warm pool: {each}" for each in found} <= set(said(aws, name))
    (own,) = eventually(lambda: aws.instances(name, "InService"))
    assert own not in found
    assert set(found).isdisjoint(aws.machines())  # nothing of them runs
    states = [
        each["State"]["Name"]
        for reservation in aws.ec2.describe_instances(InstanceIds=found)["Reservations"]
        for each in reservation["Instances"]
    ]
    assert states == ["stopped"] * 2
    assert set(aws.health(target_group)) == {own}


@pytest.mark.documented(
    "a warm machine is one of its group's instances by its own id, and none in the group's list", INSTANCE
)
def test_a_group_lists_no_warm_machine(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0, MaxSize=1)
    keep_warm(aws, name)
    (found,) = settled(aws, name, 1)
    group = aws.group(name)
    assert group
    assert (group["Instances"], group["WarmPoolSize"]) == ([], 1)
    assert group["WarmPoolConfiguration"] == {"MinSize": 0, "PoolState": "Stopped"}
    (told,) = aws.autoscaling.describe_auto_scaling_instances(InstanceIds=[found])["AutoScalingInstances"]
    assert (told["AutoScalingGroupName"], told["LifecycleState"]) == (name, "Warmed:Stopped")


@pytest.mark.documented(
    "a group that scales out takes warm machines first, and the pool is filled to its minimum", GUIDE
)
def test_scaling_out_takes_from_the_pool(aws: Aws) -> None:
    target_group = aws.target_group()
    aws.listener(aws.balancer(), target_group)
    name = aws.scaling_group(aws.template(aws.image()), 0, target_group=target_group, MaxSize=2)
    keep_warm(aws, name, MaxGroupPreparedCapacity=1, MinSize=1)
    (first,) = settled(aws, name, 1)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    eventually(lambda: aws.instances(name, "InService") == [first])
    eventually(lambda: aws.health(target_group).get(first, ("", ""))[0] == "healthy")
    assert f"Launching a new EC2 instance from warm pool: {first}" in said(aws, name)
    (second,) = settled(aws, name, 1)
    assert second != first


@pytest.mark.documented("with a reuse policy a machine goes back to the pool on scale-in, once it has drained", PUT)
def test_scaling_in_gives_back_what_may_be_used_again(aws: Aws) -> None:
    _, name, target_group = aws.served(2)
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=2)
    keep_warm(aws, name, InstanceReusePolicy={"ReuseOnScaleIn": True})
    before = set(aws.instances(name))
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    (back,) = settled(aws, name, 1)
    assert {back, *aws.instances(name)} == before
    assert set(aws.health(target_group)) == set(aws.instances(name))
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    eventually(lambda: back in aws.instances(name, "InService"))


@pytest.mark.documented("without a reuse policy a machine is terminated on scale-in, and another warmed", PUT)
def test_scaling_in_terminates_otherwise(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1, MaxSize=1)
    (own,) = eventually(lambda: aws.instances(name, "InService"))
    keep_warm(aws, name)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    (found,) = settled(aws, name, 1)
    assert found != own


@pytest.mark.documented("machines of a pool whose state is Running go on running, outside the group", GUIDE)
def test_a_running_pool_runs(aws: Aws) -> None:
    target_group = aws.target_group()
    name = aws.scaling_group(aws.template(aws.image()), 0, target_group=target_group, MaxSize=1)
    keep_warm(aws, name, PoolState="Running")
    (found,) = settled(aws, name, 1, "Warmed:Running")
    assert aws.machines()[found]["state"] == "running"
    assert aws.health(target_group) == {}


@pytest.mark.documented("a launching hook holds a machine twice: on its way into the pool, and out of it", HOOKS)
def test_a_launching_hook_holds_a_machine_on_both_its_ways(aws: Aws) -> None:
    hook = {"LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
    name = aws.scaling_group(aws.template(aws.image()), 0, MaxSize=1, LifecycleHookSpecificationList=[hook])
    keep_warm(aws, name)
    (found,) = eventually(lambda: [id for id, state in warm(aws, name).items() if state == "Warmed:Pending:Wait"])
    named = {"AutoScalingGroupName": name, "LifecycleHookName": "h", "LifecycleActionResult": "CONTINUE"}
    eventually(lambda: aws.machines().get(found, {}).get("state") == "running")
    assert warm(aws, name) == {found: "Warmed:Pending:Wait"}
    aws.autoscaling.complete_lifecycle_action(**named, InstanceId=found)
    assert settled(aws, name, 1) == [found]
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    eventually(lambda: aws.instances(name, "Pending:Wait") == [found])
    aws.autoscaling.complete_lifecycle_action(**named, InstanceId=found)
    eventually(lambda: aws.instances(name, "InService") == [found])


@pytest.mark.documented("a terminating hook holds a machine that goes back at Warmed:Pending:Wait", HOOKS)
def test_a_terminating_hook_holds_a_machine_that_goes_back(aws: Aws) -> None:
    hook = {"LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
    name = aws.scaling_group(aws.template(aws.image()), 1, MaxSize=1, LifecycleHookSpecificationList=[hook])
    (own,) = eventually(lambda: aws.instances(name, "InService"))
    keep_warm(aws, name, InstanceReusePolicy={"ReuseOnScaleIn": True})
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    eventually(lambda: warm(aws, name) == {own: "Warmed:Pending:Wait"})
    aws.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName=name, LifecycleHookName="h", LifecycleActionResult="CONTINUE", InstanceId=own
    )
    assert settled(aws, name, 1) == [own]


@pytest.mark.documented("what a later PutWarmPool leaves out stays, and -1 takes the prepared capacity away", PUT)
def test_a_pool_is_changed(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0, MaxSize=2)
    keep_warm(aws, name, MaxGroupPreparedCapacity=1, InstanceReusePolicy={"ReuseOnScaleIn": True})
    settled(aws, name, 1)
    keep_warm(aws, name, MaxGroupPreparedCapacity=-1)
    settled(aws, name, 2)
    pool = aws.autoscaling.describe_warm_pool(AutoScalingGroupName=name)["WarmPoolConfiguration"]
    assert pool == {"MinSize": 0, "PoolState": "Stopped", "InstanceReusePolicy": {"ReuseOnScaleIn": True}}
    keep_warm(aws, name, MaxGroupPreparedCapacity=0)
    settled(aws, name, 0)


@pytest.mark.documented("a pool with machines is deleted by force only, and they with it", DELETE)
def test_a_pool_is_deleted_with_force(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0, MaxSize=1)
    keep_warm(aws, name)
    settled(aws, name, 1)
    with pytest.raises(ClientError, match="ResourceInUse"):
        aws.autoscaling.delete_warm_pool(AutoScalingGroupName=name)
    aws.autoscaling.delete_warm_pool(AutoScalingGroupName=name, ForceDelete=True)
    told = aws.autoscaling.describe_warm_pool(AutoScalingGroupName=name)
    assert told["WarmPoolConfiguration"]["Status"] == "PendingDelete"
    eventually(lambda: "WarmPoolConfiguration" not in aws.autoscaling.describe_warm_pool(AutoScalingGroupName=name))
    with pytest.raises(ClientError, match="No warm pool found"):
        aws.autoscaling.delete_warm_pool(AutoScalingGroupName=name)


@pytest.mark.documented("a group that is deleted by force takes its warm pool with it", DELETE_GROUP)
def test_a_group_takes_its_pool_with_it(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0, MaxSize=1)
    keep_warm(aws, name)
    (found,) = settled(aws, name, 1)
    with pytest.raises(ClientError, match="ResourceInUse"):
        aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name)
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    eventually(lambda: aws.group(name) is None)
    (reservation,) = aws.ec2.describe_instances(InstanceIds=[found])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"


def test_a_warm_machine_that_is_terminated_by_hand_is_replaced(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0, MaxSize=1)
    keep_warm(aws, name)
    (found,) = settled(aws, name, 1)
    aws.ec2.terminate_instances(InstanceIds=[found])
    eventually(lambda: found not in warm(aws, name))
    settled(aws, name, 1)


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"PoolState": "Hibernated"}, "no Hibernated machines"), ({"MaxGroupPreparedCapacity": -2}, "at least -1")],
)
def test_what_a_pool_can_not_be_is_refused(aws: Aws, settings: dict[str, Any], why: str) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0)
    with pytest.raises(ClientError, match=why):
        keep_warm(aws, name, **settings)
    assert "WarmPoolConfiguration" not in (aws.group(name) or {})


@pytest.mark.documented("a group whose launch template asks for Spot machines has no warm pool", GUIDE)
def test_spot_machines_are_not_kept_warm(aws: Aws) -> None:
    template = aws.template(aws.image(), InstanceMarketOptions={"MarketType": "spot"})
    with pytest.raises(ClientError, match="requests Spot Instances"):
        keep_warm(aws, aws.scaling_group(template, 0))
