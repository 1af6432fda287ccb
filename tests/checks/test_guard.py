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
from bluegreen.model.guard import Connections, Part
from bluegreen.model.network_balancer import SETTLED_SECONDS
from bluegreen.model.observation import Group, Listener, Traffic
from bluegreen.model.tags import Purpose

START = datetime(2026, 1, 1, tzinfo=UTC)
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
    empty_from: float | None = None  # the load balancer has no connections

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

    def had_no_connections(self, listener: str, since: datetime) -> bool:
        asked_from = (since - START).total_seconds()
        self.calls.append(f"connections of {listener} from {asked_from:.0f}")
        return self.empty_from is not None and self.seconds >= self.empty_from >= asked_from

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.calls.append(f"sleep {seconds:.0f}")

    @property
    def guard(self) -> Guard:
        return Guard(
            sight=self,
            report=self.said.append,
            clock=lambda: self.seconds,
            now=lambda: START + timedelta(seconds=self.seconds),
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


# -- a Network Load Balancer's connections


def connected(limit: float, ago: float | None = None) -> Connections:
    """`ago`: how long before the start the listener was changed."""
    moved_at = None if ago is None else START - timedelta(seconds=ago)
    return Connections(limit_seconds=limit, listener="net", moved_at=moved_at)


@pytest.mark.parametrize("part", Part)
def test_nothing_of_a_group_goes_before_the_time_of_its_connections_is_over(part: Part) -> None:
    world = World({"new": 1})
    asyncio.run(world.guard.release("web-old", part, ("old",), connections=connected(60)))
    assert world.seconds == 60
    assert world.said[0] == "guard: web-old keeps the connections that it has, for 60 s at most"
    assert world.calls[-1] == "listeners of old", "the traffic may have come back meanwhile"


@pytest.mark.parametrize(("ago", "waited"), [(0, 60), (45, 15), (60, 0), (500, 0)])
def test_the_clock_goes_on_from_the_change_of_the_listener_in_an_earlier_run(ago: float, waited: float) -> None:
    world = World({"new": 1})
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), connections=connected(60, ago)))
    assert world.seconds == waited
    assert len(world.said) == 1 + (waited > 0)


def test_what_this_run_has_moved_counts_from_there_and_not_from_what_history_knows() -> None:
    world = World({"new": 1}, seconds=10)
    moved = dataclasses.replace(lost("old"), at=4)
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), moved, connected(60, 900)))
    assert world.seconds == 64


def test_a_group_that_lost_its_traffic_before_this_run_is_not_held_up_by_what_this_run_moved() -> None:
    world = World({"new": 1})
    moved = dataclasses.replace(lost("other"), at=0)
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), moved, connected(60, 900)))
    assert world.seconds == 0


def test_all_parts_of_a_group_wait_together() -> None:
    world = World({"new": 1})

    async def all_at_once() -> None:
        guard = world.guard
        await asyncio.gather(
            guard.release("web-old", Part.ATTACHMENT, connections=connected(60)),
            guard.release("web-old", Part.MACHINES, ("old",), connections=connected(60)),
        )
        await guard.release("web-other", Part.MACHINES, ("other",), connections=connected(5))

    asyncio.run(all_at_once())
    assert world.seconds == 65
    assert [said for said in world.said if "keeps the connections" in said] == [
        "guard: web-old keeps the connections that it has, for 60 s at most",
        "guard: web-other keeps the connections that it has, for 5 s at most",
    ]


def test_a_load_balancer_without_any_connection_proves_that_the_old_group_has_none() -> None:
    world = World({"new": 1}, empty_from=SETTLED_SECONDS + 100)
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), connections=connected(3600)))
    assert SETTLED_SECONDS + 100 <= world.seconds < SETTLED_SECONDS + 110
    assert "guard: web-old has no connections left: the load balancer has none at all" in world.said


def test_before_the_change_has_settled_none_proves_nothing() -> None:
    """New connections may still be passed on as before."""
    world = World({"new": 1}, empty_from=1)
    asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), connections=connected(SETTLED_SECONDS)))
    assert world.seconds == SETTLED_SECONDS
    assert not any(call.startswith("connections") for call in world.calls)
    late = World({"new": 1}, empty_from=1)
    asyncio.run(late.guard.release("web-old", Part.MACHINES, ("old",), connections=connected(700, ago=0)))
    assert late.seconds == 700


def test_traffic_that_comes_back_in_the_wait_keeps_the_group() -> None:
    """A rollback by another hand."""

    class Returning(World):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            self.weights = {"old": 1}

    world = Returning({"new": 1})
    with pytest.raises(GuardRefused, match="still takes traffic"):
        asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), connections=connected(60)))


def test_a_group_that_takes_traffic_is_refused_at_once() -> None:
    world = World({"old": 1})
    with pytest.raises(GuardRefused):
        asyncio.run(world.guard.release("web-old", Part.MACHINES, ("old",), connections=connected(60)))
    assert world.seconds == 0
