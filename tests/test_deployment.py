"""The driver: every step is written down before the engine is asked for it, and nothing is skipped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation as auto

from bluegreen import deployment, driver, engine
from bluegreen import plan as plan_module
from bluegreen import stack as stack_module
from bluegreen.checks.watch import Shift
from bluegreen.errors import (
    AwsError,
    BluegreenError,
    EngineError,
    ImageError,
    Interrupted,
    LeaseHeld,
    LeaseLost,
    LedgerError,
    Protected,
    RolledBack,
    RolloutError,
    SettingsError,
    WatchFailed,
    WrongTraffic,
)
from bluegreen.events import ConfigDiffers, Event, Line, RollbackPlanned, StepBegan, Warned
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import RUN_VARIABLE, Recorder
from bluegreen.model.attest import Attest
from bluegreen.model.fleet import Fleet
from bluegreen.model.history import Kind
from bluegreen.model.observation import Group, Image
from bluegreen.model.record import Outcome
from bluegreen.model.settings import Settings
from bluegreen.model.soak import SoakPolicy
from bluegreen.model.tags import Owner
from bluegreen.stop import Stop

ONE, TWO, THREE = "ami-00000001", "ami-00000002", "ami-00000003"


@dataclasses.dataclass
class Stack:
    """A Pulumi stack whose program is the pure part of ours: an `up` puts out what the config says, and its hooks write
    to the ledger. `refusing`: how many `up`s a gate stops. `bad`: images whose soak the guard finds failing."""

    config: dict[str, str]
    last_config: dict[str, str] | None = None
    earlier_configs: list[dict[str, str]] = dataclasses.field(default_factory=list)
    last_outputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    ups: list[Fleet] = dataclasses.field(default_factory=list)
    serials: list[int] = dataclasses.field(default_factory=list)
    proven: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    refusing: int = 0
    is_interrupted: bool = False
    bad: set[str] = dataclasses.field(default_factory=set)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def workspace(self) -> Any:
        settings = SimpleNamespace(name="bluegreen")
        return SimpleNamespace(project_settings=lambda: settings, env_vars=self.environment)

    def get_all_config(self) -> dict[str, auto.ConfigValue]:
        return {f"bluegreen:{key}": auto.ConfigValue(value) for key, value in self.config.items()}

    def outputs(self) -> dict[str, auto.OutputValue]:
        return {key: auto.OutputValue(value, False) for key, value in self.last_outputs.items()}

    def history(self, page_size: int) -> list[Any]:
        """Its updates with the configs that they had, the newest first."""
        configs = [self.last_config, *self.earlier_configs] if self.last_config is not None else []
        return [
            SimpleNamespace(config={f"bluegreen:{key}": auto.ConfigValue(value) for key, value in config.items()})
            for config in configs[:page_size]
        ]

    def remove_config(self, key: str) -> None:
        del self.config[key.removeprefix("bluegreen:")]

    def export_stack(self) -> Any:
        root = {"type": "pulumi:pulumi:Stack", "urn": "root", "outputs": self.last_outputs}
        return SimpleNamespace(deployment={"resources": [root] if self.last_outputs else []})

    def set_all_config(self, values: dict[str, auto.ConfigValue]) -> None:
        self.config |= {key.removeprefix("bluegreen:"): value.value for key, value in values.items()}

    def up(self, **_: Any) -> Any:
        if self.is_interrupted:
            raise KeyboardInterrupt
        self.updated()
        if self.refusing:
            self.refusing -= 1
            self.fail()
        settings = Settings.parse(self.config)
        fleet = Fleet.from_settings(settings)
        self.ups.append(fleet)
        self.serials.append(settings.fleet.serial)
        self.proven.append(settings.fleet.seen_healthy)
        record = json.loads(json.dumps(fleet.as_record(serial=settings.fleet.serial)))
        self.last_outputs = {"fleet": record, "activeRelease": fleet.active.release.as_record(), "url": "http://web"}
        self.hooks(fleet, settings)
        return SimpleNamespace(outputs=self.outputs(), summary=SimpleNamespace(resource_changes={}))

    def updated(self) -> None:
        """The history has one update more, however it ends: an `up`, or a refresh."""
        if self.last_config is not None:
            self.earlier_configs.insert(0, self.last_config)
        self.last_config = dict(self.config)

    def hooks(self, fleet: Fleet, settings: Settings) -> None:
        recorder = Recorder(ledger=LEDGER, run=self.environment[RUN_VARIABLE])
        weights = {group.release.version: group.weight for group in fleet.groups}
        releases = {group.release.version: group.release.as_record() for group in fleet.groups}
        active = fleet.active.release
        evidence = {"weights": weights, "releases": releases}
        recorder.record(Kind.GATE_PASSED, release=fleet.previewed.release.version, evidence=evidence)
        recorder.record(Kind.CUTOVER, release=fleet.previewed.release.version, evidence=evidence)
        if active.image in self.bad and not fleet.candidate and active.version not in settings.fleet.seen_healthy:
            recorder.record(Kind.SOAK_FAILED, release=active.version, summary="soak: alarm is on")
            self.fail('error: before hook "bluegreen-guard" failed: soak: alarm is on')

    def fail(self, why: str = "") -> None:
        raise auto.errors.CommandError(why or SimpleNamespace(stdout="", stderr="", code=1))

    def destroy(self, **_: Any) -> Any:
        Settings.parse(self.config)
        return SimpleNamespace(summary=SimpleNamespace(resource_changes={}))

    @property
    def traffic(self) -> list[dict[str, int]]:
        """By the last digit of the image, for each `up`."""
        return [{group.release.image[-1]: group.weight for group in fleet.groups} for fleet in self.ups]


LEDGER = FileLedger(Path())


@dataclasses.dataclass
class Watch:
    """Stands for AWS after a shift. `bad`: shares of the candidate at which its soak fails."""

    bad: set[int] = dataclasses.field(default_factory=set)
    seen: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    error: BaseException | None = None

    def __call__(self, shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        share = shift.shares[shift.release]
        self.seen.append((share, seconds))
        recorder = Recorder(ledger=LEDGER, run="watch")
        recorder.record(Kind.SOAK_BEGAN, release=shift.release)
        if self.error:
            raise self.error
        if share in self.bad:
            raise WatchFailed(f"soak: {shift.release}: alarm is on")
        recorder.record(Kind.SOAK_PASSED, release=shift.release)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    made = Stack({"ami": ONE, "ledger": "file"})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: bluegreen\nconfig: {ledger: {default: file}}\n")
    monkeypatch.setitem(globals(), "LEDGER", FileLedger(tmp_path / "runs/dev/ledger.jsonl"))

    def open_stack(_stack: str, _directory: Path, environment: dict[str, str]) -> Stack:
        made.environment = dict(environment)
        return made

    monkeypatch.setattr(engine, "_open", open_stack)
    monkeypatch.setattr(stack_module, "Observer", Images)
    monkeypatch.setattr(Images, "stack", made, raising=False)
    monkeypatch.setattr(driver, "LOOK_SECONDS", 0.0)
    deployment.deploy("dev")
    made.ups.clear()
    made.serials.clear()
    made.proven.clear()
    return made


class Images:
    """All images there are, but those that are gone."""

    gone: frozenset[str] = frozenset()
    ranges: dict[str, str] = {}
    tags: dict[str, str] = {}
    stack: Stack
    serving: dict[str, int] | None = None
    """Percent of the traffic by release, where it is not what the last update declared."""
    protected: tuple[str, ...] = ()
    live: str = ""
    """The release that the load balancer gives the traffic to, where it is not the outputs' one."""

    def __init__(self, _session: object) -> None:
        pass

    region = "us-east-1"

    def groups(self, owner: Owner) -> tuple[Group, ...]:
        return ()

    def instance_type(self, name: str) -> None:
        return None

    def active_of(self, groups: tuple[Group, ...]) -> Group | None:
        made = {"minimum": 2, "maximum": 6, "desired": 2, "target_groups": ()}
        return Group(name="web", service="web", release=self.live, **made) if self.live else None

    def protected_balancers(self, target_groups: object) -> tuple[str, ...]:
        return self.protected

    def shares(self, groups: Sequence[Group]) -> dict[str, int]:
        if self.serving is not None:
            return self.serving
        fleet = self.stack.last_outputs.get("fleet", {"groups": []})
        return {each["release"]["version"]: each["weight"] for each in fleet["groups"] if each["weight"]}

    def image(self, image: str) -> Image | None:
        tags = {**self.tags, **({"schema-compat": self.ranges[image]} if image in self.ranges else {})}
        there = Image(id=image, state="available", architecture="x86_64", root_device="/dev/xvda", tags=tags)
        return None if image in self.gone else there


