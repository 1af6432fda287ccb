"""CloudWatch: alarms, and what load balancers report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bluegreen.aws.observe.asking import Asking
from bluegreen.aws.session import in_our_words
from bluegreen.model.alarms import BALANCERS, NETWORK_BALANCERS
from bluegreen.model.network_balancer import is_network
from bluegreen.model.observation import (
    Alarm,
    Traffic,
)

MOST_ALARMS = 100
"""In one answer of DescribeAlarms, which holds fewer unless asked for so many."""

METRIC_PERIOD_SECONDS = 60
"""How often load balancers report (ELB User Guide, "CloudWatch metrics for your Application Load Balancer")."""


class Metrics(Asking):
    """Questions about alarms and metrics."""

    @in_our_words
    def alarms(self, names: Sequence[str]) -> tuple[Alarm, ...]:
        """Those of the alarms with these names that exist, composite ones too. One call, none without names."""
        if not names:
            return ()
        answer = self._session.client("cloudwatch").describe_alarms(
            AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=MOST_ALARMS
        )
        return tuple(_alarm(each) for each in (*answer["MetricAlarms"], *answer.get("CompositeAlarms", [])))

    @in_our_words
    def alarms_of(self, release: str, target_group: str, listener: str) -> tuple[Alarm, ...]:
        """The alarms that came with a release: named after it (`web-4d197941`), on its target group (ARN), or on all of
        the load balancer of this listener (ARN). One call."""
        pages = self._session.client("cloudwatch").get_paginator("describe_alarms")
        balancer = {"Name": "LoadBalancer", "Value": load_balancer_dimension(listener)}
        group = {"Name": "TargetGroup", "Value": target_group_dimension(target_group)}
        return tuple(
            _alarm(each)
            for page in pages.paginate(AlarmNamePrefix=f"{release}-", AlarmTypes=["MetricAlarm"])
            for each in page["MetricAlarms"]
            if balancer in (found := _dimensions(each)) and all(it in (balancer, group) for it in found)
        )

    @in_our_words
    def traffic(self, listener: str, target_group: str, since: datetime, clock: str | None = None) -> Traffic:
        """What the load balancer of a listener (ARN) has reported of a target group (ARN) since a moment. One call.

        Periods are counted by the healthy hosts of `clock`, the same target group unless another is named: they are
        reported every period, requests only when there are some. A Network Load Balancer knows of no requests: new
        connections stand for them, of all its target groups together.
        """
        requests = _query("requests", listener, "RequestCount", "Sum", target_group)
        if is_network(listener):
            requests = _query("requests", listener, "NewFlowCount", "Sum")
        hosts = _query("hosts", listener, "HealthyHostCount", "Maximum", clock or target_group)
        values = self._values(since, requests, hosts)
        counts = values["requests"].values()
        return Traffic(periods=len(values["hosts"]), requests=sum(counts) if counts else None)

    @in_our_words
    def had_no_connections(self, listener: str, since: datetime) -> bool:
        """Whether the Network Load Balancer of a listener (ARN) has had a whole period without any connection since a
        moment. One call."""
        flows = _query("flows", listener, "ActiveFlowCount", "Maximum")
        return 0 in self._values(since, flows)["flows"].values()

    def _values(self, since: datetime, *queries: dict[str, Any]) -> dict[str, dict[datetime, float]]:
        """By period and query. A period that began before has seen what was before."""
        answer = self._session.client("cloudwatch").get_metric_data(
            MetricDataQueries=list(queries),
            StartTime=since,
            EndTime=datetime.now(UTC) + timedelta(seconds=METRIC_PERIOD_SECONDS),
        )
        return {
            each["Id"]: {at: value for at, value in zip(each["Timestamps"], each["Values"], strict=True) if at >= since}
            for each in answer["MetricDataResults"]
        }


def _query(name: str, listener: str, metric: str, statistic: str, target_group: str = "") -> dict[str, Any]:
    """Of the load balancer of a listener, or of one of its target groups (ARNs)."""
    dimensions = {"LoadBalancer": load_balancer_dimension(listener)}
    if target_group:
        dimensions["TargetGroup"] = target_group_dimension(target_group)
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": NETWORK_BALANCERS if is_network(listener) else BALANCERS,
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
            "Period": METRIC_PERIOD_SECONDS,
            "Stat": statistic,
        },
    }


def load_balancer_dimension(listener: str) -> str:
    """A load balancer as CloudWatch names it, from the ARN of one of its listeners:
    `...:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2` has `app/web/50dc6c495c0c9188`."""
    return "/".join(listener.rpartition(":")[2].split("/")[1:4])


def target_group_dimension(target_group: str) -> str:
    """A target group as CloudWatch names it, from its ARN: `targetgroup/web/73e2d6bc24d8a067`."""
    return target_group.rpartition(":")[2]


def _alarm(found: dict[str, Any]) -> Alarm:
    return Alarm(name=found["AlarmName"], state=found["StateValue"], reason=found.get("StateReason", ""))


def _dimensions(alarm: dict[str, Any]) -> list[dict[str, str]]:
    """Of the alarm's metric, or of all the metrics of its expression."""
    metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    return [each for metric in (alarm, *metrics) for each in metric.get("Dimensions", [])]
