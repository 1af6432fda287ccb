"""What load balancers report to CloudWatch, and how it is asked for. A minute of CloudWatch's lasts a second here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud.metrics import Metric, Metrics, Queries
from sandbox.cloud.samples import Samples
from sandbox.host import Sandbox, SandboxError
from tests.sandbox.cloud.backend import PORT, Backend
from tests.sandbox.cloud.world import Aws, eventually, get

NAMESPACE = "AWS/ApplicationELB"
_numbers = itertools.count(1)

METRICS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html"


class Watched:
    """A load balancer with one backend, and what CloudWatch says of it."""

    def __init__(self, aws: Aws, cloudwatch: Any) -> None:
        self.aws = aws
        self.cloudwatch = cloudwatch
        self.backend = Backend("a")
        self.group = aws.target_group(TargetType="ip", Port=PORT)
        aws.elb.register_targets(TargetGroupArn=self.group, Targets=[{"Id": self.backend.address, "Port": PORT}])
        balancer = aws.balancer()
        aws.listener(balancer, self.group)
        self.address = aws.address(balancer)
        self.of_balancer = [{"Name": "LoadBalancer", "Value": balancer.partition(":loadbalancer/")[2]}]
        self.of_group = [{"Name": "TargetGroup", "Value": self.group.rpartition(":")[2]}, *self.of_balancer]
        self.began = datetime.now(UTC)
        eventually(lambda: aws.states(self.group) == ["healthy"])

    def query(self, id: str, name: str, stat: str = "Sum", **more: Any) -> dict[str, Any]:
        metric = {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": self.of_group}
        return {"Id": id, "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}, **more}

    def ask(self, *queries: dict[str, Any], **options: Any) -> dict[str, list[float]]:
        span = {"StartTime": self.began - timedelta(seconds=1), "EndTime": datetime.now(UTC) + timedelta(seconds=1)}
        answer = self.cloudwatch.get_metric_data(MetricDataQueries=list(queries), **span, **options)
        return {it["Id"]: it["Values"] for it in answer["MetricDataResults"]}

    def total(self, name: str, dimensions: list[dict[str, str]] | None = None, stat: str = "Sum") -> float:
        """Over all time; 0 if it was never reported."""
        span = {"StartTime": self.began - timedelta(seconds=1), "EndTime": datetime.now(UTC) + timedelta(seconds=1)}
        asked = {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions or self.of_group}
        found = self.cloudwatch.get_metric_statistics(**asked, **span, Period=60, Statistics=[stat])["Datapoints"]
        return float(sum(it[stat] for it in found))

    def names(self, dimensions: list[dict[str, str]]) -> set[str]:
        found = self.cloudwatch.list_metrics(Namespace=NAMESPACE, Dimensions=dimensions)["Metrics"]
        return {it["MetricName"] for it in found if len(it["Dimensions"]) == len(dimensions)}

    def alarm(self, **settings: Any) -> str:
        name = f"alarm-{next(_numbers)}"
        self.cloudwatch.put_metric_alarm(
            **{"AlarmName": name, "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"} | settings
        )
        return name

    def described(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        return found

    def state(self, name: str) -> str:
        return str(self.described(name)["StateValue"])


@pytest.fixture
def watched(aws: Aws, cloudwatch: Any) -> Iterator[Watched]:
    it = Watched(aws, cloudwatch)
    yield it
    it.backend.close()


@pytest.mark.documented("requests are counted by load balancer, and by target group in it", METRICS)
def test_requests_are_counted_by_target_group_and_by_load_balancer(watched: Watched) -> None:
    for _ in range(5):
        get(watched.address, "/who")
    eventually(lambda: watched.total("RequestCount") == 5)
    assert watched.total("HTTPCode_Target_2XX_Count") == 5
    assert watched.total("TargetResponseTime", stat="SampleCount") == 5
    assert watched.total("RequestCount", watched.of_balancer) == 5
    assert watched.total("RequestCount", [watched.of_group[0]]) == 0, "AWS has no RequestCount by target group alone"


@pytest.mark.documented("metrics of errors are published only when there are errors", METRICS)
def test_errors_are_reported_only_when_there_are_any(watched: Watched) -> None:
    get(watched.address, "/who")
    eventually(lambda: watched.total("RequestCount") == 1)
    assert watched.names(watched.of_group) == {
        "RequestCount",
        "HTTPCode_Target_2XX_Count",
        "TargetResponseTime",
        "HealthyHostCount",
        "UnHealthyHostCount",
    }
    get(watched.address, "/nothing-there")
    eventually(lambda: watched.total("HTTPCode_Target_4XX_Count") == 1)


def test_errors_of_the_load_balancer_s_own_are_not_the_target_s(watched: Watched) -> None:
    assert get(watched.address, "/hang-up")[0] == 502
    eventually(lambda: watched.total("HTTPCode_ELB_5XX_Count", watched.of_balancer) == 1)
    assert watched.total("HTTPCode_ELB_502_Count", watched.of_balancer) == 1
    assert watched.total("RequestCount") == 1
    assert watched.names(watched.of_group).isdisjoint({"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"})


@pytest.mark.documented("metrics of requests are published only when requests flow", METRICS)
def test_a_load_balancer_without_requests_reports_its_hosts_alone(watched: Watched) -> None:
    eventually(lambda: watched.total("HealthyHostCount", stat="Maximum") >= 1)
    assert watched.names(watched.of_group) == {"HealthyHostCount", "UnHealthyHostCount"}
    watched.backend.is_healthy = False
    eventually(lambda: watched.ask(watched.query("bad", "UnHealthyHostCount", "Minimum"))["bad"][:1] == [1.0])


def test_metric_math_and_percentiles_are_answered_over_the_same_periods(watched: Watched) -> None:
    watched.aws.sandbox.ask("PUT", "faults", {"targetGroup": watched.group, "errorRate": 1, "delaySeconds": 0.2})
    assert get(watched.address, "/who")[0] == 500
    eventually(lambda: watched.total("HTTPCode_Target_5XX_Count") == 1)
    found = watched.ask(
        watched.query("errors", "HTTPCode_Target_5XX_Count", ReturnData=False),
        watched.query("requests", "RequestCount", ReturnData=False),
        watched.query("slowest", "TargetResponseTime", "p99"),
        {"Id": "rate", "Expression": "100 * FILL(errors, 0) / requests", "Label": "errors in %"},
    )
    assert found.keys() == {"slowest", "rate"}
    assert sum(found["rate"]) == 100
    assert 0.2 <= found["slowest"][0] < 0.4


def test_an_alarm_on_the_rate_of_errors_goes_off_and_calms_down(watched: Watched) -> None:
    name = watched.alarm(
        Threshold=5,
        EvaluationPeriods=2,
        Metrics=[
            watched.query("errors", "HTTPCode_Target_5XX_Count", ReturnData=False),
            watched.query("requests", "RequestCount", ReturnData=False),
            {"Id": "rate", "Expression": "100 * FILL(errors, 0) / requests", "ReturnData": True},
        ],
        Tags=[{"Key": "release", "Value": "1"}],
    )

    def is_in(state: str) -> bool:
        get(watched.address, "/who")
        return watched.state(name) == state

    assert is_in("INSUFFICIENT_DATA")
    eventually(lambda: is_in("OK"))
    watched.aws.sandbox.ask("PUT", "faults", {"targetGroup": watched.group, "errorRate": 0.5})
    eventually(lambda: is_in("ALARM"))
    described = watched.described(name)
    assert described["StateReason"].startswith("Threshold Crossed: 2 datapoints [")
    assert described["Metrics"][2]["Expression"] == "100 * FILL(errors, 0) / requests"
    watched.aws.sandbox.ask("PUT", "faults", {"targetGroup": watched.group})
    eventually(lambda: is_in("OK"))
    history = watched.cloudwatch.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
    assert [it["HistorySummary"] for it in history] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
        f'Alarm "{name}" created',
    ]
    tags = watched.cloudwatch.list_tags_for_resource(ResourceARN=described["AlarmArn"])["Tags"]
    assert tags == [{"Key": "release", "Value": "1"}]
    watched.cloudwatch.delete_alarms(AlarmNames=[name])
    assert watched.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def test_a_group_whose_health_checks_fail_by_order_serves_on(watched: Watched) -> None:
    watched.aws.sandbox.ask("PUT", "faults", {"targetGroup": watched.group, "failsHealthChecks": True})
    eventually(lambda: watched.aws.states(watched.group) == ["unhealthy"])
    assert get(watched.address, "/who") == (200, "a")


def test_an_alarm_on_a_user_s_own_metric_goes_off(watched: Watched) -> None:
    namespace = f"Shop{next(_numbers)}"
    name = watched.alarm(Namespace=namespace, MetricName="Refunds", Statistic="Maximum", Period=60, Threshold=3)
    watched.cloudwatch.put_metric_data(
        Namespace=namespace, MetricData=[{"MetricName": "Refunds", "Values": [1, 7], "Counts": [3, 1]}]
    )
    eventually(lambda: watched.state(name) == "ALARM")


def test_a_state_that_was_set_by_hand_lasts_until_the_next_look(watched: Watched) -> None:
    name = watched.alarm(Namespace="Shop", MetricName="None", Statistic="Sum", Period=60, Threshold=3)
    watched.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="testing")
    (first, *_) = watched.cloudwatch.describe_alarm_history(
        AlarmName=name, HistoryItemType="StateUpdate", ScanBy="TimestampAscending"
    )["AlarmHistoryItems"]
    assert first["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"
    eventually(lambda: watched.state(name) == "INSUFFICIENT_DATA")


@pytest.mark.parametrize(
    ("call", "arguments", "reason"),
    [
        ("put_composite_alarm", {"AlarmName": "c", "AlarmRule": "ALARM(a)"}, "no composite alarms"),
        ("get_metric_data", {"MetricDataQueries": [{"Id": "x", "Expression": "LOG(y)"}]}, "has no function LOG"),
        ("get_metric_data", {"MetricDataQueries": [], "MaxDatapoints": 5}, "has no MaxDatapoints"),
        ("get_metric_statistics", {"Namespace": "N", "MetricName": "m", "Period": 60, "Statistics": ["IQM"]}, "IQM"),
        ("put_metric_alarm", {"AlarmName": "a"}, "ComparisonOperator is required"),
    ],
)
def test_what_the_sandbox_s_cloudwatch_lacks_it_refuses_by_name(
    cloudwatch: Any, call: str, arguments: dict[str, Any], reason: str
) -> None:
    now = datetime.now(UTC)
    span = {"StartTime": now - timedelta(minutes=1), "EndTime": now} if call.startswith("get_") else {}
    with pytest.raises(ClientError, match=f"(?s)ValidationError.*{reason}"):
        getattr(cloudwatch, call)(**arguments, **span)


@pytest.mark.parametrize(
    ("path", "given", "reason"),
    [
        ("metric-seconds", {"seconds": 0}, "a metric period of 0 seconds"),
        ("metric-seconds", {"seconds": 1.5}, "no whole number"),
        ("faults", {"targetGroup": "none"}, "no such target group: none"),
        ("faults", {"targetGroup": "none", "errors": 1}, "unknown: errors"),
        ("faults", {"targetGroup": "none", "errorRate": 2}, "a share from 0 to 1"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    sandbox: Sandbox, path: str, given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SandboxError, match=reason):
        sandbox.ask("PUT", path, given)


@pytest.mark.parametrize("text", ["0", "1.5", "soon", "4000"])
def test_a_sandbox_does_not_start_with_a_metric_period_that_makes_no_sense(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUEGREEN_SANDBOX_METRIC_SECONDS", text)
    with pytest.raises(SandboxError, match=f"a metric period of '{text}' seconds"):
        Sandbox.start()


class TestTime:
    """A period of 60 lasts `period_seconds`; points in time are real."""

    METRIC = Metric("us-east-1", "N", "m")

    def values(self, metrics: Metrics, period: int, start: float, end: float) -> dict[int, float]:
        stat = {"Metric": {"Namespace": "N", "MetricName": "m"}, "Period": period, "Stat": "Sum"}
        answers = Queries("us-east-1", [{"Id": "m", "MetricStat": stat}]).answers(metrics, start, end)
        return dict(answers["m"].points)

    def counted(self, period_seconds: int) -> Metrics:
        """1 in every second from 1000 up to 1120."""
        metrics = Metrics(period_seconds)
        for at in range(1000, 1120):
            metrics.add(self.METRIC, at, Samples.of(1))
        return metrics

    def test_a_minute_lasts_as_long_as_was_set(self) -> None:
        assert self.values(self.counted(60), 60, 1020, 1120) == {1020: 60, 1080: 40}
        assert self.values(self.counted(2), 60, 1110, 1120) == dict.fromkeys(range(1110, 1120, 2), 2)

    def test_longer_periods_are_stretched_alike(self) -> None:
        assert self.values(self.counted(2), 300, 1100, 1120) == {1100: 10, 1110: 10}

    def test_the_period_that_the_start_falls_into_is_whole(self) -> None:
        assert self.values(self.counted(10), 60, 1105, 1115) == {1100: 10, 1110: 10}

    def test_the_last_three_minutes_by_the_clock_hold_at_least_the_last_three_periods(self) -> None:
        found = self.values(self.counted(2), 60, 1120 - 180, 1120)
        assert list(found)[-3:] == [1114, 1116, 1118]

    def test_old_points_make_room(self) -> None:
        metrics = Metrics()
        for at in range(0, 2000 * 60, 60):
            metrics.add(self.METRIC, at, Samples.of(1))
        assert len(metrics.samples(self.METRIC, metrics.grid(0, 2000 * 60, 60), 60)) == 1440


@pytest.mark.documented(
    "an Auto Scaling group reports the metrics that are enabled, and no others",
    "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html",
)
def test_a_group_reports_what_it_is_told_to_and_nothing_unasked(aws: Aws, cloudwatch: Any) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1, MaxSize=3)
    aws.autoscaling.enable_metrics_collection(
        AutoScalingGroupName=name, Metrics=["GroupDesiredCapacity", "GroupMaxSize"], Granularity="1Minute"
    )
    of_group = [{"Name": "AutoScalingGroupName", "Value": name}]

    def reported() -> dict[str, float]:
        end = datetime.now(UTC)
        values = {}
        for metric in ("GroupDesiredCapacity", "GroupMaxSize", "GroupInServiceInstances"):
            points = cloudwatch.get_metric_statistics(
                Namespace="AWS/AutoScaling",
                MetricName=metric,
                Dimensions=of_group,
                StartTime=end - timedelta(seconds=10),
                EndTime=end,
                Period=60,
                Statistics=["Minimum"],
            )["Datapoints"]
            if points:
                values[metric] = points[-1]["Minimum"]
        return values

    eventually(lambda: len(reported()) == 2)
    assert reported() == {"GroupDesiredCapacity": 1, "GroupMaxSize": 3}


def test_the_setting_is_shown(sandbox: Sandbox, cloudwatch: Any) -> None:
    assert sandbox.status()["metricSeconds"] == 1
