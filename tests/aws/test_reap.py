"""What carries a stack's tags is found, and deleted part by part, against moto in process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from bluegreen.aws.locks import lock_objects
from bluegreen.aws.reap import Reaper
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.model.orphans import Kind, Part
from bluegreen.model.tags import PROJECT, RELEASE, SERVER_GROUP, SERVICE, STACK, Owner

REGION = "us-east-1"
OWNER = Owner(project="shop", stack="dev")
VERSION = "4d197941"


@pytest.fixture(scope="module")
def shared() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        with mock_aws():
            session = Session(SessionSettings(region=REGION))
            for service in ("ec2", "elbv2", "autoscaling", "cloudwatch", "s3"):
                session.client(service)
        yield session


@pytest.fixture
def session(shared: Session) -> Iterator[Session]:
    with mock_aws():
        yield shared


@pytest.fixture
def reaper(session: Session) -> Reaper:
    return Reaper(session)


def tags(**changes: str) -> list[dict[str, str]]:
    made = {PROJECT: "shop", STACK: "dev", SERVICE: "web", RELEASE: VERSION, **changes}
    return [{"Key": key, "Value": value} for key, value in made.items() if value]


def make_group(session: Session, name: str = f"web-{VERSION}", *, machines: int = 0, **changes: str) -> dict[Kind, str]:
    """A server group with all its parts, by their ids."""
    ec2, elb, scaling = session.client("ec2"), session.client("elbv2"), session.client("autoscaling")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    target_group = elb.create_target_group(Name=name, Port=80, Protocol="HTTP", VpcId=vpc, Tags=tags(**changes))
    arn = target_group["TargetGroups"][0]["TargetGroupArn"]
    image = ec2.register_image(Name=f"image-of-{name}")["ImageId"]
    template = ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags(**changes)}],
    )["LaunchTemplate"]["LaunchTemplateId"]
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=machines,
        AvailabilityZones=[f"{REGION}a"],
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        TargetGroupARNs=[arn],
        Tags=[{**tag, "PropagateAtLaunch": True} for tag in tags(**changes)],
    )
    scaling.put_scaling_policy(
        AutoScalingGroupName=name, PolicyName=name, PolicyType="SimpleScaling", AdjustmentType="ExactCapacity"
    )
    policy = scaling.describe_policies(AutoScalingGroupName=name)["ScalingPolicies"][0]["PolicyARN"]
    alarm = f"{name}-errors-1234567"
    make_alarm(session, alarm, **{SERVER_GROUP: name, **changes})
    return {
        Kind.ALARM: alarm,
        Kind.POLICY: policy,
        Kind.GROUP: name,
        Kind.TEMPLATE: template,
        Kind.TARGET_GROUP: arn,
    }


def make_alarm(session: Session, name: str, **changes: str) -> None:
    session.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        Tags=tags(**changes),
    )


def ids(parts: tuple[Part, ...]) -> dict[Kind, str]:
    return {part.kind: part.id for part in parts}


def test_every_part_of_a_group_is_found_by_the_id_that_the_state_has(session: Session, reaper: Reaper) -> None:
    made = make_group(session, machines=2)
    parts = reaper.parts(OWNER, frozenset())
    assert ids(parts) == made
    assert len(parts) == 5
    name = f"web-{VERSION}"
    assert {part.groups for part in parts} == {(name,)}
    (group,) = (part for part in parts if part.kind is Kind.GROUP)
    assert (group.machines, group.target_groups) == (2, (made[Kind.TARGET_GROUP],))


@pytest.mark.parametrize(
    "changes",
    [{PROJECT: "other"}, {STACK: "prod"}, {PROJECT: ""}, {STACK: ""}, {RELEASE: ""}],
    ids=["another project's", "another stack's", "without project", "without stack", "no release's"],
)
def test_what_is_not_a_server_group_of_this_stack_is_not_found(
    session: Session, reaper: Reaper, changes: dict[str, str]
) -> None:
    make_group(session, **changes)
    assert reaper.parts(OWNER, frozenset()) == ()


def test_a_service_that_the_stack_no_longer_has_is_found_too(session: Session, reaper: Reaper) -> None:
    make_group(session, f"old-{VERSION}", **{SERVICE: "old"})
    assert len(reaper.parts(OWNER, frozenset())) == 5


def test_alarms_of_other_names_are_not_asked_for_their_tags(session: Session, reaper: Reaper) -> None:
    make_alarm(session, "checkout", **{SERVER_GROUP: "x"})
    asked: list[str] = []
    client = session.client("cloudwatch")
    client.meta.events.register("before-call", lambda model, **_: asked.append(model.name), unique_id="asked")
    reaper.parts(OWNER, frozenset())
    client.meta.events.unregister("before-call", unique_id="asked")
    assert asked == ["DescribeAlarms"]


def test_a_loose_target_group_and_template_have_no_group(session: Session, reaper: Reaper) -> None:
    made = make_group(session)
    session.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=made[Kind.GROUP])
    loose = [part for part in reaper.parts(OWNER, frozenset()) if part.kind in (Kind.TEMPLATE, Kind.TARGET_GROUP)]
    assert [part.groups for part in loose] == [(), ()]


@pytest.mark.parametrize("machines", [0, 1])
def test_each_part_is_deleted_in_order_and_nothing_is_left(session: Session, reaper: Reaper, machines: int) -> None:
    make_group(session, machines=machines)
    parts = {part.kind: part for part in reaper.parts(OWNER, frozenset())}
    assert [reaper.delete(parts[kind]) for kind in Kind] == [""] * 5
    assert reaper.parts(OWNER, frozenset()) == ()


def test_deleting_again_what_is_gone_is_no_failure(session: Session, reaper: Reaper) -> None:
    make_group(session)
    parts = {part.kind: part for part in reaper.parts(OWNER, frozenset())}
    for kind in Kind:
        reaper.delete(parts[kind])
    assert [reaper.delete(parts[kind]) for kind in Kind] == [""] * 5


@contextmanager
def answered(session: Session, service: str, operation: str, code: str = "", answer: Any = None) -> Iterator[None]:
    def put(**_: Any) -> Any:
        if code:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
        return answer

    events, name = session.client(service).meta.events, f"before-call.{operation}"
    events.register(f"before-call.*.{operation}", put, unique_id=name)
    try:
        yield
    finally:
        events.unregister(f"before-call.*.{operation}", unique_id=name)


def test_what_aws_refuses_to_delete_is_told(session: Session, reaper: Reaper) -> None:
    make_group(session)
    (target_group,) = (part for part in reaper.parts(OWNER, frozenset()) if part.kind is Kind.TARGET_GROUP)
    with answered(session, "elbv2", "DeleteTargetGroup", "ResourceInUse"):
        assert "ResourceInUse" in reaper.delete(target_group)
    assert reaper.parts(OWNER, frozenset())


def test_only_a_group_that_was_seen_with_machines_is_deleted_with_them(session: Session, reaper: Reaper) -> None:
    """AWS refuses one that got machines since it was looked at: without force it deletes no group that has any."""
    make_group(session)
    (group,) = (part for part in reaper.parts(OWNER, frozenset()) if part.kind is Kind.GROUP)
    asked: list[str] = []
    events = session.client("autoscaling").meta.events
    events.register(
        "before-call.*.DeleteAutoScalingGroup", lambda params, **_: asked.append(params["body"]), unique_id="asked"
    )
    for machines, has_pool in ((0, False), (1, False), (0, True)):
        reaper.delete(replace(group, machines=machines, has_pool=has_pool))
    events.unregister("before-call.*.DeleteAutoScalingGroup", unique_id="asked")
    assert ["ForceDelete=true" in str(body) or "'true'" in str(body) for body in asked] == [False, True, True]


def test_units_are_no_machines(session: Session, reaper: Reaper) -> None:
    make_group(session, machines=1)

    def add(parsed: dict[str, Any], **_: Any) -> None:
        for group in parsed["AutoScalingGroups"]:
            overrides = [{"InstanceType": "t3.small", "WeightedCapacity": "4"}]
            group["MixedInstancesPolicy"] = {"LaunchTemplate": {"Overrides": overrides}}
            group["DesiredCapacity"] = 4

    events = session.client("autoscaling").meta.events
    events.register("after-call.*.DescribeAutoScalingGroups", add, unique_id="add")
    (group,) = (part for part in reaper.parts(OWNER, frozenset()) if part.kind is Kind.GROUP)
    events.unregister("after-call.*.DescribeAutoScalingGroups", unique_id="add")
    assert group.machines == 1


def test_warm_machines_are_no_machines_with_traffic_and_go_with_their_group(session: Session, reaper: Reaper) -> None:
    make_group(session)
    (group,) = (part for part in reaper.parts(OWNER, frozenset()) if part.kind is Kind.GROUP)
    session.client("autoscaling").put_warm_pool(AutoScalingGroupName=group.name, MinSize=2)
    (warm,) = (part for part in reaper.parts(OWNER, frozenset()) if part.kind is Kind.GROUP)
    assert warm == replace(group, has_pool=True)


def test_locks_in_a_bucket_are_seen(session: Session) -> None:
    s3 = session.client("s3")
    s3.create_bucket(Bucket="state")
    prefix = "team/.pulumi/locks/organization/shop/dev/"
    assert lock_objects(session, "state", prefix) == ()
    s3.put_object(Bucket="state", Key=f"{prefix}1.json", Body=b"{}")
    (lock,) = lock_objects(session, "state", prefix)
    assert lock.startswith(f"s3://state/{prefix}1.json, since ")
