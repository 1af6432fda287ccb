"""A deployment starts from the stack's last update, and not from whatever the checkout holds."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from pulumi import automation as auto

from bluegreen import deployment
from bluegreen import plan as plan_module
from bluegreen.errors import (
    RolloutError,
    SettingsError,
)
from bluegreen.events import ConfigDiffers, Event
from bluegreen.model.fleet import Fleet
from bluegreen.model.launchable import Finding, Standing, Subject
from bluegreen.model.settings import Settings
from bluegreen.plan import PlannedResources
from tests.deployment.world import ONE, THREE, TWO, Stack, Watch, canary


def test_a_checkout_of_last_week_does_not_bring_last_weeks_fleet_back(stack: Stack, watch: Watch) -> None:
    stack.config |= {"strategy": "redBlack"}
    last_week = dict(stack.config)
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    stack.config = last_week
    deployment.deploy("dev", ami=THREE, keep_watch=watch)
    assert stack.traffic[-1] == {"3": 100, "2": 0}
    assert stack.serials == sorted(set(stack.serials)), "each is newer than the one before"


def test_last_weeks_checkout_neither_deploys_its_image_nor_promotes_its_candidate(stack: Stack, watch: Watch) -> None:
    canary(stack, promotion="manual")
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    last_week = dict(stack.config)
    deployment.abort("dev")
    deployment.deploy("dev", ami=THREE, keep_watch=watch)
    deployment.promote("dev", keep_watch=watch)
    stack.config = last_week
    with pytest.raises(RolloutError, match="no candidate to promote"):
        deployment.promote("dev")
    heard: list[Event] = []
    deployment.deploy("dev", on_event=heard.append)
    assert stack.traffic[-1] == {"3": 100}
    assert stack.config["ami"] == THREE, "the checkout has the last update's config from now on"
    differs = [event for event in heard if isinstance(event, ConfigDiffers)]
    assert [(each.key, each.here, each.deployed, each.is_used) for each in differs] == [
        ("bluegreen:ami", ONE, THREE, False)
    ]


def test_settings_that_changed_meanwhile_come_in_with_the_new_release_and_not_earlier(
    stack: Stack, watch: Watch
) -> None:
    canary(stack, port="8081")
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    ports = [{group.release.image[-1]: group.release.target.port for group in fleet.groups} for fleet in stack.ups]
    assert ports == [{"1": 8080, "2": 8081}, {"1": 8080, "2": 8081}, {"2": 8081}]


def test_what_was_edited_since_the_last_update_is_told_and_deployed(stack: Stack) -> None:
    stack.config["maxSize"] = "4"
    heard: list[Event] = []
    deployment.deploy("dev", on_event=heard.append)
    assert stack.ups[-1].active.capacity.maximum == 4
    differs = [event for event in heard if isinstance(event, ConfigDiffers)]
    assert [(each.key, each.here, each.deployed, each.is_used) for each in differs] == [
        ("bluegreen:maxSize", "4", None, True)
    ]


def test_a_checkout_that_is_older_than_a_rollback_does_not_undo_it_and_settings_of_the_last_update_count(
    stack: Stack,
) -> None:
    deployment.deploy("dev", ami=TWO)
    last_week = dict(stack.config)
    stack.config["maxSize"] = "4"
    deployment.deploy("dev", ami=THREE)
    stack.config = last_week
    deployment.deploy("dev", ami="ami-00000004")
    assert stack.ups[-1].active.capacity.maximum == 4
    assert stack.config["maxSize"] == "4"


def test_a_secret_is_never_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_config(made: Stack) -> dict[str, auto.ConfigValue]:
        return {f"bluegreen:{key}": auto.ConfigValue(value, key == "tags") for key, value in made.config.items()}

    monkeypatch.setattr(Stack, "get_all_config", all_config)
    stack.config["tags"] = '{"to": "password"}'
    heard: list[Event] = []
    deployment.deploy("dev", on_event=heard.append)
    differs = [event for event in heard if isinstance(event, ConfigDiffers)]
    assert [(each.here, each.deployed) for each in differs] == [("[secret]", None)]


def test_a_checkout_of_last_week_that_was_refused_or_refreshed_before_does_not_count_as_the_last_update(
    stack: Stack,
) -> None:
    last_week = dict(stack.config)
    stack.config["maxSize"] = "9"
    deployment.deploy("dev", ami=TWO)
    stack.config = dict(last_week)
    stack.updated()
    deployment.deploy("dev", ami=THREE)
    assert stack.ups[-1].active.capacity.maximum == 9


@pytest.mark.parametrize("words", [{}, {"ami": THREE}])
def test_an_old_checkout_is_refused_where_the_last_updates_config_is_lost(stack: Stack, words: dict[str, str]) -> None:
    """A state that was moved to another backend has no history there."""
    last_week = dict(stack.config)
    deployment.deploy("dev", ami=TWO)
    stack.config, stack.last_config = last_week, None
    with pytest.raises(SettingsError, match="older than"):
        deployment.deploy("dev", **words)  # type: ignore[arg-type]
    assert stack.traffic == [{"2": 100}]


def test_a_plan_shows_neither_a_secret_nor_the_fleets_bookkeeping(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_config(made: Stack) -> dict[str, auto.ConfigValue]:
        return {f"bluegreen:{key}": auto.ConfigValue(value, key == "gateCommand") for key, value in made.config.items()}

    monkeypatch.setattr(Stack, "get_all_config", all_config)
    monkeypatch.setattr(plan_module, "check_launchable", lambda *_: SimpleNamespace(findings=()))
    stack.config["gateCommand"] = json.dumps({"command": ["check", "password"]})
    stack.config["fleet"] = json.dumps({"serial": 9})
    found = deployment.plan("dev")
    assert [(each.key, each.here) for each in found.differences] == [("bluegreen:gateCommand", "[secret]")]
    assert "password" not in json.dumps(found.as_record())


def test_a_plan_previews_its_first_step_and_leaves_the_config_as_it_is(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "check_launchable", lambda *_, **__: SimpleNamespace(findings=()))
    canary(stack)
    before = dict(stack.config)
    found = deployment.plan("dev", ami=TWO)
    assert found.resources == PlannedResources(create=3, same=2)
    assert (stack.config, stack.ups) == (before, [])
    deployment.deploy("dev", ami=TWO, keep_watch=Watch())
    previewed = Settings.parse(stack.previewed[0])
    assert Fleet.from_settings(previewed) == stack.ups[0]
    assert previewed.fleet.serial == stack.serials[0]


def test_a_plan_of_a_rollback_previews_the_way_back_from_the_config_of_the_last_update(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "check_launchable", lambda *_, **__: SimpleNamespace(findings=()))
    deployment.deploy("dev", ami=TWO)
    stack.config = {"ami": ONE, "ledger": "file"}
    deployment.plan("dev", "rollback")
    deployment.rollback("dev")
    assert Fleet.from_settings(Settings.parse(stack.previewed[0])) == stack.ups[-1]


def test_a_plan_of_an_image_that_is_yet_to_be_copied_previews_nothing_and_is_not_refused(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Finding(Subject.IMAGE, Standing.BROKEN, "does not exist", "")
    monkeypatch.setattr(plan_module, "check_launchable", lambda *_, **__: SimpleNamespace(findings=(broken,)))
    found = deployment.plan("dev", ami=TWO)
    assert (found.resources, found.refusals, stack.previewed) == (None, (), [])


def test_a_plan_says_what_the_program_refuses(stack: Stack) -> None:
    stack.refusing = 1
    found = deployment.plan("dev")
    assert found.resources is None
    assert found.refusals
