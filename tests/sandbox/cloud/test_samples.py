"""Distributions: exact where CloudWatch is, percentiles to half a percent."""

from __future__ import annotations

import random

import pytest

from sandbox.cloud.samples import Samples, check_statistic

PLAIN = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")


def test_the_plain_statistics_are_exact() -> None:
    samples = Samples()
    for value in (0.5, 0.25, 4.0):
        samples.add(value)
    samples.add(1.0, times=2)
    assert [samples.statistic(name) for name in PLAIN] == [5, 6.75, 1.35, 0.25, 4.0]


@pytest.mark.parametrize("share", [50, 90, 99, 99.9])
def test_a_percentile_is_right_to_half_a_percent(share: float) -> None:
    values = sorted(random.Random(1).lognormvariate(-3, 1) for _ in range(10_000))
    samples = Samples()
    for value in values:
        samples.add(value)
    exact = values[int(share / 100 * len(values)) - 1]
    assert samples.statistic(f"p{share:g}") == pytest.approx(exact, rel=0.006)


def test_one_slow_answer_in_a_hundred_shows_in_p100_only() -> None:
    samples = Samples.of(0.1, times=99)
    samples.add(5.0)
    assert samples.statistic("p99") == pytest.approx(0.1, rel=0.006)
    assert samples.statistic("p100") == 5.0


def test_merged_samples_are_those_of_both() -> None:
    one, other = Samples.of(1.0, times=3), Samples.of(0.0)
    one.merge(other)
    assert [one.statistic(name) for name in PLAIN] == [4, 3, 0.75, 0, 1]
    assert one.statistic("p25") == 0.0


def test_nothing_measured_has_no_statistics() -> None:
    assert [Samples().statistic(name) for name in (*PLAIN, "p99")] == [None] * 6


def test_a_summary_has_no_percentiles_unless_all_its_values_are_one() -> None:
    assert Samples.summary(count=3, total=6, least=1, most=4).statistic("p50") is None
    assert Samples.summary(count=3, total=6, least=2, most=2).statistic("p50") == 2


@pytest.mark.parametrize("name", ["tm99", "IQM", "PR(:300)", "p101", "sum"])
def test_other_statistics_are_refused_by_name(name: str) -> None:
    assert f"no statistic {name};" in str(check_statistic(name))
