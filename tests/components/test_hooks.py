"""The hooks as the engine calls them: what is refused, what is recorded of it, and what is not asked twice."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest

from bluegreen.aws.session import Session
from bluegreen.components import hooks as hooks_module
from bluegreen.components.admission import Admission
from bluegreen.components.hooks import CUTOVER_HOOK, GATE_HOOK, GUARD_HOOK, IMAGE_HOOK, Hooks, ServicePolicy
from bluegreen.errors import (
    AwsError,
    BluegreenError,
    GateFailed,
    GuardRefused,
    LedgerError,
    Protected,
    SettingsError,
    WatchFailed,
    WindowClosed,
)
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import DESTROY_VARIABLE, FORCE_VARIABLE, RUN_VARIABLE
from bluegreen.model.answer import Unreachable
from bluegreen.model.attest import Attest
from bluegreen.model.command import GateCommand
from bluegreen.model.fleet import Capacity, Fleet, Role, ServerGroupPlan
from bluegreen.model.gate import GatePolicy, Proofs
from bluegreen.model.history import Event, Kind
from bluegreen.model.lease import Holder, Lease
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
from bluegreen.model.window import Window

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

    def protected_balancers(self, target_groups: Iterable[str]) -> tuple[str, ...]:
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


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(directory=tmp_path, monkeypatch=monkeypatch)
    monkeypatch.setattr(pulumi, "ResourceHook", FakeHook)
    monkeypatch.setattr(pulumi, "get_root_directory", lambda: str(tmp_path))
    monkeypatch.setattr(pulumi, "get_project", lambda: "bluegreen")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setattr(pulumi.log, "info", world.said.append)
    monkeypatch.setattr(pulumi.log, "warn", world.warned.append)
    monkeypatch.setattr(hooks_module, "Observer", lambda session: world)
    return world


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
    return args(POLICY, old_outputs={"name": of.name, "autoscalingGroupName": of.name})


def deleted_alarm(of: Release = OLD) -> pulumi.ResourceHookArgs:
    return args(ALARM, old_outputs={"name": f"{of.name}-errors", "tags": {**tagged(of), SERVER_GROUP: of.name}})


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
        "tags": {RELEASE: of.version},
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
    bound = hooks.guarding_machines() if given.type == GROUP else hooks.guarding_part()
    await call(bound.before_delete, given)


# -- what is bound to what


def test_the_names_and_the_moments_of_the_hooks_are_what_checkpoints_have(world: World) -> None:
    async def bindings() -> dict[str, dict[str, list[str]]]:
        hooks = world.run()
        bound = {
            "image": hooks.checking_image(),
            "listener": declared(hooks),
            "machines": hooks.guarding_machines(),
            "part": hooks.guarding_part(),
        }
        return {
            what: {moment: [hook.name for hook in found] for moment, found in vars(binding).items() if found}
            for what, binding in bound.items()
        }

    assert asyncio.run(bindings()) == {
        "image": {"before_create": [IMAGE_HOOK]},
        "listener": {
            "before_create": [GATE_HOOK],
            "before_update": [GATE_HOOK],
            "after_create": [CUTOVER_HOOK],
            "after_update": [CUTOVER_HOOK],
        },
        "machines": {"before_delete": [GUARD_HOOK], "before_update": [GUARD_HOOK]},
        "part": {"before_delete": [GUARD_HOOK]},
    }
    names = (IMAGE_HOOK, GATE_HOOK, CUTOVER_HOOK, GUARD_HOOK)
    assert names == ("bluegreen-image", "bluegreen-gate", "bluegreen-cutover", "bluegreen-guard")


def test_only_the_image_is_checked_in_a_preview(world: World) -> None:
    async def options() -> dict[str, bool]:
        hooks = world.run()
        bound = [
            hooks.checking_image().before_create,
            declared(hooks).before_update,
            hooks.guarding_part().before_delete,
        ]
        found = [cast(FakeHook, hook) for each in bound for hook in each or []]
        return {hook.name: bool(hook.options and hook.options.on_dry_run) for hook in found}

    assert asyncio.run(options()) == {IMAGE_HOOK: True, GATE_HOOK: False, GUARD_HOOK: False}


# -- the gate


def test_a_gate_that_fails_is_recorded_with_evidence_and_its_message_names_the_folder(world: World) -> None:
    world.state = "unhealthy"

    async def update() -> None:
        await call(declared(world.run()).before_update, listener(new=1))

    with pytest.raises(GateFailed, match="0 of 1 healthy") as caught:
        asyncio.run(update())
    assert world.kinds == [Kind.GATE_FAILED, Kind.FORENSICS]
    failed, saved = world.events
    assert (failed.release, failed.summary) == (NEW.version, caught.value.what)
    folder = world.evidence_of(NEW)
    assert (saved.release, saved.evidence) == (NEW.version, {"folder": str(folder)})
    assert (folder / "console-i-tg-new.txt").read_text() == "kernel panic"
    assert f"What is known of it: {folder}" in caught.value.next_step
    assert "The traffic stays on" in caught.value.next_step


def test_a_gate_that_fails_is_recorded_without_evidence_where_its_group_is_gone_by_then(world: World) -> None:
    def meanwhile(names: Sequence[str]) -> tuple[Alarm, ...]:
        world.groups_there = ()
        return (Alarm(name="checkout", state="ALARM"),)

    world.alarms = meanwhile  # type: ignore[method-assign]

    async def update() -> None:
        await call(declared(world.run()).before_update, listener(new=1))

    with pytest.raises(GateFailed, match="alarm checkout is on already"):
        asyncio.run(update())
    assert world.kinds == [Kind.GATE_FAILED]


def test_evidence_that_can_not_be_had_hides_no_failure(world: World) -> None:
    world.state = "unhealthy"
    world.evidence_of(NEW).parent.mkdir(parents=True)
    world.evidence_of(NEW).write_text("a file where a directory should be")

    async def update() -> None:
        await call(declared(world.run()).before_update, listener(new=1))

    with pytest.raises(GateFailed, match="0 of 1 healthy"):
        asyncio.run(update())
    assert world.kinds == [Kind.GATE_FAILED]
    assert any("forensics" in line for line in world.warned)


@pytest.mark.parametrize(
    ("changes", "awaits"),
    [
        ({}, ["soak"]),
        ({"soak_seconds": 0}, []),
        ({"proofs": Proofs(attest=Attest(header="X-Release"))}, ["attest", "soak"]),
        ({"proofs": Proofs(attest=Attest(header="X-Release")), "soak_seconds": 0}, ["attest"]),
        ({"proofs": Proofs(attest=Attest(header="X-Release")), "proven": frozenset({NEW.version})}, []),
        ({"proven": frozenset({NEW.version})}, []),
    ],
)
def test_a_gate_that_passed_is_recorded_before_the_listener_changes_with_what_is_to_follow(
    world: World, changes: dict[str, Any], awaits: list[str]
) -> None:
    async def update() -> None:
        await call(declared(world.run(), asking(**changes)).before_update, listener(new=1))

    asyncio.run(update())
    (passed,) = world.events
    assert (passed.kind, passed.release) == (Kind.GATE_PASSED, NEW.version)
    evidence = {name: passed.evidence[name] for name in ("weights", "releases", "awaits")}
    assert evidence == {"weights": {NEW.version: 100}, "releases": {NEW.version: NEW.as_record()}, "awaits": awaits}


def test_a_gate_that_passed_tells_what_it_saw_and_who_served_before(world: World) -> None:
    async def update() -> None:
        await call(declared(world.run()).before_update, listener(old=0, new=100))

    asyncio.run(update())
    (passed,) = world.events
    assert passed.evidence["gate"] == {"healthy": 1, "wanted": 1, "smokeTests": [], "command": ""}
    assert passed.evidence["waitedSeconds"] >= 0
    assert passed.evidence["before"] == {"weights": {OLD.version: 100}, "capacity": {OLD.version: 1}}
    assert passed.evidence["capacity"] == {OLD.version: 1, NEW.version: 1}, "of all that the listener is to name"
    assert world.calls.count("groups") == 1, "it costs no call"


def test_a_plain_update_tells_who_had_it_run_and_when_it_began(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    github = {"SERVER_URL": "https://github.test", "REPOSITORY": "shop/web", "RUN_ID": "7", "TRIGGERING_ACTOR": "ann"}
    monkeypatch.delenv("PULUMI_CI_SYSTEM", raising=False)
    for name, value in {**github, "ACTIONS": "true"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    asyncio.run(_cut_over_alone(world))
    world.state = "unhealthy"
    with pytest.raises(GateFailed):
        asyncio.run(_cut_over_alone(world, back=True))
    for event in (world.events[0], world.events[2]):
        assert event.kind in (Kind.GATE_PASSED, Kind.GATE_FAILED)
        assert event.evidence["operator"] == "ann"
        assert event.evidence["ciRun"] == "https://github.test/shop/web/actions/runs/7"
        assert datetime.fromisoformat(event.evidence["began"]) <= event.at


def test_what_the_check_saw_of_the_image_is_told_by_gate_and_cutover_without_asking_again(world: World) -> None:
    world.image_tags = {"bluegreen:content-digest": "c0ffee", "bluegreen:commit": "4f1c2d3", "bluegreen:version": "2"}
    policy = asking()
    policy = dataclasses.replace(policy, gate=dataclasses.replace(policy.gate, minds_schema=False))

    async def update() -> None:
        hooks = world.run()
        await call(hooks.checking_image().before_create, template())
        await cut_over(world, hooks, policy)

    asyncio.run(update())
    seen = {"id": NEW.image, "contentDigest": "c0ffee", "commit": "4f1c2d3", "version": "2"}
    assert [event.evidence["image"] for event in world.events] == [seen, seen]
    assert world.calls.count(f"image {NEW.image}") == 1


def test_a_gate_that_refused_tells_of_the_image_too(world: World) -> None:
    world.image_tags = {"bluegreen:version": "2"}
    world.state = "unhealthy"

    async def update() -> None:
        hooks = world.run()
        binding = declared(hooks)
        await call(hooks.checking_image().before_create, template())
        await call(binding.before_update, listener(old=0, new=100))

    with pytest.raises(GateFailed):
        asyncio.run(update())
    assert world.events[0].kind is Kind.GATE_FAILED
    assert world.events[0].evidence["image"] == {"id": NEW.image, "version": "2"}


def test_a_shift_of_a_rollout_awaits_no_soak_of_the_guards(world: World) -> None:
    shift = Fleet((plan(OLD, weight=95), plan(NEW, Role.CANDIDATE, 5)))

    async def update() -> None:
        await call(declared(world.run(), asking(shift)).before_update, listener(old=95, new=5))

    asyncio.run(update())
    (passed,) = world.events
    assert passed.release == NEW.version
    assert passed.evidence["weights"] == {OLD.version: 95, NEW.version: 5}
    assert passed.evidence["awaits"] == []


def test_the_very_first_release_awaits_nothing(world: World) -> None:
    world.groups_there = (group(NEW, "tg-new"),)

    async def update() -> None:
        await call(declared(world.run()).before_create, listener("", new=1))

    asyncio.run(update())
    (passed,) = world.events
    assert passed.evidence["awaits"] == []


def test_a_cutover_is_recorded_once_the_listener_has_changed(world: World) -> None:
    asyncio.run(_cut_over_alone(world))
    assert world.kinds == [Kind.GATE_PASSED, Kind.CUTOVER]
    _, cutover = world.events
    assert cutover.release == NEW.version
    assert cutover.evidence == {"weights": {NEW.version: 100}, "releases": {NEW.version: NEW.as_record()}}
    assert {event.run for event in world.events} == {"this"}


async def _cut_over_alone(world: World, *, back: bool = False) -> None:
    if back:
        world.live = {"tg-old": 100}
    await cut_over(world, world.run())


def test_a_release_that_migrated_in_an_earlier_run_does_not_migrate_again(world: World) -> None:
    world.happened(Kind.MIGRATED, NEW, schema=14)
    migration = GateCommand(command=("./migrate-that-is-not-there",))

    async def update() -> None:
        await call(declared(world.run(), asking(proofs=Proofs(migration=migration))).before_update, listener(new=1))

    asyncio.run(update())
    assert world.kinds == [Kind.MIGRATED, Kind.GATE_PASSED]


@pytest.mark.parametrize("is_forced", [False, True])
def test_an_image_that_does_not_suit_the_database_passes_only_where_a_person_forces_it(
    world: World, is_forced: bool
) -> None:
    world.happened(Kind.MIGRATED, OLD, schema=14)
    old = Image(id=NEW.image, state="available", architecture="x86_64", root_device="x", tags={"schema-compat": "13"})
    world.image = lambda image: old  # type: ignore[method-assign]

    async def update() -> None:
        await call(declared(world.run(is_forced=is_forced)).before_update, listener(new=1))

    if is_forced:
        asyncio.run(update())
    else:
        with pytest.raises(GateFailed, match="the database has schema 14"):
            asyncio.run(update())


@pytest.mark.parametrize("code", [0, 1])
def test_a_migration_is_recorded_with_the_schema_that_it_told_where_it_succeeded(world: World, code: int) -> None:
    migration = GateCommand(command=("/bin/sh", "-c", f"echo schema=14; exit {code}"))

    async def update() -> None:
        await call(declared(world.run(), asking(proofs=Proofs(migration=migration))).before_update, listener(new=1))

    if code:
        with pytest.raises(GateFailed, match="migration"):
            asyncio.run(update())
        assert Kind.MIGRATED not in world.kinds
        return
    asyncio.run(update())
    migrated, passed = world.events
    assert (migrated.kind, migrated.release, migrated.evidence) == (Kind.MIGRATED, NEW.version, {"schema": 14})
    assert passed.kind is Kind.GATE_PASSED


# -- the watch in the guard


PARTS = (deleted_alarm(), deleted_policy(), deleted_group())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.type.rpartition(":")[2])
def test_a_watch_that_fails_refuses_and_names_the_folder_and_the_way_back(
    world: World, part: pulumi.ResourceHookArgs
) -> None:
    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks)
        world.alarm_state = "ALARM"
        await delete(hooks, part)

    with pytest.raises(WatchFailed, match=r"soak: web-\w+: alarm checkout is on") as caught:
        asyncio.run(update())
    assert world.kinds[2:] == [Kind.SOAK_BEGAN, Kind.SOAK_FAILED, Kind.FORENSICS]
    assert [event.release for event in world.events[2:]] == [NEW.version] * 3
    assert "The old server group was left whole: `bluegreen rollback`" in caught.value.next_step
    assert f"What is known: {world.evidence_of(NEW)}" in caught.value.next_step
    assert (world.evidence_of(NEW) / "targets.json").exists()
    assert "listeners" not in world.calls, "whether it may go is not even asked"


def test_a_watch_is_kept_once_in_a_run_however_many_parts_ask(world: World) -> None:
    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks)
        await asyncio.gather(*(delete(hooks, part) for part in PARTS))
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert world.kinds == [Kind.GATE_PASSED, Kind.CUTOVER, Kind.SOAK_BEGAN, Kind.SOAK_PASSED]
    assert world.ledger.read().healthy == {NEW.version}


def test_a_watch_that_failed_refuses_every_part_and_is_not_kept_again(world: World) -> None:
    async def update() -> list[Any]:
        hooks = world.run()
        await cut_over(world, hooks)
        world.alarm_state = "ALARM"
        together = await asyncio.gather(*(delete(hooks, part) for part in PARTS), return_exceptions=True)
        world.alarm_state = "OK"
        return [*together, *await asyncio.gather(delete(hooks, deleted_group()), return_exceptions=True)]

    assert [type(each) for each in asyncio.run(update())] == [WatchFailed] * 4
    assert world.kinds.count(Kind.SOAK_BEGAN) == world.kinds.count(Kind.FORENSICS) == 1


def test_a_watch_that_was_left_open_by_an_earlier_run_is_kept_though_no_traffic_moves(world: World) -> None:
    world.live = {"tg-new": 100}

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert world.kinds == [Kind.SOAK_BEGAN, Kind.SOAK_PASSED]


@pytest.mark.parametrize("told_by", ["config", "ledger"])
def test_a_release_that_was_seen_healthy_is_not_soaked_again(world: World, told_by: str) -> None:
    policy = asking(proven=frozenset({NEW.version}) if told_by == "config" else frozenset())
    if told_by == "ledger":
        world.has_served(NEW)
    world.alarm_state = "ALARM"

    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks, policy)
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert Kind.SOAK_BEGAN not in world.kinds
    passed = next(event for event in world.events if event.kind is Kind.GATE_PASSED)
    assert passed.evidence["awaits"] == []


def test_a_release_that_was_seen_healthy_is_not_watched_at_all_where_no_traffic_moved(world: World) -> None:
    world.has_served(NEW)
    world.live = {"tg-new": 100}

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert world.calls == ["listeners"]


def test_on_the_way_back_a_failed_attest_is_said_and_neither_holds_anything_up_nor_is_held_against_the_release(
    world: World,
) -> None:
    world.has_served(NEW)
    policy = asking(proofs=Proofs(attest=Attest(header="X-Release")))

    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks, policy)
        minutes = itertools.count(step=60)
        hooks._watch = dataclasses.replace(
            hooks._watch, probe=lambda *_: Unreachable("web: refused"), clock=lambda: next(minutes)
        )
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert any("can't connect" in line for line in world.warned)
    assert world.ledger.read().healthy == {NEW.version}


def test_an_image_that_was_never_made_is_no_reason_to_watch_when_all_is_destroyed(world: World) -> None:
    """`ami` was changed, and instead of deploying it the stack is destroyed."""
    world.live = {}

    async def destroy() -> None:
        hooks = world.run()
        declared(hooks, asking(fleet=Fleet((plan(release(9)),)), soak_seconds=60))
        await delete(hooks, deleted_group())

    asyncio.run(destroy())
    assert Kind.SOAK_BEGAN not in world.kinds
    assert Kind.ATTEST_FAILED not in world.kinds


def test_what_an_earlier_update_of_the_same_deployment_has_shown_counts(world: World) -> None:
    """A rollout of several steps soaks each once."""

    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks, asking(soak_seconds=0))
        assert world.ledger.read().healthy == {NEW.version}
        again = world.run()  # another `up` of the same deployment
        declared(again)
        await delete(again, deleted_group())

    asyncio.run(update())
    assert world.kinds[2:] == []


def test_a_shift_of_a_rollout_is_soaked_by_the_driver_and_not_in_the_guard(world: World) -> None:
    shift = Fleet((plan(OLD, weight=95), plan(NEW, Role.CANDIDATE, 5)))
    oldest = release(3)

    async def update() -> None:
        hooks = world.run()
        binding = declared(hooks, asking(shift))
        await call(binding.before_update, listener(old=95, new=5))
        world.live = {"tg-old": 95, "tg-new": 5}
        await delete(hooks, deleted_group(oldest, "tg-oldest"))

    asyncio.run(update())
    assert world.kinds == [Kind.GATE_PASSED]


# -- a destroy


def test_on_a_destroy_nothing_is_watched_and_that_all_was_destroyed_is_recorded(world: World) -> None:
    world.live = {}
    world.alarm_state = "ALARM"

    async def destroy() -> None:
        hooks = world.run()
        declared(hooks)
        for part in (deleted_alarm(NEW), deleted_policy(NEW)):
            await delete(hooks, part)
        assert world.kinds == []
        await delete(hooks, deleted_group(NEW, "tg-new"))

    asyncio.run(destroy())
    assert world.kinds == [Kind.DESTROYED]
    assert world.events[0].release == NEW.version
    assert world.events[0].evidence["operator"]


def test_a_destroy_by_the_driver_watches_nothing_for_a_group_that_is_declared_no_more_either(world: World) -> None:
    world.live = {}
    world.alarm_state = "ALARM"

    async def destroy() -> None:
        hooks = world.run(is_destroy=True)
        declared(hooks)
        await delete(hooks, deleted_group())

    asyncio.run(destroy())
    assert world.kinds == []


def test_a_declared_group_that_still_has_traffic_is_kept_and_nothing_is_taken_for_destroyed(world: World) -> None:
    world.live = {"tg-new": 100}

    async def destroy() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_group(NEW, "tg-new"))

    with pytest.raises(GuardRefused, match="still takes traffic"):
        asyncio.run(destroy())
    assert world.kinds == []


def test_nothing_of_a_protected_service_is_destroyed_and_aws_is_asked_once(world: World) -> None:
    world.live, world.is_protected = {}, True

    async def destroy() -> None:
        hooks = world.run()
        declared(hooks)
        for part in (deleted_policy(NEW), deleted_group(NEW, "tg-new")):
            with pytest.raises(Protected, match="web-4f2a is protected against deletion"):
                await delete(hooks, part)

    asyncio.run(destroy())
    assert world.calls.count("protected") == 1
    assert world.kinds == []


def test_protection_holds_up_no_change_of_release(world: World) -> None:
    world.is_protected = True

    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks)
        await delete(hooks, deleted_policy())
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert "protected" not in world.calls


def test_a_policy_is_held_back_by_the_watch_of_its_own_service_where_a_program_has_two(world: World) -> None:
    of_other, other = dataclasses.replace(OLD, service="admin"), dataclasses.replace(OWNER, service="admin")

    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks)
        hooks.gated(other, asking(Fleet((plan(dataclasses.replace(NEW, service="admin")),))))
        world.alarm_state = "ALARM"
        await delete(hooks, deleted_policy(of_other))
        with pytest.raises(WatchFailed):
            await delete(hooks, deleted_policy())

    asyncio.run(update())


def test_an_alarm_that_a_setting_takes_away_is_not_held_back_by_a_watch(world: World) -> None:
    world.live = {"tg-new": 100}
    world.alarm_state = "ALARM"

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_alarm(NEW))

    asyncio.run(update())
    assert world.kinds == []


# -- an update of an Auto Scaling group


KEPT = Fleet((plan(NEW), plan(OLD, Role.STANDBY, 0)))


@pytest.mark.parametrize(("was", "becomes"), [(6, 8), (6, 6), (0, 6), (0, 0)])
def test_an_update_that_empties_no_group_is_not_asked_about(world: World, was: int, becomes: int) -> None:
    async def update() -> None:
        hooks = world.run()
        declared(hooks, asking(KEPT))
        await call(hooks.guarding_machines().before_update, updated_group(OLD, "tg-old", was=was, becomes=becomes))

    asyncio.run(update())
    assert world.calls == []
    assert world.kinds == []


def test_a_group_that_an_update_empties_while_it_has_traffic_is_kept(world: World) -> None:
    world.has_served(NEW)

    async def update() -> None:
        hooks = world.run()
        declared(hooks, asking(KEPT))
        await call(hooks.guarding_machines().before_update, updated_group(OLD, "tg-old", was=6, becomes=0))

    with pytest.raises(GuardRefused, match="still takes traffic"):
        asyncio.run(update())
    world.live = {"tg-new": 100, "tg-old": 0}
    asyncio.run(update())


def test_a_group_is_not_emptied_before_the_release_that_replaced_it_was_watched(world: World) -> None:
    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks, asking(KEPT))
        world.alarm_state = "ALARM"
        await call(hooks.guarding_machines().before_update, updated_group(OLD, "tg-old", was=6, becomes=0))

    with pytest.raises(WatchFailed, match="alarm checkout is on"):
        asyncio.run(update())
    assert Kind.DESTROYED not in world.kinds


def test_a_group_that_is_emptied_is_none_that_was_destroyed(world: World) -> None:
    async def update() -> None:
        hooks = world.run()
        await cut_over(world, hooks, asking(KEPT))
        await call(hooks.guarding_machines().before_update, updated_group(OLD, "tg-old", was=6, becomes=0))

    asyncio.run(update())
    assert world.kinds == [Kind.GATE_PASSED, Kind.CUTOVER, Kind.SOAK_BEGAN, Kind.SOAK_PASSED]


# -- evidence of what goes


def test_evidence_is_saved_before_a_group_goes_that_has_failed(world: World) -> None:
    world.has_served(NEW)
    world.happened(Kind.SOAK_FAILED, OLD)
    world.live = {"tg-new": 100}

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert world.kinds[2:] == [Kind.FORENSICS]
    assert world.events[2].evidence == {"folder": str(world.evidence_of(OLD))}
    assert (world.evidence_of(OLD) / "console-i-tg-old.txt").exists()


@pytest.mark.parametrize("has_failed", [False, True])
def test_evidence_is_not_saved_twice_nor_of_a_group_that_did_well(world: World, has_failed: bool) -> None:
    world.has_served(NEW)
    if has_failed:
        world.happened(Kind.SOAK_FAILED, OLD)
        world.happened(Kind.FORENSICS, OLD, folder="there")
    known = len(world.events)
    world.live = {"tg-new": 100}

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert len(world.events) == known
    assert not world.evidence_of(OLD).exists()


def test_of_a_group_that_is_kept_no_evidence_is_saved(world: World) -> None:
    world.has_served(NEW)
    world.happened(Kind.SOAK_FAILED, OLD)

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_group())

    with pytest.raises(GuardRefused):
        asyncio.run(update())
    assert Kind.FORENSICS not in world.kinds


def test_evidence_of_a_group_whose_machines_are_gone_holds_nothing_up(world: World) -> None:
    world.has_served(NEW)
    world.happened(Kind.SOAK_FAILED, OLD)
    world.live = {"tg-new": 100}
    world.groups_there = (group(NEW, "tg-new"),)

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert Kind.FORENSICS not in world.kinds


# -- after a failure


def test_nothing_is_deleted_in_an_update_whose_gate_failed(world: World) -> None:
    world.state = "unhealthy"

    async def update() -> None:
        hooks = world.run()
        binding = declared(hooks)
        with pytest.raises(GateFailed):
            await call(binding.before_update, listener(new=1))
        world.live = {}
        for part in (*PARTS, deleted_group(NEW, "tg-new")):
            with pytest.raises(GuardRefused, match=f"in an update in which {GATE_HOOK} failed"):
                await delete(hooks, part)

    asyncio.run(update())


# -- the image


def test_a_release_that_can_be_launched_and_watched_passes_the_image_hook(world: World) -> None:
    asyncio.run(_check_image(world))
    assert world.kinds == []
    assert f"image {NEW.image}" in world.calls


async def _check_image(world: World, policy: ServicePolicy | None = None) -> None:
    hooks = world.run()
    declared(hooks, policy)
    await call(hooks.checking_image().before_create, template())


def test_a_ledger_that_can_not_be_read_is_refused_by_the_image_hook_before_anything_is_asked(world: World) -> None:
    world.spoil_ledger()
    with pytest.raises(LedgerError, match="line 1"):
        asyncio.run(_check_image(world))
    assert world.calls == []


def test_a_way_back_whose_launch_template_is_gone_is_not_held_up_by_the_ledger_either(world: World) -> None:
    world.spoil_ledger()
    asyncio.run(_check_image(world, asking(proven=frozenset({NEW.version}))))
    assert f"image {NEW.image}" in world.calls
    assert any("nobody knows what the history says" in line for line in world.warned)


def test_a_ledger_that_can_not_be_read_is_only_warned_of_on_the_way_back(world: World) -> None:
    world.spoil_ledger()

    async def flip() -> None:  # a standby at full size has its launch template
        hooks = world.run()
        await cut_over(world, hooks, asking(proven=frozenset({NEW.version})))
        await delete(hooks, deleted_group())

    asyncio.run(flip())
    assert any("has a line that is no event: line 1" in line for line in world.warned)


def test_a_ledger_that_can_not_be_written_either_holds_the_way_back_up_no_more(world: World) -> None:
    world.block_ledger()

    async def flip() -> None:
        hooks = world.run()
        await cut_over(world, hooks, asking(proven=frozenset({NEW.version})))
        await delete(hooks, deleted_group())

    asyncio.run(flip())
    for kind in (Kind.GATE_PASSED, Kind.CUTOVER):
        assert any(line.startswith(f"not in the ledger: {kind.value}: ") for line in world.warned)


def test_where_the_ledger_can_not_be_read_nothing_is_taken_for_seen_healthy(world: World) -> None:
    world.has_served(NEW)
    world.ledger.file.write_text(world.ledger.file.read_text() + "{}\n")
    world.alarm_state = "ALARM"

    async def update() -> None:
        await call(declared(world.run()).before_update, listener(new=1))

    with pytest.raises(GateFailed, match="alarm checkout is on already"):
        asyncio.run(update())


@pytest.mark.parametrize("setting", ["gateCommand", "migration"])
def test_a_command_that_is_not_there_is_known_by_its_setting_before_anything_is_launched(
    world: World, setting: str
) -> None:
    command = GateCommand(command=("./not-there",))
    proofs = Proofs(command=command) if setting == "gateCommand" else Proofs(migration=command)
    with pytest.raises(SettingsError, match=rf"bluegreen:{setting}\.command: there is no program"):
        asyncio.run(_check_image(world, asking(proofs=proofs)))


def test_alarms_that_are_not_there_are_known_before_anything_is_launched(world: World) -> None:
    world.alarm_names = ()
    with pytest.raises(GateFailed, match="there is no alarm checkout"):
        asyncio.run(_check_image(world))


def test_credentials_that_end_before_the_soak_does_are_known_before_anything_is_launched(world: World) -> None:
    world.session.end = START
    with pytest.raises(AwsError, match="the credentials end in 0 s"):
        asyncio.run(_check_image(world))
    asyncio.run(_check_image(world, asking(soak_seconds=0)))


def test_on_the_way_back_neither_alarms_nor_credentials_matter(world: World) -> None:
    world.alarm_names = ()
    world.session.end = START
    asyncio.run(_check_image(world, asking(proven=frozenset({NEW.version}))))


# -- deployment windows

WINDOWS = (Window.model_validate({"days": ["thu"], "from": "09:00", "to": "17:00"}),)
WITHIN, OUTSIDE = START.replace(hour=12), START.replace(hour=18)  # a Thursday


async def _launch(world: World, hooks: Hooks, of: Release = NEW) -> None:
    declared(hooks, asking(windows=WINDOWS))
    await call(hooks.checking_image().before_create, template(of))


def test_a_new_release_is_refused_outside_its_windows_before_anything_is_changed(world: World) -> None:
    world.now = OUTSIDE

    async def update() -> None:
        with pytest.raises(WindowClosed, match=r"thu 09:00-17:00 UTC opens Thu 2026-01-08 09:00"):
            await _launch(world, world.run())

    asyncio.run(update())
    assert world.calls == []


def test_a_preview_only_tells_of_a_closed_window(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.now = OUTSIDE
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)

    async def preview() -> None:
        await _launch(world, world.run())

    asyncio.run(preview())
    assert "dev takes no new release now" in world.warned[0]


def test_the_way_back_is_open_outside_the_windows(world: World) -> None:
    world.now = OUTSIDE
    world.has_served(NEW)

    async def update() -> None:
        await _launch(world, world.run())

    asyncio.run(update())
    assert world.warned == []


def test_what_is_forced_through_a_closed_window_is_recorded(world: World) -> None:
    world.now = OUTSIDE

    async def update() -> None:
        hooks = world.run("", is_forced=True)
        await _launch(world, hooks)
        await call(hooks.gated(OWNER, asking(windows=WINDOWS)).before_update, listener(new=100))

    asyncio.run(update())
    passed = next(event for event in world.events if event.kind is Kind.GATE_PASSED)
    assert len(passed.evidence["forced"]) == 1
    assert "it is Thu 2026-01-01 18:00 in UTC" in passed.evidence["forced"][0]


def test_a_release_that_came_in_time_is_not_sent_away_by_a_window_that_closes_while_it_is_proven(world: World) -> None:
    world.now = WITHIN

    async def update() -> None:
        hooks = world.run("")
        await _launch(world, hooks)
        world.now = OUTSIDE
        await call(hooks.gated(OWNER, asking(windows=WINDOWS)).before_update, listener(new=100))

    asyncio.run(update())
    assert Kind.GATE_PASSED in world.kinds


def test_a_candidate_that_an_earlier_update_left_waits_for_its_window_too(world: World) -> None:
    """Its launch template is there, so the image hook is not asked again."""
    world.now = OUTSIDE

    async def update(run: str) -> None:
        await call(world.run(run).gated(OWNER, asking(windows=WINDOWS)).before_update, listener(new=100))

    with pytest.raises(WindowClosed):
        asyncio.run(update(""))
    assert world.kinds == []
    asyncio.run(update("driven"))  # its driver has asked
    assert Kind.GATE_PASSED in world.kinds


def test_nothing_is_deleted_in_an_update_whose_image_was_refused(world: World) -> None:
    world.image = lambda image: None  # type: ignore[method-assign]
    world.live = {}

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        with pytest.raises(BluegreenError, match="bluegreen:ami"):
            await call(hooks.checking_image().before_create, template())
        with pytest.raises(GuardRefused, match=IMAGE_HOOK):
            await delete(hooks, deleted_group())

    asyncio.run(update())


def _revoke(world: World) -> None:
    evidence = {"image": NEW.image, "contentDigest": "", "why": "CVE-2026-1", "operator": "ann"}
    world.ledger.append(Event(at=START, run="before", kind=Kind.REVOKED, evidence=evidence))


def test_a_revoked_image_is_refused_before_anything_is_launched(world: World) -> None:
    _revoke(world)
    with pytest.raises(BluegreenError, match=f"{NEW.image} was revoked by ann"):
        asyncio.run(_check_image(world))


@pytest.mark.parametrize("has_served", [True, False])
def test_force_passes_a_revoked_image_only_back_to_what_ran_here(world: World, has_served: bool) -> None:
    if has_served:
        world.has_served(NEW)
    _revoke(world)

    async def check() -> None:
        hooks = world.run(is_forced=True)
        declared(hooks)
        await call(hooks.checking_image().before_create, template())

    if has_served:
        asyncio.run(check())
    else:
        with pytest.raises(BluegreenError, match="was revoked"):
            asyncio.run(check())


def test_nothing_is_deleted_beside_another_deployment_of_the_stack(world: World) -> None:
    """By a plain destroy, or an update that leaves the listener alone, in the middle of a rollout."""
    holder = Holder(
        run="other", verb="deploy", operator="ann", host="elsewhere", process=1, born="", since=START, ci_run=""
    )
    assert world.ledger.swap_lease(Lease(), Lease().taken_by(holder, START))

    async def destroy() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, deleted_group(NEW, "tg-new"))

    with pytest.raises(GuardRefused, match="is being changed by ann"):
        asyncio.run(destroy())
    assert world.kinds == []
