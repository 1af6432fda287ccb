"""CloudWatch's metrics: what has been measured, and the answers to queries about it.

No moto, no clock. `Cloud.lock` guards it. What the load balancers did comes from the data plane (`take`), what a user
publishes from PutMetricData (`add`).

How time goes. Points in time are always real: timestamps, StartTime and EndTime. Lengths in requests are CloudWatch's:
where a caller says 60 seconds, it gets one metric period, which lasts `period_seconds` here, and other
periods are stretched alike. So the last N periods of 60 seconds are the newest N values of the answer, and the values
between two moments are those between StartTime and EndTime. As CloudWatch's, periods are aligned, and a load balancer's
are published when they are over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.cloud import metric_math
from sandbox.cloud.meter import Period
from sandbox.cloud.metric_math import ExpressionError, Series
from sandbox.cloud.samples import Samples, check_statistic

MINUTE = 60
_POINTS_KEPT = 1440  # of each metric; a day of minutes
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_POINTS_PER_QUERY = 100_800  # GetMetricData's own limit


class QueryError(ValueError):
    """A query that CloudWatch would refuse too, or that asks for what the sandbox doesn't have."""


@dataclass(frozen=True)
class Metric:
    """Which one: dimensions are a part of the name, and have to be given in full. `home`: region and account."""

    home: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, home: str, asked: Mapping[str, Any]) -> Metric:
        """From AWS's form: Namespace, MetricName, Dimensions."""
        return cls(home, asked.get("Namespace", ""), asked.get("MetricName", ""), dimensions_of(asked))


def dimensions_of(asked: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((each["Name"], each["Value"]) for each in asked.get("Dimensions") or []))


@dataclass
class _Record:
    unit: str
    points: dict[int, Samples]


class Metrics:
    def __init__(self, period_seconds: int = MINUTE) -> None:
        self.period_seconds = period_seconds
        self._records: dict[Metric, _Record] = {}

    def take(self, period: Period) -> None:
        for datum in period.data:
            metric = Metric(datum.home, datum.namespace, datum.name, tuple(sorted(datum.dimensions)))
            self.add(metric, period.start, datum.samples, datum.unit)

    def add(self, metric: Metric, at: int, samples: Samples, unit: str | None = None) -> None:
        record = self._records.setdefault(metric, _Record(unit or "None", {}))
        if at in record.points:
            record.points[at].merge(samples)
            return
        record.points[at] = samples
        if len(record.points) > _POINTS_KEPT:
            del record.points[min(record.points)]

    def all(self, home: str) -> Iterator[Metric]:
        return (metric for metric in self._records if metric.home == home)

    def unit(self, metric: Metric) -> str:
        return self._records[metric].unit if metric in self._records else "None"

    def width(self, period: int) -> int:
        """How many real seconds a period of so many of CloudWatch's lasts."""
        return max(1, round(period * self.period_seconds / MINUTE))

    def grid(self, start: float, end: float, period: int) -> tuple[int, ...]:
        """The starts of the periods of this length; the one that `start` falls into is the first."""
        width = self.width(period)
        first = math.floor(start) // width * width
        if (end - first) / width > _POINTS_PER_QUERY:
            raise QueryError(f"more than {_POINTS_PER_QUERY:,} periods: ask for a shorter time or longer periods")
        return tuple(range(first, math.ceil(end), width))

    def samples(self, metric: Metric, grid: Sequence[int], period: int, unit: str | None = None) -> dict[int, Samples]:
        """By the start of each period; without a word for those in which nothing was measured."""
        record = self._records.get(metric)
        found: dict[int, Samples] = {}
        if record is None or not grid or (unit and unit != record.unit):
            return found
        width = self.width(period)
        for at, samples in record.points.items():
            start = at // width * width
            if grid[0] <= start <= grid[-1]:
                found.setdefault(start, Samples()).merge(samples)
        return found

    def series(
        self, metric: Metric, statistic: str, grid: tuple[int, ...], period: int, unit: str | None = None
    ) -> Series:
        found = self.samples(metric, grid, period, unit)
        values = {at: found[at].statistic(statistic) for at in sorted(found)}
        return Series({at: value for at, value in values.items() if value is not None}, grid)


