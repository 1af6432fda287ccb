"""The gate at work: what it waits for, what it does meanwhile, and how it ends. Time is a number here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from bluegreen.checks.gate import Cutover, Gate
from bluegreen.errors import AwsError, GateFailed
from bluegreen.model.fleet import Capacity
from bluegreen.model.gate import GatePolicy
from bluegreen.model.observation import Group, ScalingActivity, Target
from bluegreen.model.tags import Owner

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = GatePolicy(capacity=Capacity(minimum=2, maximum=6, desired=2), deadline_seconds=60)
OWNER = Owner(project="bluegreen", stack="dev", service="web")
CUTOVER = Cutover(owner=OWNER, listener="arn:listener", weights={"new": 1})


def group(name: str, target_group: str, desired: int = 2) -> Group:
    return Group(
        name=name, service="web", minimum=2, maximum=6, desired=desired, target_groups=(target_group,), instances=()
    )


@dataclass
class World:
    """AWS as the gate sees it, with a clock. `events` happen when their second has come."""

    weights: dict[str, int] = field(default_factory=lambda: {"old": 1})
    groups_by_name: dict[str, Group] = field(
        default_factory=lambda: {"web-old": group("web-old", "old"), "web-new": group("web-new", "new")}
    )
    states: dict[str, str] = field(default_factory=dict)
    failed_activities: tuple[ScalingActivity, ...] = ()
    events: list[tuple[float, Callable[[World], object]]] = field(default_factory=list)
    seconds: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)
    raised: list[tuple[str, int]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def _count(self, call: str) -> None:
        self.calls[call] = self.calls.get(call, 0) + 1

    def default_weights(self, listener: str) -> Mapping[str, int]:
        self._count("default_weights")
        return dict(self.weights)

    def groups(self, owner: Owner) -> tuple[Group, ...]:
        assert owner == OWNER
        self._count("groups")
        return tuple(self.groups_by_name.values())

    def targets(self, target_group: str) -> tuple[Target, ...]:
        self._count("targets")
        return tuple(Target(instance=instance, state=state) for instance, state in self.states.items())

    def activities(self, group: str) -> tuple[ScalingActivity, ...]:
        self._count("activities")
        return self.failed_activities

    def raise_desired_capacity(self, group: Group, desired: int) -> Group:
        self.raised.append((group.name, desired))
        self.groups_by_name[group.name] = replace(group, desired=desired)
        return self.groups_by_name[group.name]

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.seconds += seconds
        for moment, happen in list(self.events):
            if self.seconds >= moment:
                self.events.remove((moment, happen))
                happen(self)

    def prove(self, cutover: Cutover = CUTOVER, policy: GatePolicy = POLICY) -> frozenset[str]:
        gate = Gate(
            sight=self,
            raise_desired_capacity=self.raise_desired_capacity,
            report=self.said.append,
            clock=lambda: self.seconds,
            began=START,
            sleep=self.sleep,
        )
        return asyncio.run(gate.prove(cutover, policy))


def becomes(**states: str) -> Callable[[World], object]:
    return lambda world: world.states.update({name.replace("_", "-"): state for name, state in states.items()})


def test_a_healthy_candidate_passes_at_once() -> None:
    world = World(states={"i-1": "healthy", "i-2": "healthy"})
    world.prove()
    assert world.seconds == 0
    assert world.said == ["gate: web-new: 2 of 2 healthy: passed"]


def test_the_gate_waits_until_the_candidate_is_healthy() -> None:
    world = World(
        states={"i-1": "initial", "i-2": "initial"},
        events=[(5, becomes(i_1="healthy")), (9, becomes(i_2="healthy"))],
    )
    world.prove()
    assert 9 <= world.seconds < 10
    assert world.said == [
        "gate: web-new: 0 of 2 healthy; 2 initial: i-1, i-2; 2 not launched yet",
        "gate: web-new: 1 of 2 healthy; 1 initial: i-2; 2 not launched yet",
        "gate: web-new: 2 of 2 healthy: passed",
    ], "each progress line is said once"


def test_a_candidate_that_never_gets_healthy_fails_at_the_deadline_with_the_reason() -> None:
    world = World(states={"i-1": "healthy", "i-2": "unhealthy"})
    with pytest.raises(GateFailed) as caught:
        world.prove()
    assert world.seconds == pytest.approx(60)
    assert "1 of 2 healthy; 1 unhealthy: i-2" in caught.value.what
    assert "after 60 of 60 s" in caught.value.what
    assert "The traffic stays on web-old" in caught.value.next_step


def test_a_hopeless_cause_fails_at_once() -> None:
    activity = ScalingActivity(started=START, status="Failed", description="Launching", message="VcpuLimitExceeded")
    world = World(failed_activities=(activity,))
    with pytest.raises(GateFailed, match="VcpuLimitExceeded"):
        world.prove()
    assert world.seconds == 0


def test_a_flap_back_to_unhealthy_before_the_gate_looked_is_not_ready() -> None:
    world = World(
        states={"i-1": "healthy", "i-2": "initial"},
        events=[(3, becomes(i_1="unhealthy", i_2="healthy")), (6, becomes(i_1="healthy"))],
    )
    world.prove()
    assert world.seconds >= 6


def test_the_candidate_is_raised_to_what_the_active_group_grew_to_and_then_waited_for() -> None:
    def scale_out(world: World) -> None:
        world.groups_by_name["web-old"] = replace(world.groups_by_name["web-old"], desired=6)

    world = World(
        states={"i-1": "healthy", "i-2": "initial"},
        events=[
            (1, scale_out),
            (2, becomes(i_2="healthy")),
            (20, becomes(i_3="healthy", i_4="healthy", i_5="healthy", i_6="healthy")),
        ],
    )
    world.prove()
    assert world.raised == [("web-new", 6)]
    assert world.seconds >= 20, "two healthy machines are not enough any more"


def test_a_candidate_is_never_lowered() -> None:
    world = World(states={f"i-{number}": "healthy" for number in range(4)})
    world.groups_by_name["web-new"] = group("web-new", "new", desired=4)
    world.prove()
    assert world.raised == []


def test_a_first_deployment_has_no_listener_and_needs_the_minimum() -> None:
    world = World(weights={}, groups_by_name={"web-new": group("web-new", "new")}, states={"i-1": "initial"})
    with pytest.raises(GateFailed, match="0 of 2 healthy") as caught:
        world.prove(replace(CUTOVER, listener=None))
    assert "No traffic was moved" in caught.value.next_step
    assert "default_weights" not in world.calls


def test_a_listener_change_that_moves_no_traffic_to_a_new_group_passes_unseen() -> None:
    world = World()
    world.prove(replace(CUTOVER, weights={"old": 1}))
    assert world.calls == {"default_weights": 1}


def test_a_group_without_weight_is_not_waited_for() -> None:
    world = World()
    world.prove(replace(CUTOVER, weights={"old": 100, "new": 0}))
    assert "targets" not in world.calls


def test_a_group_that_is_not_listed_yet_is_waited_for() -> None:
    late = group("web-new", "new")
    world = World(groups_by_name={}, events=[(3, lambda world: world.groups_by_name.update({"web-new": late}))])
    world.states = {"i-1": "healthy", "i-2": "healthy"}
    world.prove()
    assert 3 <= world.seconds < 4


def test_a_target_group_that_nobody_fills_fails_long_before_the_deadline() -> None:
    world = World(groups_by_name={"web-old": group("web-old", "old")})
    with pytest.raises(GateFailed, match="no Auto Scaling group"):
        world.prove(policy=replace(POLICY, deadline_seconds=600))
    assert world.seconds < 40


def test_a_launch_that_failed_before_this_update_began_is_not_held_against_it() -> None:
    old = ScalingActivity(
        started=START - timedelta(minutes=1), status="Failed", description="Launching", message="VcpuLimitExceeded"
    )
    world = World(failed_activities=(old,), events=[(5, becomes(i_1="healthy", i_2="healthy"))])
    world.prove()


def test_a_share_that_only_grows_is_proven_too() -> None:
    world = World(weights={"old": 90, "new": 10}, states={"i-1": "healthy", "i-2": "unhealthy"})
    with pytest.raises(GateFailed):
        world.prove(replace(CUTOVER, weights={"old": 50, "new": 50}))


def test_the_gate_tells_which_target_groups_lose_the_traffic() -> None:
    world = World(states={"i-1": "healthy", "i-2": "healthy"})
    assert world.prove() == {"old"}
    assert world.prove(replace(CUTOVER, weights={"old": 50, "new": 50})) == frozenset()


def test_errors_of_aws_are_passed_on() -> None:
    world = World()
    world.targets = lambda target_group: (_ for _ in ()).throw(AwsError("ExpiredToken"))  # type: ignore[method-assign]
    with pytest.raises(AwsError, match="ExpiredToken"):
        world.prove()


def test_a_look_is_one_call_of_each_kind_whatever_the_number_of_targets() -> None:
    world = World(states={f"i-{number}": "healthy" for number in range(50)})
    world.prove()
    assert world.calls == {"default_weights": 1, "groups": 1, "targets": 1, "activities": 1}


def test_ten_minutes_of_waiting_stay_far_below_the_rate_limits() -> None:
    world = World(states={"i-1": "initial"})
    with pytest.raises(GateFailed):
        world.prove(policy=replace(POLICY, deadline_seconds=600))
    assert world.calls["targets"] < 160
