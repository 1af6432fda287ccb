"""The traffic gets back from a bad release, whatever fails beside it, and to none that is in doubt."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bluegreen import deployment
from bluegreen.checks.watch import Shift
from bluegreen.errors import (
    AwsError,
    EngineError,
    Interrupted,
    LedgerError,
    RolledBack,
    RolloutError,
    WatchFailed,
)
from bluegreen.events import Event, Line, RollbackPlanned
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Recorder
from bluegreen.model.attest import Attest
from bluegreen.model.history import Kind
from bluegreen.model.soak import SoakPolicy
from tests.deployment.world import LEDGER, ONE, THREE, TWO, Images, Stack, Watch, canary


def test_a_rollback_goes_to_the_newest_standby_or_to_the_one_that_is_named(stack: Stack, watch: Watch) -> None:
    stack.config |= {"strategy": "redBlack", "maxRemainingGroups": "3"}
    first = stack.last_outputs["activeRelease"]["version"]
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    deployment.deploy("dev", ami=THREE, keep_watch=watch)
    deployment.rollback("dev", to=first)
    assert stack.traffic[-1] == {"1": 100, "2": 0}


def test_a_rollback_that_is_asked_for_twice_goes_no_further_back(stack: Stack, watch: Watch) -> None:
    """A retry of a job must not take the service to the release before last."""
    deployment.deploy("dev", ami=TWO)
    deployment.deploy("dev", ami=THREE)
    deployment.rollback("dev")
    assert stack.traffic[-1] == {"2": 100}
    with pytest.raises(RolloutError, match="has the traffic since the rollback") as caught:
        deployment.rollback("dev")
    assert "--to VERSION" in caught.value.next_step
    assert stack.traffic[-1] == {"2": 100}


def test_a_rollback_that_did_not_end_goes_on_to_where_it_was_to_go(stack: Stack) -> None:
    deployment.deploy("dev", ami=TWO)
    deployment.deploy("dev", ami=THREE)
    stack.refusing = 1
    with pytest.raises(EngineError):
        deployment.rollback("dev")
    deployment.rollback("dev")
    assert stack.traffic[-1] == {"2": 100}


def test_a_rollback_after_an_update_that_was_killed_past_the_cutover_goes_to_what_ran_before(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs come at the end of an update: they still name the old release. The load balancer has the last word."""
    deployment.deploy("dev", ami=TWO)
    monkeypatch.setattr(Images, "live", "33333333")  # by a plain `pulumi up`
    deployment.rollback("dev")
    assert stack.traffic[-1] == {"2": 100}


def test_a_ledger_that_ends_earlier_does_not_make_a_rollback_stay_where_it_is(stack: Stack) -> None:
    deployment.deploy("dev", ami=TWO)
    whole = LEDGER.file.read_text()
    deployment.deploy("dev", ami=THREE)
    LEDGER.file.write_text(whole)
    deployment.rollback("dev")
    assert stack.traffic[-1] == {"2": 100}


def test_a_rollback_that_goes_on_leaves_the_release_it_was_to_leave_in_doubt_and_not_its_target(stack: Stack) -> None:
    deployment.deploy("dev", ami=TWO)
    deployment.deploy("dev", ami=THREE)
    stack.refusing = 1
    with pytest.raises(EngineError):
        deployment.rollback("dev")
    deployment.rollback("dev")
    deployment.deploy("dev", ami="ami-00000004")
    deployment.rollback("dev")
    assert stack.traffic[-1] == {"2": 100}, "not 3, which was given up"


def test_a_rollback_after_a_plain_up_that_the_gate_refused_stays_with_what_has_the_traffic(stack: Stack) -> None:
    deployment.deploy("dev", ami=TWO)
    recorder = Recorder(ledger=LEDGER, run="plain")
    recorder.record(Kind.GATE_FAILED, release="33333333")
    deployment.rollback("dev")
    assert stack.traffic[-1] == {"2": 100}


