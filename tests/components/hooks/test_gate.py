"""The gate hook: nothing moves unproven, and what it saw is recorded."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from bluegreen.errors import (
    GateFailed,
)
from bluegreen.model.attest import Attest
from bluegreen.model.command import GateCommand
from bluegreen.model.fleet import Fleet, Role
from bluegreen.model.gate import Proofs
from bluegreen.model.history import Kind
from bluegreen.model.observation import (
    Alarm,
    Image,
)
from tests.components.hooks.world import (
    NEW,
    OLD,
    World,
    asking,
    call,
    cut_over,
    declared,
    group,
    listener,
    plan,
    template,
)


async def _cut_over_alone(world: World, *, back: bool = False) -> None:
    if back:
        world.live = {"tg-old": 100}
    await cut_over(world, world.run())


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
    world.groups_there, world.live = (group(NEW, "tg-new"),), {}

    async def update() -> None:
        await call(declared(world.run()).before_create, listener("", new=1))

    asyncio.run(update())
    (passed,) = world.events
    assert passed.evidence["awaits"] == []


@pytest.mark.parametrize("arn", ["", "arn:redirect"])
def test_a_listener_that_takes_another_one_s_traffic_over_is_gated_against_that(world: World, arn: str) -> None:
    """HTTPS and HTTP have a listener each: a new one, or one that was the redirect, begins with all of the traffic."""

    def weights(listener: str) -> dict[str, int]:
        return {} if listener == "arn:redirect" else dict(world.live)

    world.default_weights = weights  # type: ignore[method-assign]

    async def update() -> None:
        was = {"defaultActions": [{"type": "redirect", "redirect": {"statusCode": "HTTP_301"}}]}
        args = listener(arn, new=1)
        args.old_inputs = was if arn else None
        await call(declared(world.run()).before_update, args)

    asyncio.run(update())
    (passed,) = world.events
    assert passed.evidence["before"]["weights"] == {OLD.version: 100}
    assert passed.evidence["awaits"] == ["soak"]


def test_a_rule_of_a_shared_listener_is_gated_as_a_listener_is(world: World) -> None:
    async def update() -> None:
        bound, given = declared(world.run()), listener("arn:rule", new=1)
        given.type = "aws:lb/listenerRule:ListenerRule"
        inputs = dict(given.new_inputs or {})
        given.new_inputs = {"tags": inputs["tags"], "actions": inputs["defaultActions"]}
        given.old_inputs = {"actions": [{"type": "forward", "targetGroupArn": "tg-old"}]}
        await call(bound.before_update, given)
        await call(bound.after_update, given)

    asyncio.run(update())
    passed, cutover = world.events
    assert (passed.kind, cutover.kind) == (Kind.GATE_PASSED, Kind.CUTOVER)
    assert passed.evidence["before"]["weights"] == {OLD.version: 100}


def test_a_cutover_is_recorded_once_the_listener_has_changed(world: World) -> None:
    asyncio.run(_cut_over_alone(world))
    assert world.kinds == [Kind.GATE_PASSED, Kind.CUTOVER]
    _, cutover = world.events
    assert cutover.release == NEW.version
    assert cutover.evidence == {"weights": {NEW.version: 100}, "releases": {NEW.version: NEW.as_record()}}
    assert {event.run for event in world.events} == {"this"}


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
