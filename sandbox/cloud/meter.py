"""Counts what the load balancers do, period by period, in the data plane's thread.

At the end of a period the counts become data of CloudWatch's namespace AWS/ApplicationELB, by the names and dimensions
of "CloudWatch metrics for your Application Load Balancer" in AWS's guide; as there, what did not happen has no datum.
`flow_meter.py` counts for the Network Load Balancers, in AWS/NetworkELB. Nothing is kept here: another thread takes the
closed periods away (`Meters.closed`).

A request belongs to the period in which a target was chosen for it, its status and its time to that in which they came.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.cloud.flow_meter import FlowMeter
from sandbox.cloud.health import TargetGroup
from sandbox.cloud.routing import Listener
from sandbox.cloud.samples import Samples

APPLICATION, NETWORK = "AWS/ApplicationELB", "AWS/NetworkELB"
_HOST_SAMPLES_PER_PERIOD = 6
_EARLY_SECONDS = 0.005  # what a timer may be early by


@dataclass(frozen=True)
class Datum:
    """What one metric has measured in one period. `home`: region and account, as an ARN has them."""

    home: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str
    samples: Samples


@dataclass(frozen=True)
class Period:
    """A period that is over: from `start` to `end`, in seconds of the wall clock."""

    start: int
    end: int
    data: tuple[Datum, ...]


class GroupMeter:
    """What one load balancer has had of one target group."""

    __slots__ = ("codes", "connection_errors", "requests", "seconds")

    def __init__(self) -> None:
        self.requests = 0
        self.connection_errors = 0
        self.codes = [0] * 10  # by the status's first digit
        self.seconds = Samples()

    def answered(self, status: int, seconds: float) -> None:
        self.codes[status // 100] += 1
        self.seconds.add(seconds)

    def merge(self, other: GroupMeter) -> None:
        self.requests += other.requests
        self.connection_errors += other.connection_errors
        self.codes = [mine + its for mine, its in zip(self.codes, other.codes, strict=True)]
        self.seconds.merge(other.seconds)


class Meter:
    """The meter of one load balancer, whichever of its listeners is asked."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self._groups: dict[str, GroupMeter] = {}
        self._refusals: Counter[int] = Counter()

    def of(self, group_arn: str) -> GroupMeter:
        """This period's; not to be held on to."""
        found = self._groups.get(group_arn)
        if found is None:
            found = self._groups[group_arn] = GroupMeter()
        return found

    def refused(self, status: int) -> None:
        """The load balancer answered with an error of its own."""
        self._refusals[status] += 1

    def close(self) -> list[Datum]:
        groups, refusals = self._groups, self._refusals
        self._groups, self._refusals = {}, Counter()
        whole, data = GroupMeter(), []
        for group_arn, counts in groups.items():
            whole.merge(counts)
            data += _traffic(self.arn, group_arn, counts)
        return data + _traffic(self.arn, None, whole) + _refused(self.arn, refusals)