def test_a_ledger_that_can_not_be_written_does_not_hold_the_traffic_back_with_a_bad_release(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary(stack)
    heard: list[Event] = []

    def full(*_: object) -> None:
        raise LedgerError("no space left")

    def bad(shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        monkeypatch.setattr(FileLedger, "append", full)
        monkeypatch.setattr(Stack, "hooks", lambda *_: None)
        raise WatchFailed("soak: alarm is on")

    with pytest.raises(RolledBack, match="alarm is on"):
        deployment.deploy("dev", ami=TWO, keep_watch=bad, on_event=heard.append)
    assert stack.traffic[-1] == {"1": 100}
    assert any(isinstance(each, Line) and "not in the ledger" in each.text for each in heard)


def test_a_canary_is_not_opened_while_the_way_back_from_a_bad_release_still_stands(stack: Stack) -> None:
    stack.config["autoRollback"] = "false"
    stack.bad = {TWO}
    with pytest.raises(WatchFailed):
        deployment.deploy("dev", ami=TWO)
    canary(stack)
    with pytest.raises(RolloutError, match="may still stand"):
        deployment.deploy("dev", ami=THREE)
    deployment.rollback("dev")
    assert stack.traffic[-1] == {"1": 100}


def test_a_soak_that_fails_in_a_deploy_of_what_runs_already_takes_the_traffic_back_too(stack: Stack) -> None:
    deployment.deploy("dev", ami=TWO)
    stack.bad = {TWO}
    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO)
    assert stack.traffic[-1] == {"1": 100}


def test_a_failed_soak_of_a_canary_brings_the_traffic_back_in_one_update_and_the_ledger_tells_it(stack: Stack) -> None:
    canary(stack)
    with pytest.raises(RolledBack, match=r"was rolled back: soak: .* alarm is on"):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(bad={50}))
    assert stack.traffic == [{"1": 90, "2": 10}, {"1": 50, "2": 50}, {"1": 100}]
    assert stack.config["ami"] == ONE
    kinds = [event.kind for event in LEDGER.read().events]
    assert kinds[-3:] == [Kind.ROLLED_BACK, Kind.ENDED, Kind.ENDED]
    assert LEDGER.read().events[-1].evidence["outcome"] == "RolledBack"


def test_a_failed_soak_in_the_guard_brings_the_traffic_back_too(stack: Stack) -> None:
    stack.bad = {TWO}
    with pytest.raises(RolledBack, match="alarm is on"):
        deployment.deploy("dev", ami=TWO)
    assert stack.traffic == [{"2": 100}, {"1": 100}]
    assert stack.proven[-1] == (stack.last_outputs["activeRelease"]["version"],), "no soak on the way back"


def test_a_failed_soak_of_red_black_gives_the_traffic_back_to_the_standby(stack: Stack) -> None:
    stack.config |= {"strategy": "redBlack"}
    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(bad={100}))
    assert stack.traffic == [{"2": 100, "1": 0}, {"1": 100}]


def test_without_auto_rollback_a_failed_soak_leaves_the_traffic_where_it_is_and_says_what_to_do(stack: Stack) -> None:
    canary(stack, autoRollback="false")
    with pytest.raises(WatchFailed, match="stays as it is") as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(bad={10}))
    assert "bluegreen rollback" in caught.value.next_step
    assert stack.traffic == [{"1": 90, "2": 10}]


def test_a_gate_that_refuses_is_no_failed_soak_and_nothing_is_taken_back(stack: Stack) -> None:
    stack.refusing = 1
    with pytest.raises(EngineError):
        deployment.deploy("dev", ami=TWO)
    assert stack.ups == []


def test_a_rollback_that_fails_says_both_what_happened_and_what_to_do(stack: Stack) -> None:
    canary(stack)

    def bad(shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        stack.refusing = 1
        raise WatchFailed("soak: alarm is on")

    with pytest.raises(
        RolloutError, match=r"(?s)alarm is on\n.*rollback to release .* did not end.*was not moved back"
    ) as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=bad)
    assert "bluegreen rollback" in caught.value.next_step


def test_a_rollback_without_a_standby_deploys_the_release_before_from_its_record_and_not_from_todays_settings(
    stack: Stack,
) -> None:
    before = stack.last_outputs["activeRelease"]
    deployment.deploy("dev", ami=TWO)
    stack.config["port"] = "9090"
    heard: list[Event] = []
    deployment.rollback("dev", on_event=heard.append)
    assert stack.last_outputs["activeRelease"] == before
    plans = [event for event in heard if isinstance(event, RollbackPlanned)]
    assert [(plan.way, plan.last_seconds) for plan in plans] == [("redeploy", None)]
    deployment.rollback("dev", to=stack.ups[0].active.release.version, force=True, on_event=heard.append)
    plans = [event for event in heard if isinstance(event, RollbackPlanned)]
    assert plans[-1].last_seconds is not None, "it tells how long it took last time"


