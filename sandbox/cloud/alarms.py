"""CloudWatch's metric alarms: when they change their state, and what they say about it.

No moto, no clock. `judge` is the rule, from "Evaluating an alarm" and "How alarm state is evaluated when data is
missing" in CloudWatch's user guide; `Alarm` has the state. Alarms are evaluated at the end of every metric period, over
periods that are over. Actions are kept and shown, but nobody is notified.
"""

from __future__ import annotations

import json
import operator
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.cloud.meter import home_of
from sandbox.cloud.metrics import Metric, Metrics, Queries, QueryError, check_period
from sandbox.cloud.samples import check_statistic, percentile_of

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
_MORE_PERIODS = 2  # looked at beyond EvaluationPeriods, where data are missing; AWS's own examples have two
_HISTORY_ITEMS = 1000
_DAY = 24 * 60 * 60
_COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
_SINGLE = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit")
_REFUSED = (
    "ActionConfiguration",
    "AlarmRule",
    "EvaluationCriteria",
    "EvaluationInterval",
    "EvaluationWindow",
    "ThresholdMetricId",
    "WarmUpConfiguration",
)


class AlarmError(ValueError):
    """Settings of an alarm that CloudWatch would refuse too, or that the sandbox doesn't have."""


@dataclass(frozen=True)
class Point:
    """The value of one period; None if it is missing."""

    at: int
    value: float | None
    count: float | None = None


@dataclass(frozen=True)
class Judgement:
    """What a look at an alarm's data gives. `state` None: the state stays as it is."""

    state: str | None
    counted: tuple[Point, ...] = ()  # the points that were judged, newest first
    filled: int = 0


def judge(
    points: Sequence[Point], breaches: Callable[[float], bool], *, of: int, to_alarm: int, missing: str
) -> Judgement:
    """`points`: newest first, a few more than `of` (EvaluationPeriods), of which `to_alarm` have to breach."""
    existing = [point for point in points if point.value is not None]
    counted = tuple(existing[:of])
    breaching = sum(breaches(point.value) for point in counted if point.value is not None)
    filled = of - len(counted)
    if not filled or missing in ("breaching", "notBreaching"):
        breaching += filled if missing == "breaching" else 0
        return Judgement(ALARM if breaching >= to_alarm else OK, counted, filled)
    if counted and breaching >= to_alarm:
        return Judgement(ALARM, counted)
    if breaching < len(counted):
        return Judgement(OK, counted)
    if missing == "ignore":
        return Judgement(None)
    # Only breaching points, and fewer than needed: an alarm all the same if they began long enough ago.
    if counted and points.index(counted[-1]) + 1 >= to_alarm:
        return Judgement(ALARM, counted)
    return Judgement(INSUFFICIENT_DATA)


@dataclass(frozen=True)
class HistoryItem:
    """An entry of DescribeAlarmHistory."""

    alarm: str
    kind: str
    at: datetime
    summary: str
    data: Mapping[str, Any]

    def as_answer(self) -> dict[str, Any]:
        return {
            "AlarmName": self.alarm,
            "AlarmType": "MetricAlarm",
            "Timestamp": self.at,
            "HistoryItemType": self.kind,
            "HistorySummary": self.summary,
            "HistoryData": json.dumps({"version": "1.0", **self.data}),
        }


class History:
    """The newest items of the alarms of a region of an account, of deleted ones too."""

    def __init__(self) -> None:
        self._items: deque[HistoryItem] = deque(maxlen=_HISTORY_ITEMS)

    def add(self, alarm: str, kind: str, summary: str, data: Mapping[str, Any]) -> None:
        self._items.append(HistoryItem(alarm, kind, datetime.now(UTC), summary, data))

    def __iter__(self) -> Iterator[HistoryItem]:
        return iter(self._items)


