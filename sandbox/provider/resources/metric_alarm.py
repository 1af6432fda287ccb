"""CloudWatch alarms on a metric, or on an expression over metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import Aws, absent, as_pairs, doing, first, without_none
from sandbox.provider.table import (
    TAGS,
    Kind,
    Property,
    ResourceType,
    arn,
    block,
    blocks,
    boolean,
    integer,
    names,
    number,
    output,
    text,
    text_map,
)
from sandbox.provider.wire import Props

_STATISTICS: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_PLAIN: Final = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "insufficientDataActions": "InsufficientDataActions",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "okActions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}
_QUERY: Final = {"id": "Id", "expression": "Expression", "label": "Label", "period": "Period"}
_METRIC: Final = {"period": "Period", "stat": "Stat", "unit": "Unit"}


def _renamed(given: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    """What is empty counts as absent, as it does in Terraform; but false is a value."""
    return {table[name]: value for name, value in given.items() if name in table and value not in (None, "", [])}


def _as_props(found: Mapping[str, Any], table: Mapping[str, str]) -> Props:
    return _renamed(found, {member: name for name, member in table.items()})


def _dimensions(given: Props) -> list[dict[str, str]] | None:
    return [{"Name": name, "Value": value} for name, value in (given.get("dimensions") or {}).items()] or None


def _as_map(dimensions: list[dict[str, str]] | None) -> dict[str, str] | None:
    return {each["Name"]: each["Value"] for each in dimensions or []} or None


def _query(given: Props) -> dict[str, Any]:
    asked = _renamed(given, _QUERY) | {"ReturnData": given["returnData"]}
    if metric := given.get("metric"):
        identity = without_none(
            Namespace=metric.get("namespace"), MetricName=metric["metricName"], Dimensions=_dimensions(metric)
        )
        asked["MetricStat"] = {"Metric": identity, **_renamed(metric, _METRIC)}
    return asked


def _from_query(found: Mapping[str, Any]) -> Props:
    state = _as_props(found, _QUERY) | {"returnData": found.get("ReturnData", False)}
    if stat := found.get("MetricStat"):
        metric = stat["Metric"]
        state["metric"] = _as_props(stat, _METRIC) | without_none(
            namespace=metric.get("Namespace"),
            metricName=metric["MetricName"],
            dimensions=_as_map(metric.get("Dimensions")),
        )
    return state


def _put(aws: Aws, news: Props, doing_what: str, **more: Any) -> None:
    with doing(aws.cloudwatch, f"{doing_what} CloudWatch Metric Alarm ({news['name']})"):
        aws.cloudwatch.put_metric_alarm(
            AlarmName=news["name"],
            Threshold=float(news.get("threshold", 0)),
            **_renamed(news, _PLAIN),
            **without_none(
                Dimensions=_dimensions(news), Metrics=[_query(each) for each in news.get("metricQueries", [])] or None
            ),
            **more,
        )


def _create(aws: Aws, news: Props) -> str:
    _put(aws, news, "creating", **({"Tags": as_pairs(news["tags"])} if news.get("tags") else {}))
    return str(news["name"])


def _read(aws: Aws, name: str, known: Props) -> Props | None:
    with doing(aws.cloudwatch, f"reading CloudWatch Metric Alarm ({name})"):
        answer = aws.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])
        found = first(answer["MetricAlarms"])
        if found is None:
            return None
        tags = as_pairs(known.get("tags", {}))
        if not aws.has_just_written:
            tags = aws.cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    return {
        "treatMissingData": "missing",
        **_as_props(found, _PLAIN),
        "arn": found["AlarmArn"],
        "name": name,
        "threshold": found.get("Threshold"),
        "dimensions": _as_map(found.get("Dimensions")),
        "metricQueries": [_from_query(each) for each in found.get("Metrics", [])] or None,
        **aws.tag_state(tags),
    }


def _update(aws: Aws, name: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed - {"tags"}:
        _put(aws, news, "updating")


def _delete(aws: Aws, name: str, olds: Props) -> None:
    with doing(aws.cloudwatch, f"deleting CloudWatch Metric Alarm ({name})"), absent("ResourceNotFound"):
        aws.cloudwatch.delete_alarms(AlarmNames=[name])


def _retag(aws: Aws, name: str, tags: Mapping[str, str], removed: list[str]) -> None:
    arn_of_alarm = aws.arn("cloudwatch", aws.clients.account(), f"alarm:{name}")
    with doing(aws.cloudwatch, f"updating tags of CloudWatch Metric Alarm ({name})"):
        if removed:
            aws.cloudwatch.untag_resource(ResourceARN=arn_of_alarm, TagKeys=removed)
        if tags:
            aws.cloudwatch.tag_resource(ResourceARN=arn_of_alarm, Tags=as_pairs(tags))


def _one_statistic(inputs: Props) -> tuple[str, str] | None:
    if "metricName" in inputs and "statistic" not in inputs and "extendedStatistic" not in inputs:
        return "statistic", "One of `statistic` or `extended_statistic` must be set for a cloudwatch metric alarm"
    return None


def _metric_or_expression(inputs: Props) -> tuple[str, str] | None:
    for index, query in enumerate(inputs.get("metricQueries") or []):
        if isinstance(query, dict) and query.get("expression") and query.get("metric"):
            path = f"metricQueries[{index}]"
            return path, "No metric_query may have both `expression` and a `metric` specified"
    return None


def _known_period(inputs: Props) -> tuple[str, str] | None:
    queries = [query for query in inputs.get("metricQueries") or [] if isinstance(query, dict)]
    metrics = [query["metric"] for query in queries if isinstance(query.get("metric"), dict)]
    for owner, shortest in ((inputs, (10, 20, 30)), *((each, (1, 5, 10, 20, 30)) for each in (*queries, *metrics))):
        period = owner.get("period")
        if isinstance(period, int) and period % 60 and period not in shortest:
            listing = " ".join(map(str, shortest))
            return "period", f"expected period to be one of [{listing}] or divisible by 60, got: {period}"
    return None


_PERCENTILE: Final = r"p(\d{1,2}(\.\d{1,2})?|100)"
_STATISTIC_REASON: Final = (
    "is no statistic that the sandbox has: SampleCount, Average, Sum, Minimum, Maximum, p99, p99.9"
)
_STATISTIC: Final = text(
    required=True, pattern=re.compile(f"{'|'.join(_STATISTICS)}|{_PERCENTILE}"), pattern_reason=_STATISTIC_REASON
)
_LONG: Final = {"pattern": re.compile(r".{1,255}"), "pattern_reason": "must have from 1 to 255 characters"}
_ACTIONS: Final = Property(kind=Kind.SET, items=arn())
_OF_ONE_METRIC: Final = ("metricQueries",)

METRIC_ALARM = ResourceType(
    token="aws:cloudwatch/metricAlarm:MetricAlarm",
    properties={
        "name": text(computed=True, replaces=True, **_LONG),
        "actionsEnabled": boolean(default=True),
        "alarmActions": _ACTIONS,
        "alarmDescription": text(
            pattern=re.compile(r"(?s).{0,1024}"), pattern_reason="must have at most 1024 characters"
        ),
        "comparisonOperator": text(
            required=True,  # left out it would be an alarm on PromQL, which the sandbox doesn't support
            choices=(
                "GreaterThanOrEqualToThreshold",
                "GreaterThanThreshold",
                "LessThanThreshold",
                "LessThanOrEqualToThreshold",
                "LessThanLowerOrGreaterThanUpperThreshold",
                "LessThanLowerThreshold",
                "GreaterThanUpperThreshold",
            ),
            only=(
                "GreaterThanOrEqualToThreshold",
                "GreaterThanThreshold",
                "LessThanThreshold",
                "LessThanOrEqualToThreshold",
            ),
        ),
        "datapointsToAlarm": integer(at_least=1),
        "dimensions": text_map(conflicts_with=_OF_ONE_METRIC),
        "evaluateLowSampleCountPercentiles": text(computed=True, choices=("evaluate", "ignore")),
        "evaluationPeriods": integer(required=True, at_least=1),  # left out: PromQL, as above
        "extendedStatistic": text(
            pattern=re.compile(_PERCENTILE),
            pattern_reason=_STATISTIC_REASON,
            conflicts_with=("statistic", *_OF_ONE_METRIC),
        ),
        "insufficientDataActions": _ACTIONS,
        "metricName": text(conflicts_with=_OF_ONE_METRIC, **_LONG),
        "metricQueries": blocks(
            {
                "id": text(required=True, **_LONG),
                "expression": text(
                    pattern=re.compile(r"(?s).{1,1024}"), pattern_reason="must have from 1 to 1024 characters"
                ),
                "label": text(),
                "metric": block(
                    {
                        "metricName": text(required=True, **_LONG),
                        "namespace": text(**_LONG),
                        "period": integer(required=True),
                        "stat": _STATISTIC,
                        "dimensions": text_map(),
                        "unit": text(),
                    }
                ),
                "period": integer(),
                "returnData": boolean(default=False),
            },
            refused="accountId",
            ordered=False,
            conflicts_with=("metricName",),
        ),
        "namespace": text(conflicts_with=_OF_ONE_METRIC, **_LONG),
        "okActions": _ACTIONS,
        "period": integer(conflicts_with=_OF_ONE_METRIC),
        "statistic": text(choices=_STATISTICS, conflicts_with=("extendedStatistic", *_OF_ONE_METRIC)),
        "threshold": number(),
        "treatMissingData": text(default="missing", choices=("missing", "ignore", "breaching", "notBreaching")),
        "unit": text(),
        "arn": output(),
        **TAGS,
    },
    refused=names("evaluationCriteria evaluationInterval evaluationWindow thresholdMetricId warmUpConfiguration"),
    name_limit=255,
    rules=(_one_statistic, _metric_or_expression, _known_period),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    retag=_retag,
)
