"""What is read of a listener that several services share: whose rule is whose, and what each is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bluegreen.model.observation import Egress, Entrance
from bluegreen.model.tags import Owner, Purpose
from tests.aws.world import WEB, World, tags_of

API = Owner(project="bluegreen", stack="dev", service="api")


@dataclass
class Shared:
    """Rules of two services on a listener of somebody else's, at port 81 of the world's load balancer."""

    world: World
    listener: str
    rules: dict[str, str]
    theirs: str

    def add(self, name: str, priority: int, weights: dict[str, int], owner: Owner | None, *, header: str = "") -> str:
        action: dict[str, Any] = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}
        if weights:
            groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
            action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        conditions: list[dict[str, Any]] = [
            {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com", "shop.example.com"]}}
        ]
        if header:
            config = {"HttpHeaderName": "X-Bluegreen-Preview", "Values": [header]}
            conditions.append({"Field": "http-header", "HttpHeaderConfig": config})
        made = self.world.session.client("elbv2").create_rule(
            ListenerArn=self.listener,
            Priority=priority,
            Conditions=conditions,
            Actions=[action],
            Tags=tags_of(name, owner) if owner else [{"Key": "Name", "Value": name}],
        )
        arn: str = made["Rules"][0]["RuleArn"]
        self.rules[name] = arn
        self.world.calls.clear()
        return arn


@pytest.fixture
def shared(world: World) -> Shared:
    elb = world.session.client("elbv2")
    for listener in (world.production, world.preview):
        elb.delete_listener(ListenerArn=listener)
    nothing = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    made = elb.create_listener(LoadBalancerArn=world.balancer, Port=81, Protocol="HTTP", DefaultActions=[nothing])
    vpc = elb.describe_load_balancers(LoadBalancerArns=[world.balancer])["LoadBalancers"][0]["VpcId"]
    theirs = elb.create_target_group(Name="api", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
    found = Shared(world, made["Listeners"][0]["ListenerArn"], {}, theirs["TargetGroupArn"])
    found.add("production", 1, {found.theirs: 1}, API)
    found.add("preview", 100, {world.new: 1}, WEB, header="web")
    found.add("closed", 101, {}, WEB, header="web")
    found.add("production", 102, {world.old: 90, world.new: 10}, WEB)
    return found


def test_the_preview_is_a_rule_with_its_host_and_header(shared: Shared) -> None:
    world = shared.world
    address = world.session.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["DNSName"]
    world.calls.clear()
    assert world.observer.entrance(world.new, Purpose.PREVIEW) == Entrance(
        listener=shared.rules["preview"],
        url="http://shop.example.com:81",
        weights={world.new: 1},
        address=address,
        headers=(("X-Bluegreen-Preview", "web"),),
    )
    assert world.calls == [
        "DescribeTargetGroups",
        "DescribeListeners",
        "DescribeTags",
        "DescribeRules",
        "DescribeTags",
        "DescribeLoadBalancers",
    ]


@pytest.mark.parametrize("of", ["old", "new"])
def test_where_users_come_in_is_the_rule_of_the_same_service(shared: Shared, of: str) -> None:
    seen = shared.world.observer.entrance(getattr(shared.world, of), Purpose.PRODUCTION)
    assert seen
    assert seen.listener == shared.rules["production"]
    assert (seen.url, seen.headers) == ("http://shop.example.com:81", ())
    assert seen.weights == {shared.world.old: 90, shared.world.new: 10}


def test_a_release_that_only_the_preview_rule_names_is_not_taken_for_another_services(shared: Shared) -> None:
    elb = shared.world.session.client("elbv2")
    elb.delete_rule(RuleArn=shared.rules["production"])
    assert shared.world.observer.entrance(shared.world.new, Purpose.PRODUCTION) is None
    shared.add("production", 102, {shared.world.old: 1}, WEB)
    seen = shared.world.observer.entrance(shared.world.new, Purpose.PRODUCTION)
    assert seen
    assert seen.weights == {shared.world.old: 1}


def test_a_preview_that_comes_after_the_users_rule_is_hidden(shared: Shared) -> None:
    elb, world = shared.world.session.client("elbv2"), shared.world
    assert world.observer.entrance(world.new, Purpose.PREVIEW).shows_only(world.new)  # type: ignore[union-attr]
    elb.set_rule_priorities(RulePriorities=[{"RuleArn": shared.rules["preview"], "Priority": 200}])
    seen = world.observer.entrance(world.new, Purpose.PREVIEW)
    assert seen
    assert seen.is_hidden
    assert not seen.shows_only(world.new)


def test_what_may_be_deleted_is_asked_of_each_rule(shared: Shared) -> None:
    shared.add("somebody's", 50, {shared.world.old: 1}, None)
    world = shared.world
    seen = {each.arn: (each.purpose, each.weights) for each in world.observer.listeners_of([world.old, world.new])}
    assert seen == {
        shared.listener: (None, {shared.theirs: 1, world.old: 1}),
        shared.rules["preview"]: (Purpose.PREVIEW, {world.new: 1}),
        shared.rules["production"]: (Purpose.PRODUCTION, {world.old: 90, world.new: 10}),
    }


def test_the_weights_of_a_rule_are_read_from_it_alone(shared: Shared) -> None:
    world = shared.world
    assert world.observer.default_weights(shared.rules["production"]) == {world.old: 90, world.new: 10}
    assert world.calls == ["DescribeRules"]


def test_a_shared_load_balancer_is_not_ours_to_protect(shared: Shared) -> None:
    world = shared.world
    world.session.client("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=world.balancer, Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}]
    )
    assert world.observer.protected_balancers([world.old], WEB) == ()


def test_a_front_is_the_listener_with_the_rules_at_the_priorities_that_matter(shared: Shared) -> None:
    world = shared.world
    ec2, elb = world.session.client("ec2"), world.session.client("elbv2")
    vpc = ec2.describe_subnets(SubnetIds=[world.subnet])["Subnets"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="shared", Description="shared", VpcId=vpc)["GroupId"]
    elb.set_security_groups(LoadBalancerArn=world.balancer, SecurityGroups=[group])
    world.calls.clear()
    front = world.observer.front(shared.listener, [1, 2, 101])
    assert front
    assert (front.port, front.protocol, front.balancer.arn) == (81, "HTTP", world.balancer)
    assert front.balancer.zones == ("us-east-1a", "us-east-1b")
    theirs, closed = sorted(front.rules, key=lambda rule: rule.priority)
    assert (theirs.priority, theirs.tags["bluegreen:service"]) == (1, "api")
    assert theirs.conditions == "host-header *.example.com or shop.example.com"
    assert closed.conditions == f"{theirs.conditions}, X-Bluegreen-Preview web"
    assert front.egress == (Egress(network="0.0.0.0/0"),)
    assert len(world.calls) == 5
    assert world.observer.front(shared.listener[:-4] + "0000", [1]) is None
