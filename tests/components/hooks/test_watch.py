"""The guard hook watches what has got the traffic before anything of the old group goes."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from typing import Any

import pulumi
import pytest

from bluegreen.errors import (
    WatchFailed,
)
from bluegreen.model.answer import Unreachable
from bluegreen.model.attest import Attest
from bluegreen.model.fleet import Fleet, Role
from bluegreen.model.gate import Proofs
from bluegreen.model.history import Kind
from tests.components.hooks.world import (
    NEW,
    OLD,
    PARTS,
    World,
    asking,
    call,
    cut_over,
    declared,
    delete,
    deleted_group,
    listener,
    plan,
    release,
)


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

    assert [type(each) for each in asyncio.run(update())] == [WatchFailed] * (len(PARTS) + 1)
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
