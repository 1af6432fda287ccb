"""How an alarm judges: the tables of CloudWatch's user guide, and its words."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cloud.alarms import Alarm, AlarmError, History, Point, judge
from sandbox.cloud.metrics import Metric, Metrics
from sandbox.cloud.samples import Samples

HOME = "us-east-1:123456789012"
ARN = f"arn:aws:cloudwatch:{HOME}:alarm:it"
NOW = 1_800_000_000 // 60 * 60
STATES = {"O": "OK", "A": "ALARM", "I": "INSUFFICIENT_DATA", "=": None}


# "How alarm state is evaluated when data is missing"; the columns are missing, ignore, breaching, notBreaching.
@pytest.mark.parametrize(
    ("to_alarm", "data", "expected"),
    [
        (3, "0 - X - X", "OOOO"),
        (3, "0 - - - -", "OOOO"),
        (3, "- - - - -", "I=AO"),
        (3, "0 X X - X", "AAAA"),
        (3, "- - - - X", "I=AO"),
        (3, "X - - - -", "A=AO"),
        (3, "- - X - -", "A=AO"),
        (2, "0 - X - X", "AAAA"),
        (2, "0 0 X 0 X", "AAAA"),
        (2, "0 - X - -", "OOAO"),
        (2, "- - - - 0", "OOAO"),
        (2, "- - - - X", "I=AO"),
        (2, "- - - X -", "A=AO"),
    ],
)
def test_missing_data_are_treated_as_the_user_guide_says(to_alarm: int, data: str, expected: str) -> None:
    values = {"0": 0.0, "X": 1.0, "-": None}
    points = [Point(at, values[it]) for at, it in enumerate(data.split())][::-1]
    for missing, state in zip(("missing", "ignore", "breaching", "notBreaching"), expected, strict=True):
        found = judge(points, lambda value: value > 0.5, of=3, to_alarm=to_alarm, missing=missing)
        assert found.state == STATES[state], missing


class Watch:
    """An alarm on a metric whose values, one a minute and up to now, a test gives."""

    def __init__(self, **settings: Any) -> None:
        self.metrics = Metrics()
        self.now = NOW
        self.history = History()
        self.alarm = Alarm(ARN, self.settings(**settings), self.history)

    @staticmethod
    def settings(**changes: Any) -> dict[str, Any]:
        settings = {
            "AlarmName": "it",
            "Namespace": "N",
            "MetricName": "m",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 3,
            "Threshold": 5,
            "ComparisonOperator": "GreaterThanThreshold",
        } | changes
        return {name: value for name, value in settings.items() if value is not None}

    def see(self, *values: float | None, times: float = 1, metric: str = "m") -> str:
        """The state after these minutes."""
        for value in values:
            if value is not None:
                self.metrics.add(Metric(HOME, "N", metric), self.now, Samples.of(value, times))
            self.now += 60
            self.alarm.evaluate(self.metrics, self.now)
        return self.alarm.state_value

    @property
    def reason(self) -> str:
        return self.alarm.state_reason


def test_an_alarm_begins_without_data() -> None:
    watch = Watch()
    assert (watch.alarm.state_value, watch.reason) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")


def test_all_of_its_periods_have_to_breach() -> None:
    watch = Watch()
    assert watch.see(1, 6, 7) == "OK"
    assert watch.see(8) == "ALARM"
    assert watch.reason == (
        "Threshold Crossed: 3 datapoints [8.0 (15/01/27 08:03:00), 7.0 (15/01/27 08:02:00), 6.0 (15/01/27 08:01:00)] "
        "were greater than the threshold (5.0)."
    )
    assert watch.see(5) == "OK"
    assert (
        watch.reason
        == "Threshold Crossed: 1 datapoint [5.0 (15/01/27 08:04:00)] was not greater than the threshold (5.0)."
    )


def test_some_of_its_periods_have_to_breach_when_it_says_so() -> None:
    watch = Watch(DatapointsToAlarm=2)
    assert watch.see(6, 1, 1, 6) == "OK"
    assert watch.see(7) == "ALARM"
    assert watch.reason == (
        "Threshold Crossed: 2 out of the last 3 datapoints [7.0 (15/01/27 08:04:00), 6.0 (15/01/27 08:03:00)] were "
        "greater than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )
    assert watch.see(1, 1) == "OK"
    assert watch.reason.endswith("(minimum 2 datapoints for ALARM -> OK transition).")


def test_no_data_is_not_fine() -> None:
    watch = Watch()
    assert watch.see(1, 1, 1) == "OK"
    assert watch.see(None, None, None, None, None) == "INSUFFICIENT_DATA"
    assert watch.reason == "Insufficient Data: 3 datapoints were unknown."


def test_missing_data_that_breach_are_named_in_the_reason() -> None:
    watch = Watch(TreatMissingData="breaching")
    assert watch.see(None) == "ALARM"
    assert watch.reason == (
        "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
        "[Breaching]."
    )


def test_a_percentile_of_too_few_samples_can_be_left_out_of_account() -> None:
    percentile = {"Statistic": None, "ExtendedStatistic": "p99", "EvaluationPeriods": 1}
    assert Watch(**percentile).see(9, times=999) == "ALARM"
    watch = Watch(**percentile, EvaluateLowSampleCountPercentile="ignore")
    assert watch.see(9, times=999) == "INSUFFICIENT_DATA"
    assert watch.see(9, times=1000) == "ALARM"


def test_an_alarm_watches_an_expression() -> None:
    def metric(id: str, name: str) -> dict[str, Any]:
        stat = {"Metric": {"Namespace": "N", "MetricName": name}, "Period": 60, "Stat": "Sum"}
        return {"Id": id, "MetricStat": stat, "ReturnData": False}

    rate = {"Id": "rate", "Expression": "100 * FILL(e, 0) / r"}
    single = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    watch = Watch(**single, Metrics=[metric("e", "errors"), metric("r", "m"), rate], EvaluationPeriods=1)
    assert watch.see(100) == "OK"
    watch.metrics.add(Metric(HOME, "N", "errors"), watch.now, Samples.of(1, 10))
    assert watch.see(100) == "ALARM"
    assert "[10.0 (15/01/27 08:01:00)]" in watch.reason
    assert watch.see(None, None, None) == "INSUFFICIENT_DATA"


def test_longer_periods_are_judged_when_they_are_over() -> None:
    watch = Watch(Period=300, EvaluationPeriods=1)
    assert watch.see(6, 0, 0, 0) == "INSUFFICIENT_DATA"
    assert watch.see(0) == "ALARM"


def test_an_updated_alarm_keeps_its_state() -> None:
    watch = Watch(EvaluationPeriods=1)
    watch.see(9)
    watch.alarm.configure(watch.settings(Threshold=10))
    assert watch.alarm.state_value == "ALARM"
    assert watch.see(9) == "OK"


def test_the_history_has_changes_only() -> None:
    watch = Watch(EvaluationPeriods=1)
    watch.see(1, 2, 9, 9, 1)
    assert [item.summary for item in watch.history] == [
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from ALARM to OK",
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ThresholdMetricId": "band"}, "no ThresholdMetricId"),
        ({"EvaluationCriteria": {}, "WarmUpConfiguration": {}}, "no EvaluationCriteria, WarmUpConfiguration"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "no ComparisonOperator LessThanLowerThreshold"),
        ({"TreatMissingData": "fine"}, "TreatMissingData must be one of"),
        ({"DatapointsToAlarm": 4}, "from 1 to EvaluationPeriods"),
        ({"Statistic": "Median"}, "no statistic Median"),
        ({"ExtendedStatistic": "p99"}, "Exactly one of Statistic and ExtendedStatistic"),
        ({"Period": 45}, "a multiple of 60, and is 45"),
        ({"EvaluationPeriods": 1441}, "not be more than a day"),
        ({"Metrics": [{"Id": "a", "Expression": "b"}]}, "can't be given together"),
        ({"MetricName": None}, "MetricName is required"),
        ({"Threshold": None}, "Threshold is required"),
    ],
)
def test_settings_that_make_no_sense_or_that_it_lacks_are_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(AlarmError, match=reason):
        Watch(**changes)


@pytest.mark.parametrize(
    ("queries", "reason"),
    [
        ([{"Id": "a", "Expression": "LOG(b)"}], "Error in expression 'a': the sandbox has no function LOG"),
        ([{"Id": "a", "Expression": "b + 1"}], "Error in expression 'a': there is no metric or expression b"),
        ([{"Id": "a", "Expression": "b"}, {"Id": "b", "Expression": "a"}], "refers to itself"),
        ([{"Id": "A", "Expression": "b"}], "lower-case letter"),
        ([{"Id": "a"}], "either MetricStat or Expression"),
    ],
)
def test_a_wrong_expression_is_refused_when_the_alarm_is_put(queries: list[dict[str, Any]], reason: str) -> None:
    single = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    with pytest.raises(AlarmError, match=reason):
        Watch(**single, Metrics=queries)
