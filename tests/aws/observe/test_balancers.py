"""What is read of load balancers and what is behind them, and at what cost in calls."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.model.observation import (
    Entrance,
)
from bluegreen.model.tags import Purpose
from tests.aws.world import WEB, World


def test_what_a_listener_is_for_is_known_by_its_tag_alone(world: World) -> None:
    seen = {each.port: each for each in world.observer.listeners_of([world.old, world.new])}
    assert seen[80].purpose is Purpose.PRODUCTION
    assert seen[80].weights == {world.old: 1}
    assert seen[9000].purpose is Purpose.PREVIEW
    assert seen[9000].weights == {world.new: 1}


def test_a_load_balancer_that_aws_refuses_to_delete_is_known_by_its_target_groups(world: World) -> None:
    assert world.observer.protected_balancers([world.old, world.new], WEB) == ()
    assert world.calls == ["DescribeTargetGroups", "DescribeLoadBalancerAttributes"]
    world.session.client("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=world.balancer, Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}]
    )
    assert world.observer.protected_balancers([world.old, world.new], WEB) == (world.balancer,)
    assert world.observer.protected_balancers([], WEB) == ()


def test_whether_a_load_balancer_is_internal_is_known_by_its_target_groups(world: World) -> None:
    found = world.observer.balancer_of([world.new, world.old])
    assert found
    assert (found.arn, found.is_internal) == (world.balancer, False)
    assert found.zones == ("us-east-1a", "us-east-1b")
    assert world.calls == ["DescribeTargetGroups", "DescribeLoadBalancers"]
    assert world.observer.balancer_of([]) is None


def test_a_listener_without_our_tags_has_no_purpose(world: World) -> None:
    world.session.client("elbv2").create_listener(
        LoadBalancerArn=world.balancer,
        Port=81,
        Protocol="HTTP",
        DefaultActions=[{"Type": "forward", "TargetGroupArn": world.new}],
    )
    seen = {each.port: each for each in world.observer.listeners_of([world.new])}
    assert seen[81].purpose is None


def test_weights_of_a_forward_action_are_read(world: World) -> None:
    world.forward(world.production, {world.old: 90, world.new: 10})
    assert world.observer.default_weights(world.production) == {world.old: 90, world.new: 10}


def test_a_rule_counts_like_the_default_action_for_what_may_be_deleted_and_not_for_what_is_live(world: World) -> None:
    world.session.client("elbv2").create_rule(
        ListenerArn=world.production,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/new/*"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": world.new}],
    )
    seen = {each.port: each for each in world.observer.listeners_of([world.new])}
    assert seen[80].weights == {world.old: 1, world.new: 1}
    assert world.observer.default_weights(world.production) == {world.old: 1}


def test_a_listener_that_forwards_nowhere_has_no_weights(world: World) -> None:
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
    world.session.client("elbv2").modify_listener(ListenerArn=world.production, DefaultActions=[fixed])
    assert world.observer.default_weights(world.production) == {}


def test_a_target_group_that_is_gone_is_behind_no_listener(world: World) -> None:
    assert world.observer.listeners_of([world.old + "x"]) == ()


def test_a_target_group_that_is_gone_hides_none_of_the_others(world: World) -> None:
    assert {each.port for each in world.observer.listeners_of([world.old + "x", world.old])} == {80, 9000}


@pytest.mark.parametrize("question", ["DescribeListeners", "DescribeTags", "DescribeRules"])
@pytest.mark.parametrize("gone", ["listener", "balancer"])
def test_what_a_destroy_deletes_meanwhile_is_behind_nothing_and_no_error(
    world: World, question: str, gone: str
) -> None:
    elbv2 = world.session.client("elbv2")

    def delete(model: Any, **_: Any) -> None:
        if model.name == question:
            elbv2.meta.events.unregister("before-call", delete)
            elbv2.delete_listener(ListenerArn=world.production)
            if gone == "balancer":
                elbv2.delete_listener(ListenerArn=world.preview)
                elbv2.delete_load_balancer(LoadBalancerArn=world.balancer)

    elbv2.meta.events.register("before-call", delete)
    seen = world.observer.listeners_of([world.old, world.new])
    assert [each.purpose for each in seen] == ([Purpose.PREVIEW] if gone == "listener" else [])


def test_where_a_candidate_is_shown_is_read_from_the_preview_listener(world: World) -> None:
    elbv2 = world.session.client("elbv2")
    address = elbv2.describe_load_balancers(LoadBalancerArns=[world.balancer])["LoadBalancers"][0]["DNSName"]
    world.calls.clear()
    seen = world.observer.entrance(world.new, Purpose.PREVIEW)
    assert seen == Entrance(listener=world.preview, url=f"http://{address}:9000", weights={world.new: 1})
    assert seen.shows_only(world.new)
    assert not seen.shows_only(world.old)
    assert len(world.calls) == 4


def test_a_preview_listener_that_shows_another_group_as_well_does_not_show_the_candidate_alone(world: World) -> None:
    world.forward(world.preview, {world.old: 10, world.new: 90})
    seen = world.observer.entrance(world.new, Purpose.PREVIEW)
    assert seen
    assert not seen.shows_only(world.new)
    world.forward(world.preview, {world.old: 0, world.new: 100})
    assert world.observer.entrance(world.new, Purpose.PREVIEW).shows_only(world.new)  # type: ignore[union-attr]


def test_a_target_group_without_a_preview_listener_is_shown_nowhere(world: World) -> None:
    world.session.client("elbv2").delete_listener(ListenerArn=world.preview)
    assert world.observer.entrance(world.old, Purpose.PREVIEW) is None
    assert world.observer.entrance(world.new, Purpose.PREVIEW) is None, "no listener names it any more"
    assert world.observer.entrance(world.new + "x", Purpose.PREVIEW) is None


def test_no_target_group_is_behind_no_listener(world: World) -> None:
    assert world.observer.listeners_of([]) == ()
    assert world.calls == []


def test_the_drain_time_is_the_deregistration_delay(world: World) -> None:
    world.session.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=world.old, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "7"}]
    )
    assert world.observer.drain_seconds(world.old) == 7
    assert world.observer.drain_seconds(world.old + "x") == 0


@pytest.mark.parametrize("shifted", [False, True])
def test_with_several_groups_the_load_balancer_says_which_is_active(world: World, shifted: bool) -> None:
    world.make_group("web-1", world.old)
    world.make_group("web-2", world.new)
    if shifted:
        world.forward(world.production, {world.new: 1})
    active = world.observer.active_of(world.observer.groups(WEB))
    assert active is not None
    assert active.name == ("web-2" if shifted else "web-1"), "the preview listener does not count"


def test_a_service_that_was_never_deployed_has_no_active_group(world: World) -> None:
    assert world.observer.active_of(world.observer.groups(WEB)) is None


def test_targets_are_read_in_one_call(world: World) -> None:
    world.make_group("web-1", world.old)
    targets = world.observer.targets(world.old)
    assert len(targets) == 2
    assert world.calls == ["DescribeTargetHealth"]


def test_where_users_meet_a_release_is_read_from_the_production_listener(world: World) -> None:
    world.forward(world.production, {world.old: 95, world.new: 5})
    for target_group in (world.old, world.new):
        seen = world.observer.entrance(target_group, Purpose.PRODUCTION)
        assert seen
        assert seen.listener == world.production
        assert seen.url.endswith(":80")
        assert seen.weights == {world.old: 95, world.new: 5}


def test_a_release_that_only_the_preview_listener_names_has_no_weight_where_users_come_in(world: World) -> None:
    seen = world.observer.entrance(world.new, Purpose.PRODUCTION)
    assert seen
    assert not seen.weights.get(world.new)


def test_a_release_without_a_production_listener_has_no_entrance_for_users(world: World) -> None:
    world.session.client("elbv2").delete_listener(ListenerArn=world.production)
    assert world.observer.entrance(world.new, Purpose.PRODUCTION) is None
