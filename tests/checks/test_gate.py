"""The gate at work: what it waits for, what it does meanwhile, and how it ends. Time is a number here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from bluegreen.checks.gate import Cutover, Gate, Moves
from bluegreen.checks.probe import Probe
from bluegreen.errors import AwsError, GateFailed
from bluegreen.model.answer import Answer, Outcome, Unreachable
from bluegreen.model.attest import Attest
from bluegreen.model.command import Ended, GateCommand
from bluegreen.model.fleet import Capacity
from bluegreen.model.gate import NOBODY, GatePolicy, Proofs, Serving
from bluegreen.model.observation import Alarm, Entrance, Group, Image, ScalingActivity, Target
from bluegreen.model.smoke import SmokeTest
from bluegreen.model.tags import Owner, Purpose

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = GatePolicy(capacity=Capacity(minimum=2, maximum=6, desired=2), deadline_seconds=60)
OWNER = Owner(project="bluegreen", stack="dev", service="web")
CUTOVER = Cutover(owner=OWNER, listener="arn:listener", weights={"new": 1})


def group(name: str, target_group: str, desired: int = 2) -> Group:
    return Group(
        name=name,
        service="web",
        minimum=2,
        maximum=6,
        desired=desired,
        target_groups=(target_group,),
        release="aaaaaaaa" if target_group == "old" else "bbbbbbbb",
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
    shown: dict[str, int] | None = field(default_factory=lambda: {"new": 1})
    answers: Callable[[str], Outcome] = lambda url: Answer(status=200, body='{"release": "bbbbbbbb"}')
    asked: list[str] = field(default_factory=list)
    command_seconds: float = 0.0
    command_code: int | None = 0
    commands: list[tuple[tuple[str, ...], dict[str, str]]] = field(default_factory=list)
    last_lines: tuple[str, ...] = ("it said this",)
    ranges: dict[str, str] = field(default_factory=dict)
    alarm_states: dict[str, str] = field(default_factory=dict)
    migrated: list[tuple[str, int | None]] = field(default_factory=list)

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

    def entrance(self, target_group: str, purpose: Purpose) -> Entrance | None:
        assert (target_group, purpose) == ("new", Purpose.PREVIEW)
        self._count("preview")
        return (
            None
            if self.shown is None
            else Entrance(listener="arn:preview", url="http://web.test:9000", weights=self.shown)
        )

    def probe(self, url: str, timeout_seconds: float) -> Outcome:
        self.asked.append(url)
        return self.answers(url)

    def probe_at(self, address: str, headers: tuple[tuple[str, str], ...]) -> Probe:
        raise AssertionError(f"{address}: the URL's host is where to connect")

    def image(self, image: str) -> Image | None:
        self._count("image")
        tags = {"schema-compat": self.ranges[image]} if image in self.ranges else {}
        return Image(id=image, state="available", architecture="x86_64", root_device="/dev/xvda", tags=tags)

    def alarms(self, names: Sequence[str]) -> tuple[Alarm, ...]:
        return tuple(Alarm(name=name, state=state) for name, state in self.alarm_states.items() if name in names)

    async def run_command(self, command: GateCommand, variables: Mapping[str, str]) -> Ended:
        self.commands.append((command.command, dict(variables)))
        await self.sleep(self.command_seconds)
        return Ended(code=self.command_code, last_lines=self.last_lines)

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.seconds += seconds
        for moment, happen in list(self.events):
            if self.seconds >= moment:
                self.events.remove((moment, happen))
                happen(self)

    def prove(self, cutover: Cutover = CUTOVER, policy: GatePolicy = POLICY) -> Moves:
        gate = Gate(
            sight=self,
            raise_desired_capacity=self.raise_desired_capacity,
            run_command=self.run_command,
            on_migrated=lambda release, schema: self.migrated.append((release, schema)),
            probe=self.probe,
            probe_at=self.probe_at,
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


def test_a_candidate_of_weights_is_raised_in_its_own_units() -> None:
    weights = {"t3.small": 2}
    own = [f"i-{number}" for number in (1, 2)]
    world = World(states={"i-1": "healthy", "i-2": "healthy"})
    for name, counts, of_types in (("web-old", 1, {}), ("web-new", 2, weights)):
        world.groups_by_name[name] = replace(
            world.groups_by_name[name],
            instances=tuple(own),
            types=dict.fromkeys(own, "t3.small"),
            counts=dict.fromkeys(own, counts),
            weights=of_types,
        )
    moves = world.prove()
    assert world.raised == [("web-new", 4)], "as much as two machines of weight 1, in units of which each has 2"
    assert (moves.passed[0].healthy, moves.passed[0].wanted) == (4, 4)


def test_what_was_seen_of_a_candidate_and_who_serves_before_and_after_comes_with_the_verdict() -> None:
    world = World(states={"i-1": "healthy", "i-2": "healthy", "i-3": "draining"})
    moves = world.prove()
    (passed,) = moves.passed
    assert (passed.release, passed.healthy, passed.wanted) == (world.groups_by_name["web-new"].release, 2, 2)
    old, new = (world.groups_by_name[name] for name in ("web-old", "web-new"))
    assert moves.before == Serving(weights={old.release: 100}, capacity={old.release: old.desired})
    assert moves.after.capacity[new.release] == old.desired, "as the gate left it, raised where it had to be"
    assert moves.after.weights == {new.release: 100}
    assert world.calls["groups"] == 1


def test_who_serves_is_not_told_where_nobody_was_asked() -> None:
    moves = World().prove(replace(CUTOVER, weights={"old": 1}))
    assert moves.before == moves.after == NOBODY


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
    assert world.prove().lost == {"old"}
    assert world.prove(replace(CUTOVER, weights={"old": 50, "new": 50})).lost == frozenset()


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


HEALTHY = {"i-1": "healthy", "i-2": "healthy"}
SMOKE = Proofs(
    smoke_tests=(SmokeTest(path="/ready"),), attest=Attest(json_field="release"), preview_sources=("10.0.0.0/16",)
)
COMMAND = Proofs(command=GateCommand(command=("./check", "all")))
BOTH = replace(SMOKE, command=COMMAND.command)


def asking(proofs: Proofs, **changes: object) -> GatePolicy:
    return replace(POLICY, proofs=proofs, images={"bbbbbbbb": "ami-2"}, **changes)  # type: ignore[arg-type]


def test_smoke_tests_ask_through_the_preview_listener_once_the_machines_are_healthy() -> None:
    world = World(states={"i-1": "healthy", "i-2": "initial"}, events=[(5, becomes(i_2="healthy"))])
    asked_at: list[float] = []
    answer = world.answers
    world.answers = lambda url: (asked_at.append(world.seconds), answer(url))[1]
    world.prove(policy=asking(SMOKE))
    assert world.asked == ["http://web.test:9000/version"] * 3 + ["http://web.test:9000/ready"] * 3
    assert min(asked_at) >= 5
    assert world.said[-3:] == [
        "gate: web-new: 2 of 2 healthy",
        "gate: web-new: smoke tests passed: /ready 3 times",
        "gate: web-new: 2 of 2 healthy: passed",
    ]


def test_the_proofs_that_passed_are_told_and_those_of_a_release_that_has_served_are_not() -> None:
    proofs = replace(SMOKE, command=GateCommand(command=("./check", "all of it")))
    healthy = {"i-1": "healthy", "i-2": "healthy"}
    (shown,) = World(states=dict(healthy)).prove(policy=replace(POLICY, proofs=proofs)).passed
    assert (shown.smoke_tests, shown.command) == (("/ready",), "./check 'all of it'")
    again = replace(POLICY, proofs=proofs, proven=frozenset({"bbbbbbbb"}))
    (not_shown,) = World(states=dict(healthy)).prove(policy=again).passed
    assert (not_shown.smoke_tests, not_shown.command) == ((), "")


def test_a_smoke_test_that_fails_starts_its_count_again() -> None:
    rights = iter([True, True, False, True, True, True])
    world = World(states=dict(HEALTHY))
    world.answers = lambda url: Answer(status=200 if "version" in url or next(rights) else 500)
    world.prove(policy=asking(SMOKE))
    assert next(rights, None) is None, "two rights, a wrong, then three rights with none between"


def test_a_smoke_test_that_fails_until_the_deadline_stops_the_cutover_with_what_came() -> None:
    world = World(states=dict(HEALTHY), answers=lambda url: Answer(status=500, body="no database"))
    with pytest.raises(GateFailed) as caught:
        world.prove(policy=asking(BOTH))
    assert world.seconds == pytest.approx(60)
    assert "web-new: smoke test /ready: answers wrongly: status 500 instead of 200" in caught.value.what
    assert "the answer: 'no database', after 60 of 60 s" in caught.value.what
    assert "The traffic stays on web-old" in caught.value.next_step
    assert world.commands == [], "the command comes after the smoke tests"
    assert len([line for line in world.said if "answers wrongly" in line]) == 1, "each progress line is said once"


def test_the_deadline_is_of_machines_and_smoke_tests_together() -> None:
    world = World(states={"i-1": "healthy", "i-2": "initial"}, events=[(50, becomes(i_2="healthy"))])
    world.answers = lambda url: Answer(status=500)
    with pytest.raises(GateFailed, match="after 60 of 60 s"):
        world.prove(policy=asking(SMOKE))


def test_a_preview_port_that_is_closed_to_this_machine_is_told_with_the_setting_that_opens_it() -> None:
    world = World(states=dict(HEALTHY), answers=lambda url: Unreachable("web.test:9000: no connection within 5 s"))
    with pytest.raises(GateFailed) as caught:
        world.prove(policy=asking(SMOKE))
    assert "can't connect to web.test:9000: no connection within 5 s" in caught.value.what
    assert "wrongly" not in caught.value.what
    assert "open to 10.0.0.0/16 alone" in caught.value.next_step
    assert "previewCidrs" in caught.value.next_step


def test_the_gate_waits_while_the_preview_listener_still_shows_another_release() -> None:
    world = World(states=dict(HEALTHY))
    world.answers = lambda url: Answer(
        status=200, body='{"release": "%s"}' % ("aaaaaaaa" if world.seconds < 4 else "bbbbbbbb")
    )
    world.prove(policy=asking(SMOKE))
    assert 4 <= world.seconds < 5
    assert any("still shows another release: aaaaaaaa answers, not bbbbbbbb" in line for line in world.said)


def test_an_app_that_names_no_release_is_not_attested() -> None:
    world = World(states=dict(HEALTHY), answers=lambda url: Answer(status=404 if "version" in url else 200))
    world.prove(policy=asking(SMOKE))
    assert world.seconds == 0


@pytest.mark.parametrize("shown", [None, {"old": 1}, {"old": 1, "new": 1}])
def test_nothing_is_proven_through_a_preview_listener_that_does_not_show_the_candidate_alone(
    shown: dict[str, int] | None,
) -> None:
    world = World(states=dict(HEALTHY), shown=shown)
    with pytest.raises(GateFailed, match="preview listener"):
        world.prove(policy=asking(BOTH))
    assert (world.asked, world.commands) == ([], [])
    assert 30 <= world.seconds < 40, "AWS may take a moment to show what was changed"


class SharedWorld(World):
    """Behind a load balancer that is shared: a rule's host and header tell the preview."""

    is_hidden = False

    def entrance(self, target_group: str, purpose: Purpose) -> Entrance | None:
        return Entrance(
            listener="arn:rule",
            url="http://shop.test:80",
            weights={"new": 1},
            address="shared.elb.test",
            headers=(("X-Bluegreen-Preview", "web"),),
            is_hidden=self.is_hidden,
        )

    def probe_at(self, address: str, headers: tuple[tuple[str, str], ...]) -> Probe:
        self.asked.append(f"{address} {headers}")
        return self.probe


