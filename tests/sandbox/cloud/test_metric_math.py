"""Metric math: the examples of CloudWatch's user guide, and what is refused."""

from __future__ import annotations

import pytest

from sandbox.cloud.metric_math import ExpressionError, Series, evaluate

GRID = (0, 60, 120, 180)


def series(*values: float | None) -> Series:
    return Series({at: value for at, value in zip(GRID, values, strict=True) if value is not None}, GRID)


METRICS = {
    "m1": series(30, 20, 0, 0),
    "m2": series(20, None, 20, None),
    "errors": series(None, 5, None, None),
    "requests": series(100, 50, None, 10),
    "none": series(None, None, None, None),
}


def value(expression: str) -> list[float | None]:
    found = evaluate(expression, series=METRICS.__getitem__, metrics=METRICS)
    assert found.grid == GRID
    return [found.points.get(at) for at in GRID]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 < m2", [0, 0, 1, 0]),
        ("m1 >= 30", [1, 0, 0, 0]),
        ("m1 > 15 AND m2 > 15", [1, 0, 0, 0]),
        ("m1 > 15 || m2 > 15", [1, 1, 1, 0]),
        ("m1 + m2", [50, 20, 20, 0]),
        ("-m1 + 2 * 3 ^ 2 / 6", [-27, -17, 3, 3]),
        ("(m1 - 10) * 2", [40, 20, -20, -20]),
        ("m1 != 0", [1, 1, 0, 0]),
        ("SUM([m1, m2])", [50, 20, 20, 0]),
        ("SUM(m1) + 0 * m1", [50, 50, 50, 50]),
        ("MAX([m1, m2])", [30, 20, 20, 0]),
        ("MIN([m1, m2])", [20, 20, 0, 0]),
        ("AVG([m1, m2])", [25, 10, 10, 0]),
        ("m1 / MAX(m1)", [1, pytest.approx(2 / 3), 0, 0]),
        ("IF(m1 > 15, m1, m2)", [30, 20, 20, None]),
        ("IF(m1 > 15, m1)", [30, 20, None, None]),
        ("IF(m1 > 15, 1, 0)", [1, 1, 0, 0]),
        ("FILL(m2, 7)", [20, 7, 20, 7]),
        ("FILL(m2, m1)", [20, 20, 20, 0]),
        ("FILL(errors, REPEAT)", [None, 5, 5, 5]),
        ("FILL(none, 0)", [0, 0, 0, 0]),
        ('SUM(METRICS("m"))', [50, 20, 20, 0]),
        ("SUM([m1, m2] * 2)", [100, 40, 40, 0]),
    ],
)
def test_an_expression_gives_what_the_user_guide_says(expression: str, expected: list[float | None]) -> None:
    assert value(expression) == expected


def test_errors_that_were_not_reported_count_as_none() -> None:
    assert value("100 * FILL(errors, 0) / requests") == [0, 10, None, 0]


def test_without_requests_there_is_no_rate_of_errors() -> None:
    assert value("100 * FILL(errors, 0) / none") == [None] * 4


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("ANOMALY_DETECTION_BAND(m1)", "no function ANOMALY_DETECTION_BAND; it has AVG, FILL"),
        ("FILL(m1, LINEAR)", r"no FILL\(..., LINEAR\)"),
        ("SELECT AVG(x)", "no Metrics Insights"),
        ("m1 +", "ends too early"),
        ("m1 m2", "unexpected 'm2'"),
        ("(m1", "ends too early"),
        ("m1 $ 2", r"unexpected text at '\$ 2'"),
        ("5 * 2", "has to be a time series and is a number"),
        ("[m1, m2]", "an array of time series"),
        ("IF(m1)", "IF does not take 1 arguments"),
        ("SUM(1)", "SUM takes time series"),
    ],
)
def test_what_it_cannot_do_it_refuses_by_name(expression: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason):
        value(expression)
