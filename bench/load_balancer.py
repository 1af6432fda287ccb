"""Times the sandbox's load balancer against the app alone, in the same run and with the same client.

The sandbox's process has a core of its own; client and app share the others. The bounds: 5,000 small requests a second
forwarded, and less than 2 ms added at the median, both by 8 connections that each ask again as soon as they are
answered. `wrk` asks if it is on PATH, else a client in here.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
import uvloop

from sandbox.host import Sandbox

LEAST_PER_SECOND = 5000
MOST_ADDED_MS = 2.0
CONNECTIONS = 8
APPS = 2
APP_PORT = 8080
TICKS = os.sysconf("SC_CLK_TCK")  # a second
BODY = b'{"app": "2", "healthy": true}\n'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@dataclass(frozen=True)
class Rate:
    """What a client saw: answers a second, and the median of their times."""

    per_second: float
    median_ms: float


class _App(asyncio.Protocol):
    """Answers whatever ends with an empty line, always with the same."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.seen = b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        if self.seen.endswith(b"\r\n\r\n"):
            self.seen = b""
            self.transport.write(ANSWER)


class _Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, host: str, seconds: list[float]) -> None:
        self.request = b"GET /version HTTP/1.1\r\nHost: %b\r\n\r\n" % host.encode()
        self.seconds = seconds
        self.seen = b""
        self.asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.seen += data
        if self.seen.endswith(BODY):
            self.seen = b""
            self.seconds.append(time.perf_counter() - self.asked)
            self._ask()

    def _ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(self.request)


def serve(address: str) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_App, address, APP_PORT)
        await server.serve_forever()

    uvloop.run(run())


@contextmanager
def apps(addresses: Iterable[str], cores: set[int]) -> Iterator[None]:
    processes = [multiprocessing.Process(target=serve, args=[address], daemon=True) for address in addresses]
    for process in processes:
        process.start()
        os.sched_setaffinity(process.pid or 0, cores)
    yield
    for process in processes:
        process.terminate()
        process.join()


def ask(host: str, seconds: float) -> Rate:
    """A client with CONNECTIONS connections."""
    if not (wrk := shutil.which("wrk")):
        return uvloop.run(_ask(host, seconds))
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--latency", f"http://{host}/version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    found, rate = re.search(r"50%\s+([\d.]+)(us|ms|s)", said), re.search(r"Requests/sec:\s+([\d.]+)", said)
    if not found or not rate:
        raise SystemExit(said)
    return Rate(float(rate[1]), float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]])


async def _ask(host: str, seconds: float) -> Rate:
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    name, _, port = host.partition(":")
    made = [await loop.create_connection(lambda: _Client(host, taken), name, int(port)) for _ in range(CONNECTIONS)]
    await asyncio.sleep(seconds)
    for transport, _ in made:
        transport.close()
    return Rate(len(taken) / seconds, statistics.median(taken) * 1000)


def _median(seen: list[Rate]) -> Rate:
    return Rate(statistics.median(it.per_second for it in seen), statistics.median(it.median_ms for it in seen))


def balance(sandbox: Sandbox, addresses: Iterable[str]) -> str:
    """A load balancer in front of these; host and port. All targets are healthy on return."""
    ec2, elb = boto3.client("ec2"), boto3.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{sandbox.region}{zone}")
        for number, zone in enumerate("ab")
    ]
    group = elb.create_target_group(
        Name="bench", Protocol="HTTP", Port=APP_PORT, VpcId=vpc, TargetType="ip", HealthCheckPath="/health"
    )["TargetGroups"][0]["TargetGroupArn"]
    targets = [{"Id": address, "Port": APP_PORT} for address in addresses]
    elb.register_targets(TargetGroupArn=group, Targets=targets)
    made = elb.create_load_balancer(Name="bench", Subnets=[it["Subnet"]["SubnetId"] for it in subnets])
    balancer = made["LoadBalancers"][0]
    action = {"Type": "forward", "TargetGroupArn": group}
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=8080, DefaultActions=[action]
    )
    while any(
        it["TargetHealth"]["State"] != "healthy"
        for it in elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    ):
        time.sleep(0.1)
    return f"{balancer['DNSName']}:8080"


def pin(pid: int, cores: set[int]) -> None:
    """Every thread of a process."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


def main(
    seconds: Annotated[float, typer.Option(min=1, help="How long each of the two is asked, a run.")] = 5.0,
    runs: Annotated[int, typer.Option(min=1, help="How many runs; the medians count.")] = 3,
) -> None:
    """Time the app alone and through the load balancer. Exits with 1 if a bound is missed."""
    first, *others = sorted(os.sched_getaffinity(0))
    rest = set(others) or {first}
    alone, through, per_core = [], [], []
    load = os.getloadavg()[0]
    with Sandbox.start() as sandbox:
        os.environ.update(sandbox.full_env)
        addresses = [f"127.201.{os.getpid() % 250}.{number + 1}" for number in range(APPS)]
        with apps(addresses, rest):
            host = balance(sandbox, addresses)
            pin(sandbox.pid, {first})
            os.sched_setaffinity(0, rest)
            for _ in range(runs):
                alone.append(ask(f"{addresses[0]}:{APP_PORT}", seconds))
                before = cpu_seconds(sandbox.pid)
                through.append(ask(host, seconds))
                per_core.append(through[-1].per_second * seconds / (cpu_seconds(sandbox.pid) - before))
    app, balancer = _median(alone), _median(through)
    added = balancer.median_ms - app.median_ms
    for what, seen in (("app alone", app), ("load balancer", balancer)):
        print(f"{what:13} {seen.per_second:8.0f} requests/s, median {seen.median_ms:.2f} ms")
    print(f"{statistics.median(per_core):.0f} requests for a second of its CPU time; load average before: {load:.1f}")
    print(f"bounds: at least {LEAST_PER_SECOND} requests/s, less than {MOST_ADDED_MS} ms added: {added:.2f} ms")
    if balancer.per_second < LEAST_PER_SECOND or added >= MOST_ADDED_MS:
        print("a bound is missed", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
