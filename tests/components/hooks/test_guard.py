"""The guard hook: what goes, what stays, and what is saved of it before."""

from __future__ import annotations

import asyncio
import dataclasses

import pulumi
import pytest

from bluegreen.errors import (
    BluegreenError,
    GateFailed,
    GuardRefused,
    Protected,
    WatchFailed,
)
from bluegreen.model.fleet import Fleet, Role
from bluegreen.model.history import Kind
from bluegreen.model.lease import Holder, Lease
from bluegreen.model.notice import GATE_HOOK, IMAGE_HOOK
from tests.components.hooks.world import (
    NEW,
    OLD,
    OWNER,
    PARTS,
    START,
    World,
    asking,
    call,
    cut_over,
    declared,
    delete,
    deleted_alarm,
    deleted_group,
    deleted_policy,
    deleted_schedule,
    group,
    listener,
    plan,
    template,
    updated_group,
)

KEPT = Fleet((plan(NEW), plan(OLD, Role.STANDBY, 0)))


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
        parts = (deleted_alarm(NEW), deleted_policy(NEW), deleted_schedule(NEW))
        for part in parts:
            hooks.guarding_part(part.name)
        for part in (*parts, deleted_group(NEW, "tg-new")):
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


@pytest.mark.parametrize("part", [deleted_alarm(NEW), deleted_policy(NEW), deleted_schedule(NEW)])
def test_a_part_that_a_setting_takes_away_is_held_back_by_no_watch_and_no_protection(
    world: World, part: pulumi.ResourceHookArgs
) -> None:
    world.live = {"tg-new": 100}
    world.alarm_state, world.is_protected = "ALARM", True

    async def update() -> None:
        hooks = world.run()
        declared(hooks)
        await delete(hooks, part)

    asyncio.run(update())
    assert world.kinds == []
    assert "protected" not in world.calls


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
