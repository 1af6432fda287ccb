"""The service's CloudWatch dashboard, as data: what users meet, with a line for each release. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bluegreen.model.alarms import BALANCERS, PERIOD_SECONDS
from bluegreen.model.settings import AlarmSettings
from bluegreen.model.tags import Owner

WIDTH, HEIGHT = 12, 6
"""Of a widget; a dashboard is 24 wide (CloudWatch API, "Dashboard body structure and syntax")."""


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


def body_of(lines: Sequence[Line], *, region: str, balancer: str, alarms: AlarmSettings) -> dict[str, Any]:
    """`balancer`: as its metrics name it. Where a line alone sets an alarm off, the threshold is shown."""
    widgets = [
        ("Requests in a minute", "RequestCount", "Sum"),
        ("5xx of the release, in a minute", "HTTPCode_Target_5XX_Count", "Sum"),
        ("Time to answer, 99th percentile, in seconds", "TargetResponseTime", "p99"),
        ("Healthy machines", "HealthyHostCount", "Minimum"),
    ]
    return {"widgets": [_widget(at, *each, lines, region, balancer, alarms) for at, each in enumerate(widgets)]}


def _widget(
    at: int,
    title: str,
    metric: str,
    statistic: str,
    lines: Sequence[Line],
    region: str,
    balancer: str,
    alarms: AlarmSettings,
) -> dict[str, Any]:
    metrics: list[list[Any]] = [
        [BALANCERS, metric, "TargetGroup", line.target_group, "LoadBalancer", balancer, {"label": line.label}]
        for line in lines
    ]
    if metric == "HTTPCode_Target_5XX_Count":
        own = {"label": "the load balancer's own"}
        metrics.append([BALANCERS, "HTTPCode_ELB_5XX_Count", "LoadBalancer", balancer, own])
    threshold = alarms.latency_seconds if metric == "TargetResponseTime" else 0
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