def canary(stack: Stack, **config: str) -> None:
    steps = [{"weight": 10, "pauseSeconds": 60}, {"weight": 50, "pauseSeconds": 90}]
    stack.config |= {"strategy": "canary", "steps": json.dumps(steps), **config}


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


def test_ctrl_c_in_a_pause_says_where_the_rollout_stays(stack: Stack) -> None:
    canary(stack)
    with pytest.raises(Interrupted, match="stays at the step `10 %"):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=KeyboardInterrupt()))
    assert stack.traffic == [{"1": 90, "2": 10}]


def test_a_checkout_of_last_week_does_not_bring_last_weeks_fleet_back(stack: Stack, watch: Watch) -> None:
    stack.config |= {"strategy": "redBlack"}
    last_week = dict(stack.config)
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    stack.config = last_week
    deployment.deploy("dev", ami=THREE, keep_watch=watch)
    assert stack.traffic[-1] == {"3": 100, "2": 0}
    assert stack.serials == sorted(set(stack.serials)), "each is newer than the one before"


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


def test_the_releases_that_run_are_known_to_a_ledger_that_was_begun_later(stack: Stack) -> None:
    first = stack.last_outputs["activeRelease"]["version"]
    LEDGER.file.unlink()
    deployment.deploy("dev", ami=TWO)
    with pytest.raises(RolloutError, match="never took all of the traffic"):
        deployment.rollback("dev", to=first)
    deployment.rollback("dev", to=first, force=True)
    assert stack.traffic[-1] == {"1": 100}


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