def test_a_preview_rule_is_asked_for_at_the_load_balancer_with_its_header() -> None:
    world = SharedWorld(states=dict(HEALTHY))
    world.prove(policy=asking(BOTH))
    assert world.asked[0] == "shared.elb.test (('X-Bluegreen-Preview', 'web'),)"
    assert world.asked[1].startswith("http://shop.test:80/")
    ((_, variables),) = world.commands
    assert variables["BLUEGREEN_PREVIEW_ADDRESS"] == "shared.elb.test"
    assert variables["BLUEGREEN_PREVIEW_HEADER"] == "X-Bluegreen-Preview: web"


def test_nothing_is_proven_through_a_preview_rule_that_comes_after_the_users() -> None:
    world = SharedWorld(states=dict(HEALTHY))
    world.is_hidden = True
    with pytest.raises(GateFailed, match="its preview rule comes after the one that users meet") as caught:
        world.prove(policy=asking(BOTH))
    assert "Set `ami` back" in caught.value.next_step
    assert (world.asked, world.commands, world.seconds) == ([], [], 0)


def test_the_command_gets_the_preview_and_the_release_as_environment() -> None:
    world = World(states=dict(HEALTHY))
    world.prove(policy=asking(COMMAND))
    variables = {
        "BLUEGREEN_PREVIEW_URL": "http://web.test:9000",
        "BLUEGREEN_PREVIEW_ADDRESS": "web.test",
        "BLUEGREEN_PREVIEW_HEADER": "",
        "BLUEGREEN_RELEASE": "bbbbbbbb",
        "BLUEGREEN_IMAGE": "ami-2",
        "BLUEGREEN_SERVICE": "web",
        "BLUEGREEN_STACK": "dev",
    }
    assert world.commands == [(("./check", "all"), variables)]