class Alarm:
    """A metric alarm. `settings` is what PutMetricAlarm was given, in AWS's form.

    moto keeps it, tags it and reads `name`, `alarm_arn`, `actions_enabled` and `rule`. Raises AlarmError.
    """

    rule = None  # moto: of composite alarms only

    def __init__(self, arn: str, settings: Mapping[str, Any], history: History) -> None:
        self.alarm_arn = arn
        self.name = str(settings["AlarmName"])
        self.home = home_of(arn)
        self.history = history
        self.state_value = INSUFFICIENT_DATA
        self.state_reason = "Unchecked: Initial alarm creation"
        self.state_reason_data: str | None = None
        self.state_updated_timestamp = self.state_transitioned_timestamp = datetime.now(UTC)
        self.configure(settings)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """New settings; the state stays, as with CloudWatch."""
        _check(settings)
        self.settings = {**settings, "Threshold": float(settings["Threshold"])}
        self.actions_enabled = settings.get("ActionsEnabled") is not False
        self.configuration_updated_timestamp = datetime.now(UTC)
        self._queries = Queries(self.home, settings["Metrics"]) if settings.get("Metrics") else None

    @property
    def period(self) -> int:
        return self._queries.period if self._queries else int(self.settings["Period"])

    @property
    def _size(self) -> int:
        return int(self.settings["EvaluationPeriods"])

    @property
    def _to_alarm(self) -> int:
        return int(self.settings.get("DatapointsToAlarm") or self._size)

    def evaluate(self, metrics: Metrics, now: float) -> None:
        """Look at the periods that were over by `now`."""
        points = self._points(metrics, now)
        compare, _ = _COMPARISONS[self.settings["ComparisonOperator"]]
        threshold = self.settings["Threshold"]
        missing = self.settings.get("TreatMissingData") or "missing"
        judgement = judge(
            points, lambda value: compare(value, threshold), of=self._size, to_alarm=self._to_alarm, missing=missing
        )
        if judgement.state in (None, self.state_value) or self._has_too_few_samples(judgement.counted):
            return
        self.update_state(
            self._reason(judgement, missing), json.dumps(self._reason_data(points, judgement)), str(judgement.state)
        )

    def update_state(self, reason: str, reason_data: str | None, state_value: str) -> None:
        """Also what moto's SetAlarmState calls; the next evaluation then goes on from there."""
        before = {"stateValue": self.state_value, "stateReason": self.state_reason}
        after = {"stateValue": state_value, "stateReason": reason}
        if reason_data:
            after["stateReasonData"] = json.loads(reason_data)
        now = datetime.now(UTC)
        if state_value != self.state_value:
            self.state_transitioned_timestamp = now
            self.history.add(
                self.name,
                "StateUpdate",
                f"Alarm updated from {self.state_value} to {state_value}",
                {"oldState": before, "newState": after},
            )
        self.state_value, self.state_reason, self.state_reason_data = state_value, reason, reason_data
        self.state_updated_timestamp = now

    def as_answer(self) -> dict[str, Any]:
        """As DescribeAlarms shows it."""
        return {
            "Dimensions": [],
            "OKActions": [],
            "AlarmActions": [],
            "InsufficientDataActions": [],
            **{name: value for name, value in self.settings.items() if name != "Tags"},
            "AlarmArn": self.alarm_arn,
            "ActionsEnabled": self.actions_enabled,
            "AlarmConfigurationUpdatedTimestamp": self.configuration_updated_timestamp,
            "StateValue": self.state_value,
            "StateReason": self.state_reason,
            "StateReasonData": self.state_reason_data,
            "StateUpdatedTimestamp": self.state_updated_timestamp,
            "StateTransitionedTimestamp": self.state_transitioned_timestamp,
        }

    def _points(self, metrics: Metrics, now: float) -> list[Point]:
        """Newest first."""
        width = metrics.width(self.period)
        end = int(now) // width * width
        start = end - (self._size + _MORE_PERIODS) * width
        if self._queries:
            (found,) = self._queries.answers(metrics, start, end).values()
            return [Point(at, found.points.get(at)) for at in reversed(found.grid)]
        grid = metrics.grid(start, end, self.period)
        metric = Metric.of(self.home, self.settings)
        samples = metrics.samples(metric, grid, self.period, self.settings.get("Unit"))
        statistic = self.settings.get("Statistic") or self.settings["ExtendedStatistic"]
        return [
            Point(at, samples[at].statistic(statistic), samples[at].count) if at in samples else Point(at, None)
            for at in reversed(grid)
        ]

    def _has_too_few_samples(self, counted: Sequence[Point]) -> bool:
        """EvaluateLowSampleCountPercentile "ignore": a percentile of few samples says nothing."""
        share = percentile_of(self.settings.get("ExtendedStatistic") or "")
        if share is None or self.settings.get("EvaluateLowSampleCountPercentile") != "ignore" or not 0 < share < 100:
            return False
        needed = 10 / (min(share, 100 - share) / 100)
        return sum(point.count or 0 for point in counted) < needed

    def _reason(self, judgement: Judgement, missing: str) -> str:
        """In CloudWatch's words, which people and programs search for."""
        if judgement.state == INSUFFICIENT_DATA:
            return f"Insufficient Data: {_count(self._size, 'datapoint')} {_was(self._size)} unknown."
        treatment = "Breaching" if missing == "breaching" else "NonBreaching"
        filled = f"{_count(judgement.filled, 'missing datapoint')} {_was(judgement.filled)} treated as [{treatment}]"
        if not judgement.counted:
            return f"Threshold Crossed: no datapoints were received for {_count(self._size, 'period')} and {filled}."
        compare, words = _COMPARISONS[self.settings["ComparisonOperator"]]
        threshold = self.settings["Threshold"]
        is_alarm = judgement.state == ALARM
        shown = [it for it in judgement.counted if it.value is not None and compare(it.value, threshold) == is_alarm]
        if not shown:
            return f"Threshold Crossed: {filled}."
        listing = ", ".join(f"{point.value} ({_moment(point.at):%d/%m/%y %H:%M:%S})" for point in shown)
        crossed = f"[{listing}] {_was(len(shown))} {'' if is_alarm else 'not '}{words} the threshold ({threshold})"
        if "DatapointsToAlarm" in self.settings:
            needed = self._to_alarm if is_alarm else self._size - self._to_alarm + 1
            way = "OK -> ALARM" if is_alarm else "ALARM -> OK"
            crossed = (
                f"{len(shown)} out of the last {self._size} datapoints {crossed} "
                f"(minimum {_count(needed, 'datapoint')} for {way} transition)"
            )
        else:
            crossed = f"{_count(len(shown), 'datapoint')} {crossed}"
        return f"Threshold Crossed: {crossed}{f' and {filled}' if judgement.filled else ''}."

    def _reason_data(self, points: Sequence[Point], judgement: Judgement) -> dict[str, Any]:
        counted = judgement.counted
        data: dict[str, Any] = {"version": "1.0", "queryDate": _text(datetime.now(UTC))}
        if counted:
            data["startDate"] = _text(_moment(counted[-1].at))
        if statistic := self.settings.get("Statistic") or self.settings.get("ExtendedStatistic"):
            data["statistic"] = statistic
        return {
            **data,
            "period": self.period,
            "recentDatapoints": [point.value for point in reversed(counted)],
            "threshold": self.settings["Threshold"],
            "evaluatedDatapoints": [
                {
                    "timestamp": _text(_moment(point.at)),
                    **({} if point.count is None else {"sampleCount": point.count}),
                    **({} if point.value is None else {"value": point.value}),
                }
                for point in points[: self._size]
            ],
        }


