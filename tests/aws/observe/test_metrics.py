"""What is read of alarms and metrics, and at what cost in calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from bluegreen.aws.observe.metrics import load_balancer_dimension, target_group_dimension
from bluegreen.model.observation import (
    Alarm,
    Traffic,
)
from tests.aws.world import World


def put_alarm(world: World, name: str, target_group: str = "", is_of_balancer: bool = True, **more: Any) -> None:
    of = {"LoadBalancer": load_balancer_dimension(world.production)} if is_of_balancer else {}
    of |= {"TargetGroup": target_group_dimension(target_group)} if target_group else {}
    dimensions = [{"Name": name, "Value": value} for name, value in of.items()]
    world.session.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/ApplicationELB",
        MetricName="UnHealthyHostCount",
        Dimensions=dimensions,
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        **more,
    )
    world.calls.clear()


def test_alarms_are_asked_by_name_in_one_call_and_those_that_do_not_exist_are_not_among_them(world: World) -> None:
    for name in ("checkout", "queue", "other"):
        put_alarm(world, name)
    world.session.client("cloudwatch").set_alarm_state(AlarmName="queue", StateValue="ALARM", StateReason="it is long")
    world.calls.clear()
    seen = {alarm.name: alarm for alarm in world.observer.alarms(["checkout", "queue", "nothing"])}
    assert set(seen) == {"checkout", "queue"}
    assert seen["queue"] == Alarm(name="queue", state="ALARM", reason="it is long")
    assert seen["queue"].is_on
    assert not seen["checkout"].is_on
    assert world.calls == ["DescribeAlarms"]


def test_without_names_no_alarm_is_asked_for_and_none_is_found(world: World) -> None:
    put_alarm(world, "checkout")
    assert world.observer.alarms([]) == ()
    assert world.calls == []


def test_composite_alarms_count_and_a_hundred_fit_in_one_answer(world: World) -> None:
    names = [f"alarm-{number:03}" for number in range(100)]
    asked = {"AlarmNames": names, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 100}
    answer = {
        "MetricAlarms": [{"AlarmName": names[0], "StateValue": "OK"}],
        "CompositeAlarms": [{"AlarmName": names[1], "StateValue": "ALARM", "StateReason": "both"}],
    }
    with Stubber(world.session.client("cloudwatch")) as stub:
        # CloudWatch gives fifty unless asked for more, and one that it leaves out would seem not to exist.
        stub.add_response("describe_alarms", answer, asked)
        assert world.observer.alarms(names) == (
            Alarm(name=names[0], state="OK"),
            Alarm(name=names[1], state="ALARM", reason="both"),
        )


def test_the_alarms_of_a_release_are_those_of_its_name_on_its_target_group_or_its_load_balancer(world: World) -> None:
    put_alarm(world, "web-bbbbbbbb-unhealthy-1a2b", world.new)
    put_alarm(world, "web-bbbbbbbb-unhealthy-left", world.old)  # of a group that was made before, and is gone
    put_alarm(world, "web-bbbbbbbb-mine", is_of_balancer=False)
    put_alarm(world, "web-bbbbbbbb-balancer-1a2b")  # of the load balancer as a whole
    put_alarm(world, "web-bbbbbbbbb-unhealthy", world.new)
    put_alarm(world, "web-aaaaaaaa-unhealthy", world.new)
    seen = world.observer.alarms_of("web-bbbbbbbb", world.new, world.production)
    assert sorted(alarm.name for alarm in seen) == ["web-bbbbbbbb-balancer-1a2b", "web-bbbbbbbb-unhealthy-1a2b"]
    assert world.calls == ["DescribeAlarms"]


def test_an_alarm_on_an_expression_is_known_by_the_metrics_in_it(world: World) -> None:
    def of(target_group: str, name: str) -> dict[str, Any]:
        dimensions = [
            {"Name": "TargetGroup", "Value": target_group_dimension(target_group)},
            {"Name": "LoadBalancer", "Value": load_balancer_dimension(world.production)},
        ]
        metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "Dimensions": dimensions}
        stat = {"Metric": metric, "Period": 60, "Stat": "Sum"}
        queries = [
            {"Id": "requests", "MetricStat": stat, "ReturnData": False},
            {"Id": "percent", "Expression": "100 * requests", "ReturnData": True},
        ]
        return {"AlarmName": name, "StateValue": "OK", "Metrics": queries}

    answer = {"MetricAlarms": [of(world.new, "web-bbbbbbbb-errors-1"), of(world.old, "web-bbbbbbbb-errors-2")]}
    with Stubber(world.session.client("cloudwatch")) as stub:
        asked = {"AlarmNamePrefix": "web-bbbbbbbb-", "AlarmTypes": ["MetricAlarm"]}
        stub.add_response("describe_alarms", {**answer, "NextToken": "more"}, asked)
        rest = {"MetricAlarms": [of(world.new, "web-bbbbbbbb-latency-1")]}
        stub.add_response("describe_alarms", rest, {**asked, "NextToken": "more"})
        seen = world.observer.alarms_of("web-bbbbbbbb", world.new, world.production)
    assert [alarm.name for alarm in seen] == ["web-bbbbbbbb-errors-1", "web-bbbbbbbb-latency-1"]


SINCE = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def reported(requests: dict[int, float], hosts: dict[int, float]) -> dict[str, Any]:
    """GetMetricData's answer. Keys: seconds after SINCE."""

    def series(name: str, values: dict[int, float]) -> dict[str, Any]:
        moments = [SINCE + timedelta(seconds=at) for at in values]
        return {"Id": name, "Timestamps": moments, "Values": list(values.values()), "StatusCode": "Complete"}

    return {"MetricDataResults": [series("requests", requests), series("hosts", hosts)]}