def test_the_command_of_a_service_that_speaks_no_http_is_told_where_to_connect() -> None:
    world = World(states=dict(HEALTHY))
    world.prove(policy=asking(replace(COMMAND, speaks_http=False)))
    ((_, variables),) = world.commands
    assert variables["BLUEGREEN_PREVIEW_URL"] == "tcp://web.test:9000"


@pytest.mark.parametrize("code", [1, 137, None])
def test_a_command_that_fails_stops_the_cutover_at_once_and_is_not_tried_again(code: int | None) -> None:
    world = World(states=dict(HEALTHY), command_code=code, command_seconds=7)
    with pytest.raises(GateFailed) as caught:
        world.prove(policy=asking(COMMAND))
    assert len(world.commands) == 1
    assert world.seconds == 7
    assert "./check all" in caught.value.what
    assert "it said this" in caught.value.what
    assert "The traffic stays on web-old" in caught.value.next_step


def test_capacity_is_read_again_after_the_command_and_the_candidate_waited_for_without_running_it_again() -> None:
    def scale_out(world: World) -> None:
        world.groups_by_name["web-old"] = replace(world.groups_by_name["web-old"], desired=4)

    world = World(
        states=dict(HEALTHY),
        command_seconds=100,
        events=[(50, scale_out), (120, becomes(i_3="healthy", i_4="healthy"))],
    )
    world.prove(policy=asking(BOTH))
    assert world.raised == [("web-new", 4)]
    assert 120 <= world.seconds < 130
    assert (len(world.commands), len(world.asked)) == (1, 6)
    assert world.said[-1] == "gate: web-new: 4 of 4 healthy: passed"


