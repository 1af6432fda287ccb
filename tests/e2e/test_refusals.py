"""What gate and guard refuse: the traffic is unharmed, nothing is lost, and a later `up` goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.load import Load
from tests.e2e.project import IN_THE_GATE, Project

SHORT = 10  # seconds: enough for two health checks, so that the reason names their answer
LONG = 300
NO_CAPACITY = "We currently do not have sufficient t3.small capacity"


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic."""
    first = project.up(ami=project.image("1"))
    assert first.code == 0, first.output
    return project


@pytest.fixture
def load(served: Project) -> Iterator[Load]:
    with Load(served.outputs["url"], per_second=20) as it:
        yield it
    assert not it.failures, it.failures[:3]


def test_a_broken_release_is_refused_by_its_reason_and_the_next_up_with_the_old_image_removes_it(
    served: Project, load: Load
) -> None:
    before = served.outputs
    (active,) = served.groups()

    broken = served.up(ami=served.image("broken", BROKEN="1"), progress_deadline_seconds=SHORT)

    assert broken.code != 0
    assert broken.has_no_traceback, broken.output
    assert "Health checks failed with these codes: [503]" in broken.output
    candidate = next(name for name in served.groups() if name != active)
    assert f"{candidate}: 0 of 2 healthy" in broken.output
    assert f"The traffic stays on {active}" in broken.output
    assert served.outputs == before, "the outputs name the release that takes the traffic"
    assert served.groups_in_the_state == {active, candidate}, "the next `up` must know of the candidate"
    assert not broken.done("delete")

    back = served.up(ami=served.image("1"), progress_deadline_seconds=LONG)
    assert back.code == 0, back.output
    assert "create" not in back.changes
    assert set(served.groups()) == {active} == served.groups_in_the_state
    assert {answer.release for answer in load.answers} == {served.release}


def test_the_candidate_grows_with_the_active_group_before_it_takes_the_traffic(served: Project, load: Load) -> None:
    (active,) = served.groups()
    autoscaling, slow = served.aws("autoscaling"), served.image("2", SLOW_START="2.5")
    update = served.begin_up(ami=slow).wait_for(IN_THE_GATE)
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=active, DesiredCapacity=4)
    done = update.finish()
    assert done.code == 0, done.output
    assert done.writes.count("SetDesiredCapacity") == 1
    assert done.last("SetDesiredCapacity").ended < done.last("ModifyListener").began
    assert "4 of 4 healthy: passed" in done.output
    (group,) = served.groups().values()
    assert (group["DesiredCapacity"], len(served.healthy(slow))) == (4, 4)


def test_a_launch_that_is_hopeless_fails_fast_and_one_that_lacks_capacity_is_waited_for(
    served: Project, load: Load
) -> None:
    (active,) = served.groups()
    gone = served.image("gone")
    served.allow_launches(0)
    update = served.begin_up(ami=gone).wait_for(NO_CAPACITY)
    served.aws("ec2").deregister_image(ImageId=gone)
    hopeless = update.finish()
    assert hopeless.code != 0
    assert hopeless.seconds < LONG / 4
    assert hopeless.has_no_traceback, hopeless.output
    assert f"can't launch: The image id '[{gone}]' does not exist" in hopeless.output
    assert f"The traffic stays on {active}" in hopeless.output

    update = served.begin_up(ami=served.image("3")).wait_for(NO_CAPACITY)
    served.allow_launches(None)
    cured = update.finish()
    assert cured.code == 0, cured.output
    assert cured.done("delete")["delete", "Group"] == 2, "the old one, and the one that never launched"
    (group,) = served.groups()
    assert served.groups_in_the_state == {group}
    assert served.ask()["app"] == "3"


def test_an_old_group_that_a_foreign_rule_still_uses_stays_whole_until_the_rule_is_gone(served: Project) -> None:
    (old,) = served.groups()
    elbv2, autoscaling = served.aws("elbv2"), served.aws("autoscaling")
    policies = autoscaling.describe_policies(AutoScalingGroupName=old)["ScalingPolicies"]
    assert len(policies) == 1
    listener = next(
        each["ListenerArn"]
        for balancer in elbv2.describe_load_balancers()["LoadBalancers"]
        for each in elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        if each["Port"] == 8080
    )
    (target_group,) = served.groups()[old]["TargetGroupARNs"]
    rule = elbv2.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/slow"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": target_group}],
    )["Rules"][0]["RuleArn"]

    with Load(served.outputs["url"], per_second=50, slow_every=10) as load:
        kept = served.up(ami=served.image("4"))

        assert kept.code != 0
        assert kept.has_no_traceback, kept.output
        assert f"{old} still takes traffic: the listener on port 8080 forwards to it" in kept.output
        assert listener in kept.output
        assert served.ask()["app"] == "4", "the traffic has moved"
        assert old in served.groups_in_the_state
        whole = served.groups()[old]
        assert (whole["MinSize"], whole["DesiredCapacity"], len(whole["Instances"])) == (2, 4, 4)
        assert autoscaling.describe_policies(AutoScalingGroupName=old)["ScalingPolicies"] == policies
        assert len(served.healthy(served.image("3"))) == 4

        elbv2.delete_rule(RuleArn=rule)
        finished = served.up()
    assert finished.code == 0, finished.output
    assert old not in served.groups()
    assert served.groups_in_the_state == set(served.groups())
    assert not load.failures, load.failures[:3]
