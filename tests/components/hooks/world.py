"""A stack in which one release serves and the next is about to; hooks without an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest

from bluegreen.aws.session import Session
from bluegreen.components.admission import Admission
from bluegreen.components.hooks import Hooks, ServicePolicy
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import DESTROY_VARIABLE, FORCE_VARIABLE, RUN_VARIABLE
from bluegreen.model.fleet import Capacity, Fleet, Role, ServerGroupPlan
from bluegreen.model.gate import GatePolicy, Proofs
from bluegreen.model.history import Event, Kind
from bluegreen.model.ledger_place import Backend, LedgerPlace
from bluegreen.model.observation import (
    Alarm,
    Entrance,
    Group,
    Image,
    InstanceType,
    Listener,
    ScalingActivity,
    Target,
    Traffic,
)
from bluegreen.model.release import Release
from bluegreen.model.settings import AlarmSettings, Settings
from bluegreen.model.soak import SoakPolicy
from bluegreen.model.tags import RELEASE, SERVER_GROUP, Owner, Purpose

START = datetime(2026, 1, 1, tzinfo=UTC)
OWNER = Owner(project="bluegreen", stack="dev", service="web")
CAPACITY = Capacity(minimum=1, maximum=6, desired=1)
NO_ALARMS = AlarmSettings(error_percent=0, latency_seconds=0, unhealthy_hosts=0)
SOAK_SECONDS = 0.01
GROUP, POLICY, ALARM = (
    "aws:autoscaling/group:Group",
    "aws:autoscaling/policy:Policy",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
)


SCHEDULE = "aws:autoscaling/schedule:Schedule"
LISTENER = "aws:lb/listener:Listener"
IN_A_FILE = LedgerPlace(backend=Backend.FILE)


def release(number: int) -> Release:
    return Release.from_settings(Settings.parse({"ami": f"ami-{number:017x}"}))


OLD, NEW = release(1), release(2)


def plan(of: Release, role: Role = Role.ACTIVE, weight: int = 100) -> ServerGroupPlan:
    return ServerGroupPlan(release=of, role=role, weight=weight, capacity=CAPACITY)


def group(of: Release, target_group: str) -> Group:
    return Group(
        name=of.name,
        service="web",
        minimum=1,
        maximum=6,
        desired=1,
        target_groups=(target_group,),
        instances=(f"i-{target_group}",),
        release=of.version,
    )


class FakeHook:
    def __init__(self, name: str, callback: Callable[..., Any], options: Any = None) -> None:
        self.name, self.callback, self.options = name, callback, options


class FakeAdmission:
    async def passed(self) -> None: ...


@dataclass
class FakeSession:
    end: datetime | None = None

    def credentials_end(self) -> datetime | None:
        return self.end


@dataclass
class World:
    """A stack in which the old release serves and the new one is about to; `run` is the engine's next update."""

    directory: Path
    monkeypatch: pytest.MonkeyPatch
    live: dict[str, int] = field(default_factory=lambda: {"tg-old": 100})
    state: str = "healthy"
    alarm_state: str = "OK"
    alarm_names: tuple[str, ...] = ("checkout",)
    session: FakeSession = field(default_factory=FakeSession)
    place: LedgerPlace = IN_A_FILE
    now: datetime = START
    image_tags: dict[str, str] = field(default_factory=dict)
    groups_there: tuple[Group, ...] = (group(OLD, "tg-old"), group(NEW, "tg-new"))
    is_protected: bool = False
    calls: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    # -- AWS

    region = "us-east-1"

    def default_weights(self, listener: str) -> Mapping[str, int]:
        return dict(self.live)

    def groups(self, owner: Owner) -> tuple[Group, ...]:
        self.calls.append("groups")
        return self.groups_there if owner == OWNER else ()

    def group(self, name: str) -> Group | None:
        return next((each for each in self.groups_there if each.name == name), None)

    def targets(self, target_group: str) -> tuple[Target, ...]:
        return (Target(instance=f"i-{target_group}", state=self.state),)

    def activities(self, group: str) -> tuple[ScalingActivity, ...]:
        return ()

    def entrance(self, target_group: str, purpose: Purpose) -> Entrance | None:
        weights = {"tg-new": 1} if purpose is Purpose.PREVIEW else dict(self.live)
        return Entrance(listener="arn:listener", url="http://web.test", weights=weights)

    def image(self, image: str) -> Image | None:
        self.calls.append(f"image {image}")
        tags = self.image_tags
        return Image(id=image, state="available", architecture="x86_64", root_device="/dev/xvda", tags=tags)

    def instance_type(self, name: str) -> InstanceType | None:
        return InstanceType(name=name, architectures=("x86_64",))

    def zones_offering(self, instance_type: str) -> tuple[str, ...]:
        return ("us-east-1a", "us-east-1b")

    def alarms(self, names: Sequence[str]) -> tuple[Alarm, ...]:
        self.calls.append("alarms")
        return tuple(Alarm(name=name, state=self.alarm_state) for name in self.alarm_names if name in names)

    def alarms_of(self, *which: str) -> tuple[Alarm, ...]:
        return ()

    def traffic(self, listener: str, target_group: str, since: datetime, clock: str = "") -> Traffic:
        return Traffic(periods=3, requests=10)

    def listeners_of(self, target_groups: Iterable[str]) -> tuple[Listener, ...]:
        self.calls.append("listeners")
        return (Listener(arn="arn:listener", port=80, purpose=Purpose.PRODUCTION, weights=dict(self.live)),)

    def drain_seconds(self, target_group: str) -> float:
        return 0.0

    def protected_balancers(self, target_groups: Iterable[str], owner: Owner) -> tuple[str, ...]:
        self.calls.append("protected")
        return ("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/web-4f2a/1",) if self.is_protected else ()

    def console_output(self, instance: str) -> str:
        self.calls.append(f"console {instance}")
        return "kernel panic"

    # -- the program

    def run(self, name: str = "this", *, is_forced: bool = False, is_destroy: bool = False) -> Hooks:
        """The hooks of the program in one update; must be called within a loop. Without a name nobody drives it."""
        self.monkeypatch.setenv(RUN_VARIABLE, name)
        self.monkeypatch.setenv(FORCE_VARIABLE, "true" if is_forced else "")
        self.monkeypatch.setenv(DESTROY_VARIABLE, "true" if is_destroy else "")
        return Hooks(cast(Session, self.session), cast(Admission, FakeAdmission()), self.place, now=lambda: self.now)

    # -- what was left of it

    @property
    def ledger(self) -> FileLedger:
        return FileLedger(self.directory / "runs" / "dev" / "ledger.jsonl")

    @property
    def events(self) -> tuple[Event, ...]:
        return self.ledger.read().events

    @property
    def kinds(self) -> list[Kind]:
        return [event.kind for event in self.events]

    def evidence_of(self, of: Release, run: str = "this") -> Path:
        return self.directory / "runs" / "dev" / run / of.name

    def happened(self, kind: Kind, of: Release, **evidence: Any) -> None:
        """In an earlier run."""
        self.ledger.append(Event(at=START, run="before", kind=kind, release=of.version, evidence=evidence))

    def has_served(self, of: Release) -> None:
        told = {"weights": {of.version: 100}, "releases": {of.version: of.as_record()}}
        self.happened(Kind.CUTOVER, of, **told)

    def spoil_ledger(self) -> None:
        self.ledger.file.parent.mkdir(parents=True, exist_ok=True)
        self.ledger.file.write_text("{}\n")

    def block_ledger(self) -> None:
        self.ledger.file.mkdir(parents=True)


