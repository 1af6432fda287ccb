"""The watch over a release that has just got traffic: attest, then soak, and every end of it in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen.checks.watch import Shift, Watch
from bluegreen.errors import AwsError, WatchFailed
from bluegreen.model.answer import Answer, Outcome
from bluegreen.model.attest import NOTHING, Attest
from bluegreen.model.history import Kind
from bluegreen.model.network_balancer import SETTLED_SECONDS
from bluegreen.model.observation import Alarm, Entrance, Group, Target, Traffic
from bluegreen.model.settings import AlarmSettings
from bluegreen.model.soak import SoakPolicy
from bluegreen.model.tags import Owner, Purpose

START = datetime(2026, 1, 1, tzinfo=UTC)
OWNER = Owner(project="bluegreen", stack="dev", service="web")
OLD, NEW = "aaaaaaaa", "bbbbbbbb"
CUTOVER = Shift(owner=OWNER, release=NEW, shares={NEW: 100})
POLICY = SoakPolicy(alarms=AlarmSettings(), alarm_names=("checkout",))
HEADER = Attest(header="X-Release")
OWN = ("errors", "balancer", "latency", "unhealthy")


def group(release: str, target_group: str) -> Group:
    return Group(
        name=f"web-{release}",
        service="web",
        minimum=2,
        maximum=6,
        desired=2,
        target_groups=(target_group,),
        release=release,
    )


@dataclass
class World:
    """AWS as the watch sees it, with a clock. `events` happen when their second has come."""

    events: list[tuple[float, Callable[[World], object]]] = field(default_factory=list)
    seconds: float = 0.0
    states: dict[str, str] = field(default_factory=lambda: {"i-1": "healthy", "i-2": "healthy"})
    groups_there: tuple[Group, ...] = (group(OLD, "old"), group(NEW, "new"))
    listener: str = "arn:listener"
    forwards: dict[str, int] | None = field(default_factory=lambda: {"new": 100})
    own: dict[str, str] = field(default_factory=lambda: dict.fromkeys(OWN, "OK"))
    users: dict[str, str] = field(default_factory=lambda: {"checkout": "OK"})
    period_seconds: float = 60.0
    requests: float | None = 600.0
    answers: Callable[[], Outcome] = lambda: Answer(status=200, headers={"x-release": NEW})
    answer_seconds: float = 0.0
    slow_seconds: float = 0.0  # that a question for targets takes
    calls: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    kept: list[tuple[Kind, str, str, Mapping[str, Any]]] = field(default_factory=list)
    asked_since: list[datetime] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    def _count(self, call: str) -> None:
        self.calls[call] = self.calls.get(call, 0) + 1

    def groups(self, owner: Owner) -> tuple[Group, ...]:
        assert owner == OWNER
        self._count("groups")
        return self.groups_there

    def entrance(self, target_group: str, purpose: Purpose) -> Entrance | None:
        assert (target_group, purpose) == ("new", Purpose.PRODUCTION)
        self._count("entrance")
        if self.forwards is None:
            return None
        return Entrance(listener=self.listener, url="http://web.test", weights=self.forwards)

    def targets(self, target_group: str) -> tuple[Target, ...]:
        assert target_group == "new"
        self._count("targets")
        self.order.append("targets")
        found = tuple(Target(instance=instance, state=state) for instance, state in self.states.items())
        self._pass(self.slow_seconds)
        return found

    def alarms(self, names: Sequence[str]) -> tuple[Alarm, ...]:
        self._count("alarms")
        return tuple(Alarm(name=name, state=state) for name, state in self.users.items() if name in names)

    def alarms_of(self, release: str, target_group: str, listener: str) -> tuple[Alarm, ...]:
        assert (release, target_group) == (f"web-{NEW}", "new")
        self._count("alarms_of")
        return tuple(Alarm(name=name, state=state, reason="Threshold Crossed.") for name, state in self.own.items())

    def traffic(self, listener: str, target_group: str, since: datetime) -> Traffic:
        assert (listener, target_group) == ("arn:listener", "new")
        self._count("traffic")
        self.asked_since.append(since)
        return Traffic(periods=int((self.now() - since).total_seconds() // self.period_seconds), requests=self.requests)

    def probe(self, url: str, timeout_seconds: float) -> Outcome:
        self._count("probe")
        self.order.append("probe")
        self._pass(self.answer_seconds)
        return self.answers()

    def record(self, kind: Kind, *, release: str, summary: str, evidence: Mapping[str, Any]) -> None:
        self.kept.append((kind, release, summary, evidence))

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def _pass(self, seconds: float) -> None:
        self.seconds += seconds
        for moment, happen in list(self.events):
            if self.seconds >= moment:
                self.events.remove((moment, happen))
                happen(self)

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a watch that does not wait asks AWS without end"
        self._pass(seconds)

    def keep(
        self, seconds: float = 180, shift: Shift = CUTOVER, attest: Attest = HEADER, policy: SoakPolicy = POLICY
    ) -> None:
        watch = Watch(
            sight=self,
            record=self.record,
            report=self.said.append,
            clock=lambda: self.seconds,
            now=self.now,
            sleep=self.sleep,
            probe=self.probe,
        )
        asyncio.run(watch.keep(shift, attest, policy, seconds))

    @property
    def kinds(self) -> list[Kind]:
        return [kind for kind, _, _, _ in self.kept]


def set_own(**states: str) -> Callable[[World], object]:
    return lambda world: world.own.update(states)


def set_targets(**states: str) -> Callable[[World], object]:
    return lambda world: world.states.update({name.replace("_", "-"): state for name, state in states.items()})


def test_a_release_that_does_well_is_attested_and_then_soaked_and_both_are_kept() -> None:
    world = World()
    world.keep()
    assert world.kinds == [Kind.ATTEST_PASSED, Kind.SOAK_BEGAN, Kind.SOAK_PASSED]
    assert {release for _, release, _, _ in world.kept} == {NEW}
    assert world.order.index("targets") > max(at for at, what in enumerate(world.order) if what == "probe")
    assert 180 <= world.seconds < 190
    assert world.said == [
        f"attest: seen {NEW} 100 %, wanted {NEW} 100 %: passed",
        f"soak: web-{NEW} is watched for 180 s",
        f"soak: web-{NEW}: 5 alarms quiet, 2 of 2 healthy",
        f"soak: web-{NEW}: 5 alarms quiet, 600 requests in 3 metric periods: passed",
    ], "each progress line is said once"


def test_the_evidence_of_a_soak_is_what_was_seen_at_its_end() -> None:
    world = World()
    world.keep()
    kind, _, summary, evidence = world.kept[-1]
    assert (kind, summary) == (Kind.SOAK_PASSED, "5 alarms quiet, 600 requests in 3 metric periods")
    assert evidence["requests"] == 600
    assert evidence["targets"] == {"i-1": "healthy", "i-2": "healthy"}
    assert set(evidence["alarms"]) == {*OWN, "checkout"}
    assert evidence["seconds"] >= 180
    assert world.kept[1][3] == {"seconds": 180}


def test_without_seconds_a_release_is_attested_and_nothing_else_is_asked() -> None:
    world = World()
    world.keep(seconds=0)
    assert world.kinds == [Kind.ATTEST_PASSED]
    assert world.calls == {"groups": 1, "entrance": 1, "probe": 20}


def test_an_app_that_is_not_to_be_attested_is_soaked_alone() -> None:
    world = World()
    world.keep(attest=NOTHING)
    assert world.kinds == [Kind.SOAK_BEGAN, Kind.SOAK_PASSED]
    assert "probe" not in world.calls


# -- attest


@pytest.mark.parametrize(("kind", "seconds"), [("app", 60), ("net", SETTLED_SECONDS)])
def test_a_network_load_balancer_has_longer_until_a_change_is_seen(kind: str, seconds: float) -> None:
    arn = f"arn:aws:elasticloadbalancing:us-east-1:1:listener/{kind}/web/1/1"
    world = World(listener=arn, answers=lambda: Answer(status=200, headers={"x-release": OLD}))
    with pytest.raises(WatchFailed):
        world.keep()
    assert seconds <= world.seconds < seconds + 10


def test_a_release_that_does_not_answer_is_never_soaked() -> None:
    world = World(answers=lambda: Answer(status=200, headers={"x-release": OLD}))
    with pytest.raises(WatchFailed, match=f"seen {OLD} 100 %, wanted {NEW} 100 %") as caught:
        world.keep()
    assert world.kinds == [Kind.ATTEST_FAILED]
    assert world.kept[0][3] == {"url": "http://web.test", "shares": {NEW: 100}}
    assert "http://web.test" in caught.value.next_step
    assert "targets" not in world.calls


def test_a_shift_is_attested_by_the_shares_that_were_declared() -> None:
    names = iter([OLD] * 9 + [NEW] for _ in range(40))
    flat = iter([name for ten in names for name in ten])
    world = World(answers=lambda: Answer(status=200, headers={"x-release": next(flat)}))
    world.forwards = {"old": 90, "new": 10}
    world.keep(seconds=0, shift=Shift(owner=OWNER, release=NEW, shares={OLD: 90, NEW: 10}))
    assert world.calls["probe"] == 400
    assert world.kept[0][3] == {"shares": {OLD: 90, NEW: 10}}


def test_requests_of_the_attest_do_not_count_as_those_of_users() -> None:
    world = World(answer_seconds=0.5)
    world.keep()
    after_the_sample = START + timedelta(seconds=20 * 0.5)
    assert world.asked_since
    assert min(world.asked_since) >= after_the_sample


@pytest.mark.parametrize("seconds", [0, 180])
def test_a_release_behind_no_production_listener_fails_at_once(seconds: float) -> None:
    for world in (World(forwards=None), World(groups_there=(group(OLD, "old"),))):
        with pytest.raises(WatchFailed, match=f"web-{NEW} is behind no production listener"):
            world.keep(seconds=seconds)
        assert world.kinds == [Kind.ATTEST_FAILED]
        assert world.seconds == 0


@pytest.mark.parametrize("forwards", [{"old": 100}, {"old": 100, "new": 0}, {}])
def test_a_release_that_the_production_listener_sends_nothing_to_fails_though_the_app_names_no_release(
    forwards: dict[str, int],
) -> None:
    world = World(forwards=forwards)
    with pytest.raises(WatchFailed, match="behind no production listener"):
        world.keep(seconds=0, attest=NOTHING)
    assert world.kinds == [Kind.ATTEST_FAILED]


# -- soak


def test_a_look_is_one_call_of_each_kind_whatever_the_number_of_targets() -> None:
    world = World(states={f"i-{number}": "healthy" for number in range(50)})
    world.keep(attest=NOTHING)
    looks = world.calls["targets"]
    assert world.calls["alarms"] == world.calls["alarms_of"] == looks
    assert looks < 70, "at most one a second, ever more seldom"
    assert world.calls["groups"] == world.calls["entrance"] == 1


def test_metrics_are_asked_for_only_once_the_time_is_over() -> None:
    world = World(period_seconds=1)
    world.keep(attest=NOTHING)
    assert world.calls["traffic"] == 1
    failing = World(events=[(30, set_own(errors="ALARM"))])
    with pytest.raises(WatchFailed):
        failing.keep()
    assert "traffic" not in failing.calls


def test_an_alarm_that_goes_off_ends_the_soak_long_before_its_time() -> None:
    world = World(events=[(30, set_own(errors="ALARM"))])
    with pytest.raises(WatchFailed, match=f"soak: web-{NEW}: alarm errors is on .Threshold Crossed.* after 3"):
        world.keep(seconds=3600)
    assert 30 <= world.seconds < 36
    assert world.kinds == [Kind.ATTEST_PASSED, Kind.SOAK_BEGAN, Kind.SOAK_FAILED]
    _, release, summary, evidence = world.kept[-1]
    assert release == NEW
    assert "alarm errors is on" in summary
    assert evidence["alarms"]["errors"] == "ALARM: Threshold Crossed."
    assert evidence["requests"] is None


def test_an_alarm_of_the_users_that_goes_away_ends_the_soak() -> None:
    world = World(events=[(30, lambda world: world.users.clear())])
    with pytest.raises(WatchFailed, match="there is no alarm checkout"):
        world.keep()
    assert world.kinds[-1] is Kind.SOAK_FAILED


def test_no_users_at_all_is_no_data_and_fails() -> None:
    world = World(requests=None)
    with pytest.raises(WatchFailed, match="no requests in 6 metric periods: no data") as caught:
        world.keep()
    assert "soakSeconds" in caught.value.next_step
    assert 360 <= world.seconds < 370


def test_a_long_soak_without_users_waits_no_more_periods_than_a_short_one() -> None:
    world = World(requests=None)
    with pytest.raises(WatchFailed, match="no requests in 13 metric periods: no data"):
        world.keep(seconds=600, attest=NOTHING)
    assert 780 <= world.seconds < 785


def test_what_is_open_when_a_long_soak_ends_may_still_settle() -> None:
    world = World(events=[(590, set_targets(i_1="unhealthy")), (700, set_targets(i_1="healthy"))])
    world.keep(seconds=600)
    assert world.kinds[-1] is Kind.SOAK_PASSED
    assert 700 <= world.seconds < 705


def test_a_short_soak_still_sees_three_metric_periods() -> None:
    world = World()
    world.keep(seconds=1)
    assert 180 <= world.seconds < 190


def test_machines_that_all_fail_end_the_soak_after_ten_seconds() -> None:
    world = World(events=[(60, set_targets(i_1="unhealthy", i_2="unhealthy"))])
    with pytest.raises(WatchFailed, match="none of 2 machines is healthy"):
        world.keep()
    assert 70 <= world.seconds < 80


def test_machines_that_fail_one_after_the_other_do_not_end_it() -> None:
    world = World(
        events=[
            (60, set_targets(i_1="unhealthy")),
            (90, set_targets(i_1="healthy", i_2="unhealthy")),
            (120, set_targets(i_2="healthy")),
        ]
    )
    world.keep()
    assert world.kinds[-1] is Kind.SOAK_PASSED


def test_one_look_at_the_very_moment_of_a_replacement_does_not_end_it_however_slow_aws_is() -> None:
    world = World(slow_seconds=12)
    told, sick_looks = world.targets, 0

    def once_in_a_replacement(target_group: str) -> tuple[Target, ...]:
        nonlocal sick_looks
        found = told(target_group)
        if world.seconds > 60 and not sick_looks:
            sick_looks += 1
            return tuple(Target(instance=each.instance, state="initial") for each in found)
        return found

    world.targets = once_in_a_replacement  # type: ignore[method-assign]
    world.keep()
    assert sick_looks == 1
    assert world.kinds[-1] is Kind.SOAK_PASSED


def test_a_soak_ends_on_time() -> None:
    world = World(period_seconds=10)
    world.keep(seconds=100, attest=NOTHING)
    assert world.seconds == pytest.approx(100, abs=1.1)


def test_errors_of_aws_are_passed_on_and_no_failure_of_the_release() -> None:
    world = World()
    world.alarms = lambda names: (_ for _ in ()).throw(AwsError("ExpiredToken"))  # type: ignore[method-assign]
    with pytest.raises(AwsError, match="ExpiredToken"):
        world.keep()
    assert world.kinds == [Kind.ATTEST_PASSED, Kind.SOAK_BEGAN], "its soak has not ended, and that is known"
