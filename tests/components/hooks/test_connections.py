"""What the guard hook tells the guard of connections that a Network Load Balancer leaves on an old server group."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest

from bluegreen.checks.guard import TrafficMoved
from bluegreen.components.hooks import Hooks, ServicePolicy
from bluegreen.errors import AwsError
from bluegreen.model.fleet import Fleet
from bluegreen.model.guard import Connections
from bluegreen.model.history import Kind
from bluegreen.model.settings import Settings
from tests.components.hooks.world import (
    NEW,
    OLD,
    PARTS,
    START,
    World,
    asking,
    call,
    cut_over,
    declared,
    delete,
    deleted_group,
    listener,
    plan,
    template,
    updated_group,
)


@dataclass
class Asked:
    """The guard, which lets all go and keeps what it was asked with."""

    connections: list[Connections | None] = field(default_factory=list)
    moved: list[TrafficMoved] = field(default_factory=list)

    async def release(self, *given: Any, connections: Connections | None = None, **_: Any) -> None:
        self.connections += given[4:5] or [connections]
        self.moved += given[3:4]


def hooks_of(world: World, asked: Asked, *, seconds: int = 600, is_destroy: bool = False) -> Hooks:
    hooks = world.run(is_destroy=is_destroy)
    hooks._guard = asked  # type: ignore[assignment]
    declared(hooks, asking(kept_seconds=seconds))
    return hooks


def kept(world: World, *parts: pulumi.ResourceHookArgs, **options: Any) -> list[Connections | None]:
    """What is said of each part that goes, in a run that moves no traffic."""
    asked = Asked()
    world.live = {"tg-new": 100}

    async def update() -> None:
        hooks = hooks_of(world, asked, **options)
        for part in parts:
            await delete(hooks, part)

    asyncio.run(update())
    return asked.connections


def test_every_part_of_an_old_group_is_kept_for_its_connections_in_the_run_that_moved_the_traffic(world: World) -> None:
    asked = Asked()

    async def update() -> None:
        hooks = hooks_of(world, asked)
        await cut_over(world, hooks, asking(kept_seconds=600))
        for part in PARTS:
            await delete(hooks, part)

    asyncio.run(update())
    assert [each and (each.limit_seconds, each.listener) for each in asked.connections] == [(600, "arn:listener")] * 4


def test_the_clock_begins_when_the_listener_has_changed_and_not_when_the_gate_has_passed(world: World) -> None:
    asked = Asked()

    async def update() -> float:
        hooks = hooks_of(world, asked)
        binding = declared(hooks, asking(kept_seconds=600))
        await call(binding.before_update, listener(old=0, new=100))
        passed = time.monotonic()
        world.live = {"tg-new": 100}
        await call(binding.after_update, listener(old=0, new=100))
        await delete(hooks, deleted_group())
        return passed

    passed = asyncio.run(update())
    (moved,) = asked.moved
    assert moved.at > passed


def test_the_next_run_knows_from_the_ledger_when_the_traffic_moved(world: World) -> None:
    world.has_served(OLD)
    world.has_served(NEW)
    found = kept(world, *PARTS)
    assert found == [Connections(limit_seconds=600, listener="arn:listener", moved_at=START)] * 4


def test_a_ledger_that_knows_of_no_cutover_leaves_the_moment_open(world: World) -> None:
    (found,) = kept(world, deleted_group())
    assert found == Connections(limit_seconds=600, listener="arn:listener", moved_at=None)


def test_a_run_that_died_before_it_could_note_the_cutover_leaves_the_moment_open(world: World) -> None:
    world.has_served(OLD)
    world.happened(Kind.GATE_PASSED, NEW)
    (found,) = kept(world, deleted_group())
    assert found
    assert found.moved_at is None


def test_a_standby_that_is_emptied_is_kept_too(world: World) -> None:
    asked = Asked()
    world.live = {"tg-new": 100}

    async def update() -> None:
        hooks = hooks_of(world, asked)
        emptied = updated_group(OLD, "tg-old", was=6, becomes=0)
        await call(hooks.guarding_machines().before_update, emptied)

    asyncio.run(update())
    assert [each and each.limit_seconds for each in asked.connections] == [600]


@pytest.mark.parametrize(
    ("part", "options"),
    [
        (deleted_group(), {"seconds": 0}),  # behind an Application Load Balancer
        (deleted_group(), {"is_destroy": True}),
        (deleted_group(NEW, "tg-new"), {}),  # what is declared goes in a destroy alone
    ],
)
def test_nothing_is_kept_where_no_connection_is_to_stay(
    world: World, part: pulumi.ResourceHookArgs, options: dict[str, Any]
) -> None:
    assert kept(world, part, **options) == [None]


def test_what_never_took_traffic_is_not_kept_where_nothing_has_served_before(world: World) -> None:
    """A first release that did not get through its gate, and the one that takes its place."""
    asked = Asked()

    async def update() -> None:
        hooks = hooks_of(world, asked)
        world.live = {}
        binding = declared(hooks, asking(kept_seconds=600))
        await call(binding.before_create, listener("", new=100))
        world.live = {"tg-new": 100}
        await delete(hooks, deleted_group())

    asyncio.run(update())
    assert asked.connections == [None]


def test_credentials_have_to_last_for_it(world: World) -> None:
    world.session.end = START

    async def launch(policy: ServicePolicy) -> None:
        hooks = world.run()
        binding = declared(hooks, policy)
        assert binding
        await call(hooks.checking_image().before_create, template())

    asyncio.run(launch(asking(soak_seconds=0)))
    with pytest.raises(AwsError, match="and gate and soak may take 600 s"):
        asyncio.run(launch(asking(soak_seconds=0, kept_seconds=600)))


def test_the_policy_of_a_service_is_its_settings() -> None:
    fleet = Fleet((plan(NEW),))
    for config, seconds in (
        ({}, 0),
        ({"loadBalancer": "network"}, 600),
        ({"loadBalancer": "network", "connectionSeconds": 9}, 9),
    ):
        settings = Settings.parse({"ami": NEW.image, **config})
        assert ServicePolicy.from_settings(settings, fleet).kept_seconds == seconds
