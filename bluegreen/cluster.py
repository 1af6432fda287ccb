"""A Dask cluster as an executor for `bluegreen.waves`: hundreds of stacks, on machines of their own.

Each worker needs what a deployment needs: the project directory at the same path, the engine, and credentials. What a
stack tells comes back as it happens. `distributed` is imported here only, and only when it is used.

A deployment is never run twice behind anybody's back. Dask gives the tasks of a worker that has died to another one
(Dask docs, "Resilience"; `distributed.scheduler.allowed-failures` counts the deaths, and `retries` only exceptions).
Here each task first claims its stack at the scheduler, for good: a second run finds the claim, and does nothing. When a
worker has left, the stacks that it had begun have failed at once, also if there is no other worker; what it had not
begun goes to another. Whether its engine still runs is not known: the stack's lock and lease keep the next deployment
apart from it.
"""

from __future__ import annotations

import importlib
import pickle
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bluegreen.errors import ClusterError
from bluegreen.events import Event, OnEvent
from bluegreen.waves import Outcome, Request, StackResult, Verb, worker_died

CONNECT_SECONDS = 10.0
EVERYBODY = "all"
"""The topic on which Dask's scheduler tells of workers that come and go."""


@contextmanager
def connected(
    address: str, directory: Path, on_event: OnEvent | None = None, *, timeout_seconds: float = CONNECT_SECONDS
) -> Iterator[Cluster]:
    """The cluster whose scheduler is at `address`, once it is seen that its workers can deploy the project there.

    Raises ClusterError where Dask is not installed, the scheduler does not answer in time, there is no worker, or one
    that can't deploy.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise ClusterError(
            f"`--cluster` needs Dask, which is not installed ({error})", "pip install 'bluegreen[cluster]'"
        ) from error
    try:
        client = distributed.Client(address, timeout=timeout_seconds, set_as_default=False)
    except (OSError, ValueError) as error:  # a timeout is an OSError
        raise ClusterError(
            f"no Dask scheduler answers at {address} within {timeout_seconds:.0f} s: {error}",
            "`dask scheduler` prints its address when it starts, such as tcp://10.0.0.5:8786. Nothing was changed.",
        ) from error
    with client:
        _check_workers(client, address, directory)
        yield Cluster(client, on_event)


class Cluster(Executor):
    """Runs verbs of `bluegreen.waves` on a cluster's workers; `on_event` hears what the stacks tell meanwhile.

    A future can't be cancelled: what a worker has begun goes on. Submit no more at once than `threads`.
    """

    def __init__(self, client: Any, on_event: OnEvent | None = None) -> None:
        self._client = client
        self._tasks = client.get_executor(pure=False, retries=0)
        self._name = f"bluegreen-{secrets.token_hex(8)}"
        self._under_way: dict[str, Future[StackResult]] = {}
        self._lock = threading.Lock()
        self._on_event = on_event
        self._begun: set[str] = set()
        client.subscribe_topic(self._name, self._hear_stack)
        client.subscribe_topic(EVERYBODY, self._hear_scheduler)

    @property
    def threads(self) -> int:
        """How many deployments the workers run at once."""
        return int(sum(self._client.nthreads().values()))

    def submit(self, verb: Verb, request: Request, /) -> Future[StackResult]:  # type: ignore[override]
        key = _key(self._name, request)
        told: Future[StackResult] = Future()
        told.set_running_or_notify_cancel()
        with self._lock:
            self._under_way[key] = told
        task = self._tasks.submit(_once, verb, request, self._name, key=key)
        task.add_done_callback(lambda done: self._pass_on(key, done))
        return told

    def _pass_on(self, key: str, done: Future[StackResult]) -> None:
        try:
            result = done.result()
        except CancelledError:
            self._fail(key, "the cluster has dropped its task")
        except Exception as error:
            if type(error).__module__.startswith("distributed."):
                self._fail(key, f"{type(error).__name__}: {error}")
            elif told := self._taken(key):
                told.set_exception(error)
        else:
            if told := self._taken(key):
                told.set_result(result)

    def _hear_stack(self, event: tuple[float, str | bytes]) -> None:
        """The key of a task that has begun, or what its stack tells."""
        told = event[1]
        if isinstance(told, str):
            self._begun.add(told)
        elif self._on_event:
            self._on_event(pickle.loads(told))

    def _hear_scheduler(self, event: tuple[float, Any]) -> None:
        match event[1]:
            case {"action": "remove-worker", "worker": str(worker), "processing-tasks": keys}:
                for key in self._begun.intersection(keys):
                    self._fail(key, worker)

    def _fail(self, key: str, why: str) -> None:
        if told := self._taken(key):
            told.set_exception(BrokenExecutor(why))

    def _taken(self, key: str) -> Future[StackResult] | None:
        """Whoever comes first ends it."""
        with self._lock:
            return self._under_way.pop(key, None)


def _key(name: str, request: Request) -> str:
    return f"{name}-{request.stack}"


def _once(verb: Verb, request: Request, name: str) -> StackResult:
    """On a worker: claim the stack, and have the verb done to it."""
    distributed: Any = importlib.import_module("distributed")
    worker, scheduler = distributed.get_worker(), distributed.get_client()
    claim = [name, request.stack]
    if owner := scheduler.get_metadata(claim, None):
        return StackResult(stack=request.stack, outcome=Outcome.FAILED, error=worker_died(request.stack, owner))
    scheduler.set_metadata(claim, worker.address)
    worker.log_event(name, _key(name, request))
    return verb(replace(request, on_event=_teller(worker, name)))


def _teller(worker: Any, topic: str) -> OnEvent:
    def tell(event: Event) -> None:
        worker.log_event(topic, pickle.dumps(event))

    return tell


def _check_workers(client: Any, address: str, directory: Path) -> None:
    found: Mapping[str, object] = client.run(_unfitness, str(directory), on_error="return")
    if not found:
        raise ClusterError(
            f"the Dask scheduler at {address} has no workers",
            f"Start some: `dask worker {address}`. Nothing was changed.",
        )
    if faults := {worker: fault for worker, fault in sorted(found.items()) if fault}:
        told = "".join(f"\n  {worker}: {fault}" for worker, fault in faults.items())
        raise ClusterError(
            f"{len(faults)} of {len(found)} workers can't deploy:{told}",
            "A worker needs bluegreen, the engine, credentials, and the project at the same path as here. "
            "Nothing was changed.",
        )


def _unfitness(directory: str) -> str:
    """On a worker: why it can't deploy; empty where it can."""
    if not (Path(directory) / "Pulumi.yaml").is_file():
        return f"there is no {directory}/Pulumi.yaml"
    return "" if shutil.which("pulumi") else "there is no `pulumi` on its PATH"