def test_a_red_black_cutover_that_was_interrupted_is_watched_and_the_standby_emptied_by_the_next_deploy(
    stack: Stack, watch: Watch
) -> None:
    stack.config |= {"strategy": "redBlack"}
    with pytest.raises(Interrupted):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=KeyboardInterrupt()))
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    assert watch.seen == [(100, 600)]
    assert stack.ups[-1].standbys[0].capacity.is_zero


def test_a_soak_that_fails_in_a_deploy_of_what_runs_already_takes_the_traffic_back_too(stack: Stack) -> None:
    deployment.deploy("dev", ami=TWO)
    stack.bad = {TWO}
    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO)
    assert stack.traffic[-1] == {"1": 100}


def test_credentials_that_end_in_a_soak_leave_the_step_where_it_is_and_say_how_to_go_on(stack: Stack) -> None:
    canary(stack)
    with pytest.raises(AwsError, match="stays at the step `10 %") as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=AwsError("ExpiredToken")))
    assert "`bluegreen deploy` goes on" in caught.value.next_step


def test_a_failed_soak_of_a_canary_brings_the_traffic_back_in_one_update_and_the_ledger_tells_it(stack: Stack) -> None:
    canary(stack)
    with pytest.raises(RolledBack, match=r"was rolled back: soak: .* alarm is on"):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(bad={50}))
    assert stack.traffic == [{"1": 90, "2": 10}, {"1": 50, "2": 50}, {"1": 100}]
    assert stack.config["ami"] == ONE
    kinds = [event.kind for event in LEDGER.read().events]
    assert kinds[-3:] == [Kind.ROLLED_BACK, Kind.ENDED, Kind.ENDED]
    assert LEDGER.read().events[-1].evidence["outcome"] == "RolledBack"


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


