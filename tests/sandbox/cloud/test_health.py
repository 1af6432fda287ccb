"""Target health as DescribeTargetHealth shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox.cloud.health import CHECKING, FAILED, HEALTHY, REGISTERING, Target, mismatch
from sandbox.cloud.routing import Check, Member
from tests.sandbox.cloud.backend import PORT, Backend
from tests.sandbox.cloud.world import Aws, eventually, get


@pytest.fixture
def backend() -> Iterator[Backend]:
    it = Backend("a")
    yield it
    it.close()


@pytest.fixture
def registered(aws: Aws) -> Callable[..., str]:
    def register(backend: Backend, **settings: object) -> str:
        arn = aws.target_group(TargetType="ip", Port=PORT, **settings)
        aws.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": backend.address, "Port": PORT}])
        return arn

    return register


@pytest.mark.documented(
    "a target is unused until a listener names its group",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_a_target_is_unused_until_a_listener_names_its_group(
    aws: Aws, backend: Backend, registered: Callable[..., str]
) -> None:
    arn = registered(backend)
    assert aws.health(arn) == {backend.address: ("unused", "Target.NotInUse")}
    listener = aws.listener(aws.balancer(), arn)
    eventually(lambda: aws.states(arn) == ["healthy"])
    aws.elb.delete_listener(ListenerArn=listener)
    assert aws.health(arn) == {backend.address: ("unused", "Target.NotInUse")}


@pytest.mark.documented(
    "a rule puts a target group to use as well",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_a_rule_puts_a_group_to_use_as_well(aws: Aws, backend: Backend, registered: Callable[..., str]) -> None:
    arn = registered(backend)
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    aws.elb.create_rule(
        ListenerArn=aws.listener(aws.balancer(), fixed),
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/x"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": arn}],
    )
    eventually(lambda: aws.states(arn) == ["healthy"])


@pytest.mark.documented(
    "an unhealthy target has a reason and a description",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_a_failing_target_says_why_and_recovers(aws: Aws, backend: Backend, registered: Callable[..., str]) -> None:
    arn = registered(backend)
    aws.listener(aws.balancer(), arn)
    eventually(lambda: aws.states(arn) == ["healthy"])
    backend.is_healthy = False
    eventually(lambda: aws.health(arn)[backend.address] == ("unhealthy", "Target.ResponseCodeMismatch"))
    (found,) = aws.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert found["TargetHealth"]["Description"] == "Health checks failed with these codes: [503]"
    assert found["HealthCheckPort"] == str(PORT)
    backend.is_healthy = True
    eventually(lambda: aws.states(arn) == ["healthy"])


@pytest.mark.documented(
    "a target is initial until its first checks are done",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_a_target_that_nobody_listens_at_fails_its_checks(
    aws: Aws, backend: Backend, registered: Callable[..., str]
) -> None:
    arn = registered(backend)
    backend.close()
    aws.listener(aws.balancer(), arn)
    assert aws.health(arn)[backend.address][0] == "initial"
    eventually(lambda: aws.health(arn)[backend.address] == ("unhealthy", "Target.FailedHealthChecks"))


@pytest.mark.documented(
    "Target.Timeout when a check is answered too late",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_a_target_that_answers_too_late_times_out(aws: Aws, backend: Backend, registered: Callable[..., str]) -> None:
    arn = registered(backend, HealthCheckPath="/wait")
    aws.listener(aws.balancer(), arn)
    eventually(lambda: aws.health(arn)[backend.address] == ("unhealthy", "Target.Timeout"))


@pytest.mark.documented(
    "a group in which no target is healthy gets its requests all the same: it fails open",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_the_load_balancer_fails_open_when_all_targets_are_unhealthy(
    aws: Aws, backend: Backend, registered: Callable[..., str]
) -> None:
    backend.is_healthy = False
    arn = registered(backend)
    balancer = aws.balancer()
    aws.listener(balancer, arn)
    eventually(lambda: aws.states(arn) == ["unhealthy"])
    assert get(aws.address(balancer), "/who") == (200, "a")


@pytest.mark.documented(
    "a deregistered target is shown as draining for the whole delay",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html",
)
def test_a_deregistered_target_drains_for_the_whole_delay(
    aws: Aws, backend: Backend, registered: Callable[..., str]
) -> None:
    arn = registered(backend)
    aws.listener(aws.balancer(), arn)
    eventually(lambda: aws.states(arn) == ["healthy"])
    aws.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": backend.address, "Port": PORT}])
    assert aws.health(arn) == {backend.address: ("draining", "Target.DeregistrationInProgress")}
    eventually(lambda: aws.health(arn) == {})
    asked = aws.elb.describe_target_health(TargetGroupArn=arn, Targets=[{"Id": backend.address, "Port": PORT}])
    assert asked["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.NotRegistered"


def a_target() -> Target:
    target = Target(Member("i-1", 80, "127.0.0.1"))
    target.begin_checks()
    return target


CHECK = Check(healthy_threshold=3, unhealthy_threshold=2)


@pytest.mark.documented(
    "a new target is healthy after one good check, whatever the threshold",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_a_new_target_is_healthy_after_one_good_check() -> None:
    target = a_target()
    assert target.health is REGISTERING
    target.record(HEALTHY, CHECK)
    assert target.health is HEALTHY


def test_a_new_target_that_fails_once_is_still_being_checked() -> None:
    target = a_target()
    target.record(FAILED, CHECK)
    assert target.health is CHECKING
    target.record(HEALTHY, CHECK)
    assert target.health is HEALTHY


@pytest.mark.documented(
    "thresholds count consecutive checks, both ways",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_thresholds_count_consecutive_checks_both_ways() -> None:
    target = a_target()
    for outcome in (HEALTHY, FAILED, HEALTHY, FAILED):
        target.record(outcome, CHECK)
    assert target.health is HEALTHY
    target.record(mismatch(500), CHECK)
    assert target.health.description == "Health checks failed with these codes: [500]"
    for outcome in (HEALTHY, HEALTHY, FAILED, HEALTHY, HEALTHY):
        target.record(outcome, CHECK)
        assert target.health.state == "unhealthy"
    target.record(HEALTHY, CHECK)
    assert target.health is HEALTHY


@pytest.mark.documented(
    "a matcher has values, lists and ranges",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def test_a_matcher_knows_lists_and_ranges() -> None:
    check = Check(matcher="200,202,300-399")
    assert [status for status in (200, 201, 202, 299, 300, 399, 400) if check.accepts(status)] == [200, 202, 300, 399]
