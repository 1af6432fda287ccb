"""What would go wrong is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from bluegreen import deployment
from bluegreen.errors import (
    BluegreenError,
    ImageError,
    LedgerError,
    Protected,
    RolloutError,
    SettingsError,
)
from bluegreen.events import Event, Warned
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Recorder
from bluegreen.model.history import Kind
from bluegreen.model.settings import Settings
from tests.deployment.world import LEDGER, ONE, THREE, TWO, Images, Stack, Watch, canary


def _revoke(image: str) -> None:
    evidence = {"image": image, "contentDigest": "", "why": "CVE-2026-1", "operator": "ann"}
    Recorder(ledger=LEDGER, run="revoking").record(Kind.REVOKED, evidence=evidence)


def disagree(stack: Stack, monkeypatch: pytest.MonkeyPatch, serving: dict[str, int]) -> list[Event]:
    """The ledger tells of a change of the listener that the state knows nothing of."""
    recorder = Recorder(ledger=LEDGER, run="other")
    recorder.record(Kind.CUTOVER, release="22222222", evidence={"weights": {"22222222": 100}})
    monkeypatch.setattr(Images, "serving", serving)
    return []


@pytest.mark.parametrize("verb", ["deploy", "abort", "rollback", "retire"])
def test_a_ledger_that_can_not_be_read_is_refused_before_anything_is_written(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    stack.config |= {"strategy": "redBlack"}
    deployment.deploy("dev", ami=TWO, keep_watch=Watch())
    if verb == "abort":
        canary(stack, promotion="manual")
        deployment.deploy("dev", ami=THREE, keep_watch=Watch())
    (standby,) = [group.release.version for group in stack.ups[-1].standbys]
    before = (dict(stack.config), len(stack.ups), LEDGER.file.read_text())

    def gone(*_: object) -> None:
        raise LedgerError("no answer")

    monkeypatch.setattr(FileLedger, "read", gone)
    verbs: dict[str, Callable[[], object]] = {
        "deploy": lambda: deployment.deploy("dev", ami=THREE),
        "abort": lambda: deployment.abort("dev"),
        "rollback": lambda: deployment.rollback("dev"),
        "retire": lambda: deployment.retire("dev", [standby]),
    }
    with pytest.raises(LedgerError, match="no answer"):
        verbs[verb]()
    assert (dict(stack.config), len(stack.ups), LEDGER.file.read_text()) == before


def test_a_rollback_whose_image_is_gone_is_refused_before_anything_is_changed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.deploy("dev", ami=TWO)
    monkeypatch.setattr(Images, "gone", frozenset({ONE}))
    with pytest.raises(RolloutError, match=f"{ONE} of release .* is gone"):
        deployment.rollback("dev")
    assert stack.traffic == [{"2": 100}]


def test_credentials_that_end_before_the_soaks_do_are_refused_before_anything_is_changed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary(stack)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", datetime.now(UTC).isoformat())
    with pytest.raises(BluegreenError, match="the credentials end in 0 s"):
        deployment.deploy("dev", ami=TWO)
    assert stack.ups == []
    assert stack.config["ami"] == ONE


@pytest.mark.parametrize("kept", [0, 600])
def test_credentials_have_to_last_while_connections_are_kept(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(Settings, "kept_seconds", kept)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", datetime.now(UTC).isoformat())
    if kept:
        with pytest.raises(BluegreenError, match="the credentials end in 0 s"):
            deployment.deploy("dev", ami=TWO)
    else:
        deployment.deploy("dev", ami=TWO)
    assert len(stack.ups) == (not kept)


@pytest.mark.parametrize("verb", [deployment.promote, deployment.abort, deployment.rollback])
def test_where_nothing_is_deployed_there_is_nothing_to_do(stack: Stack, verb: Callable[..., Any]) -> None:
    stack.last_outputs = {}
    with pytest.raises(RolloutError, match="nothing is deployed in dev"):
        verb("dev")


def test_a_config_with_faults_is_refused_before_the_engine_is_asked(stack: Stack) -> None:
    stack.config["port"] = "0"
    with pytest.raises(SettingsError, match="bluegreen:port"):
        deployment.deploy("dev", ami=TWO)
    assert stack.ups == []


def test_what_is_refused_before_anything_is_begun_is_wrong_input(stack: Stack) -> None:
    stack.config["port"] = "0"
    with pytest.raises(SettingsError) as caught:
        deployment.deploy("dev", ami=TWO)
    assert caught.value.exit_code == 2


def test_a_stack_whose_load_balancer_is_protected_is_refused_before_anything_is_destroyed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "protected", ("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/web/1",))
    monkeypatch.setattr(Stack, "destroy", lambda *_: pytest.fail("the engine was asked"))
    with pytest.raises(Protected, match="protected against deletion"):
        deployment.destroy("dev")


def test_a_revoked_image_is_refused_before_anything_is_written(stack: Stack) -> None:
    _revoke(TWO)
    before = dict(stack.config)
    with pytest.raises(ImageError, match=f"{TWO} was revoked by ann"):
        deployment.deploy("dev", ami=TWO)
    assert (stack.ups, stack.config) == ([], before)


def test_a_revoked_image_that_runs_stays_and_its_stack_can_be_changed(stack: Stack) -> None:
    _revoke(ONE)
    stack.config["maxSize"] = "9"
    deployment.deploy("dev")
    assert stack.traffic == [{"1": 100}]


def test_a_rollback_to_a_revoked_image_is_refused_unless_forced(stack: Stack) -> None:
    deployment.deploy("dev", ami=TWO)
    _revoke(ONE)
    stack.ups.clear()
    with pytest.raises(RolloutError, match=f"{ONE} of release .* was revoked by ann") as caught:
        deployment.rollback("dev")
    assert "--force" in caught.value.next_step
    assert stack.ups == []
    deployment.rollback("dev", force=True)
    assert stack.traffic == [{"1": 100}]


def test_what_a_destroy_would_take_is_counted_by_type_without_what_only_pulumi_knows(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = "bluegreen:index:Service$"
    urns = [
        "urn:pulumi:dev::bluegreen::pulumi:pulumi:Stack::bluegreen-dev",
        "urn:pulumi:dev::bluegreen::bluegreen:index:Service::web",
        f"urn:pulumi:dev::bluegreen::{service}aws:lb/listener:Listener::web-production",
        f"urn:pulumi:dev::bluegreen::{service}aws:lb/listener:Listener::web-preview",
    ]
    resources = [{"urn": urn, "type": "x"} for urn in urns]
    monkeypatch.setattr(
        Stack, "export_stack", lambda _: SimpleNamespace(deployment={"resources": resources}), raising=False
    )
    assert deployment.standing("dev") == {"aws:lb/listener:Listener": 2}


def test_a_copy_of_a_revoked_content_is_refused_before_anything_is_written(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "tags", {"bluegreen:content-digest": "d" * 64}, raising=False)
    evidence = {"image": "ami-00000099", "contentDigest": "d" * 64, "why": "CVE-2026-1", "operator": "ann"}
    Recorder(ledger=LEDGER, run="revoking").record(Kind.REVOKED, evidence=evidence)
    with pytest.raises(ImageError, match=f"{TWO} was revoked by ann"):
        deployment.deploy("dev", ami=TWO)
    assert (stack.ups, stack.config["ami"]) == ([], ONE)


def test_a_ledger_that_disagrees_with_the_state_is_told_and_holds_nothing_up_where_going_on_mends_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = stack.last_outputs["activeRelease"]["version"]
    heard = disagree(stack, monkeypatch, {active: 100})
    deployment.deploy("dev", on_event=heard.append)
    (warning,) = (event.text for event in heard if isinstance(event, Warned))
    assert "the ledger says that release 22222222 has all traffic" in warning
    assert "the ledger is behind" in warning


def test_where_the_load_balancer_bears_out_neither_ledger_nor_state_nothing_is_begun_unless_forced(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    disagree(stack, monkeypatch, {"33333333": 100})
    with pytest.raises(RolloutError, match="the load balancer does neither") as caught:
        deployment.deploy("dev", ami=TWO)
    assert "pulumi refresh" in caught.value.next_step
    assert (stack.ups, stack.config["ami"]) == ([], ONE)
    monkeypatch.setattr(Images, "serving", None)
    deployment.deploy("dev", ami=TWO, force=True)
    assert stack.traffic == [{"2": 100}]


def test_a_config_for_another_region_is_refused_before_anything_is_asked_there(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_group = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/1"
    stack.last_outputs["serverGroups"] = [{"targetGroup": target_group}]
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(RolloutError, match="dev runs in eu-west-1, and its config and environment now say us-east-1"):
        deployment.deploy("dev", ami=TWO)
    assert (stack.ups, stack.config["ami"]) == ([], ONE)
