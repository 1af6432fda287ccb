"""Lifecycle actions and their time, without a cloud."""

from __future__ import annotations

import pytest

from sandbox.cloud.lifecycle import Ending, Hook, Wait

OVERVIEW = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html"
HOOKS = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html"
HEARTBEAT = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html"


def hook(name: str = "warm", seconds: int = 60, default: str = "ABANDON") -> Hook:
    return Hook(name, seconds, default)


@pytest.mark.documented("an action that nobody completes ends with its hook's default result", OVERVIEW)
@pytest.mark.parametrize("default", ["ABANDON", "CONTINUE"])
def test_the_default_result_holds_when_the_time_is_over(default: str) -> None:
    wait = Wait([hook(default=default)], now=0)
    assert wait.ending(59) is None
    ending = wait.ending(60)
    assert ending
    assert ending.is_abandoned == (default == "ABANDON")


def test_a_timeout_and_a_result_are_told_apart() -> None:
    late, told = Wait([hook()], now=0), Wait([hook()], now=0)
    assert told.complete("warm", None, "ABANDON")
    token = told.tokens()["warm"]
    assert told.ending(1) == Ending(
        True, f"Lifecycle Action with token {token} was abandoned: Lifecycle Action Completed with ABANDON Result"
    )
    assert (late.ending(60) or Ending(False)).why.endswith("was abandoned: Heartbeat Timeout")


@pytest.mark.documented("a heartbeat starts the time anew", HEARTBEAT)
def test_a_heartbeat_starts_the_time_anew() -> None:
    wait = Wait([hook()], now=0)
    assert wait.extend("warm", None, now=50)
    assert wait.ending(109) is None
    assert wait.ending(110)


@pytest.mark.documented("no heartbeat goes beyond 100 times the heartbeat timeout, or 48 hours", HOOKS)
def test_heartbeats_have_an_end() -> None:
    wait = Wait([hook(seconds=30)], now=0)
    for now in range(0, 3000, 20):
        assert wait.extend("warm", None, now=now)
    assert wait.ending(2999) is None
    assert wait.ending(3000)
    assert hook(seconds=7200).longest_seconds == 48 * 60 * 60


def test_an_instance_goes_on_when_all_of_its_hooks_continue() -> None:
    wait = Wait([hook("a"), hook("b")], now=0)
    assert wait.complete("a", wait.tokens()["a"], "CONTINUE")
    assert wait.ending(1) is None
    assert wait.complete("b", None, "CONTINUE")
    assert wait.ending(1) == Ending(False)


@pytest.mark.documented("one hook that abandons ends the wait of all", HOOKS)
def test_one_hook_that_abandons_ends_the_wait_of_all() -> None:
    wait = Wait([hook("a"), hook("b")], now=0)
    assert wait.complete("a", None, "ABANDON")
    assert (wait.ending(1) or Ending(False)).is_abandoned


def test_what_is_not_under_way_is_not_completed() -> None:
    wait = Wait([hook()], now=0)
    assert not wait.complete("cool", None, "CONTINUE")
    assert not wait.complete("warm", "not-its-token", "CONTINUE")
    assert wait.complete("warm", None, "CONTINUE")
    assert not wait.extend("warm", None, now=1)
