"""Every step is written down before the engine is asked for it, and nothing is skipped."""

from __future__ import annotations

import pytest

from bluegreen import deployment
from bluegreen.errors import (
    AwsError,
    EngineError,
    Interrupted,
    RolloutError,
)
from bluegreen.events import Event, StepBegan
from tests.deployment.world import LEDGER, ONE, TWO, Stack, Watch, canary


def test_each_step_is_one_up_with_a_serial_of_its_own_and_its_pause(stack: Stack, watch: Watch) -> None:
    canary(stack)
    heard: list[Event] = []
    deployment.deploy("dev", ami=TWO, keep_watch=watch, on_event=heard.append)
    assert stack.traffic == [{"1": 90, "2": 10}, {"1": 50, "2": 50}, {"2": 100}]
    assert stack.serials == [2, 3, 4]
    assert watch.seen == [(10, 60), (50, 90)]
    steps = [event for event in heard if isinstance(event, StepBegan)]
    assert [(step.number, step.count) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert [step.weights for step in steps] == [
        {group.release.version: group.weight for group in fleet.groups} for fleet in stack.ups
    ]


def test_the_config_names_the_active_releases_image_at_every_step(stack: Stack, watch: Watch) -> None:
    canary(stack, promotion="manual")
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    assert stack.config["ami"] == ONE
    deployment.promote("dev")
    assert stack.config["ami"] == TWO


def test_manual_promotion_stops_before_the_last_step(stack: Stack, watch: Watch) -> None:
    canary(stack, promotion="manual")
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    assert stack.traffic[-1] == {"1": 50, "2": 50}
    deployment.abort("dev")
    assert stack.traffic[-1] == {"1": 100}


def test_a_deploy_of_what_runs_is_one_up_that_writes_no_new_serial(stack: Stack) -> None:
    deployment.deploy("dev", ami=ONE)
    assert stack.traffic == [{"1": 100}]
    assert stack.serials == [1]


def test_after_a_refused_release_a_deploy_of_what_runs_takes_the_refused_one_back(stack: Stack) -> None:
    stack.refusing = 1
    with pytest.raises(EngineError):
        deployment.deploy("dev", ami=TWO)
    assert stack.config["ami"] == TWO
    deployment.deploy("dev", ami=ONE)
    assert stack.traffic == [{"1": 100}]
    assert stack.config["ami"] == ONE


def test_a_driver_that_died_in_the_middle_is_followed_by_one_that_watches_that_step_again(
    stack: Stack, watch: Watch
) -> None:
    canary(stack)
    with pytest.raises(SystemExit):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=SystemExit()))
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    assert stack.traffic == [{"1": 90, "2": 10}, {"1": 90, "2": 10}, {"1": 50, "2": 50}, {"2": 100}]
    assert watch.seen == [(10, 60), (50, 90)]


def test_the_releases_that_run_are_known_to_a_ledger_that_was_begun_later(stack: Stack) -> None:
    first = stack.last_outputs["activeRelease"]["version"]
    LEDGER.file.unlink()
    deployment.deploy("dev", ami=TWO)
    with pytest.raises(RolloutError, match="never took all of the traffic"):
        deployment.rollback("dev", to=first)
    deployment.rollback("dev", to=first, force=True)
    assert stack.traffic[-1] == {"1": 100}


def test_a_deploy_without_an_image_goes_on_with_the_rollout_that_was_begun(stack: Stack, watch: Watch) -> None:
    canary(stack)
    with pytest.raises(Interrupted):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=KeyboardInterrupt()))
    deployment.deploy("dev", keep_watch=watch)
    assert stack.traffic[-1] == {"2": 100}


def test_a_deploy_without_an_image_tries_the_candidate_again_that_a_gate_has_refused(
    stack: Stack, watch: Watch
) -> None:
    """A retry of the job must not end well with the old release."""
    canary(stack)
    stack.refusing = 2
    for words in ({"ami": TWO}, {}):
        with pytest.raises(EngineError):
            deployment.deploy("dev", keep_watch=watch, **words)  # type: ignore[arg-type]
    deployment.deploy("dev", keep_watch=watch)
    assert stack.traffic[-1] == {"2": 100}


def test_a_red_black_cutover_that_was_interrupted_is_watched_and_the_standby_emptied_by_the_next_deploy(
    stack: Stack, watch: Watch
) -> None:
    stack.config |= {"strategy": "redBlack"}
    with pytest.raises(Interrupted):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=KeyboardInterrupt()))
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    assert watch.seen == [(100, 600)]
    assert stack.ups[-1].standbys[0].capacity.is_zero


def test_credentials_that_end_in_a_soak_leave_the_step_where_it_is_and_say_how_to_go_on(stack: Stack) -> None:
    canary(stack)
    with pytest.raises(AwsError, match="stays at the step `10 %") as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=AwsError("ExpiredToken")))
    assert "`bluegreen deploy` goes on" in caught.value.next_step


def test_an_abort_takes_back_what_a_killed_update_was_to_begin(stack: Stack) -> None:
    canary(stack)
    stack.refusing = 1
    with pytest.raises(EngineError):
        deployment.deploy("dev", ami=TWO)
    deployment.abort("dev")
    assert stack.traffic == [{"1": 100}]
    with pytest.raises(RolloutError, match="no candidate to abort"):
        deployment.abort("dev")


def test_a_promotion_goes_on_from_what_a_killed_update_was_to_begin(stack: Stack) -> None:
    canary(stack)
    stack.refusing = 1
    with pytest.raises(EngineError):
        deployment.deploy("dev", ami=TWO)
    deployment.promote("dev")
    assert stack.traffic == [{"2": 100}]


def test_where_a_person_is_to_promote_the_same_deploy_again_does_not(stack: Stack, watch: Watch) -> None:
    canary(stack, promotion="manual")
    for _ in range(2):
        deployment.deploy("dev", ami=TWO, keep_watch=watch)
    assert [each.get("2") for each in stack.traffic] == [10, 50, 50]
