"""Target groups as they live in the data plane: who is registered, who is healthy, whose turn it is.

Runs in the data plane's thread. Other threads may read `Target.health` and `Target.in_flight`.
The states and reasons are those of DescribeTargetHealth (Elastic Load Balancing API reference, TargetHealth).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sandbox.cloud.routing import Check, Group, Member

if TYPE_CHECKING:
    from sandbox.cloud.target_connection import TargetConnection


@dataclass(frozen=True)
class Health:
    state: str
    reason: str | None = None
    description: str | None = None


HEALTHY = Health("healthy")
UNUSED = Health("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
REGISTERING = Health("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = Health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
DRAINING = Health("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
STOPPED = Health("unused", "Target.InvalidState", "Target is in the stopped state")
NOT_REGISTERED = Health("unused", "Target.NotRegistered", "Target is not registered to the target group")
TIMED_OUT = Health("unhealthy", "Target.Timeout", "Request timed out")
FAILED = Health("unhealthy", "Target.FailedHealthChecks", "Health checks failed")


def mismatch(status: int) -> Health:
    return Health("unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]")


class Connection(Protocol):
    """To a target, by whatever protocol."""

    def close(self) -> None:
        """Give it up, with whatever is under way on it."""


class Target:
    """One registered target: its health, its connections, its requests under way."""

    def __init__(self, member: Member) -> None:
        self.id = member.id
        self.address = member.address or ""
        self.port = member.port
        self.health = STOPPED if member.address is None else UNUSED
        self.in_flight = 0
        self.is_gone = False  # deregistered for good
        self.idle: list[TargetConnection] = []
        self.connections: set[Connection] = set()
        self.watch: asyncio.Task[None] | None = None
        self._passed = self._failed = 0

    def record(self, outcome: Health, check: Check) -> None:
        """One good check makes a new target healthy; afterwards both thresholds count."""
        if outcome is HEALTHY:
            self._passed, self._failed = self._passed + 1, 0
            if self.health.state == "initial" or self._passed >= check.healthy_threshold:
                self.health = HEALTHY
        else:
            self._passed, self._failed = 0, self._failed + 1
            if self._failed >= check.unhealthy_threshold:
                self.health = outcome
            elif self.health is REGISTERING:
                self.health = CHECKING

    def begin_checks(self) -> None:
        self.health = REGISTERING
        self._passed = self._failed = 0

    def end_checks(self, health: Health) -> None:
        self.health = health
        if self.watch:
            self.watch.cancel()
            self.watch = None

    def drop_idle(self) -> None:
        for connection in list(self.idle):
            connection.close()
        self.idle.clear()

    def drop_all(self) -> None:
        for connection in list(self.connections):
            connection.close()


@dataclass(frozen=True)
class Fault:
    """What is wrong with all targets of a group, without their knowledge: a release that turns out to be bad."""

    error_rate: float = 0.0  # the share of requests that are answered with 500
    delay_seconds: float = 0.0  # before each answer
    fails_health_checks: bool = False

    def strikes(self) -> bool:
        return random.random() < self.error_rate


class TargetGroup:
    """A target group: keeps its targets in line with the table, probes them, deals them out in turn."""

    def __init__(self, group: Group) -> None:
        self.arn = group.arn
        self.check = group.check
        self.sticky_seconds = group.sticky_seconds
        self.is_http_2 = group.is_http_2
        self.keeps_deregistered = group.keeps_deregistered
        self.ends_unhealthy = group.ends_unhealthy
        self.fault: Fault | None = None
        self.targets: dict[tuple[str, int], Target] = {}
        self._rotation: list[Target] = []
        self._turn = 0

    def follow(self, group: Group, *, is_used: bool) -> None:
        self.check = group.check
        self.sticky_seconds = group.sticky_seconds
        self.keeps_deregistered = group.keeps_deregistered
        self.ends_unhealthy = group.ends_unhealthy
        wanted = {(member.id, member.port): member for member in group.members}
        for key in self.targets.keys() - wanted.keys():
            self._forget(self.targets.pop(key))
        for key, member in wanted.items():
            target = self.targets.get(key)
            if target is None or target.address != (member.address or ""):
                if target:
                    self._forget(target)
                target = self.targets[key] = Target(member)
            self._settle(target, member, is_used)
        self.rotate()

    def next(self) -> Target | None:
        """The target whose turn it is; None if nobody is registered."""
        if not self._rotation:
            return None
        self._turn = (self._turn + 1) % len(self._rotation)
        return self._rotation[self._turn]

    def in_turn(self) -> list[Target]:
        """Those that may be next."""
        return self._rotation

    def rotate(self) -> None:
        """Healthy targets share the traffic; if there are none, all do: a load balancer fails open."""
        there = [it for it in self.targets.values() if it.health.state in ("healthy", "unhealthy", "initial")]
        healthy = [target for target in there if target.health is HEALTHY]
        self._rotation = healthy or there
        if healthy and self.ends_unhealthy:
            for target in there:
                if target.health.state == "unhealthy":
                    target.drop_all()

    def close(self) -> None:
        for target in self.targets.values():
            self._forget(target)
        self.targets.clear()
        self._rotation = []

    def _settle(self, target: Target, member: Member, is_used: bool) -> None:
        if member.is_draining:
            target.end_checks(DRAINING)
            target.drop_idle()
        elif member.address is None:
            target.end_checks(STOPPED)
        elif not is_used:
            target.end_checks(UNUSED)
            target.drop_idle()
        elif target.watch is None:
            target.begin_checks()
            target.watch = asyncio.get_running_loop().create_task(self._watch(target))

    def _forget(self, target: Target) -> None:
        """Its deregistration is complete: what is still under way there is cut, unless the group keeps it."""
        target.is_gone = True
        target.end_checks(NOT_REGISTERED)
        target.drop_idle()
        if not self.keeps_deregistered:
            target.drop_all()

    async def _watch(self, target: Target) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if self.fault and self.fault.fails_health_checks:
                outcome = mismatch(503) if self.check.says_why else FAILED
            else:
                outcome = await probe(target, self.check)
            before = target.health
            target.record(outcome, self.check)
            if target.health is not before:
                self.rotate()
            await asyncio.sleep(max(0.0, began + self.check.interval_seconds - loop.time()))


async def probe(target: Target, check: Check) -> Health:
    """One health check over a connection of its own."""
    outcome = await _outcome(target.address, check.port or target.port, check)
    return outcome if outcome is HEALTHY or check.says_why else FAILED


async def _outcome(address: str, port: int, check: Check) -> Health:
    try:
        async with asyncio.timeout(check.timeout_seconds):
            if check.path is None:
                await _connect(address, port)
                return HEALTHY
            status = await _status_of(address, port, check.path, check.host)
    except TimeoutError:
        return TIMED_OUT
    except (OSError, ValueError):
        return FAILED
    return HEALTHY if check.accepts(status) else mismatch(status)


async def _connect(address: str, port: int) -> None:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _status_of(address: str, port: int, path: str, host: str) -> int:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host or f'{address}:{port}'}\r\nConnection: close\r\n"
            "User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n".encode()
        )
        version, status, *_ = (await reader.readline()).split(maxsplit=2)
        if not version.startswith(b"HTTP/"):
            raise ValueError("not an HTTP answer")
        # A check that left before the answer's end would show up as an error in the app's log.
        await reader.read(64 * 1024)
        return int(status)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
