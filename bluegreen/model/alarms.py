"""The alarms that come with every release, as data. Pure; who declares them is `bluegreen.components.server_group`.

They judge the release's own target group, so a bad candidate is told from a bad day. Load balancers don't report what
did not happen: errors that were not reported count as 0, and no requests at all is no data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bluegreen.model.settings import AlarmSettings

UNHEALTHY = "unhealthy"
CAPACITY = "capacity"
CAPACITY_METRIC = "GroupDesiredCapacity"
BALANCERS = "AWS/ApplicationELB"
NETWORK_BALANCERS = "AWS/NetworkELB"
GROUPS = "AWS/AutoScaling"
PERIOD_SECONDS = 60
"""How often Elastic Load Balancing reports."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """A metric of the release's target group, of its Auto Scaling group where the namespace is that one's, or an
    expression over those with these ids."""

    id: str
    metric: str = ""
    namespace: str = BALANCERS
    statistic: str = "Sum"
    expression: str = ""
    label: str = ""
    is_returned: bool = False
    is_of_balancer: bool = False  # of all target groups


@dataclass(frozen=True, kw_only=True)
class ReleaseAlarm:
    """Goes off when `periods_to_alarm` of the last `periods` are at or over `threshold`."""

    name: str
    description: str
    threshold: float
    queries: tuple[Query, ...]
    periods: int = 3
    periods_to_alarm: int = 2

    @property
    def is_of_balancer(self) -> bool:
        return any(query.is_of_balancer for query in self.queries)


def alarms_of(
    settings: AlarmSettings, maximum: int, *, is_alone: bool = True, is_network: bool = False
) -> Iterator[ReleaseAlarm]:
    """Those that the settings don't leave out. `maximum`: machines that the group may have. `is_alone`: whether the
    load balancer's metrics are of no other service too. `is_network`: whether it knows of connections alone."""
    if not is_network:
        yield from (each for each in _of_requests(settings) if is_alone or not each.is_of_balancer)
    if settings.unhealthy_hosts:
        yield _of_health(settings.unhealthy_hosts, NETWORK_BALANCERS if is_network else BALANCERS)
    if settings.capacity_minutes and maximum:
        yield ReleaseAlarm(
            name=CAPACITY,
            description="The server group is at its most machines, and can't follow more load",
            threshold=maximum,
            periods=settings.capacity_minutes,
            periods_to_alarm=settings.capacity_minutes,
            queries=(
                Query(id=CAPACITY, namespace=GROUPS, metric=CAPACITY_METRIC, statistic="Minimum", is_returned=True),
            ),
        )


def _of_requests(settings: AlarmSettings) -> Iterator[ReleaseAlarm]:
    """What a soak goes by, beside the machines' health."""
    if settings.error_percent:
        yield ReleaseAlarm(
            name="errors",
            description="Percent of the requests to this release that got a 5xx or no connection, if more than one did",
            threshold=settings.error_percent,
            queries=(
                Query(id="requests", metric="RequestCount"),
                Query(id="errors", metric="HTTPCode_Target_5XX_Count"),
                Query(id="refused", metric="TargetConnectionErrorCount"),
                _percent("FILL(errors, 0) + FILL(refused, 0)", "5xx and no connection, percent"),
            ),
        )
        # A machine that breaks off or never answers has no status of its own: the load balancer answers for it.
        yield ReleaseAlarm(
            name="balancer",
            description="Percent of all requests that the load balancer had to answer with a 5xx, if more than one",
            threshold=settings.error_percent,
            queries=(
                Query(id="requests", metric="RequestCount", is_of_balancer=True),
                Query(id="errors", metric="HTTPCode_ELB_5XX_Count", is_of_balancer=True),
                _percent("FILL(errors, 0)", "The load balancer's own 5xx, percent"),
            ),
        )
    if settings.latency_seconds:
        yield ReleaseAlarm(
            name="latency",
            description="99th percentile of the time that this release takes to answer, in seconds",
            threshold=settings.latency_seconds,
            queries=(Query(id="latency", metric="TargetResponseTime", statistic="p99", is_returned=True),),
        )


def _of_health(threshold: float, namespace: str) -> ReleaseAlarm:
    query = Query(
        id="unhealthy", namespace=namespace, metric="UnHealthyHostCount", statistic="Maximum", is_returned=True
    )
    return ReleaseAlarm(
        name=UNHEALTHY,
        description="Machines of this release that fail their health check",
        threshold=threshold,
        queries=(query,),
    )


def _percent(errors: str, label: str) -> Query:
    """One stray error among a few requests is no reason to take a release back. Without requests there is no value."""
    expression = f"IF({errors} > 1, 100 * ({errors}) / requests, 0 * requests)"
    return Query(id="percent", expression=expression, label=label, is_returned=True)
