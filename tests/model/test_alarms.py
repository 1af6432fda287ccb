"""The alarms of a release, evaluated as CloudWatch would: unreported errors are none, no request is no data."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bluegreen.model.alarms import Query, ReleaseAlarm, alarms_of
from bluegreen.model.settings import AlarmSettings
from bluegreen.model.soak import LEAST_PERIODS, SoakPolicy
from sandbox.cloud.metric_math import Series, evaluate

GRID = (0, 60, 120)


def alarm(name: str, settings: AlarmSettings | None = None) -> ReleaseAlarm:
    return next(each for each in alarms_of(settings or AlarmSettings(), 6) if each.name == name)


def percent(reported: Mapping[str, Mapping[int, float]], name: str = "errors") -> dict[int, float]:
    """What an alarm of errors judges, by period. `reported`: by metric, what the load balancer reported."""
    queries = {query.id: query for query in alarm(name).queries}
    series = {
        query.id: Series(reported.get(query.metric, {}), GRID) for query in queries.values() if not query.expression
    }
    (returned,) = (query for query in queries.values() if query.is_returned)
    found = evaluate(returned.expression, series=series.__getitem__, metrics=series)
    return dict(found.points)


REQUESTS, ERRORS, REFUSED = "RequestCount", "HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount"
OWN_ERRORS = "HTTPCode_ELB_5XX_Count"
NAMES = ["errors", "balancer", "latency", "unhealthy"]


def test_errors_that_were_not_reported_count_as_none() -> None:
    assert percent({REQUESTS: {0: 100, 60: 50, 120: 1}}) == {0: 0, 60: 0, 120: 0}


@pytest.mark.parametrize(("name", "errors"), [("errors", {ERRORS, REFUSED}), ("balancer", {OWN_ERRORS})])
def test_every_metric_of_errors_is_filled_and_that_of_requests_is_not(name: str, errors: set[str]) -> None:
    queries = alarm(name).queries
    (expression,) = (query.expression for query in queries if query.expression)
    filled = {query.metric for query in queries if query.metric and f"FILL({query.id}, 0)" in expression}
    assert filled == errors


def test_errors_that_were_reported_in_one_period_are_not_of_the_others() -> None:
    assert percent({REQUESTS: {0: 200, 60: 200}, ERRORS: {60: 20}}) == {0: 0, 60: 10}


def test_no_requests_are_no_data_whatever_else_is_reported() -> None:
    assert percent({}) == {}
    assert percent({ERRORS: {0: 1}}) == {}
    assert percent({REQUESTS: {60: 10}}) == {60: 0}, "a period without requests is none with no errors"


def test_connections_that_the_release_refused_are_errors_of_it() -> None:
    assert percent({REQUESTS: {0: 10}, REFUSED: {0: 2}}) == {0: 20}
    assert percent({REQUESTS: {0: 10}, REFUSED: {0: 1}, ERRORS: {0: 2}}) == {0: 30}
    assert percent({REQUESTS: {0: 10}, REFUSED: {0: 1}, ERRORS: {0: 1}}) == {0: 20}, "two, of either kind"


@pytest.mark.parametrize(("name", "metric"), [("errors", ERRORS), ("errors", REFUSED), ("balancer", OWN_ERRORS)])
def test_one_stray_error_among_few_requests_is_no_reason_and_two_are(name: str, metric: str) -> None:
    assert percent({REQUESTS: {0: 4, 60: 4}, metric: {0: 1, 60: 2}}, name) == {0: 0, 60: 50}


def test_errors_that_the_load_balancer_answers_with_itself_are_judged_too() -> None:
    assert percent({REQUESTS: {0: 100, 60: 100}, OWN_ERRORS: {0: 20}}, "balancer") == {0: 20, 60: 0}
    assert percent({OWN_ERRORS: {0: 20}}, "balancer") == {}, "no requests are no data"
    assert percent({REQUESTS: {0: 100}, ERRORS: {0: 20}}, "balancer") == {0: 0}, "a release's are not its own"


def test_the_load_balancers_own_errors_are_of_all_target_groups_and_all_else_is_of_the_releases_alone() -> None:
    of_balancer = {
        each.name: {query.is_of_balancer for query in each.queries if query.metric}
        for each in alarms_of(AlarmSettings(), 6)
    }
    assert of_balancer == {name: {name == "balancer"} for name in NAMES}


def test_zero_leaves_an_alarm_out() -> None:
    assert [each.name for each in alarms_of(AlarmSettings(), 6)] == NAMES
    for key, names in (
        ("errorPercent", {"errors", "balancer"}),
        ("latencySeconds", {"latency"}),
        ("unhealthyHosts", {"unhealthy"}),
    ):
        left = [each.name for each in alarms_of(AlarmSettings(**{key: 0}), 6)]
        assert left == [name for name in NAMES if name not in names]


@pytest.mark.parametrize("error", [0, 5])
@pytest.mark.parametrize("latency", [0, 0.5])
@pytest.mark.parametrize("hosts", [0, 1])
def test_a_soak_waits_for_as_many_alarms_as_there_are(error: float, latency: float, hosts: int) -> None:
    settings = AlarmSettings(error_percent=error, latency_seconds=latency, unhealthy_hosts=hosts)
    assert SoakPolicy(alarms=settings).own_alarms == len(list(alarms_of(settings, 6)))


def test_thresholds_are_those_of_the_settings() -> None:
    settings = AlarmSettings(error_percent=1.5, latency_seconds=0.25, unhealthy_hosts=3)
    assert {each.name: each.threshold for each in alarms_of(settings, 6)} == {
        "errors": 1.5,
        "balancer": 1.5,
        "latency": 0.25,
        "unhealthy": 3,
    }


def test_every_alarm_returns_one_series_and_can_go_off_within_the_shortest_soak() -> None:
    for each in alarms_of(AlarmSettings(), 6):
        assert sum(query.is_returned for query in each.queries) == 1
        assert each.periods_to_alarm <= each.periods <= LEAST_PERIODS


def test_an_expression_names_no_metric_that_is_not_there() -> None:
    for each in alarms_of(AlarmSettings(), 6):
        ids = {query.id for query in each.queries}
        assert len(ids) == len(each.queries)
        assert all(bool(query.metric) != bool(query.expression) for query in each.queries)


def test_latency_is_judged_by_the_slowest_hundredth_and_machines_by_the_worst_moment() -> None:
    (latency,) = alarm("latency").queries
    (unhealthy,) = alarm("unhealthy").queries
    assert latency == Query(id="latency", metric="TargetResponseTime", statistic="p99", is_returned=True)
    assert (unhealthy.metric, unhealthy.statistic) == ("UnHealthyHostCount", "Maximum")