def test_ctrl_c_in_an_update_says_how_to_go_on_and_how_back(stack: Stack) -> None:
    stack.is_interrupted = True
    with pytest.raises(Interrupted, match="what it has begun is in the state") as caught:
        deployment.deploy("dev", ami=TWO)
    assert "`bluegreen abort`" in caught.value.next_step
    stack.is_interrupted = False
    deployment.abort("dev")
    assert stack.traffic == [{"1": 100}]


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


def test_a_rollback_whose_image_is_gone_is_refused_before_anything_is_changed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.deploy("dev", ami=TWO)
    monkeypatch.setattr(Images, "gone", frozenset({ONE}))
    with pytest.raises(RolloutError, match=f"{ONE} of release .* is gone"):
        deployment.rollback("dev")
    assert stack.traffic == [{"2": 100}]


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


def test_settings_that_changed_meanwhile_come_in_with_the_new_release_and_not_earlier(
    stack: Stack, watch: Watch
) -> None:
    canary(stack, port="8081")
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    ports = [{group.release.image[-1]: group.release.target.port for group in fleet.groups} for fleet in stack.ups]
    assert ports == [{"1": 8080, "2": 8081}, {"1": 8080, "2": 8081}, {"2": 8081}]


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


def test_a_destroy_takes_the_serial_of_what_runs(stack: Stack, watch: Watch) -> None:
    old = dict(stack.config)
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    stack.config = {key: value for key, value in old.items() if key != "fleet"}
    deployment.destroy("dev")
    assert Settings.parse(stack.config).fleet.serial == stack.last_outputs["fleet"]["serial"]


# -- where it starts from


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
        return {f"bluegreen:{key}": auto.ConfigValue(value, key == "userData") for key, value in made.config.items()}

    monkeypatch.setattr(Stack, "get_all_config", all_config)
    stack.config["userData"] = "password"
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


# -- how it ends


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


def test_what_is_refused_before_anything_is_begun_is_wrong_input(stack: Stack) -> None:
    stack.config["port"] = "0"
    with pytest.raises(SettingsError) as caught:
        deployment.deploy("dev", ami=TWO)
    assert caught.value.exit_code == 2


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


# -- told to stop


def test_asked_to_stop_in_an_update_it_is_let_finish_and_no_step_is_begun_after_it(
    stack: Stack, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary(stack)
    stop, up = Stop(), Stack.up

    def asked(made: Stack, **options: Any) -> Any:
        stop.ask()
        return up(made, **options)

    monkeypatch.setattr(Stack, "up", asked)
    with pytest.raises(Interrupted, match="stays at the step `10 %") as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=watch, stop=stop)
    assert stack.traffic == [{"1": 90, "2": 10}]
    assert watch.seen == []
    assert caught.value.exit_code == 3