@pytest.mark.parametrize("weight", [10, 0])
def test_a_group_that_serves_already_or_stands_by_is_not_proven_again_by_tests_and_command(weight: int) -> None:
    world = World(weights={"old": 90, "new": weight}, states=dict(HEALTHY))
    world.prove(replace(CUTOVER, weights={"old": 50, "new": 50}), asking(BOTH))
    assert (world.asked, world.commands) == ([], [])


def test_a_release_that_has_served_before_goes_back_without_tests_and_command() -> None:
    world = World(states=dict(HEALTHY))
    world.prove(policy=asking(BOTH, proven=frozenset({"bbbbbbbb"})))
    assert (world.asked, world.commands) == ([], [])


def test_a_smaller_share_is_enough_where_asked_for_and_the_candidate_still_grows_with_the_active_group() -> None:
    world = World(states={f"i-{number}": "healthy" for number in range(3)})
    world.groups_by_name["web-old"] = group("web-old", "old", desired=5)
    world.prove(policy=replace(POLICY, min_healthy_percentage=50))
    assert world.said[-1] == "gate: web-new: 3 of 3 healthy: passed"
    assert world.raised == [("web-new", 5)]
    assert world.seconds == 0


# -- migration


MIGRATION = Proofs(migration=GateCommand(command=("./migrate",)))
ALL = replace(BOTH, migration=MIGRATION.migration)


