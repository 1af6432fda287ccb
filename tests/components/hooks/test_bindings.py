"""The names and the moments of the hooks are what checkpoints have."""

from __future__ import annotations

import asyncio
from typing import cast

from bluegreen.model.notice import CUTOVER_HOOK, GATE_HOOK, GUARD_HOOK, IMAGE_HOOK
from tests.components.hooks.world import (
    FakeHook,
    World,
    declared,
)


def test_the_names_and_the_moments_of_the_hooks_are_what_checkpoints_have(world: World) -> None:
    async def bindings() -> dict[str, dict[str, list[str]]]:
        hooks = world.run()
        bound = {
            "image": hooks.checking_image(),
            "listener": declared(hooks),
            "machines": hooks.guarding_machines(),
            "part": hooks.guarding_part("web-4d197941"),
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
            hooks.guarding_part("web-4d197941").before_delete,
        ]
        found = [cast(FakeHook, hook) for each in bound for hook in each or []]
        return {hook.name: bool(hook.options and hook.options.on_dry_run) for hook in found}

    assert asyncio.run(options()) == {IMAGE_HOOK: True, GATE_HOOK: False, GUARD_HOOK: False}
