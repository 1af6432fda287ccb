"""The sandbox's own API under `/_sandbox/`, JSON in and out: for the command, the tests and the demo.

GET  status                                   machines, load balancers, target health
POST images         {app, name?, tags, environment, architecture, state}   -> {id}
PUT  boot-seconds   {seconds}                 of machines launched from now on
PUT  capacity       {launches}                so many launches succeed, then capacity runs out; null: it never does
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
from sandbox.cloud.cloud import Cloud

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
                case "PUT", ["capacity"]:
                    launches = given["launches"]
                    with self._cloud.lock:
                        self._cloud.launches_left = None if launches is None else int(launches)
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
