"""Two deployments of a stack never interleave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen import deployment
from bluegreen import stack as stack_module
from bluegreen.checks.watch import Shift
from bluegreen.errors import (
    BluegreenError,
    EngineError,
    LeaseHeld,
    LeaseLost,
    RolloutError,
)
from bluegreen.model.attest import Attest
from bluegreen.model.history import Kind
from bluegreen.model.soak import SoakPolicy
from tests.deployment.world import LEDGER, THREE, TWO, Stack, Watch, canary


def test_nobody_else_acts_on_a_stack_while_a_rollout_waits_between_two_steps(stack: Stack, watch: Watch) -> None:
    canary(stack)
    refused: list[BluegreenError] = []

    def promoted_by_another(shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        with pytest.raises(LeaseHeld, match=r"the stack is being changed by .*: deploy") as caught:
            deployment.promote("dev", keep_watch=watch)
        refused.append(caught.value)

    deployment.deploy("dev", ami=TWO, keep_watch=promoted_by_another)
    assert stack.traffic == [{"1": 90, "2": 10}, {"1": 50, "2": 50}, {"2": 100}]
    assert {error.exit_code for error in refused} == {3}


def test_a_rollout_whose_lease_was_taken_by_force_does_nothing_more(stack: Stack, watch: Watch) -> None:
    canary(stack)

    def promoted_by_another(shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        deployment.promote("dev", keep_watch=watch, force=True)

    with pytest.raises(LeaseLost, match="another deployment has taken the stack over") as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=promoted_by_another)
    assert stack.traffic[-1] == {"2": 100}
    assert caught.value.exit_code == 3
    kinds = [event.kind for event in LEDGER.read().events]
    assert Kind.TAKEN_OVER in kinds


def test_a_plain_up_between_two_steps_ends_the_rollout(stack: Stack) -> None:
    canary(stack)

    def by_hand(shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        stack.config["fleet"] = json.dumps({**json.loads(stack.config["fleet"]), "serial": 99})

    with pytest.raises(RolloutError, match="somebody else has changed the fleet"):
        deployment.deploy("dev", ami=TWO, keep_watch=by_hand)
    assert stack.traffic == [{"1": 90, "2": 10}]


def test_what_somebody_else_ended_while_the_stack_was_read_is_not_overwritten(
    stack: Stack, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack was read before its lease was taken."""
    canary(stack)
    read = stack_module.Stack.tell_differences

    def then_another(made: stack_module.Stack) -> None:
        monkeypatch.setattr(stack_module.Stack, "tell_differences", read)
        deployment.deploy("dev", ami=THREE, keep_watch=watch)

    monkeypatch.setattr(stack_module.Stack, "tell_differences", then_another)
    with pytest.raises(RolloutError, match="somebody else has changed the fleet"):
        deployment.deploy("dev", ami=TWO, keep_watch=watch)
    assert stack.traffic[-1] == {"3": 100}


def test_a_destroy_holds_the_lease_also_of_a_stack_whose_first_update_failed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.last_outputs = {}
    holders: list[object] = []

    def destroy(made: Stack, **_: Any) -> None:
        holders.append(LEDGER.lease().holder)
        made.fail("error: DependencyViolation")

    monkeypatch.setattr(Stack, "destroy", destroy)
    with pytest.raises(EngineError) as caught:
        deployment.destroy("dev")
    assert holders != [None]
    assert caught.value.exit_code != 2, "something was changed"
    assert [event.kind for event in LEDGER.read().events][-2:] == [Kind.BEGAN, Kind.ENDED]


def test_a_forced_destroy_takes_the_lease_over(stack: Stack) -> None:
    canary(stack)
    with pytest.raises(LeaseLost):
        deployment.deploy("dev", ami=TWO, keep_watch=lambda *_: deployment.destroy("dev", force=True) and None)