def asking(fleet: Fleet | None = None, *, proofs: Proofs | None = None, **changes: Any) -> ServicePolicy:
    """What the service asks of its hooks. The gate does not wait, so that a test need not."""
    fleet = fleet or Fleet((plan(NEW),))
    gate = GatePolicy(
        capacity=CAPACITY,
        deadline_seconds=0,
        images={each.release.version: each.release.image for each in fleet.groups},
        proofs=proofs or Proofs(),
        alarm_names=("checkout",),
        **{key: changes.pop(key) for key in ("proven",) if key in changes},
    )
    soak = SoakPolicy(alarms=NO_ALARMS, alarm_names=("checkout",))
    return ServicePolicy(**{"fleet": fleet, "gate": gate, "soak": soak, "soak_seconds": SOAK_SECONDS, **changes})


def declared(hooks: Hooks, policy: ServicePolicy | None = None) -> pulumi.ResourceHookBinding:
    return hooks.gated(OWNER, policy or asking())


def args(kind: str, **given: Any) -> pulumi.ResourceHookArgs:
    return pulumi.ResourceHookArgs(**{"urn": "urn", "id": "id", "name": "web", "type": kind, **given})


def listener(identity: str = "arn:listener", **weights: int) -> pulumi.ResourceHookArgs:
    groups = [{"arn": f"tg-{name}", "weight": weight} for name, weight in weights.items()]
    inputs = {
        "tags": OWNER.tags,
        "defaultActions": [{"type": "forward", "forward": {"targetGroups": groups}}],
    }
    return args(LISTENER, id=identity, new_inputs=inputs)