class Meters:
    """All meters and the clock of their periods, which are aligned as CloudWatch's are."""

    def __init__(self, groups: Mapping[str, TargetGroup]) -> None:
        self.closed: deque[Period] = deque()
        self._groups = groups
        self._seconds = 0
        self._meters: dict[str, Meter] = {}
        self._flow_meters: dict[str, FlowMeter] = {}
        self._uses: list[tuple[str, str]] = []
        self._hosts: dict[tuple[str, str], tuple[Samples, Samples]] = {}
        self._start = self._end = 0
        self._timer: asyncio.TimerHandle | None = None

    def of(self, balancer_arn: str) -> Meter:
        return self._meters.setdefault(balancer_arn, Meter(balancer_arn))

    def of_network(self, balancer_arn: str) -> FlowMeter:
        return self._flow_meters.setdefault(balancer_arn, FlowMeter(balancer_arn))

    def follow(self, listeners: Iterable[Listener]) -> None:
        """Which target groups' hosts are to be counted, each for the load balancers that use it."""
        self._uses = sorted({(it.balancer_arn, arn) for it in listeners for arn in it.group_arns()})
        wanted = {listener.balancer_arn for listener in listeners}
        for arn in self._meters.keys() - wanted:
            del self._meters[arn]
        for arn in self._flow_meters.keys() - wanted:
            del self._flow_meters[arn]

    def start(self, seconds: int) -> None:
        """Begin periods of this length; what has been counted in the one under way is dropped."""
        self.stop()
        self._seconds = seconds
        self._hosts.clear()
        for meter in self._meters.values():
            meter.close()
        for flows in self._flow_meters.values():
            flows.close()
        self._begin(time.time())
        self._schedule()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _begin(self, now: float) -> None:
        self._start = int(now + _EARLY_SECONDS) // self._seconds * self._seconds
        self._end = self._start + self._seconds

    def _schedule(self) -> None:
        pause = max(0.0, self._end - time.time())
        if self._uses:
            pause = min(pause, self._seconds / _HOST_SAMPLES_PER_PERIOD)
        self._timer = asyncio.get_running_loop().call_later(pause, self._tick)

    def _tick(self) -> None:
        self._count_hosts()
        for flows in self._flow_meters.values():
            flows.look()
        now = time.time()
        if now >= self._end - _EARLY_SECONDS:
            data = [datum for meter in self._meters.values() for datum in meter.close()]
            data += [datum for meter in self._flow_meters.values() for datum in _flows(meter)]
            self.closed.append(Period(self._start, self._end, (*data, *self._host_data())))
            self._begin(now)
        self._schedule()

    def _count_hosts(self) -> None:
        for balancer_arn, group_arn in self._uses:
            group = self._groups.get(group_arn)
            states = [target.health.state for target in group.targets.values()] if group else []
            if states:
                healthy, unhealthy = self._hosts.setdefault((balancer_arn, group_arn), (Samples(), Samples()))
                healthy.add(float(states.count("healthy")))
                unhealthy.add(float(states.count("unhealthy")))

    def _host_data(self) -> list[Datum]:
        hosts, self._hosts = self._hosts, {}
        return [
            _datum(balancer_arn, group_arn, name, samples)
            for (balancer_arn, group_arn), pair in hosts.items()
            for name, samples in zip(("HealthyHostCount", "UnHealthyHostCount"), pair, strict=True)
        ]


def _traffic(balancer_arn: str, group_arn: str | None, counts: GroupMeter) -> list[Datum]:
    counted = {"RequestCount": counts.requests, "TargetConnectionErrorCount": counts.connection_errors}
    counted |= {f"HTTPCode_Target_{first}XX_Count": counts.codes[first] for first in (2, 3, 4, 5)}
    data = _counts(balancer_arn, group_arn, counted)
    if counts.seconds.count:
        data.append(_datum(balancer_arn, group_arn, "TargetResponseTime", counts.seconds, "Seconds"))
    return data


def _flows(meter: FlowMeter) -> list[Datum]:
    return [_datum(meter.arn, None, name, samples, unit) for name, unit, samples in meter.close()]


def home_of(arn: str) -> str:
    """The region and the account of what it names: us-east-1:123456789012."""
    return ":".join(arn.split(":")[3:5])


def _refused(balancer_arn: str, refusals: Counter[int]) -> list[Datum]:
    by_class: Counter[str] = Counter()
    for status, times in refusals.items():
        by_class[f"HTTPCode_ELB_{status // 100}XX_Count"] += times
    single = {f"HTTPCode_ELB_{status}_Count": times for status, times in refusals.items() if status >= 500}
    return _counts(balancer_arn, None, {**by_class, **single})


def _counts(balancer_arn: str, group_arn: str | None, counted: Mapping[str, int]) -> list[Datum]:
    """A sample of 1 for each, which is why AWS says that minimum, maximum and average of counts are all 1."""
    return [_datum(balancer_arn, group_arn, name, Samples.of(1.0, times)) for name, times in counted.items() if times]


def _datum(balancer_arn: str, group_arn: str | None, name: str, samples: Samples, unit: str = "Count") -> Datum:
    dimensions = [("LoadBalancer", balancer_arn.partition(":loadbalancer/")[2])]
    if group_arn:
        dimensions.append(("TargetGroup", group_arn.rpartition(":")[2]))
    namespace = NETWORK if is_network(balancer_arn) else APPLICATION
    return Datum(home_of(balancer_arn), namespace, name, tuple(dimensions), unit, samples)


def is_network(balancer_arn: str) -> bool:
    return ":loadbalancer/net/" in balancer_arn
