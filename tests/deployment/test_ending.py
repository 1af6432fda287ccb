"""How it ended is what the load balancer says; what was done is in the ledger."""

from __future__ import annotations

import pytest

from bluegreen import deployment
from bluegreen.errors import (
    EngineError,
    LedgerError,
    RolledBack,
    WrongTraffic,
)
from bluegreen.ledger.file import FileLedger
from bluegreen.model.record import Outcome
from bluegreen.model.settings import Settings
from tests.deployment.world import LEDGER, ONE, TWO, Images, Stack, Watch, canary


def test_the_record_of_a_deployment_tells_who_how_and_where_it_ended(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CI_SYSTEM", "ours")
    monkeypatch.setenv("PULUMI_CI_BUILD_ID", "17")
    monkeypatch.setattr(Images, "serving", {stack.last_outputs["activeRelease"]["version"]: 100})
    canary(stack)
    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(bad={50}))
    good = stack.ups[-1].active.release.version
    monkeypatch.setattr(Images, "serving", None)
    deployment.rollback("dev", to=stack.ups[0].candidate.release.version, force=True)  # type: ignore[union-attr]
    first, failed, forced = (each for each in deployment.records("dev") if each.run != "watch")
    assert (first.verb, first.outcome) == ("deploy", Outcome.DONE)
    assert (failed.verb, failed.strategy, failed.outcome) == ("deploy", "canary", Outcome.ROLLED_BACK)
    assert failed.operator
    assert failed.ci_run == "17"
    assert failed.serving == {good: 100}, "as the load balancer says"
    assert "alarm is on" in failed.error
    assert (forced.verb, forced.strategy) == ("rollback", "")
    assert "was not seen healthy" in forced.forced[0], "what a person let pass"
    assert forced.outcome is Outcome.DONE


def test_a_destroy_takes_the_serial_of_what_runs(stack: Stack, watch: Watch) -> None:
    old = dict(stack.config)
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    stack.config = {key: value for key, value in old.items() if key != "fleet"}
    deployment.destroy("dev")
    assert Settings.parse(stack.config).fleet.serial == stack.last_outputs["fleet"]["serial"]


def test_a_gate_that_refuses_leaves_the_traffic_as_the_load_balancer_says_and_is_no_persons_matter(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = stack.last_outputs["activeRelease"]["version"]
    monkeypatch.setattr(Images, "serving", {active: 100})
    stack.refusing = 1
    with pytest.raises(EngineError, match=f"gives all traffic to release {active}, as before") as caught:
        deployment.deploy("dev", ami=TWO)
    assert caught.value.exit_code == 1


def test_an_update_that_failed_past_its_cutover_needs_a_person(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Images, "serving", {"22222222": 100})
    stack.refusing = 1
    with pytest.raises(EngineError, match="gives all traffic to release 22222222\\.") as caught:
        deployment.deploy("dev", ami=TWO)
    assert caught.value.exit_code == 3


def test_an_update_that_ended_well_is_not_done_where_the_load_balancer_says_otherwise(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = stack.last_outputs["activeRelease"]["version"]
    monkeypatch.setattr(Images, "serving", {active: 100})
    with pytest.raises(WrongTraffic, match=f"gives all traffic to release {active}") as caught:
        deployment.deploy("dev", ami=TWO)
    assert caught.value.exit_code == 3
    assert LEDGER.read().events[-1].evidence["outcome"] == "WrongTraffic"


def test_a_failed_watch_whose_traffic_is_back_is_a_failure_and_no_persons_matter(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "serving", {stack.last_outputs["activeRelease"]["version"]: 100})
    canary(stack)
    with pytest.raises(RolledBack) as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(bad={50}))
    assert caught.value.exit_code == 1


def test_a_ledger_that_can_not_be_written_is_known_before_anything_is_changed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LedgerError("no space left")

    monkeypatch.setattr(FileLedger, "append", full)
    with pytest.raises(LedgerError) as caught:
        deployment.deploy("dev", ami=TWO)
    assert caught.value.exit_code == 2
    assert (stack.ups, stack.config["ami"]) == ([], ONE)


def test_a_deployment_keeps_what_its_image_was_made_of_before_any_gate_has_seen_it(
    stack: Stack, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "tags", {"bluegreen:content-digest": "d" * 64}, raising=False)
    canary(stack, promotion="manual")
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    deployment.promote("dev", keep_watch=watch)
    assert {record.content_digest for record in deployment.records("dev") if record.image == TWO} == {"d" * 64}


def test_where_the_service_is_met_is_published_after_an_update(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(FileLedger, "publish", lambda _, service, values: published.append((service, dict(values))))
    deployment.deploy("dev", ami=TWO)
    assert published == [("web", {"url": "http://web"})]
