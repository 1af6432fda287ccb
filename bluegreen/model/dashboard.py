"""The service's CloudWatch dashboard, as data: what users meet, with a line for each release. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bluegreen.model.alarms import BALANCERS, NETWORK_BALANCERS, PERIOD_SECONDS
from bluegreen.model.settings import AlarmSettings
from bluegreen.model.tags import Owner

WIDTH, HEIGHT = 12, 6
"""Of a widget; a dashboard is 24 wide (CloudWatch API, "Dashboard body structure and syntax")."""

LATENCY = "Time to answer, 99th percentile, in seconds"
HEALTH = "Healthy machines"

Metric = list[Any]
"""A line of a widget, as the body of a dashboard has it."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A release, and what CloudWatch knows of its server group."""

    version: str
    role: str
    target_group: str

    @property
    def label(self) -> str:
        return f"{self.version} ({self.role})"


def name_of(owner: Owner) -> str:
    """A dashboard's is letters, digits, - and _ ."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"{owner.project}-{owner.stack}-{owner.service}")


def body_of(
    lines: Sequence[Line], *, region: str, balancer: str, alarms: AlarmSettings, is_network: bool = False
) -> dict[str, Any]:
    """`balancer`: as its metrics name it. Where a line alone sets an alarm off, the threshold is shown. `is_network`:
    whether it counts connections alone, of all releases together."""
    shown = _of_connections(lines, balancer) if is_network else _of_requests(lines, balancer)
    return {
        "widgets": [
            _widget(at, title, statistic, metrics, region, alarms)
            for at, (title, statistic, metrics) in enumerate(shown)
        ]
    }


def _of_requests(lines: Sequence[Line], balancer: str) -> Iterator[tuple[str, str, list[Metric]]]:
    own: Metric = [
        BALANCERS,
        "HTTPCode_ELB_5XX_Count",
        "LoadBalancer",
        balancer,
        {"label": "the load balancer's own"},
    ]
    for title, metric, statistic, more in (
        ("Requests in a minute", "RequestCount", "Sum", []),
        ("5xx of the release, in a minute", "HTTPCode_Target_5XX_Count", "Sum", [own]),
        (LATENCY, "TargetResponseTime", "p99", []),
        (HEALTH, "HealthyHostCount", "Minimum", []),
    ):
        yield title, statistic, [*_of_releases(BALANCERS, metric, lines, balancer), *more]


def _of_connections(lines: Sequence[Line], balancer: str) -> Iterator[tuple[str, str, list[Metric]]]:
    def whole(metric: str, label: str) -> Metric:
        return [NETWORK_BALANCERS, metric, "LoadBalancer", balancer, {"label": label}]

    yield "New connections in a minute", "Sum", [whole("NewFlowCount", "all releases")]
    yield "Connections", "Maximum", [whole("ActiveFlowCount", "all releases")]
    yield (
        "Connections that were reset, in a minute",
        "Sum",
        [
            whole("TCP_Target_Reset_Count", "by a machine"),
            whole("TCP_Client_Reset_Count", "by a client"),
            whole("TCP_ELB_Reset_Count", "by the load balancer"),
        ],
    )
    yield HEALTH, "Minimum", _of_releases(NETWORK_BALANCERS, "HealthyHostCount", lines, balancer)


def _of_releases(namespace: str, metric: str, lines: Sequence[Line], balancer: str) -> list[Metric]:
    return [
        [namespace, metric, "TargetGroup", line.target_group, "LoadBalancer", balancer, {"label": line.label}]
        for line in lines
    ]


def _widget(
    at: int, title: str, statistic: str, metrics: list[Metric], region: str, alarms: AlarmSettings
) -> dict[str, Any]:
    threshold = alarms.latency_seconds if title == LATENCY else 0
    marked = {"annotations": {"horizontal": [{"label": "alarm", "value": threshold}]}} if threshold else {}
    return {
        "type": "metric",
        "x": at % 2 * WIDTH,
        "y": at // 2 * HEIGHT,
        "width": WIDTH,
        "height": HEIGHT,
        "properties": {
            "title": title,
            "view": "timeSeries",
            "region": region,
            "stat": statistic,
            "period": PERIOD_SECONDS,
            "yAxis": {"left": {"min": 0}},
            "metrics": metrics,
            **marked,
        },
    }
