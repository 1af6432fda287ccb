"""CloudWatch's API in front of `metrics` and `alarms`: what it is asked, and its answers and errors.

moto 5.2.5 parses the requests and keeps the alarms and their tags. It never evaluates an alarm, knows neither metric
math nor percentiles, and looks for metrics in its own list: all that is replaced here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.cloudwatch.utils import make_arn_for_alarm
from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloud.alarms import Alarm, AlarmError, History
from sandbox.cloud.metrics import Metric, Metrics, Queries, QueryError, check_period
from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.samples import Samples, check_statistic

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

T = TypeVar("T")
_METRICS_PER_PAGE = 500
_ALARMS_PER_PAGE = 50
_HISTORY_PER_PAGE = 100

GAPS = (
    Gap("alarms", "never evaluates an alarm"),
    Gap("metric-math", "knows no metric math"),
    Gap("reserved-namespace", "takes metrics into AWS's own namespaces"),
    Gap("metrics-of-traffic", "measures no load balancer"),
)


def fill(cloud: Cloud) -> None:
    _alarms()
    _metrics(cloud.metrics)


def evaluate_alarms(metrics: Metrics, now: float) -> None:
    """Every alarm there is, over the periods that were over by `now`."""
    for account in list(cloudwatch_backends.values()):
        for backend in list(account.values()):
            for alarm in _of(backend).values():
                alarm.evaluate(metrics, now)


def _of(backend: CloudWatchBackend) -> dict[str, Alarm]:
    return backend.alarms  # type: ignore[return-value]  # moto's dict, with alarms of ours


def _alarms() -> None:
    histories: dict[CloudWatchBackend, History] = defaultdict(History)

    @replace(CloudWatchResponse, "put_metric_alarm")
    def put_metric_alarm(self: CloudWatchResponse) -> ActionResult:
        backend, settings = self.cloudwatch_backend, _given(self)
        name, history = settings["AlarmName"], histories[self.cloudwatch_backend]
        arn = make_arn_for_alarm(backend.region_name, backend.account_id, name)
        known = _of(backend).get(name)
        with _refusals():
            if known:
                known.configure(settings)
            else:
                _of(backend)[name] = Alarm(arn, settings, history)
        if not known and settings.get("Tags"):  # tags of an alarm that is there already are changed by TagResource only
            backend.tagger.tag_resource(arn, settings["Tags"])
        did = ("Update", "updated") if known else ("Create", "created")
        history.add(name, "ConfigurationUpdate", f'Alarm "{name}" {did[1]}', {"type": did[0]})
        return EmptyResult()

    @replace(CloudWatchResponse, "put_composite_alarm")
    def put_composite_alarm(self: CloudWatchResponse) -> ActionResult:
        raise ValidationError("the sandbox has no composite alarms (PutCompositeAlarm)")

    @replace(CloudWatchResponse, "delete_alarms")
    def delete_alarms(self: CloudWatchResponse) -> ActionResult:
        backend = self.cloudwatch_backend
        for name in self._get_param("AlarmNames", []):
            if alarm := _of(backend).pop(name, None):
                backend.tagger.delete_all_tags_for_resource(alarm.alarm_arn)
                alarm.history.add(name, "ConfigurationUpdate", f'Alarm "{name}" deleted', {"type": "Delete"})
        return EmptyResult()

    @replace(CloudWatchResponse, "describe_alarms")
    def describe_alarms(self: CloudWatchResponse) -> ActionResult:
        asked = _given(self)
        _refuse(asked, "ChildrenOfAlarmName", "ParentsOfAlarmName")
        found = [alarm for _, alarm in sorted(_of(self.cloudwatch_backend).items()) if _is_asked_for(alarm, asked)]
        page, token = _page(found, asked, _ALARMS_PER_PAGE)
        return ActionResult(
            {"MetricAlarms": [alarm.as_answer() for alarm in page], "CompositeAlarms": [], "NextToken": token}
        )

    @replace(CloudWatchResponse, "describe_alarms_for_metric")
    def describe_alarms_for_metric(self: CloudWatchResponse) -> ActionResult:
        asked = _given(self)
        wanted = Metric.of(_home(self.cloudwatch_backend), asked)
        alarms = [alarm for _, alarm in sorted(_of(self.cloudwatch_backend).items())]
        found = [
            alarm
            for alarm in alarms
            if Metric.of(alarm.home, alarm.settings) == wanted
            and all(
                alarm.settings.get(key) == asked[key]
                for key in ("Statistic", "ExtendedStatistic", "Period", "Unit")
                if asked.get(key)
            )
        ]
        return ActionResult({"MetricAlarms": [alarm.as_answer() for alarm in found]})

    @replace(CloudWatchResponse, "describe_alarm_history")
    def describe_alarm_history(self: CloudWatchResponse) -> ActionResult:
        asked = _given(self)
        start, end = _moment(asked.get("StartDate")), _moment(asked.get("EndDate"))
        found = [
            item
            for item in histories[self.cloudwatch_backend]
            if asked.get("AlarmName") in (None, item.alarm)
            and asked.get("HistoryItemType") in (None, item.kind)
            and (start is None or item.at.timestamp() >= start)
            and (end is None or item.at.timestamp() < end)
        ]
        if asked.get("ScanBy") != "TimestampAscending":
            found.reverse()
        page, token = _page(found, asked, _HISTORY_PER_PAGE)
        return ActionResult({"AlarmHistoryItems": [item.as_answer() for item in page], "NextToken": token})


def _is_asked_for(alarm: Alarm, asked: Mapping[str, Any]) -> bool:
    return (
        (not asked.get("AlarmNames") or alarm.name in asked["AlarmNames"])
        and alarm.name.startswith(asked.get("AlarmNamePrefix") or "")
        and "MetricAlarm" in (asked.get("AlarmTypes") or ["MetricAlarm"])
        and asked.get("StateValue") in (None, alarm.state_value)
        and any(
            action.startswith(asked.get("ActionPrefix") or "")
            for action in (alarm.settings.get("AlarmActions") or [""])
        )
    )


def _metrics(metrics: Metrics) -> None:
    @replace(CloudWatchBackend, "put_metric_data")
    def put_metric_data(self: CloudWatchBackend, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        if namespace.startswith("AWS/"):
            raise InvalidParameterValue("The value AWS/ for parameter Namespace is invalid.")
        for number, datum in enumerate(metric_data, 1):
            self._validate_parameters_put_metric_data(datum, number)
        for datum in metric_data:
            metric = Metric.of(_home(self), {**datum, "Namespace": namespace})
            at = _moment(datum.get("Timestamp") or datetime.now(UTC))
            assert at is not None
            metrics.add(metric, int(at), _samples(datum), datum.get("Unit"))

    @replace(CloudWatchResponse, "get_metric_data")
    def get_metric_data(self: CloudWatchResponse) -> ActionResult:
        asked = _given(self)
        _refuse(asked, "LabelOptions", "MaxDatapoints", "NextToken")
        start, end = _span(asked)
        with _refusals():
            queries = Queries(_home(self.cloudwatch_backend), asked.get("MetricDataQueries") or [])
            answers = queries.answers(metrics, start, end)
        is_oldest_first = asked.get("ScanBy") == "TimestampAscending"
        results = []
        for id, series in answers.items():
            times = sorted(series.points, reverse=not is_oldest_first)
            results.append(
                {
                    "Id": id,
                    "Label": queries.label(id),
                    "Timestamps": [datetime.fromtimestamp(at, UTC) for at in times],
                    "Values": [series.points[at] for at in times],
                    "StatusCode": "Complete",
                }
            )
        return ActionResult({"MetricDataResults": results, "Messages": []})

    @replace(CloudWatchResponse, "get_metric_statistics")
    def get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
        asked = _given(self)
        start, end = _span(asked)
        plain, extended = asked.get("Statistics") or [], asked.get("ExtendedStatistics") or []
        if not plain and not extended:
            raise ValidationError("Must specify either Statistics or ExtendedStatistics")
        with _refusals():
            for name in (*plain, *extended):
                if refusal := check_statistic(name):
                    raise QueryError(refusal)
            check_period(asked.get("Period"))
            metric, period = Metric.of(_home(self.cloudwatch_backend), asked), int(asked["Period"])
            found = metrics.samples(metric, metrics.grid(start, end, period), period, asked.get("Unit"))
        datapoints = [
            {
                "Timestamp": datetime.fromtimestamp(at, UTC),
                "Unit": metrics.unit(metric),
                **{name: samples.statistic(name) for name in plain},
                **({"ExtendedStatistics": {it: samples.statistic(it) for it in extended}} if extended else {}),
            }
            for at, samples in sorted(found.items())
        ]
        return ActionResult({"Label": metric.name, "Datapoints": datapoints})

    @replace(CloudWatchResponse, "list_metrics")
    def list_metrics(self: CloudWatchResponse) -> ActionResult:
        asked = _given(self)
        wanted = asked.get("Dimensions") or []
        found = [
            {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
            }
            for metric in metrics.all(_home(self.cloudwatch_backend))
            if asked.get("Namespace") in (None, metric.namespace)
            and asked.get("MetricName") in (None, metric.name)
            and all(
                any(each["Name"] == name and each.get("Value") in (None, value) for name, value in metric.dimensions)
                for each in wanted
            )
        ]
        page, token = _page(found, asked, _METRICS_PER_PAGE)
        return ActionResult({"Metrics": page, "NextToken": token})


def _samples(datum: Mapping[str, Any]) -> Samples:
    if summary := datum.get("StatisticValues"):
        return Samples.summary(
            count=float(summary["SampleCount"]),
            total=float(summary["Sum"]),
            least=float(summary["Minimum"]),
            most=float(summary["Maximum"]),
        )
    values = datum.get("Values") or [datum.get("Value", 0)]
    samples = Samples()
    for value, times in zip(values, datum.get("Counts") or [1] * len(values), strict=True):
        samples.add(float(value), float(times))
    return samples


def _home(backend: CloudWatchBackend) -> str:
    return f"{backend.region_name}:{backend.account_id}"


def _given(response: CloudWatchResponse) -> dict[str, Any]:
    return {key: value for key, value in response._get_params().items() if value is not None}


def _moment(given: datetime | None) -> float | None:
    """moto gives UTC without saying so."""
    if given is None:
        return None
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def _span(asked: Mapping[str, Any]) -> tuple[float, float]:
    start, end = _moment(asked.get("StartTime")), _moment(asked.get("EndTime"))
    if start is None or end is None:
        raise ValidationError("The parameters StartTime and EndTime are required.")
    if start >= end:
        raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
    return start, end


def _page(found: Sequence[T], asked: Mapping[str, Any], size: int) -> tuple[Sequence[T], str | None]:
    start = int(asked.get("NextToken") or 0)
    end = start + int(asked.get("MaxRecords") or size)
    return found[start:end], str(end) if end < len(found) else None


def _refuse(asked: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if asked.get(name):
            raise ValidationError(f"the sandbox's CloudWatch has no {name}")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (AlarmError, QueryError) as fault:
        raise ValidationError(str(fault)) from fault