def tagged(of: Release) -> dict[str, str]:
    return {**OWNER.tags, RELEASE: of.version}


def of_group(of: Release, target_group: str) -> dict[str, Any]:
    tags = [{"key": key, "value": value} for key, value in tagged(of).items()]
    return {"name": of.name, "tags": tags, "targetGroupArns": [target_group]}


def deleted_group(of: Release = OLD, target_group: str = "tg-old") -> pulumi.ResourceHookArgs:
    return args(GROUP, old_outputs=of_group(of, target_group))


def deleted_policy(of: Release = OLD) -> pulumi.ResourceHookArgs:
    return args(POLICY, name=of.name, old_outputs={"name": of.name, "autoscalingGroupName": of.name})


def deleted_schedule(of: Release = OLD) -> pulumi.ResourceHookArgs:
    name = f"{of.name}-morning"
    return args(SCHEDULE, name=name, old_outputs={"scheduledActionName": name, "autoscalingGroupName": of.name})


def deleted_alarm(of: Release = OLD) -> pulumi.ResourceHookArgs:
    name = f"{of.name}-errors"
    return args(ALARM, name=name, old_outputs={"name": name, "tags": {**tagged(of), SERVER_GROUP: of.name}})


def updated_group(of: Release, target_group: str, *, was: int, becomes: int) -> pulumi.ResourceHookArgs:
    return args(
        GROUP,
        old_inputs={"maxSize": was},
        new_inputs={"maxSize": becomes},
        old_outputs=of_group(of, target_group),
    )


def template(of: Release = NEW) -> pulumi.ResourceHookArgs:
    inputs = {
        "imageId": of.image,
        "instanceType": "t3.small",
        "blockDeviceMappings": [{"deviceName": "/dev/xvda"}],
        "tags": {**OWNER.tags, RELEASE: of.version},
    }
    return args("aws:ec2/launchTemplate:LaunchTemplate", new_inputs=inputs)


async def call(hooks: Any, given: pulumi.ResourceHookArgs) -> None:
    """As the engine does with the hooks of one moment of a resource."""
    for hook in hooks:
        await hook.callback(given)


async def cut_over(world: World, hooks: Hooks, policy: ServicePolicy | None = None) -> None:
    """All of the traffic moves to the new release."""
    binding = declared(hooks, policy)
    await call(binding.before_update, listener(old=0, new=100))
    world.live = {"tg-new": 100}
    await call(binding.after_update, listener(old=0, new=100))


async def delete(hooks: Hooks, given: pulumi.ResourceHookArgs) -> None:
    bound = hooks.guarding_machines() if given.type == GROUP else hooks.guarding_part("another")
    await call(bound.before_delete, given)


PARTS = (deleted_alarm(), deleted_policy(), deleted_schedule(), deleted_group())
"""What goes with the old group."""
