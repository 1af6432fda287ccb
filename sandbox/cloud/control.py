"""The sandbox's own API under `/_sandbox/`, JSON in and out: for the command, the tests and the demo.

GET  status                                   machines, load balancers, target health
POST images         {app, name?, tags, environment, architecture, state}   -> {id}
PUT  boot-seconds   {seconds}                 of machines launched from now on
PUT  capacity       {launches}                so many launches succeed, then capacity runs out; null: it never does
PUT  quota          {vcpus}                   of running standard instances, in each region (64 at the start): launches
                                              that would pass it fail; null: 64 again
PUT  throttle       {action, calls}           the next calls of an action, such as DescribeVpcs, are throttled
PUT  metric-seconds {seconds}                 how long a minute of CloudWatch's lasts; whole seconds
PUT  faults         {targetGroup, errorRate?, delaySeconds?, failsHealthChecks?}
                                              the group's targets, by its name or ARN, are bad from now on: a share of
                                              500s, a delay of each answer, failing health checks; nothing of it: good
POST machines/<id>/kill                       SIGKILL to its processes: the machine crashes
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from bluegreen.errors import BluegreenError
from sandbox.cloud import quotas
from sandbox.cloud.cloud import Cloud
from sandbox.cloud.health import Fault

Reply = tuple[HTTPStatus, dict[str, Any]]


class Control:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def answer(self, method: str, path: str, given: dict[str, Any]) -> Reply:
        """`path` is what follows `/_sandbox/`."""
        try:
            match method, path.strip("/").split("/"):
                case "GET", ["status"]:
                    return HTTPStatus.OK, self._cloud.status()
                case "POST", ["images"]:
                    return HTTPStatus.CREATED, {"id": self._register_image(given)}
                case "PUT", ["boot-seconds"]:
                    self._cloud.boot_seconds = float(given["seconds"])
                    return HTTPStatus.OK, {}
                case "PUT", ["metric-seconds"]:
                    self._cloud.set_metric_seconds(_whole(given["seconds"]))
                    return HTTPStatus.OK, {}
                case "PUT", ["faults"]:
                    self._cloud.set_fault(given["targetGroup"], _fault(given))
                    return HTTPStatus.OK, {}
                case "PUT", ["capacity"]:
                    launches = given["launches"]
                    with self._cloud.lock:
                        self._cloud.launches_left = None if launches is None else int(launches)
                    return HTTPStatus.OK, {}
                case "PUT", ["quota"]:
                    vcpus = given["vcpus"]
                    with self._cloud.lock:
                        self._cloud.vcpu_quota = quotas.DEFAULT_VCPUS if vcpus is None else _count(vcpus)
                    return HTTPStatus.OK, {}
                case "PUT", ["throttle"]:
                    with self._cloud.lock:
                        self._cloud.throttle.set(str(given["action"]), _count(given["calls"]))
                    return HTTPStatus.OK, {}
                case "POST", ["machines", instance_id, "kill"]:
                    return self._kill(instance_id)
                case _:
                    return HTTPStatus.NOT_FOUND, {"error": f"nothing at {method} /_sandbox/{path}"}
        except BluegreenError as fault:
            return HTTPStatus.BAD_REQUEST, {"error": fault.what, "nextStep": fault.next_step}
        except (KeyError, TypeError, ValueError) as fault:
            return HTTPStatus.BAD_REQUEST, {"error": f"{method} /_sandbox/{path}: {fault!r}"}

    def _register_image(self, given: dict[str, Any]) -> str:
        return self._cloud.register_image(
            Path(given["app"]),
            name=given.get("name"),
            tags=given.get("tags", {}),
            environment=given.get("environment", {}),
            architecture=given.get("architecture", "x86_64"),
            state=given.get("state", "available"),
        )

    def _kill(self, instance_id: str) -> Reply:
        with self._cloud.lock:
            machine = self._cloud.machines.get(instance_id)
            if machine is None:
                return HTTPStatus.NOT_FOUND, {"error": f"no machine runs for {instance_id}"}
            for _, process in machine.processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return HTTPStatus.OK, {}


def _count(given: float) -> int:
    if given != int(given) or given < 0:
        raise ValueError(f"{given} is no number of things")
    return int(given)


def _whole(seconds: float) -> int:
    if seconds != int(seconds):
        raise ValueError(f"{seconds} is no whole number of seconds")
    return int(seconds)


def _fault(given: dict[str, Any]) -> Fault | None:
    unknown = given.keys() - {"targetGroup", "errorRate", "delaySeconds", "failsHealthChecks"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    fault = Fault(
        error_rate=float(given.get("errorRate", 0)),
        delay_seconds=float(given.get("delaySeconds", 0)),
        fails_health_checks=bool(given.get("failsHealthChecks", False)),
    )
    if not 0 <= fault.error_rate <= 1 or fault.delay_seconds < 0:
        raise ValueError("errorRate is a share from 0 to 1, and delaySeconds is not negative")
    return None if fault == Fault() else fault
