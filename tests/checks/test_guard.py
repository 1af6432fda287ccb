"""The guard at work: one verdict per group and run, and nothing that serves is let go."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from bluegreen.checks.guard import Guard, TrafficMoved
from bluegreen.errors import GuardRefused
from bluegreen.model.guard import Part
from bluegreen.model.observation import Group, Listener, Traffic
from bluegreen.model.tags import Purpose

OLD = Group(name="web-old", service="web", minimum=2, maximum=6, desired=2, target_groups=("old",))


@dataclass
class World:
    weights: dict[str, int]
    purpose: Purpose | None = None
    groups: dict[str, Group] = field(default_factory=lambda: {"web-old": OLD})
    calls: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    seconds: float = 0.0
    traffic_seen: list[Traffic] = field(default_factory=list)

    def group(self, name: str) -> Group | None:
        self.calls.append(f"group {name}")
        return self.groups.get(name)

    def listeners_of(self, target_groups: Iterable[str]) -> tuple[Listener, ...]:
        self.calls.append(f"listeners of {','.join(target_groups)}")
        return (Listener(arn="arn", port=80, purpose=self.purpose, weights=self.weights),)

    def drain_seconds(self, target_group: str) -> float:
        self.calls.append(f"drain of {target_group}")
        return 20.0

    def traffic(self, listener: str, target_group: str, since: datetime, clock: str) -> Traffic:
        self.calls.append(f"traffic of {target_group} by the periods of {clock}")
        return self.traffic_seen.pop(0)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.calls.append(f"sleep {seconds:.0f}")

    @property
    def guard(self) -> Guard:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        return Guard(
            sight=self,
            report=self.said.append,
            clock=lambda: self.seconds,
            now=lambda: start + timedelta(seconds=self.seconds),
            sleep=self.sleep,
        )


def lost(*target_groups: str, sticky_seconds: float = 0) -> TrafficMoved:
    return TrafficMoved(
        at=0,
        listener="arn",
        has_gained=True,
        lost=frozenset(target_groups),
        now_on="new",
        sticky_seconds=sticky_seconds,
    )


def test_a_group_without_traffic_may_go() -> None:
    world = World({"new": 1})
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",)))
    assert world.said == ["guard: web-old takes no traffic"]
    assert world.calls == ["listeners of old"]


def test_a_group_with_traffic_is_kept() -> None:
    world = World({"old": 1})
    with pytest.raises(GuardRefused, match="still takes traffic"):
        asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",)))


def test_a_policy_knows_only_the_name_of_its_group() -> None:
    world = World({"old": 1})
    with pytest.raises(GuardRefused):
        asyncio.run(world.guard.release("web-old", Part.ATTACHMENT))
    assert world.calls == ["group web-old", "listeners of old"]


def test_a_group_that_is_gone_already_holds_nothing_up() -> None:
    world = World({"old": 1}, groups={})
    asyncio.run(world.guard.release("web-old", Part.ATTACHMENT))
    assert world.calls == ["group web-old"]


def test_a_verdict_is_given_once_however_often_it_is_asked_for() -> None:
    world = World({"old": 1})

    async def ask_thrice() -> list[BaseException | None]:
        guard = world.guard
        together = [guard.release("web-old", Part.MACHINES, ("old",)) for _ in range(2)]
        outcomes = list(await asyncio.gather(*together, return_exceptions=True))
        outcomes += await asyncio.gather(guard.release("web-old", Part.MACHINES, ("old",)), return_exceptions=True)
        return outcomes

    assert [type(outcome) for outcome in asyncio.run(ask_thrice())] == [GuardRefused] * 3
    assert world.calls == ["listeners of old"]
    assert len(world.said) == 1


def test_on_a_destroy_the_policy_goes_before_the_listener_and_the_machines_after_it() -> None:
    world = World({"old": 1}, purpose=Purpose.PRODUCTION)
    guard = world.guard
    asyncio.run(guard.release("web-old", Part.ATTACHMENT))
    world.weights = {}
    asyncio.run(guard.release("web-old", Part.MACHINES, ("old",)))
    assert world.said == ["guard: web-old takes no traffic"]


def test_requests_in_flight_have_the_drain_time_after_the_traffic_moved_in_this_run() -> None:
    world = World({"new": 1})
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), lost("old")))
    assert world.calls == ["listeners of old", "drain of old", "sleep 20", "listeners of old"]
    assert world.said == [
        "guard: web-old has 20 s for the requests in flight",
        "guard: web-old takes no traffic",
    ]


def test_traffic_that_comes_back_while_requests_finish_keeps_the_group() -> None:
    world = World({"new": 1})

    async def traffic_comes_back(seconds: float) -> None:
        world.weights = {"old": 1}

    guard = dataclasses.replace(world.guard, sleep=traffic_comes_back)
    with pytest.raises(GuardRefused):
        asyncio.run(guard.release("web-old", Part.MACHINES, ("old",), lost("old")))


def test_a_group_that_took_no_traffic_in_this_run_is_not_waited_for() -> None:
    world = World({"new": 1})
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), lost("other")))
    assert world.calls == ["listeners of old"]


def test_a_group_that_is_kept_is_not_waited_for() -> None:
    world = World({"old": 1})
    with pytest.raises(GuardRefused):
        asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), lost("old")))
    assert world.calls == ["listeners of old"]


def test_a_drain_counts_from_the_cutover_so_a_soak_that_lasted_longer_leaves_nothing_of_it() -> None:
    world = World({"new": 1}, seconds=15)
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), lost("old")))
    assert world.calls == ["listeners of old", "drain of old", "sleep 5", "listeners of old"]
    world = World({"new": 1}, seconds=25)
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), lost("old")))
    assert "sleep" not in " ".join(world.calls)


def test_sticky_clients_are_waited_for_until_two_whole_periods_had_no_request() -> None:
    seen = [
        Traffic(periods=1, requests=None),  # the last one's requests may be reported later than the period
        Traffic(periods=2, requests=4),
        Traffic(periods=2, requests=None),
    ]
    world = World({"new": 1}, traffic_seen=seen)
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), lost("old", sticky_seconds=600)))
    assert world.traffic_seen == []
    assert world.calls.count("traffic of old by the periods of new") == 3
    assert world.said[-1] == "guard: web-old takes no traffic"


def test_sticky_clients_of_every_target_group_that_lost_the_traffic_are_waited_for() -> None:
    quiet, busy = Traffic(periods=2, requests=None), Traffic(periods=2, requests=1)
    world = World({"new": 1}, traffic_seen=[quiet, busy, quiet, quiet])
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("a", "b"), lost("a", "b", sticky_seconds=600)))
    assert world.traffic_seen == []


def test_sticky_clients_are_waited_for_no_longer_than_their_cookie_lasts() -> None:
    world = World({"new": 1}, traffic_seen=[Traffic(periods=1, requests=1)] * 1000)
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), lost("old", sticky_seconds=300)))
    assert world.seconds == pytest.approx(20 + 300)