@pytest.mark.parametrize(
    ("requests", "hosts", "seen"),
    [
        ({}, {}, Traffic(periods=0, requests=None)),
        ({}, {30: 2, 90: 2, 150: 0}, Traffic(periods=3, requests=None)),
        ({30: 5, 90: 7}, {30: 2, 90: 2, 150: 2}, Traffic(periods=3, requests=12)),
        ({-30: 500, 30: 5}, {-30: 2, 30: 2}, Traffic(periods=1, requests=5)),
        ({-30: 500}, {-30: 2, 30: 2}, Traffic(periods=1, requests=None)),
        ({0: 5}, {0: 2}, Traffic(periods=1, requests=5)),
        ({30: 0}, {30: 2}, Traffic(periods=1, requests=0)),
    ],
)
def test_traffic_counts_from_the_first_whole_period_and_periods_by_their_healthy_hosts(
    world: World, requests: dict[int, float], hosts: dict[int, float], seen: Traffic
) -> None:
    with Stubber(world.session.client("cloudwatch")) as stub:
        stub.add_response("get_metric_data", reported(requests, hosts))
        assert world.observer.traffic(world.production, world.new, SINCE) == seen
    assert world.calls.count("GetMetricData") <= 1


@pytest.mark.parametrize("clock", [None, "old"])
def test_requests_are_those_of_the_target_group_and_the_clock_may_be_another(world: World, clock: str | None) -> None:
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params)

    events = world.session.client("cloudwatch").meta.events
    events.register("provide-client-params.cloudwatch.GetMetricData", note)
    try:
        with Stubber(world.session.client("cloudwatch")) as stub:
            stub.add_response("get_metric_data", reported({}, {}))
            world.observer.traffic(world.production, world.new, SINCE, world.old if clock else None)
    finally:
        events.unregister("provide-client-params.cloudwatch.GetMetricData", note)
    (question,) = asked
    metrics = {each["Id"]: each["MetricStat"]["Metric"] for each in question["MetricDataQueries"]}
    found = {
        name: (metric["MetricName"], {each["Name"]: each["Value"] for each in metric["Dimensions"]})
        for name, metric in metrics.items()
    }
    balancer = world.balancer.partition(":loadbalancer/")[2]
    of = {"LoadBalancer": balancer, "TargetGroup": target_group_dimension(world.new)}
    by = {**of, "TargetGroup": target_group_dimension(world.old if clock else world.new)}
    assert found == {"requests": ("RequestCount", of), "hosts": ("HealthyHostCount", by)}
    assert question["StartTime"] == SINCE


def test_load_balancers_and_target_groups_are_named_as_cloudwatch_names_them() -> None:
    listener = "arn:aws:elasticloadbalancing:us-west-2:1:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2"
    assert load_balancer_dimension(listener) == "app/web/50dc6c495c0c9188"
    target_group = "arn:aws:elasticloadbalancing:us-west-2:1:targetgroup/web/73e2d6bc24d8a067"
    assert target_group_dimension(target_group) == "targetgroup/web/73e2d6bc24d8a067"
