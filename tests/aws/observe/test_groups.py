"""What is read of Auto Scaling groups, and at what cost in calls."""

from __future__ import annotations

from typing import Any

from bluegreen.model.observation import LivePool
from bluegreen.model.tags import Owner
from tests.aws.world import WEB, World


def test_the_role_of_auto_scaling_is_there_once_it_was_made(world: World) -> None:
    assert not world.observer.has_auto_scaling_role()
    world.session.client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    assert world.observer.has_auto_scaling_role()


def test_groups_are_found_by_stack_and_service_in_one_call(world: World) -> None:
    world.make_group("web-1", world.old)
    world.make_group("api-1", world.old, service="api")
    world.make_group("web-qa", world.old, stack="qa")
    (seen,) = world.observer.groups(WEB)
    assert (seen.name, seen.service, seen.minimum, seen.maximum, seen.desired) == ("web-1", "web", 1, 4, 2)
    assert seen.target_groups == (world.old,)
    assert len(seen.instances) == 2
    assert world.calls == ["DescribeAutoScalingGroups"]
    stack = Owner(project="bluegreen", stack="dev")
    assert {group.service for group in world.observer.groups(stack)} == {"web", "api"}
    assert world.observer.groups(Owner(project="other", stack="dev", service="web")) == ()


def test_a_warm_pool_is_seen_in_the_same_call_and_none_of_its_machines_is_the_groups(world: World) -> None:
    world.make_group("web-1", world.old)
    assert world.observer.groups(WEB)[0].pool is None
    autoscaling = world.session.client("autoscaling")
    autoscaling.put_warm_pool(
        AutoScalingGroupName="web-1", MinSize=1, PoolState="Running", InstanceReusePolicy={"ReuseOnScaleIn": True}
    )
    world.calls.clear()

    def add(parsed: dict[str, Any], **_: Any) -> None:
        group = parsed["AutoScalingGroups"][0]
        group["WarmPoolSize"] = 3
        group["Instances"][0]["LifecycleState"] = "Warmed:Running"

    autoscaling.meta.events.register("after-call.*.DescribeAutoScalingGroups", add, unique_id="add")
    (seen,) = world.observer.groups(WEB)
    autoscaling.meta.events.unregister("after-call.*.DescribeAutoScalingGroups", unique_id="add")
    assert seen.pool == LivePool(size=3, minimum=1, is_running=True, reuses=True)
    assert (len(seen.instances), seen.desired, seen.machines) == (1, 2, 5)
    assert world.calls == ["DescribeAutoScalingGroups"]


def test_weights_are_seen_in_the_same_call(world: World) -> None:
    world.make_group("web-1", world.old)

    def add(parsed: dict[str, Any], **_: Any) -> None:
        (group,) = parsed["AutoScalingGroups"]
        overrides = [{"InstanceType": "t3.small", "WeightedCapacity": "2"}]
        group["MixedInstancesPolicy"] = {"LaunchTemplate": {"Overrides": overrides}}
        group["Instances"][0]["WeightedCapacity"] = "2"

    (plain,) = world.observer.groups(WEB)
    events = world.session.client("autoscaling").meta.events
    events.register("after-call.*.DescribeAutoScalingGroups", add, unique_id="add")
    (seen,) = world.observer.groups(WEB)
    events.unregister("after-call.*.DescribeAutoScalingGroups", unique_id="add")
    assert (plain.weights, plain.units) == ({}, 2)
    assert (seen.weights, seen.units) == ({"t3.small": 2}, 3)
    assert set(seen.types.values()) == {"t3.small"}


def test_with_one_group_it_is_the_active_one_and_nobody_else_is_asked(world: World) -> None:
    world.make_group("web-1", world.old)
    groups = world.observer.groups(WEB)
    world.calls.clear()
    assert world.observer.active_of(groups) is groups[0]
    assert world.calls == []


def test_a_group_that_does_not_exist_is_none(world: World) -> None:
    assert world.observer.group("nope") is None
