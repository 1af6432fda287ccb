"""The guard at work: one verdict per group and run, and nothing that serves is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from bluegreen.checks.guard import Guard
from bluegreen.errors import GuardRefused
from bluegreen.model.observation import Group, Listener

OLD = Group(name="web-old", release="old", minimum=2, maximum=6, desired=2, target_groups=("old",))


@dataclass
class World:
    weights: dict[str, int]
    groups: dict[str, Group] = field(default_factory=lambda: {"web-old": OLD})
    calls: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def group(self, name: str) -> Group | None:
        self.calls.append(f"group {name}")
        return self.groups.get(name)

    def listeners_of(self, target_groups: Iterable[str]) -> tuple[Listener, ...]:
        self.calls.append(f"listeners of {','.join(target_groups)}")
        return (Listener(arn="arn", port=80, is_preview=False, weights=self.weights),)

    @property
    def guard(self) -> Guard:
        return Guard(sight=self, report=self.said.append)


def test_a_group_without_traffic_may_go() -> None:
    world = World({"new": 1})
    asyncio.run(world.guard.release("web-old", ("old",)))
    assert world.said == ["guard: web-old takes no traffic"]
    assert world.calls == ["listeners of old"]


def test_a_group_with_traffic_is_kept() -> None:
    world = World({"old": 1})
    with pytest.raises(GuardRefused, match="still takes traffic"):
        asyncio.run(world.guard.release("web-old", ("old",)))


def test_a_policy_knows_only_the_name_of_its_group() -> None:
    world = World({"old": 1})
    with pytest.raises(GuardRefused):
        asyncio.run(world.guard.release("web-old"))
    assert world.calls == ["group web-old", "listeners of old"]


def test_a_group_that_is_gone_already_holds_nothing_up() -> None:
    world = World({"old": 1}, groups={})
    asyncio.run(world.guard.release("web-old"))
    assert world.calls == ["group web-old"]


def test_all_of_a_group_shares_one_verdict() -> None:
    world = World({"old": 1})

    async def delete_everything() -> list[BaseException | None]:
        guard = world.guard
        together = [guard.release("web-old"), guard.release("web-old", ("old",))]
        outcomes = list(await asyncio.gather(*together, return_exceptions=True))
        outcomes += await asyncio.gather(guard.release("web-old", ("old",)), return_exceptions=True)
        return outcomes

    assert [type(outcome) for outcome in asyncio.run(delete_everything())] == [GuardRefused] * 3
    assert world.calls == ["group web-old", "listeners of old"]
    assert len(world.said) == 1