def _check(settings: Mapping[str, Any]) -> None:
    """Raises AlarmError."""
    refused = [name for name in _REFUSED if settings.get(name) is not None]
    if refused:
        raise AlarmError(f"the sandbox's alarms have no {', '.join(refused)}")
    for name in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if settings.get(name) is None:
            raise AlarmError(f"The parameter {name} is required.")
    if settings["ComparisonOperator"] not in _COMPARISONS:
        raise AlarmError(f"the sandbox's alarms have no ComparisonOperator {settings['ComparisonOperator']}")
    if (settings.get("TreatMissingData") or "missing") not in _TREATMENTS:
        raise AlarmError(f"TreatMissingData must be one of {', '.join(_TREATMENTS)}")
    if (settings.get("EvaluateLowSampleCountPercentile") or "evaluate") not in ("evaluate", "ignore"):
        raise AlarmError("EvaluateLowSampleCountPercentile must be evaluate or ignore")
    size = settings["EvaluationPeriods"]
    if size < 1 or not 1 <= (settings.get("DatapointsToAlarm") or size) <= size:
        raise AlarmError("EvaluationPeriods must be 1 or more, and DatapointsToAlarm from 1 to EvaluationPeriods")
    try:
        period = _check_queries(settings) if settings.get("Metrics") else _check_metric(settings)
    except QueryError as fault:
        raise AlarmError(str(fault)) from fault
    if period * size > (_DAY if period < 3600 else 7 * _DAY):
        raise AlarmError("EvaluationPeriods times Period must not be more than a day, or a week for periods of an hour")


def _check_queries(settings: Mapping[str, Any]) -> int:
    """The period of them all."""
    both = [name for name in _SINGLE if settings.get(name)]
    if both:
        raise AlarmError(f"Metrics and {', '.join(both)} can't be given together")
    queries = Queries("", settings["Metrics"])
    if len(queries.returned) != 1:
        raise AlarmError("Exactly one element of the metrics list should return data.")
    return queries.period


def _check_metric(settings: Mapping[str, Any]) -> int:
    """Its period."""
    for name in ("MetricName", "Namespace", "Period"):
        if not settings.get(name):
            raise AlarmError(f"The parameter {name} is required, or Metrics.")
    statistic, extended = settings.get("Statistic"), settings.get("ExtendedStatistic")
    if bool(statistic) == bool(extended):
        raise AlarmError("Exactly one of Statistic and ExtendedStatistic must be specified")
    if refusal := check_statistic(statistic or extended or ""):
        raise AlarmError(refusal)
    check_period(settings["Period"])
    return int(settings["Period"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}+0000"