def test_a_migration_runs_once_before_any_smoke_test_and_before_the_command() -> None:
    world = World(states={"i-1": "healthy", "i-2": "initial"}, events=[(5, becomes(i_2="healthy"))])
    order: list[str] = []
    answer, run = world.answers, world.run_command
    world.answers = lambda url: (order.append("smoke"), answer(url))[1]

    async def noted(command: GateCommand, variables: Mapping[str, str]) -> Ended:
        order.append(command.program)
        assert world.seconds >= 5, "not for a candidate that never gets healthy"
        return await run(command, variables)

    world.run_command = noted  # type: ignore[method-assign]
    world.prove(policy=asking(ALL))
    assert order == ["./migrate", *["smoke"] * 6, "./check"]
    assert world.migrated == [("bbbbbbbb", None)]


def test_a_migration_gets_the_release_that_it_is_of() -> None:
    world = World(states=dict(HEALTHY))
    world.prove(policy=asking(MIGRATION))
    ((command, variables),) = world.commands
    assert command == ("./migrate",)
    assert (variables["BLUEGREEN_RELEASE"], variables["BLUEGREEN_IMAGE"]) == ("bbbbbbbb", "ami-2")


def test_a_release_that_migrated_in_an_earlier_update_does_not_migrate_again_and_is_still_tested() -> None:
    world = World(states=dict(HEALTHY))
    world.prove(policy=asking(ALL, migrated=frozenset({"bbbbbbbb"})))
    assert [command for command, _ in world.commands] == [("./check", "all")]
    assert len(world.asked) == 6
    assert world.migrated == []


def test_a_release_that_goes_back_migrates_nothing() -> None:
    world = World(states=dict(HEALTHY))
    world.prove(policy=asking(ALL, proven=frozenset({"bbbbbbbb"})))
    standby = World(weights={"old": 100, "new": 0}, states=dict(HEALTHY))
    standby.prove(policy=asking(ALL))
    assert world.commands == standby.commands == []


@pytest.mark.parametrize("code", [1, 143, None])
def test_a_migration_that_fails_stops_the_cutover_and_is_not_recorded(code: int | None) -> None:
    world = World(states=dict(HEALTHY), command_code=code)
    with pytest.raises(GateFailed) as caught:
        world.prove(policy=asking(ALL))
    assert len(world.commands) == 1, "it is not tried again, and nothing follows it"
    assert world.asked == []
    assert world.migrated == []
    assert "./migrate" in caught.value.what
    assert "it said this" in caught.value.what
    assert "`migration`" in caught.value.next_step
    assert "The traffic stays on web-old" in caught.value.next_step
    if code is None:
        assert "migration.timeoutSeconds" in caught.value.what


def test_the_schema_that_a_migration_tells_is_handed_on_with_its_release() -> None:
    world = World(states=dict(HEALTHY), last_lines=("applied 3", "schema=14"))
    world.prove(policy=asking(MIGRATION))
    assert world.migrated == [("bbbbbbbb", 14)]


def test_a_release_whose_smoke_tests_fail_after_its_migration_is_known_to_have_migrated() -> None:
    world = World(states=dict(HEALTHY), answers=lambda url: Answer(status=500))
    with pytest.raises(GateFailed, match="smoke test"):
        world.prove(policy=asking(ALL))
    assert world.migrated == [("bbbbbbbb", None)]


# -- the schema's version


BOTH_IMAGES = {"aaaaaaaa": "ami-1", "bbbbbbbb": "ami-2"}


def test_an_image_outside_the_databases_schema_takes_no_traffic() -> None:
    world = World(states=dict(HEALTHY), ranges={"ami-2": "12-13"})
    with pytest.raises(GateFailed, match="the database has schema 14, and ami-2 is for schema-compat 12-13") as caught:
        world.prove(policy=asking(BOTH, schema=14))
    assert (world.asked, world.commands) == ([], [])
    assert "The traffic stays on web-old" in caught.value.next_step
    fits = World(states=dict(HEALTHY), ranges={"ami-2": "12-14"})
    fits.prove(policy=asking(BOTH, schema=14))


