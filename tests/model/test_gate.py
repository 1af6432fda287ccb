"""The gate's rules: healthy enough is ready, curable waits, hopeless ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bluegreen.model.fleet import Capacity, Fleet
from bluegreen.model.gate import Candidate, GatePolicy, capacity_needed, capacity_wanted, judge, serving
from bluegreen.model.observation import Group, LivePool, ScalingActivity, Target
from bluegreen.model.settings import Settings
from bluegreen.model.verdict import Hopeless, Ready, Wait

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = GatePolicy(capacity=Capacity(minimum=2, maximum=6, desired=2), deadline_seconds=600)


def group(desired: int = 2, name: str = "web-new", minimum: int = 2, maximum: int = 6, running: int = 2) -> Group:
    return Group(
        name=name,
        service="web",
        minimum=minimum,
        maximum=maximum,
        desired=desired,
        target_groups=("tg",),
        instances=tuple(f"i-{number}" for number in range(running)),
    )


def targets(*states: str) -> tuple[Target, ...]:
    return tuple(Target(instance=f"i-{number}", state=state) for number, state in enumerate(states))


def failed(message: str, started: datetime = NOW) -> ScalingActivity:
    return ScalingActivity(started=started, status="Failed", description="Launching", message=message)


def verdict(candidate: Candidate) -> Ready | Wait | Hopeless:
    return judge(candidate, POLICY, since=NOW - timedelta(minutes=2))


def test_enough_healthy_targets_are_ready() -> None:
    assert verdict(Candidate(group=group(), targets=targets("healthy", "healthy"))) == Ready("2 of 2 healthy")


@pytest.mark.parametrize("other", ["initial", "unhealthy", "unused", "unavailable", "draining"])
def test_no_other_state_counts_as_healthy(other: str) -> None:
    seen = verdict(Candidate(group=group(), targets=targets("healthy", other)))
    assert isinstance(seen, Wait)
    assert seen.summary.startswith("1 of 2 healthy")


def test_what_is_warm_proves_nothing() -> None:
    own = replace(group(running=1), pool=LivePool(size=1, is_running=True))
    seen = verdict(Candidate(group=own, targets=targets("healthy", "healthy")))
    assert seen == Wait("1 of 2 healthy; 1 not launched yet")


@pytest.mark.parametrize(
    "description",
    ["Launching a new EC2 instance into warm pool", "Terminating EC2 instance from warm pool: i-9"],
)
def test_what_becomes_of_the_warm_pool_is_no_sign_of_the_candidate(description: str) -> None:
    activity = ScalingActivity(started=NOW, status="Failed", description=description, message="VcpuLimitExceeded")
    seen = verdict(Candidate(group=group(running=1), targets=targets("initial"), activities=(activity,)))
    assert seen == Wait("0 of 2 healthy; 1 initial: i-0; 1 not launched yet")


def test_a_launch_out_of_the_warm_pool_that_fails_is_one_of_the_candidate() -> None:
    description = "Launching a new EC2 instance from warm pool"
    activity = ScalingActivity(started=NOW, status="Failed", description=description, message="VcpuLimitExceeded")
    assert isinstance(verdict(Candidate(group=group(running=1), targets=(), activities=(activity,))), Hopeless)


def test_no_targets_at_all_is_not_healthy() -> None:
    assert isinstance(verdict(Candidate(group=group(running=0), targets=())), Wait)


def test_the_progress_says_why_the_others_are_not_healthy() -> None:
    sick = Target(instance="i-9", state="unhealthy", reason="Target.ResponseCodeMismatch", description="codes: [503]")
    seen = verdict(Candidate(group=group(), targets=(*targets("healthy"), sick)))
    assert seen == Wait("1 of 2 healthy; 1 unhealthy (Target.ResponseCodeMismatch, codes: [503]): i-9")


def test_the_progress_says_what_is_not_launched_yet() -> None:
    seen = verdict(Candidate(group=group(running=1), targets=targets("initial")))
    assert seen == Wait("0 of 2 healthy; 1 initial: i-0; 1 not launched yet")


def test_machines_that_are_not_registered_yet_are_starting() -> None:
    assert verdict(Candidate(group=group(), targets=())) == Wait("0 of 2 healthy; 2 starting")


def test_machines_that_crash_are_counted_with_the_cause() -> None:
    cause = "an instance was taken out of service in response to an EC2 health check"
    crash = ScalingActivity(
        started=NOW, status="Successful", description="Terminating EC2 instance: i-0", cause=f"{cause}."
    )
    seen = verdict(Candidate(group=group(running=0), targets=(), activities=(crash, crash)))
    assert seen == Wait(f"0 of 2 healthy; 2 not launched yet; 2 ended already, the last one: {cause}")


def test_machines_in_the_same_trouble_share_a_line_that_stays_short() -> None:
    seen = verdict(Candidate(group=group(running=20), targets=targets(*["unhealthy"] * 20)))
    assert seen == Wait("0 of 2 healthy; 20 unhealthy: i-0, i-1, i-2 and others")


@pytest.mark.parametrize(
    ("minimum", "live", "needed"),
    [(2, None, 2), (2, 1, 2), (2, 5, 5), (0, None, 1), (0, 0, 1), (0, 3, 3)],
)
def test_capacity_is_at_least_the_minimum_the_live_desired_and_one(minimum: int, live: int | None, needed: int) -> None:
    policy = GatePolicy(capacity=Capacity(minimum=minimum, maximum=6, desired=2), deadline_seconds=1)
    active = None if live is None else group(desired=live, name="web-old")
    assert capacity_needed(policy, active) == needed


@pytest.mark.parametrize(
    ("percentage", "live", "needed"),
    [(100, 5, 5), (50, 5, 3), (50, 4, 2), (1, 6, 2), (50, 1, 2), (34, 6, 3), (99, 6, 6)],
)
def test_a_share_of_the_capacity_is_rounded_up_and_never_below_the_minimum(
    percentage: int, live: int, needed: int
) -> None:
    policy = replace(POLICY, min_healthy_percentage=percentage)
    active = group(desired=live, name="web-old")
    assert capacity_needed(policy, active) == needed
    assert capacity_wanted(policy, active) == max(live, 2), "the candidate itself is to be as large as the active group"


def test_a_share_of_the_capacity_is_at_least_one_machine() -> None:
    policy = replace(POLICY, capacity=Capacity(minimum=0, maximum=6, desired=2), min_healthy_percentage=10)
    assert capacity_needed(policy, group(desired=0, name="web-old")) == 1


def test_the_policy_is_what_the_settings_say() -> None:
    settings = Settings.parse(
        {
            "ami": "ami-0123456789abcdef0",
            "minHealthyPercentage": "75",
            "progressDeadlineSeconds": "30",
            "smokeTests": '[{"path": "/ready"}]',
            "gateCommand": '{"command": ["./check"]}',
            "attest": '{"header": "X-Release"}',
        }
    )
    fleet = Fleet.from_settings(settings)
    policy = GatePolicy.from_settings(settings, fleet)
    assert (policy.deadline_seconds, policy.min_healthy_percentage) == (30, 75)
    assert [test.path for test in policy.proofs.smoke_tests] == ["/ready"]
    assert policy.proofs.command is not None
    assert policy.proofs.attest.header == "X-Release"
    assert policy.proofs.preview_sources == ("10.0.0.0/16",)
    assert policy.images == {fleet.active.release.version: "ami-0123456789abcdef0"}
    assert GatePolicy.from_settings(Settings.parse({"ami": settings.ami}), fleet).proofs.are_none


def test_a_candidate_smaller_than_what_the_active_group_grew_to_waits() -> None:
    grown = group(desired=4, name="web-old", running=4)
    assert isinstance(verdict(Candidate(group=group(), targets=targets("healthy", "healthy"), active=grown)), Wait)


@pytest.mark.parametrize(
    "message",
    [
        "The image id '[ami-1]' does not exist. Launching EC2 instance failed.",
        "InvalidAMIID.NotFound: ami-1",
        "You have requested more vCPU capacity than your current vCPU limit of 8 allows.",
        "VcpuLimitExceeded",
        "Client.InternalError: Client error on launch",
        "You are not authorized to perform this operation. Launching EC2 instance failed.",
        "The key pair 'x' does not exist. Launching EC2 instance failed.",
        "The security group 'sg-1' does not exist. Launching EC2 instance failed.",
        "The requested configuration is currently not supported. Please check the documentation.",
        "Invalid IAM Instance Profile name. Launching EC2 instance failed.",
        "Access denied when attempting to assume role AWSServiceRoleForAutoScaling. Validating load balancer failed.",
    ],
)
def test_what_waiting_can_not_cure_is_hopeless_and_says_what_to_do(message: str) -> None:
    seen = verdict(Candidate(group=group(running=0), targets=(), activities=(failed(message),)))
    assert isinstance(seen, Hopeless)
    assert message.rstrip(".") in seen.summary
    assert seen.next_step


@pytest.mark.parametrize(
    "message",
    [
        "We currently do not have sufficient t3.small capacity in the Availability Zone you requested (us-east-1a).",
        "InsufficientInstanceCapacity",
        "Request limit exceeded. Launching EC2 instance failed.",
        "ThrottlingException: Rate exceeded",
        "InternalError. An internal error has occurred. Launching EC2 instance failed.",
        "InsufficientFreeAddressesInSubnet: There are not enough free addresses in subnet 'subnet-1'",
        "Your requested instance type (t3.small) is not supported in your requested Availability Zone (us-east-1e).",
        "something that nobody has seen before",
    ],
)
def test_what_waiting_may_cure_waits_and_says_why(message: str) -> None:
    seen = verdict(Candidate(group=group(running=0), targets=(), activities=(failed(message),)))
    assert isinstance(seen, Wait)
    assert message.rstrip(".") in seen.summary


def test_a_failure_of_an_earlier_try_is_not_held_against_this_one() -> None:
    old = failed("VcpuLimitExceeded", started=NOW - timedelta(minutes=3))
    assert isinstance(verdict(Candidate(group=group(running=0), targets=(), activities=(old,))), Wait)


def test_enough_healthy_machines_outweigh_a_launch_that_failed() -> None:
    healthy = targets("healthy", "healthy")
    assert isinstance(
        verdict(Candidate(group=group(), targets=healthy, activities=(failed("VcpuLimitExceeded"),))), Ready
    )


def test_a_candidate_that_may_not_grow_to_what_serves_now_is_hopeless() -> None:
    active = group(desired=7, name="web-old", maximum=9, running=7)
    seen = verdict(Candidate(group=group(), targets=targets(*["healthy"] * 6), active=active))
    assert isinstance(seen, Hopeless)
    assert seen.summary == "7 machines serve now, and maxSize is 6"


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 0), (0, 6), (2, 1)])
def test_a_group_that_an_interrupted_deletion_left_at_zero_is_hopeless(minimum: int, maximum: int) -> None:
    emptied = group(desired=0, minimum=minimum, maximum=maximum, running=0)
    seen = verdict(Candidate(group=emptied, targets=()))
    assert isinstance(seen, Hopeless)
    assert "pulumi refresh" in seen.next_step


def test_who_serves_is_told_by_release_and_a_foreign_target_group_by_its_own_name() -> None:
    old, new = group(name="old", desired=3), group(name="new", desired=2)
    old, new = replace(old, release="a", target_groups=("tg-a",)), replace(new, release="b", target_groups=("tg-b",))
    seen = serving({"tg-a": 1, "tg-b": 2, "tg-theirs": 1, "tg-c": 0}, (old, new))
    assert seen.weights == {"a": 25, "b": 50, "tg-theirs": 25, "tg-c": 0}
    assert seen.capacity == {"a": 3, "b": 2}
