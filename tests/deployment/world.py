"""A stack without an engine: what a deployment meets in place of Pulumi, AWS and time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pulumi import automation as auto
from pulumi.automation.events import DiagnosticEvent, EngineEvent

from bluegreen.checks.watch import Shift
from bluegreen.errors import (
    WatchFailed,
)
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import RUN_VARIABLE, Recorder
from bluegreen.model.attest import Attest
from bluegreen.model.fleet import Fleet
from bluegreen.model.history import Kind
from bluegreen.model.observation import Group, Image, Vpc
from bluegreen.model.settings import Settings
from bluegreen.model.soak import SoakPolicy
from bluegreen.model.tags import Owner

ONE, TWO, THREE = "ami-00000001", "ami-00000002", "ami-00000003"


@dataclasses.dataclass
class Stack:
    """A Pulumi stack whose program is the pure part of ours: an `up` puts out what the config says, and its hooks write
    to the ledger. `refusing`: how many `up`s a gate stops. `bad`: images whose soak the guard finds failing."""

    config: dict[str, str]
    last_config: dict[str, str] | None = None
    earlier_configs: list[dict[str, str]] = dataclasses.field(default_factory=list)
    last_outputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    on_event: Callable[[EngineEvent], object] = dataclasses.field(default=lambda _: None)
    ups: list[Fleet] = dataclasses.field(default_factory=list)
    previewed: list[dict[str, str]] = dataclasses.field(default_factory=list)
    """The configs of which a preview was asked for."""
    serials: list[int] = dataclasses.field(default_factory=list)
    proven: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    refusing: int = 0
    is_interrupted: bool = False
    bad: set[str] = dataclasses.field(default_factory=set)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def workspace(self) -> Any:
        settings = SimpleNamespace(name="bluegreen")
        return SimpleNamespace(
            project_settings=lambda: settings, env_vars=self.environment, config_copied=self.config_copied
        )

    @contextmanager
    def config_copied(self, _stack: str) -> Iterator[str]:
        own, self.config = self.config, dict(self.config)
        try:
            yield "a copy"
        finally:
            self.config = own

    def preview(self, *, config_file: str, **_: Any) -> Any:
        assert config_file == "a copy"
        self.previewed.append(dict(self.config))
        if self.refusing:
            self.fail()
        return SimpleNamespace(change_summary={auto.OpType.CREATE: 3, auto.OpType.SAME: 2})

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

    def up(self, on_event: Callable[[EngineEvent], object], **_: Any) -> Any:
        self.on_event = on_event
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
            # Once for each part of the group, as the engine says it.
            for number in range(2):
                said = DiagnosticEvent('before hook "bluegreen-guard" failed: soak: alarm is on', "", "error")
                self.on_event(EngineEvent(sequence=number, timestamp=0, diagnostic_event=said))
            self.fail()

    def fail(self, why: str = "") -> None:
        raise auto.errors.CommandError(why or SimpleNamespace(stdout="", stderr="", code=1))

    def destroy(self, **_: Any) -> Any:
        Settings.parse(self.config)
        return SimpleNamespace(summary=SimpleNamespace(resource_changes={}))

    @property
    def traffic(self) -> list[dict[str, int]]:
        """By the last digit of the image, for each `up`."""
        return [{group.release.image[-1]: group.weight for group in fleet.groups} for fleet in self.ups]


LEDGER = FileLedger(Path("runs/dev/ledger.jsonl"))
"""Of the stack `dev`, in the directory of the test."""


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

    def vpcs(self, *, vpc_id: str = "", tags: Mapping[str, str] | None = None) -> tuple[Vpc, ...]:
        return ()

    def zones(self) -> tuple[str, ...]:
        return ("us-east-1a", "us-east-1b")

    def instance_type(self, name: str) -> None:
        return None

    def active_of(self, groups: tuple[Group, ...]) -> Group | None:
        made = {"minimum": 2, "maximum": 6, "desired": 2, "target_groups": ()}
        return Group(name="web", service="web", release=self.live, **made) if self.live else None

    def protected_balancers(self, target_groups: object, owner: object) -> tuple[str, ...]:
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