def test_asked_to_stop_in_the_last_step_it_is_done(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, up = Stop(), Stack.up

    def asked(made: Stack, **options: Any) -> Any:
        stop.ask()
        return up(made, **options)

    monkeypatch.setattr(Stack, "up", asked)
    deployment.deploy("dev", ami=TWO, stop=stop)
    assert stack.traffic == [{"2": 100}]


def test_asked_twice_the_engine_is_interrupted_and_what_it_says_then_is_no_failure(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, interrupted = Stop(), list[str]()
    monkeypatch.setattr(engine.Engine, "interrupt", lambda made: interrupted.append("now"))

    def asked(made: Stack, **_: Any) -> Any:
        stop.ask()
        assert interrupted == []
        stop.ask()
        made.fail("error: update canceled")

    monkeypatch.setattr(Stack, "up", asked)
    with pytest.raises(Interrupted, match="what it has begun is in the state"):
        deployment.deploy("dev", ami=TWO, stop=stop)
    assert interrupted == ["now"]


@pytest.mark.parametrize("verb", ["deploy", "deploy of what runs", "destroy"])
def test_asked_to_stop_before_it_has_begun_nothing_is_changed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    stop = Stop()
    stop.ask()
    monkeypatch.setattr(Stack, "destroy", lambda *_, **__: pytest.fail("it was destroyed"))
    verbs: dict[str, Callable[[], object]] = {
        "deploy": lambda: deployment.deploy("dev", ami=TWO, stop=stop),
        "deploy of what runs": lambda: deployment.deploy("dev", stop=stop),
        "destroy": lambda: deployment.destroy("dev", stop=stop),
    }
    with pytest.raises(Interrupted, match="before anything of dev was changed") as caught:
        verbs[verb]()
    assert (stack.ups, stack.config["ami"], caught.value.exit_code) == ([], ONE, 1)


def test_while_it_holds_the_lease_it_stops_by_itself(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, heard, write = Stop(), list[bool](), Stack.set_all_config

    def listened(made: Stack, values: dict[str, auto.ConfigValue]) -> None:
        heard.append(stop.is_heard)
        write(made, values)

    monkeypatch.setattr(Stack, "set_all_config", listened)
    deployment.deploy("dev", ami=TWO, stop=stop)
    assert heard == [True]
    assert not stop.is_heard


def test_asked_to_stop_now_while_the_config_is_written_no_update_is_begun(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, write = Stop(), Stack.set_all_config

    def asked(made: Stack, values: dict[str, auto.ConfigValue]) -> None:
        write(made, values)
        stop.ask()
        stop.ask()

    monkeypatch.setattr(Stack, "set_all_config", asked)
    with pytest.raises(Interrupted):
        deployment.deploy("dev", ami=TWO, stop=stop)
    assert stack.ups == []


def test_asked_to_stop_the_traffic_is_still_taken_back_from_a_release_whose_watch_fails(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.bad = {TWO}
    stop, up = Stop(), Stack.up

    def asked(made: Stack, **options: Any) -> Any:
        if not stop.is_asked:
            stop.ask()
        return up(made, **options)

    monkeypatch.setattr(Stack, "up", asked)
    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO, stop=stop)
    assert stack.traffic[-1] == {"1": 100}


def test_a_stack_whose_load_balancer_is_protected_is_refused_before_anything_is_destroyed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "protected", ("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/web/1",))
    monkeypatch.setattr(Stack, "destroy", lambda *_: pytest.fail("the engine was asked"))
    with pytest.raises(Protected, match="protected against deletion"):
        deployment.destroy("dev")


# -- revoked images


def _revoke(image: str) -> None:
    evidence = {"image": image, "contentDigest": "", "why": "CVE-2026-1", "operator": "ann"}
    Recorder(ledger=LEDGER, run="revoking").record(Kind.REVOKED, evidence=evidence)


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


def test_a_deployment_keeps_what_its_image_was_made_of_before_any_gate_has_seen_it(
    stack: Stack, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "tags", {"bluegreen:content-digest": "d" * 64}, raising=False)
    canary(stack, promotion="manual")
    deployment.deploy("dev", ami=TWO, keep_watch=watch)
    deployment.promote("dev", keep_watch=watch)
    assert {record.content_digest for record in deployment.records("dev") if record.image == TWO} == {"d" * 64}


def test_a_copy_of_a_revoked_content_is_refused_before_anything_is_written(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "tags", {"bluegreen:content-digest": "d" * 64}, raising=False)
    evidence = {"image": "ami-00000099", "contentDigest": "d" * 64, "why": "CVE-2026-1", "operator": "ann"}
    Recorder(ledger=LEDGER, run="revoking").record(Kind.REVOKED, evidence=evidence)
    with pytest.raises(ImageError, match=f"{TWO} was revoked by ann"):
        deployment.deploy("dev", ami=TWO)
    assert (stack.ups, stack.config["ami"]) == ([], ONE)


# -- ledger and state


def disagree(stack: Stack, monkeypatch: pytest.MonkeyPatch, serving: dict[str, int]) -> list[Event]:
    """The ledger tells of a change of the listener that the state knows nothing of."""
    recorder = Recorder(ledger=LEDGER, run="other")
    recorder.record(Kind.CUTOVER, release="22222222", evidence={"weights": {"22222222": 100}})
    monkeypatch.setattr(Images, "serving", serving)
    return []


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


# -- elsewhere


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


def test_where_the_service_is_met_is_published_after_an_update(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(FileLedger, "publish", lambda _, service, values: published.append((service, dict(values))))
    deployment.deploy("dev", ami=TWO)
    assert published == [("web", {"url": "http://web"})]
