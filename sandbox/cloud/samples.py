"""A distribution of measured values, as small as CloudWatch's own: counts in buckets, exact sum and extremes.

Pure. The names of the statistics are CloudWatch's ("Statistics definitions" in its user guide); those that the sandbox
doesn't have are refused by `check_statistic`.
"""

from __future__ import annotations

import math
import re

_BUCKETS_PER_E = 100  # a bucket is 1 % wide, so a percentile is right to half of that
_ZERO = -1_000_000  # the bucket of 0, which has no logarithm
_PLAIN = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")


def check_statistic(name: str) -> str | None:
    """Why this statistic can't be had; None if it can."""
    if name in _PLAIN or _PERCENTILE.fullmatch(name):
        return None
    return f"the sandbox has no statistic {name}; it has {', '.join(_PLAIN)} and percentiles (p99, p99.9)"


def percentile_of(name: str) -> float | None:
    """99.9 for p99.9; None for a statistic that is no percentile."""
    found = _PERCENTILE.fullmatch(name)
    return float(found[1]) if found else None


class Samples:
    """Grows by `add` and `merge`. Adding is on the path of every request."""

    __slots__ = ("_buckets", "_is_whole", "count", "least", "most", "total")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0
        self.least = math.inf
        self.most = -math.inf
        self._buckets: dict[int, float] = {}
        self._is_whole = True

    @classmethod
    def of(cls, value: float, times: float = 1) -> Samples:
        made = cls()
        made.add(value, times)
        return made

    @classmethod
    def summary(cls, *, count: float, total: float, least: float, most: float) -> Samples:
        """A statistic set of PutMetricData: its values aren't known, so it has percentiles only if they are all one."""
        if least == most:
            return cls.of(least, count)
        made = cls()
        made.count, made.total, made.least, made.most, made._is_whole = count, total, least, most, False
        return made

    def add(self, value: float, times: float = 1) -> None:
        self.count += times
        self.total += value * times
        if value < self.least:
            self.least = value
        if value > self.most:
            self.most = value
        bucket = math.floor(math.log(value) * _BUCKETS_PER_E) if value > 0 else _ZERO
        self._buckets[bucket] = self._buckets.get(bucket, 0) + times

    def merge(self, other: Samples) -> None:
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        self._is_whole &= other._is_whole
        for bucket, times in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + times

    def statistic(self, name: str) -> float | None:
        """None where there is nothing to say: no samples, or percentiles of what isn't known value by value."""
        if not self.count:
            return None
        match name:
            case "SampleCount":
                return self.count
            case "Sum":
                return self.total
            case "Average":
                return self.total / self.count
            case "Minimum":
                return self.least
            case "Maximum":
                return self.most
        share = percentile_of(name)
        # CloudWatch has no percentiles of metrics with negative values either.
        return None if share is None or not self._is_whole or self.least < 0 else self._percentile(share)

    def _percentile(self, share: float) -> float:
        rank = max(1, math.ceil(self.count * share / 100))
        if rank >= self.count:
            return self.most
        passed = 0.0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= rank:
                middle = 0.0 if bucket == _ZERO else math.exp((bucket + 0.5) / _BUCKETS_PER_E)
                return min(max(middle, self.least), self.most)
        return self.most