class Queries:
    """The MetricDataQueries of one request: metrics and expressions over them, by id.

    Raises QueryError at once for what is wrong in itself.
    """

    def __init__(self, home: str, queries: Sequence[Mapping[str, Any]]) -> None:
        self._home = home
        self._queries = {query.get("Id", ""): query for query in queries}
        if len(self._queries) < len(queries):
            raise QueryError("Duplicate Ids: every element of the list needs an Id of its own")
        for id, query in self._queries.items():
            _check(id, query)
        periods = {query["MetricStat"]["Period"] for query in queries if query.get("MetricStat")}
        if self._expressions() and len(periods) > 1:
            raise QueryError("the sandbox wants one Period for all metrics of a request that has expressions")
        self.period = int(next(iter(periods), MINUTE))
        self.answers(Metrics(), 0, MINUTE)  # expressions show their faults with nothing measured, too

    @property
    def returned(self) -> list[str]:
        return [id for id, query in self._queries.items() if query.get("ReturnData") is not False]

    def label(self, id: str) -> str:
        query = self._queries[id]
        stat = query.get("MetricStat")
        return str(query.get("Label") or (stat["Metric"]["MetricName"] if stat else id))

    def answers(self, metrics: Metrics, start: float, end: float) -> dict[str, Series]:
        """For the ids whose data are to be returned, from `start` to before `end`."""
        found: dict[str, Series] = {}
        for id, query in self._queries.items():
            if stat := query.get("MetricStat"):
                grid = metrics.grid(start, end, int(stat["Period"]))
                metric = Metric.of(self._home, stat["Metric"])
                found[id] = metrics.series(metric, stat["Stat"], grid, int(stat["Period"]), stat.get("Unit"))
        plain = dict(found)
        for id in self._expressions():
            self._evaluate(id, found, plain, ())
        return {id: found[id] for id in self.returned}

    def _expressions(self) -> list[str]:
        return [id for id, query in self._queries.items() if query.get("Expression")]

    def _evaluate(
        self, id: str, found: dict[str, Series], plain: Mapping[str, Series], under_way: tuple[str, ...]
    ) -> Series:
        if id in found:
            return found[id]
        if id not in self._queries:
            raise ExpressionError(f"there is no metric or expression {id} in the request")
        if id in under_way:
            raise ExpressionError(f"{id} refers to itself")
        try:
            found[id] = metric_math.evaluate(
                self._queries[id]["Expression"],
                series=lambda other: self._evaluate(other, found, plain, (*under_way, id)),
                metrics=plain,
            )
        except ExpressionError as fault:
            raise QueryError(f"Error in expression '{id}': {fault}") from fault
        return found[id]


def _check(id: str, query: Mapping[str, Any]) -> None:
    if not _ID.fullmatch(id):
        raise QueryError(f"the Id {id!r} has to begin with a lower-case letter, with letters, digits and _ after it")
    if query.get("AccountId"):
        raise QueryError(f"{id}: the sandbox has no metrics of other accounts (AccountId)")
    stat = query.get("MetricStat")
    if bool(stat) == bool(query.get("Expression")):
        raise QueryError(f"{id} needs either MetricStat or Expression, and not both")
    if not stat:
        return
    if refusal := check_statistic(stat.get("Stat") or ""):
        raise QueryError(f"{id}: {refusal}")
    check_period(stat.get("Period"))


def check_period(period: int | None) -> None:
    """Raises QueryError."""
    if not period or period < 1 or (period % MINUTE and period not in (1, 5, 10, 20, 30)):
        raise QueryError(f"Period must be 1, 5, 10, 20, 30 or a multiple of {MINUTE}, and is {period}")
