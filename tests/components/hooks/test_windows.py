"""Outside its windows a stack takes no new release, but the way back is open."""

from __future__ import annotations

import asyncio

import pulumi
import pytest

from bluegreen.components.hooks import Hooks
from bluegreen.errors import (
    WindowClosed,
)
from bluegreen.model.history import Kind
from bluegreen.model.release import Release
from bluegreen.model.window import Window
from tests.components.hooks.world import (
    NEW,
    OWNER,
    START,
    World,
    asking,
    call,
    declared,
    listener,
    template,
)

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
