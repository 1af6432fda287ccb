"""The soak's rules: what goes wrong ends it at once, what is missing is waited for, and no data is never fine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bluegreen.errors import AwsError
from bluegreen.model.observation import Alarm, Target, Traffic
from bluegreen.model.settings import AlarmSettings, Settings
from bluegreen.model.soak import Look, SoakPolicy, check_credentials_last, judge, missing_alarms
from bluegreen.model.verdict import Hopeless, Ready, Verdict, Wait

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = SoakPolicy(alarms=AlarmSettings(), alarm_names=("checkout",))
SECONDS = 300


def alarms(*names: str, state: str = "OK") -> tuple[Alarm, ...]:
    return tuple(Alarm(name=name, state=state, reason="Threshold Crossed.") for name in names)


def targets(*states: str) -> tuple[Target, ...]:
    return tuple(Target(instance=f"i-{number}", state=state) for number, state in enumerate(states))


OWN = alarms("web-bbbbbbbb-errors-1", "web-bbbbbbbb-balancer-1", "web-bbbbbbbb-latency-1", "web-bbbbbbbb-unhealthy-1")
WELL = Look(
    release="bbbbbbbb",
    waited_seconds=SECONDS,
    targets=targets("healthy", "healthy"),
    own_alarms=OWN,
    user_alarms=alarms("checkout"),
    traffic=Traffic(periods=3, requests=1200),
)
"""The time is over, and all is as it should be."""
HALFWAY = replace(WELL, waited_seconds=SECONDS / 2, traffic=None)


def verdict(look: Look, policy: SoakPolicy = POLICY, seconds: float = SECONDS) -> Verdict:
    return judge(look, policy, seconds)


def test_quiet_alarms_healthy_machines_and_requests_for_the_whole_time_are_ready() -> None:
    assert verdict(WELL) == Ready("5 alarms quiet, 1200 requests in 3 metric periods")


def test_nothing_is_ready_before_its_time() -> None:
    assert verdict(HALFWAY) == Wait("5 alarms quiet, 2 of 2 healthy")
    early = replace(WELL, waited_seconds=SECONDS - 0.1)
    assert isinstance(verdict(early), Wait)


def test_nothing_is_ready_before_the_metrics_were_asked() -> None:
    assert isinstance(verdict(replace(WELL, traffic=None)), Wait)


# -- what has a say at the end


def test_machines_that_boot_do_not_end_a_soak_by_the_alarm_of_their_health() -> None:
    """It looks at the minutes before the cutover too, and a machine that boots fails its checks for a while."""
    booting = (*OWN[:3], *alarms("web-bbbbbbbb-unhealthy-1", state="ALARM"))
    assert isinstance(verdict(replace(HALFWAY, own_alarms=booting)), Wait)
    at_the_end = replace(WELL, own_alarms=booting, periods_at_end=3)
    assert verdict(at_the_end) == Wait("alarm web-bbbbbbbb-unhealthy-1 is on")
    much_later = replace(at_the_end, traffic=Traffic(periods=6, requests=1200))
    assert verdict(much_later) == Hopeless("alarm web-bbbbbbbb-unhealthy-1 is on")


# -- what ends a soak at once


@pytest.mark.parametrize("look", [HALFWAY, WELL])
def test_an_alarm_that_does_not_exist_fails_at_once(look: Look) -> None:
    found = verdict(replace(look, user_alarms=()))
    assert isinstance(found, Hopeless)
    assert found.summary == "there is no alarm checkout in this account and region"
    assert "soakAlarms" in found.next_step


def test_all_alarms_that_do_not_exist_are_named() -> None:
    missing = missing_alarms(("b", "a", "c"), alarms("c"))
    assert missing is not None
    assert missing[0] == "there are no alarms a, b in this account and region"
    assert missing_alarms(("c",), alarms("c", "d")) is None
    assert missing_alarms((), ()) is None


@pytest.mark.parametrize("look", [HALFWAY, WELL])
@pytest.mark.parametrize("place", ["own_alarms", "user_alarms"])
def test_an_alarm_that_is_on_fails_at_once_with_its_reason(look: Look, place: str) -> None:
    on = alarms("checkout", state="ALARM")
    found = verdict(replace(look, **{"user_alarms": alarms("checkout"), place: on}))  # type: ignore[arg-type]
    assert found == Hopeless("alarm checkout is on (Threshold Crossed)")


def test_every_alarm_that_is_on_is_told() -> None:
    found = verdict(replace(WELL, own_alarms=alarms("errors", "latency", state="ALARM")))
    assert isinstance(found, Hopeless)
    assert "errors is on" in found.summary
    assert "latency is on" in found.summary


@pytest.mark.parametrize(("seconds", "fails"), [(0, False), (9.9, False), (10, True), (60, True)])
def test_no_healthy_machine_for_ten_seconds_fails_and_a_moment_of_it_does_not(seconds: float, fails: bool) -> None:
    sick = replace(HALFWAY, targets=targets("unhealthy", "initial"), unhealthy_seconds=seconds)
    found = verdict(sick)
    if fails:
        assert found == Hopeless("none of 2 machines is healthy: initial; unhealthy")
    else:
        assert found == Wait("5 alarms quiet, 0 of 2 healthy")


def test_a_group_that_lost_every_machine_fails_and_says_so() -> None:
    found = verdict(replace(HALFWAY, targets=(), unhealthy_seconds=10))
    assert found == Hopeless("none of 0 machines is healthy: there is none")


# -- what is waited for once the time is over, and for how long


@pytest.mark.parametrize("periods", [0, 1, 2])
def test_fewer_than_three_metric_periods_are_waited_for(periods: int) -> None:
    found = verdict(replace(WELL, traffic=Traffic(periods=periods, requests=50)))
    assert found == Wait(f"{periods} of 3 metric periods reported")


def test_a_soak_shorter_than_three_metric_periods_still_lasts_that_long() -> None:
    short = replace(WELL, waited_seconds=10, traffic=Traffic(periods=0, requests=None))
    assert isinstance(verdict(short, seconds=5), Wait)


@pytest.mark.parametrize(("silence", "fails"), [(0, False), (900, False), (901, True)])
def test_metrics_that_never_come_are_no_data_and_not_fine(silence: float, fails: bool) -> None:
    silent = replace(WELL, waited_seconds=SECONDS + silence, traffic=Traffic(periods=0, requests=None))
    found = verdict(silent)
    assert isinstance(found, Hopeless if fails else Wait)
    if isinstance(found, Hopeless):
        assert "no data" in found.summary
        assert "No data is not fine" in found.next_step


@pytest.mark.parametrize("requests", [None, 0])
@pytest.mark.parametrize(("periods", "fails"), [(3, False), (5, False), (6, True), (9, True)])
def test_no_requests_at_all_are_no_data_and_not_fine(periods: int, fails: bool, requests: float | None) -> None:
    found = verdict(replace(WELL, traffic=Traffic(periods=periods, requests=requests)))
    if not fails:
        assert found == Wait(f"no requests yet in {periods} metric periods")
        return
    assert isinstance(found, Hopeless)
    assert found.summary == f"no requests in {periods} metric periods: no data"
    assert "No data is not fine" in found.next_step


def test_behind_a_network_load_balancer_connections_tell_that_a_release_is_in_use() -> None:
    policy = replace(POLICY, is_network=True)
    used = replace(WELL, traffic=Traffic(periods=3, requests=7))
    found = judge(used, policy, SECONDS)
    assert isinstance(found, Ready)
    assert found.summary.endswith("7 connections in 3 metric periods")
    unused = judge(replace(WELL, traffic=Traffic(periods=6, requests=None)), policy, SECONDS)
    assert isinstance(unused, Hopeless)
    assert unused.summary == "no connections in 6 metric periods: no data"
    assert "who is connected stays with the release that he has" in unused.next_step


@pytest.mark.parametrize(("periods", "fails"), [(3, False), (5, False), (6, True)])
def test_an_alarm_of_the_users_without_data_is_not_fine(periods: int, fails: bool) -> None:
    silent = alarms("checkout", state="INSUFFICIENT_DATA")
    found = verdict(replace(WELL, user_alarms=silent, traffic=Traffic(periods=periods, requests=1)))
    if not fails:
        assert found == Wait("no data yet for alarm checkout")
        return
    assert isinstance(found, Hopeless)
    assert found.summary == "no data for alarm checkout in 6 metric periods"


def test_an_alarm_without_data_does_not_end_a_soak_before_its_time() -> None:
    silent = alarms("errors", "latency", "unhealthy", state="INSUFFICIENT_DATA")
    assert isinstance(verdict(replace(HALFWAY, own_alarms=silent)), Wait)


@pytest.mark.parametrize("own", [(), OWN[:1], OWN[:3]])
def test_fewer_alarms_than_the_release_should_have_are_not_fine(own: tuple[Alarm, ...]) -> None:
    young = replace(WELL, own_alarms=own)
    assert verdict(young) == Wait(f"{len(own)} of its 4 alarms exist yet")
    found = verdict(replace(young, traffic=Traffic(periods=6, requests=1)))
    assert isinstance(found, Hopeless)
    assert found.summary == f"{len(own)} of its 4 alarms exist"
    assert "pulumi refresh" in found.next_step


def test_alarms_that_the_settings_leave_out_are_not_waited_for() -> None:
    policy = replace(POLICY, alarms=AlarmSettings(error_percent=5, latency_seconds=0, unhealthy_hosts=0))
    assert isinstance(verdict(replace(WELL, own_alarms=alarms("errors", "balancer")), policy), Ready)
    none = replace(POLICY, alarms=AlarmSettings(error_percent=0, latency_seconds=0, unhealthy_hosts=0))
    assert isinstance(verdict(replace(WELL, own_alarms=()), none), Ready)


@pytest.mark.parametrize(
    ("states", "percentage", "is_well"),
    [
        (("healthy", "unhealthy"), 100, False),
        (("healthy", "unhealthy"), 51, False),
        (("healthy", "unhealthy"), 50, True),
        (("healthy", "draining", "draining"), 100, True),
        (("healthy", "initial", "initial"), 100, True),
        (("healthy", "unhealthy", "initial"), 50, True),
        (("healthy", "unhealthy", "initial"), 51, False),
        (("initial", "initial"), 1, False),
        (("draining",), 1, False),
        ((), 1, False),
    ],
)
def test_too_few_healthy_machines_at_the_end_are_waited_for_and_then_fail(
    states: tuple[str, ...], percentage: int, is_well: bool
) -> None:
    policy = replace(POLICY, min_healthy_percentage=percentage)
    look = replace(WELL, targets=targets(*states))
    assert isinstance(verdict(look, policy), Ready if is_well else Wait)
    late = replace(look, traffic=Traffic(periods=6, requests=1))
    assert isinstance(verdict(late, policy), Ready if is_well else Hopeless)


def test_a_machine_that_just_starts_is_told_where_others_are_unwell() -> None:
    found = verdict(replace(WELL, targets=targets("healthy", "unhealthy", "initial")))
    assert found == Wait("1 of 3 healthy: initial; unhealthy")


# Everything that is waited for at the end, each for itself.
UNSETTLED = {
    "requests": replace(WELL, traffic=Traffic(periods=3, requests=None)),
    "existence": replace(WELL, own_alarms=OWN[:2]),
    "data": replace(WELL, user_alarms=alarms("checkout", state="INSUFFICIENT_DATA")),
    "health": replace(WELL, targets=targets("healthy", "unhealthy")),
}


@pytest.mark.parametrize("unsettled", UNSETTLED)
@pytest.mark.parametrize(
    ("at_end", "periods", "fails"),
    [
        (0, 5, False),
        (0, 6, True),
        (2, 6, True),  # fewer than a soak has at least
        (3, 5, False),
        (3, 6, True),
        (60, 60, False),
        (60, 62, False),
        (60, 63, True),
        (60, 100, True),
    ],
)
def test_patience_is_counted_from_the_end_of_the_soak_and_not_from_its_beginning(
    unsettled: str, at_end: int, periods: int, fails: bool
) -> None:
    look = UNSETTLED[unsettled]
    assert look.traffic
    found = verdict(replace(look, periods_at_end=at_end, traffic=replace(look.traffic, periods=periods)))
    assert isinstance(found, Hopeless if fails else Wait)


def test_the_policy_is_what_the_settings_say() -> None:
    config = {
        "soakAlarms": '["checkout"]',
        "alarms": '{"errorPercent": 1, "latencySeconds": 0}',
        "minHealthyPercentage": "75",
    }
    policy = SoakPolicy.from_settings(Settings.parse(config))
    assert (policy.alarm_names, policy.min_healthy_percentage) == (("checkout",), 75)
    assert policy.own_alarms == 3


# -- credentials


@pytest.mark.parametrize("left", [-60, 0, 899])
def test_a_soak_longer_than_the_credentials_last_is_refused_before_it_begins(left: int) -> None:
    with pytest.raises(AwsError, match=f"end in {max(0, left)} s, and gate and soak may take 900 s") as caught:
        check_credentials_last(NOW + timedelta(seconds=left), NOW, 900)
    assert "Nothing was changed" in caught.value.next_step


def test_credentials_that_last_or_do_not_say_are_no_obstacle() -> None:
    check_credentials_last(NOW + timedelta(seconds=900), NOW, 900)
    check_credentials_last(None, NOW, 900)
