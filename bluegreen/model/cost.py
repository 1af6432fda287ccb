"""What a stack costs an hour by AWS's list prices (`bluegreen.model.prices`). Pure.

What goes by use is not in it: traffic, LCUs, what a NAT gateway passes on, logs, and disks whose size is the image's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bluegreen.model import prices
from bluegreen.model.alarms import alarms_of
from bluegreen.model.endpoints import services_of
from bluegreen.model.mixed_instances import mixed_in
from bluegreen.model.nat import Nat
from bluegreen.model.release import LaunchSettings
from bluegreen.model.settings import Settings
from bluegreen.model.warm_pool import WarmState
from bluegreen.model.weights import machines_of_type

SPOT = " (Spot, at most)"
"""Behind the type of machines on the Spot market: what they cost is less than this, how much less nobody knows."""


@dataclass(frozen=True)
class CostLine:
    """So many of something. `each`: dollars an hour, None where the price is not known."""

    what: str
    count: int
    each: float | None

    @property
    def hourly(self) -> float:
        return self.count * (self.each or 0.0)


@dataclass(frozen=True)
class Cost:
    """Dollars an hour in all, of what has a price; `unpriced` names what has none."""

    lines: tuple[CostLine, ...]

    @property
    def hourly(self) -> float:
        return sum(line.hourly for line in self.lines)

    @property
    def unpriced(self) -> tuple[str, ...]:
        return tuple(line.what for line in self.lines if line.each is None)

    def as_record(self) -> dict[str, Any]:
        """Plain data, with whose prices they are."""
        return {
            "hourly": round(self.hourly, 4),
            "monthly": round(self.hourly * prices.HOURS_OF_A_MONTH, 2),
            "lines": [asdict(line) for line in self.lines],
            "unpriced": self.unpriced,
            "region": prices.REGION,
            "as_of": prices.AS_OF.isoformat(),
        }


def machines_of(launch: LaunchSettings, count: int) -> dict[str, int]:
    """What so many machines of a release are paid for as, or so many units, where its types have weights. Which of
    several types they are nobody knows beforehand: on demand it is the first, and on the Spot market the dearest."""
    mixed = mixed_in(launch.mixed_instances)
    if mixed is None:
        return {launch.instance_type: count}
    on_demand = mixed.on_demand(count)

    def of_type(units: int, name: str) -> int:
        return machines_of_type(units, mixed.weights, name)

    def dearness(name: str) -> float:
        return (prices.machine(name) or math.inf) / mixed.weights.get(name, 1)

    first, dearest = launch.instance_type, max((launch.instance_type, *mixed.types), key=dearness)
    return {first: of_type(on_demand, first), f"{dearest}{SPOT}": of_type(count - on_demand, dearest)}


def cost_of(
    settings: Settings,
    machines: Mapping[str, int],
    server_groups: int,
    *,
    warm: int = 0,
    consul_servers: int | None = None,
) -> Cost:
    """What a stack of these settings costs while so many machines of each instance type run in so many groups, and so
    many are warm. One that is stopped costs its volumes alone.

    `consul_servers`: how many run, where it is not as many as there should be."""
    lines = _lines(settings, machines, server_groups, warm, consul_servers)
    return Cost(tuple(line for line in lines if line.count))


def _lines(
    settings: Settings, machines: Mapping[str, int], server_groups: int, warm: int, consul_servers: int | None
) -> Iterator[CostLine]:
    for name, count in sorted(machines.items()):
        yield CostLine(name, count, prices.machine(name.removesuffix(SPOT)))
    if settings.warm_pool and settings.warm_pool.state is WarmState.RUNNING:
        yield CostLine(f"{settings.instance_type} kept warm", warm, prices.machine(settings.instance_type))
    if consul := settings.consul:
        servers = consul.servers if consul_servers is None else consul_servers
        yield CostLine(f"{consul.instance_type} for Consul", servers, prices.machine(consul.instance_type))
    nat = Nat.NONE if settings.vpc.is_set else settings.nat
    gateways = {Nat.SINGLE: 1, Nat.PER_ZONE: settings.zones}.get(nat, 0)
    routers = int(nat is Nat.INSTANCE)
    yield CostLine("NAT gateway", gateways, prices.NAT_GATEWAY)
    yield CostLine(f"{settings.nat_instance.type} for NAT", routers, prices.machine(settings.nat_instance.type))
    endpoints = settings.zones * len(services_of(settings.endpoints))
    yield CostLine("interface endpoint", endpoints, prices.INTERFACE_ENDPOINT)
    is_alone = settings.listener is None
    balancer = prices.NETWORK_LOAD_BALANCER if settings.is_network else prices.LOAD_BALANCER
    yield CostLine("load balancer", int(is_alone), balancer)
    of_balancer = settings.zones if is_alone and not settings.internal else 0
    yield CostLine("public address", gateways + routers + of_balancer, prices.PUBLIC_ADDRESS)
    alarms = alarms_of(settings.alarms, settings.max_size, is_alone=is_alone, is_network=settings.is_network)
    metrics = sum(1 for alarm in alarms for query in alarm.queries if not query.expression)
    metrics += len(settings.scaling.steps)
    of_certificate = int(settings.tls is not None and settings.alarms.certificate_days > 0)
    yield CostLine("alarm metric", metrics * server_groups + of_certificate, prices.ALARM_METRIC)
    for volume in settings.volumes:
        price = prices.volume(volume.type, volume.size_gb, volume.iops, volume.throughput)
        yield CostLine(f"{volume.type} volume of {volume.size_gb} GB", sum(machines.values()) + warm, price)
    has_own_key = settings.encryption is not None and settings.encryption.is_own
    yield CostLine("KMS key", int(has_own_key), prices.KMS_KEY)
    yield CostLine("dashboard", int(settings.dashboard), prices.DASHBOARD)