@pytest.mark.parametrize("weights", [{"old": 1}, {"old": 100, "new": 0}])
def test_neither_does_a_release_that_goes_back_though_it_is_not_proven_again(weights: dict[str, int]) -> None:
    world = World(weights=weights, states=dict(HEALTHY), ranges={"ami-2": "12-13"})
    with pytest.raises(GateFailed, match="schema 14"):
        world.prove(policy=asking(BOTH, schema=14, proven=frozenset({"bbbbbbbb"})))


def test_a_release_that_has_traffic_already_is_not_asked_about_the_schema_again() -> None:
    world = World(weights={"old": 95, "new": 5}, states=dict(HEALTHY), ranges={"ami-2": "12-13"})
    world.prove(replace(CUTOVER, weights={"old": 50, "new": 50}), asking(BOTH, schema=14))
    assert "image" not in world.calls


def test_a_person_may_force_a_release_past_the_schema() -> None:
    world = World(states=dict(HEALTHY), ranges={"ami-2": "12-13"})
    world.prove(policy=asking(BOTH, schema=14, proven=frozenset({"bbbbbbbb"}), minds_schema=False))
    assert "image" not in world.calls


def test_the_schema_that_its_own_migration_has_just_told_is_what_an_image_must_suit() -> None:
    world = World(states=dict(HEALTHY), ranges={"ami-2": "14-"}, last_lines=("schema=14",))
    world.prove(policy=asking(MIGRATION, schema=12))
    too_far = World(states=dict(HEALTHY), ranges={"ami-2": "12-13"}, last_lines=("schema=14",))
    with pytest.raises(GateFailed, match="the database has schema 14, and ami-2 is for schema-compat 12-13"):
        too_far.prove(policy=asking(ALL, schema=12))
    assert len(too_far.commands) == 1, "its migration, and nothing after it"
    assert too_far.asked == []
    assert too_far.migrated == [("bbbbbbbb", 14)], "what the database has now is known all the same"


def test_a_person_may_force_a_release_past_the_schema_that_its_own_migration_told() -> None:
    world = World(states=dict(HEALTHY), ranges={"ami-2": "12-13"}, last_lines=("schema=14",))
    world.prove(policy=asking(MIGRATION, schema=12, minds_schema=False))
    assert "image" not in world.calls


def test_before_its_migration_an_image_need_not_suit_the_schema_that_the_database_still_has() -> None:
    world = World(states=dict(HEALTHY), ranges={"ami-2": "14-"}, last_lines=("done",))
    world.prove(policy=asking(MIGRATION, schema=12))
    migrated = World(states=dict(HEALTHY), ranges={"ami-2": "14-"})
    with pytest.raises(GateFailed, match="the database has schema 12"):
        migrated.prove(policy=asking(MIGRATION, schema=12, migrated=frozenset({"bbbbbbbb"})))
    assert migrated.commands == []


@pytest.mark.parametrize("schema", [None, 12])
def test_no_migration_runs_that_leaves_no_schema_for_the_image_that_serves(schema: int | None) -> None:
    policy = replace(asking(MIGRATION, schema=schema), images=BOTH_IMAGES)
    apart = World(states=dict(HEALTHY), ranges={"ami-1": "12", "ami-2": "13-14"}, last_lines=("schema=13",))
    with pytest.raises(GateFailed, match="no schema suits both"):
        apart.prove(policy=policy)
    assert apart.commands == apart.migrated == []
    near = World(states=dict(HEALTHY), ranges={"ami-1": "12-13", "ami-2": "13-14"}, last_lines=("schema=13",))
    near.prove(policy=policy)
    assert near.migrated == [("bbbbbbbb", 13)]


def test_where_no_schema_is_known_an_image_must_overlap_with_the_one_that_serves() -> None:
    apart = World(states=dict(HEALTHY), ranges={"ami-1": "12", "ami-2": "13"})
    with pytest.raises(GateFailed, match="no schema suits both"):
        apart.prove(policy=replace(asking(BOTH), images=BOTH_IMAGES))
    near = World(states=dict(HEALTHY), ranges={"ami-1": "12-13", "ami-2": "13"})
    near.prove(policy=replace(asking(BOTH), images=BOTH_IMAGES))