def test_a_rollback_goes_only_to_a_release_that_the_ledger_saw_healthy_unless_forced(stack: Stack) -> None:
    stack.bad = {TWO}
    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO)
    bad = stack.ups[0].active.release.version
    ups = len(stack.ups)
    with pytest.raises(RolloutError, match=f"release {bad} was not seen healthy: soak failed") as caught:
        deployment.rollback("dev", to=bad)
    assert "--force" in caught.value.next_step
    assert len(stack.ups) == ups
    deployment.rollback("dev", to=bad, force=True)
    assert stack.traffic[-1] == {"2": 100}


def test_a_rollback_to_a_release_that_nobody_knows_names_those_that_are_known(stack: Stack) -> None:
    with pytest.raises(RolloutError, match=stack.last_outputs["activeRelease"]["version"]):
        deployment.rollback("dev", to="00000000")


def test_a_rollback_to_an_image_that_does_not_suit_the_database_is_refused_unless_forced(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.deploy("dev", ami=TWO)
    monkeypatch.setattr(Images, "ranges", {ONE: "11-12", TWO: "13-"})
    with pytest.raises(RolloutError, match="no schema suits both"):
        deployment.rollback("dev")
    recorder = Recorder(ledger=LEDGER, run="x", now=lambda: datetime.now(UTC))
    recorder.record(Kind.MIGRATED, release="x", evidence={"schema": 13})
    with pytest.raises(RolloutError, match="the database has schema 13"):
        deployment.rollback("dev")
    deployment.rollback("dev", force=True)
    assert stack.environment["BLUEGREEN_FORCE"] == "true"
    assert stack.traffic[-1] == {"1": 100}


def test_a_rollout_that_went_on_from_a_step_and_was_rolled_back_is_a_failure_and_no_persons_matter(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary(stack)
    with pytest.raises(Interrupted):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=KeyboardInterrupt()))

    def shares(_sight: Images, _groups: object) -> dict[str, int]:
        return {group.release.version: group.weight for group in stack.ups[-1].groups if group.weight}

    monkeypatch.setattr(Images, "shares", shares)
    with pytest.raises(RolledBack) as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(bad={50}))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("broken", [("lease", "swap_lease"), ("lease", "swap_lease", "read", "append")])
def test_a_ledger_that_is_gone_when_a_watch_fails_does_not_keep_the_traffic_with_the_bad_release(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...]
) -> None:
    canary(stack)

    def gone(*_: object) -> None:
        raise LedgerError("no answer")

    def bad(shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        for name in broken:
            monkeypatch.setattr(FileLedger, name, gone)
        monkeypatch.setattr(Stack, "hooks", lambda *_: None)
        raise WatchFailed("soak: alarm is on")

    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO, keep_watch=bad)
    assert stack.traffic[-1] == {"1": 100}


def test_aws_that_can_not_be_asked_for_the_way_back_does_not_hold_it_up(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.bad = {TWO}
    up = Stack.up

    def throttled(*_: object) -> None:
        raise AwsError("Throttling")

    def then_throttled(made: Stack, **options: Any) -> Any:
        monkeypatch.setattr(Images, "groups", throttled)
        return up(made, **options)

    monkeypatch.setattr(Stack, "up", then_throttled)
    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO)
    assert stack.traffic[-1] == {"1": 100}


def test_a_forced_rollback_to_a_standby_needs_no_ledger(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.config |= {"strategy": "redBlack"}
    deployment.deploy("dev", ami=TWO, keep_watch=Watch())

    def gone(*_: object) -> None:
        raise LedgerError("no answer")

    for name in ("lease", "swap_lease", "read", "append"):
        monkeypatch.setattr(FileLedger, name, gone)
    monkeypatch.setattr(Stack, "hooks", lambda *_: None)
    with pytest.raises(LedgerError):
        deployment.rollback("dev")
    heard: list[Event] = []
    deployment.rollback("dev", force=True, on_event=heard.append)
    assert stack.traffic[-1] == {"1": 100}
    assert any(isinstance(each, Line) and "going on without the stack's lease" in each.text for each in heard)
