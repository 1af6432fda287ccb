"""The driver: every step is written down before the engine is asked for it, and nothing is skipped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation as auto

from bluegreen import deployment
from bluegreen.errors import EngineError, RolloutError, SettingsError
from bluegreen.model.fleet import Fleet
from bluegreen.model.rollout import Step
from bluegreen.model.settings import Settings

ONE, TWO, THREE = "ami-00000001", "ami-00000002", "ami-00000003"


@dataclasses.dataclass
class Stack:
    """A Pulumi stack whose program is the pure part of ours: an `up` puts out what the config says."""

    config: dict[str, str]
    last_outputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    ups: list[Fleet] = dataclasses.field(default_factory=list)
    serials: list[int] = dataclasses.field(default_factory=list)

    def get_all_config(self) -> dict[str, auto.ConfigValue]:
        return {f"bluegreen:{key}": auto.ConfigValue(value) for key, value in self.config.items()}

    def outputs(self) -> dict[str, auto.OutputValue]:
        return {key: auto.OutputValue(value, False) for key, value in self.last_outputs.items()}

    def set_all_config(self, values: dict[str, auto.ConfigValue]) -> None:
        self.config |= {key: value.value for key, value in values.items()}

    def set_config(self, key: str, value: auto.ConfigValue) -> None:
        self.config[key] = value.value

    def up(self, **_: Any) -> Any:
        settings = Settings.parse(self.config)
        fleet = Fleet.from_settings(settings)
        self.ups.append(fleet)
        self.serials.append(settings.fleet.serial)
        record = json.loads(json.dumps(fleet.as_record(serial=settings.fleet.serial)))
        self.last_outputs = {"fleet": record, "activeRelease": fleet.active.release.as_record(), "url": "http://web"}
        return SimpleNamespace(outputs=self.outputs(), summary=SimpleNamespace(resource_changes={}))

    def destroy(self, **_: Any) -> Any:
        Settings.parse(self.config)
        return SimpleNamespace(summary=SimpleNamespace(resource_changes={}))

    def refuse(self, **_: Any) -> Any:
        """An `up` that a gate stops: the config is written, and nothing is put out."""
        raise auto.errors.CommandError(SimpleNamespace(stdout="", stderr="", code=1))

    @property
    def traffic(self) -> list[dict[str, int]]:
        """By the last digit of the image, for each `up`."""
        return [{group.release.image[-1]: group.weight for group in fleet.groups} for fleet in self.ups]


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = Stack({"ami": ONE})
    monkeypatch.setattr(deployment, "_open", lambda *_: made)
    deployment.deploy("dev")
    made.ups.clear()
    made.serials.clear()
    return made


@pytest.fixture
def slept() -> list[float]:
    return []


def canary(stack: Stack, **config: str) -> None:
    steps = [{"weight": 10, "pauseSeconds": 60}, {"weight": 50, "pauseSeconds": 90}]
    stack.config |= {"strategy": "canary", "steps": json.dumps(steps), **config}


def test_each_step_is_one_up_with_a_serial_of_its_own_and_its_pause(stack: Stack, slept: list[float]) -> None:
    canary(stack)
    heard: list[Step] = []
    deployment.deploy("dev", ami=TWO, sleep=slept.append, on_step=heard.append)
    assert stack.traffic == [{"1": 90, "2": 10}, {"1": 50, "2": 50}, {"2": 100}]
    assert stack.serials == [2, 3, 4]
    assert slept == [60, 90]
    assert [step.fleet for step in heard] == stack.ups


def test_the_config_names_the_active_releases_image_at_every_step(stack: Stack, slept: list[float]) -> None:
    canary(stack, promotion="manual")
    deployment.deploy("dev", ami=TWO, sleep=slept.append)
    assert stack.config["ami"] == ONE
    deployment.promote("dev")
    assert stack.config["ami"] == TWO


def test_manual_promotion_stops_before_the_last_step(stack: Stack, slept: list[float]) -> None:
    canary(stack, promotion="manual")
    deployment.deploy("dev", ami=TWO, sleep=slept.append)
    assert stack.traffic[-1] == {"1": 50, "2": 50}
    deployment.abort("dev")
    assert stack.traffic[-1] == {"1": 100}


def test_a_deploy_of_what_runs_is_one_up_that_writes_no_new_serial(stack: Stack) -> None:
    deployment.deploy("dev", ami=ONE)
    assert stack.traffic == [{"1": 100}]
    assert stack.serials == [1]


def test_after_a_refused_release_a_deploy_of_what_runs_takes_the_refused_one_back(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as refusing:
        refusing.setattr(stack, "up", stack.refuse)
        with pytest.raises(EngineError):
            deployment.deploy("dev", ami=TWO)
    assert stack.config["ami"] == TWO
    deployment.deploy("dev", ami=ONE)
    assert stack.traffic == [{"1": 100}]
    assert stack.config["ami"] == ONE


def test_a_driver_that_died_in_the_middle_is_followed_by_one_that_goes_on(stack: Stack) -> None:
    canary(stack)

    def die(_: float) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        deployment.deploy("dev", ami=TWO, sleep=die)
    deployment.deploy("dev", ami=TWO, sleep=lambda _: None)
    assert stack.traffic == [{"1": 90, "2": 10}, {"1": 50, "2": 50}, {"2": 100}]


def test_ctrl_c_in_a_pause_says_where_the_rollout_stays(stack: Stack) -> None:
    canary(stack)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(RolloutError, match="stays at the step `10 %"):
        deployment.deploy("dev", ami=TWO, sleep=interrupt)


def test_a_checkout_of_last_week_does_not_bring_last_weeks_fleet_back(stack: Stack, slept: list[float]) -> None:
    stack.config |= {"strategy": "redBlack"}
    last_week = dict(stack.config)
    deployment.deploy("dev", ami=TWO, sleep=slept.append)
    stack.config = last_week
    deployment.deploy("dev", ami=THREE, sleep=slept.append)
    assert stack.traffic[-1] == {"3": 100, "2": 0}
    assert stack.serials == sorted(set(stack.serials)), "each is newer than the one before"


def test_a_rollback_goes_to_the_newest_standby_or_to_the_one_that_is_named(stack: Stack, slept: list[float]) -> None:
    stack.config |= {"strategy": "redBlack", "maxRemainingGroups": "3"}
    first = stack.last_outputs["activeRelease"]["version"]
    deployment.deploy("dev", ami=TWO, sleep=slept.append)
    deployment.deploy("dev", ami=THREE, sleep=slept.append)
    deployment.rollback("dev", to=first)
    assert stack.traffic[-1] == {"1": 100, "2": 0}
    deployment.rollback("dev")
    assert stack.traffic[-1] == {"2": 100}
    with pytest.raises(RolloutError, match="no standby to go back to"):
        deployment.rollback("dev")


def test_settings_that_changed_meanwhile_come_in_with_the_new_release_and_not_earlier(
    stack: Stack, slept: list[float]
) -> None:
    canary(stack, port="8081")
    deployment.deploy("dev", ami=TWO, sleep=slept.append)
    ports = [{group.release.image[-1]: group.release.target.port for group in fleet.groups} for fleet in stack.ups]
    assert ports == [{"1": 8080, "2": 8081}, {"1": 8080, "2": 8081}, {"2": 8081}]


@pytest.mark.parametrize("verb", [deployment.promote, deployment.abort, deployment.rollback])
def test_where_nothing_is_deployed_there_is_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, verb: Callable[..., Any]
) -> None:
    monkeypatch.setattr(deployment, "_open", lambda *_: Stack({"ami": ONE}))
    with pytest.raises(RolloutError, match="nothing is deployed in dev"):
        verb("dev")


def test_a_config_with_faults_is_refused_before_the_engine_is_asked(stack: Stack) -> None:
    stack.config["port"] = "0"
    with pytest.raises(SettingsError, match="bluegreen:port"):
        deployment.deploy("dev", ami=TWO)
    assert stack.ups == []


def test_a_destroy_takes_the_serial_of_what_runs(stack: Stack, slept: list[float]) -> None:
    old = dict(stack.config)
    deployment.deploy("dev", ami=TWO, sleep=slept.append)
    stack.config = {key: value for key, value in old.items() if key != "fleet"}
    deployment.destroy("dev")
    assert Settings.parse(stack.config).fleet.serial == stack.last_outputs["fleet"]["serial"]