def test_images_without_the_tag_and_images_that_are_gone_stop_nothing() -> None:
    world = World(states=dict(HEALTHY))
    world.prove(policy=asking(BOTH, schema=14))
    gone = World(states=dict(HEALTHY))
    gone.image = lambda image: None  # type: ignore[method-assign]
    gone.prove(policy=asking(BOTH, schema=14))


# -- the users' alarms


WATCHED = replace(POLICY, alarm_names=("checkout", "queue"))
QUIET = {"checkout": "OK", "queue": "OK"}


def test_alarms_that_are_quiet_or_have_no_data_yet_stop_nothing() -> None:
    for state in ("OK", "INSUFFICIENT_DATA"):
        World(states=dict(HEALTHY), alarm_states={**QUIET, "queue": state}).prove(policy=WATCHED)


def test_an_alarm_that_does_not_exist_stops_the_shift() -> None:
    world = World(states=dict(HEALTHY), alarm_states={"checkout": "OK"})
    with pytest.raises(GateFailed, match="there is no alarm queue"):
        world.prove(policy=WATCHED)


def test_an_alarm_that_is_on_already_stops_the_shift_and_its_migration() -> None:
    world = World(states=dict(HEALTHY), alarm_states={**QUIET, "queue": "ALARM"})
    with pytest.raises(GateFailed, match="alarm queue is on already") as caught:
        world.prove(policy=replace(asking(ALL), alarm_names=WATCHED.alarm_names))
    assert (world.asked, world.commands, world.migrated) == ([], [], [])
    assert "The traffic stays where it is" in caught.value.next_step
    share = World(weights={"old": 95, "new": 5}, states=dict(HEALTHY), alarm_states={**QUIET, "queue": "ALARM"})
    with pytest.raises(GateFailed, match="alarm queue is on already"):
        share.prove(replace(CUTOVER, weights={"old": 50, "new": 50}), WATCHED)


def test_all_alarms_that_do_not_exist_are_named() -> None:
    world = World(states=dict(HEALTHY))
    with pytest.raises(GateFailed, match="there are no alarms checkout, queue"):
        world.prove(policy=WATCHED)


def test_a_standby_that_was_not_seen_healthy_waits_for_quiet_alarms() -> None:
    alarms = {**QUIET, "queue": "ALARM"}
    world = World(weights={"old": 100, "new": 0}, states=dict(HEALTHY), alarm_states=alarms)
    with pytest.raises(GateFailed, match="alarm queue is on already"):
        world.prove(policy=WATCHED)


def test_alarms_are_not_asked_on_the_very_first_deployment() -> None:
    world = World(weights={}, groups_by_name={"web-new": group("web-new", "new")}, states=dict(HEALTHY))
    world.prove(replace(CUTOVER, listener=None), WATCHED)


@pytest.mark.parametrize("alarms", [{}, {**QUIET, "queue": "ALARM"}])
@pytest.mark.parametrize("weights", [{"old": 1}, {"old": 100, "new": 0}, {"old": 50, "new": 50}])
def test_no_alarm_keeps_the_traffic_from_going_back_to_a_release_that_has_served(
    weights: dict[str, int], alarms: dict[str, str]
) -> None:
    world = World(weights=weights, states=dict(HEALTHY), alarm_states=alarms)
    world.prove(policy=replace(WATCHED, proven=frozenset({"bbbbbbbb"})))


# -- who loses the traffic


def test_a_target_group_that_is_named_without_weight_has_lost_the_traffic_too() -> None:
    world = World(weights={"old": 100, "new": 0, "older": 0}, states=dict(HEALTHY))
    assert world.prove(replace(CUTOVER, weights={"old": 0, "new": 100})).lost == {"old", "older"}
    assert world.prove(replace(CUTOVER, weights={"old": 50, "new": 50, "older": 0})).lost == {"older"}


def test_a_target_group_that_was_not_named_before_loses_nothing() -> None:
    world = World(weights={"old": 100}, states=dict(HEALTHY))
    assert world.prove(replace(CUTOVER, weights={"old": 100, "new": 0})).lost == frozenset()


def test_a_gate_that_fails_tells_whose_it_was() -> None:
    world = World(states={"i-1": "unhealthy"})
    with pytest.raises(GateFailed) as caught:
        world.prove()
    assert caught.value.target_group == "new"
