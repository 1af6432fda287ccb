"""Many stacks, wave by wave: those of a wave in parallel, and none after the first that fails.

What runs in parallel is any `concurrent.futures` executor's matter: threads by default, since a deployment waits for
its engine, which is a process of its own. `bluegreen.cluster` has the workers of a Dask cluster as one. No printing.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from bluegreen import deployment, events
from bluegreen.errors import FAILED, NEEDS_A_PERSON, REFUSED, BluegreenError, WavesError, WorkerError
from bluegreen.events import Ended, Event, OnEvent, StackBegan
from bluegreen.model.waves import ONE_WAVE, Bound, plan_waves

ENGINES_PER_CORE = 2
"""An engine waits for AWS most of its time."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One stack's deployment. `options`: what `deployment.deploy` takes beside stack, directory and callbacks.

    For an executor whose workers are other processes all of it must be picklable.
    """

    stack: str
    directory: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    on_event: OnEvent | None = None


class Outcome(StrEnum):
    """What became of one stack."""

    DONE = "done"
    FAILED = "failed"
    NOT_BEGUN = "not begun"


@dataclass(frozen=True, kw_only=True)
class StackResult:
    """What became of one stack: plain data, picklable. `release`: the version that is active, where it is done."""

    stack: str
    outcome: Outcome
    error: BluegreenError | None = None
    release: str = ""
    url: str = ""
    seconds: float = 0


@dataclass(frozen=True, kw_only=True)
class WavesResult:
    """What became of each stack, in the order in which they were given."""

    stacks: tuple[StackResult, ...]

    @property
    def is_done(self) -> bool:
        return all(each.outcome is Outcome.DONE for each in self.stacks)

    @property
    def failed(self) -> tuple[StackResult, ...]:
        return tuple(each for each in self.stacks if each.outcome is Outcome.FAILED)

    @property
    def exit_code(self) -> int:
        """0 where all are done, 3 where one needs a person, 2 where what began was refused, else 1."""
        if self.is_done:
            return 0
        codes = {each.error.exit_code for each in self.failed if each.error}
        if NEEDS_A_PERSON in codes:
            return NEEDS_A_PERSON
        has_changed = any(each.outcome is Outcome.DONE for each in self.stacks)
        return REFUSED if codes == {REFUSED} and not has_changed else FAILED


class Stop(Protocol):
    """Asked by whoever wants no further stack to begin."""

    @property
    def is_asked(self) -> bool: ...


Verb = Callable[[Request], StackResult]


def deploy_one(request: Request) -> StackResult:
    """Deploy one stack. Raises nothing: errors are in the result."""
    began = time.monotonic()
    tell = request.on_event or _unheard
    try:
        update = deployment.deploy(
            request.stack,
            directory=request.directory,
            on_event=tell,
            **request.options,
        )
    except Exception as error:
        seconds = time.monotonic() - began
        return StackResult(stack=request.stack, outcome=Outcome.FAILED, error=_as_ours(error), seconds=seconds)
    return StackResult(
        stack=request.stack,
        outcome=Outcome.DONE,
        release=str(update.outputs["activeRelease"]["version"]),
        url=str(update.outputs["url"]),
        seconds=time.monotonic() - began,
    )


def run(
    verb: Verb,
    requests: Sequence[Request],
    *,
    waves: Sequence[Bound] = ONE_WAVE,
    executor: Executor | None = None,
    parallel: int | None = None,
    on_event: OnEvent | None = None,
    stop: Stop | None = None,
) -> WavesResult:
    """Have the verb done to each stack, wave by wave, at most `parallel` at once: twice the cores where it is None.

    After a failure, or when it is asked to stop, what is under way ends, and nothing more begins. So does it after the
    first KeyboardInterrupt; a second one is raised.

    `on_event` hears of each stack's beginning and end, in one thread at a time; where the executor is none of the
    caller's, also what each stack tells. Raises WavesError, before anything is begun, for waves that can't be planned.
    """
    planned = plan_waves([request.stack for request in requests], waves)
    if parallel is not None and parallel < 1:
        raise WavesError(f"{parallel} stacks at once are none", "Say 1 or more. Nothing was changed.")
    limit = parallel or ENGINES_PER_CORE * (os.cpu_count() or 1)
    tell = _one_at_a_time(on_event or _unheard)
    if executor is None:
        requests = [replace(request, on_event=request.on_event or tell) for request in requests]
    by_stack = {request.stack: request for request in requests}
    with _threads_unless(executor, limit) as workers:
        walk = _Walk(verb=verb, workers=workers, limit=limit, tell=tell, stop=stop)
        for number, wave in enumerate(planned, start=1):
            walk.go_through([by_stack[stack] for stack in wave], number, len(planned))
    results = walk.results
    return WavesResult(
        stacks=tuple(results.get(stack) or StackResult(stack=stack, outcome=Outcome.NOT_BEGUN) for stack in by_stack)
    )


@dataclass(kw_only=True)
class _Walk:
    verb: Verb
    workers: Executor
    limit: int
    tell: OnEvent
    stop: Stop | None
    results: dict[str, StackResult] = field(default_factory=dict)
    _is_interrupted: bool = False

    def go_through(self, wave: Sequence[Request], number: int, count: int) -> None:
        """Only as many are submitted as may run: most executors can't be asked to forget what they hold back."""
        waiting = list(reversed(wave))
        under_way: dict[Future[StackResult], Request] = {}
        while under_way or (waiting and self._goes_on):
            while waiting and self._goes_on and len(under_way) < self.limit:
                request = waiting.pop()
                self.tell(StackBegan(stack=request.stack, wave=number, waves=count))
                under_way[self._begin(request)] = request
            try:
                ended = wait(under_way, return_when=FIRST_COMPLETED).done
            except KeyboardInterrupt:
                if self._is_interrupted:
                    raise
                self._is_interrupted = True
                continue
            for future in ended:
                self._note(_result(under_way.pop(future).stack, future))
            if not self._goes_on:
                for future in [each for each in under_way if each.cancel()]:  # which had not begun
                    self._note(StackResult(stack=under_way.pop(future).stack, outcome=Outcome.NOT_BEGUN))

    @property
    def _goes_on(self) -> bool:
        is_asked = self.stop is not None and self.stop.is_asked
        has_failed = any(each.outcome is Outcome.FAILED for each in self.results.values())
        return not (self._is_interrupted or is_asked or has_failed)

    def _begin(self, request: Request) -> Future[StackResult]:
        try:
            return self.workers.submit(self.verb, request)
        except BrokenExecutor as error:
            broken: Future[StackResult] = Future()
            broken.set_exception(error)
            return broken

    def _note(self, result: StackResult) -> None:
        self.results[result.stack] = result
        if result.outcome is not Outcome.NOT_BEGUN:
            code = result.error.exit_code if result.error else 0
            self.tell(
                Ended(
                    stack=result.stack,
                    outcome=events.Outcome.of_exit_code(code),
                    seconds=result.seconds,
                    text=result.error.what if result.error else "",
                )
            )


@contextmanager
def _threads_unless(executor: Executor | None, limit: int) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    threads = ThreadPoolExecutor(max_workers=limit, thread_name_prefix="stack")
    try:
        yield threads
    finally:
        threads.shutdown(wait=False)


def _result(stack: str, future: Future[StackResult]) -> StackResult:
    try:
        return future.result()
    except BrokenExecutor as error:
        return StackResult(stack=stack, outcome=Outcome.FAILED, error=worker_died(stack, str(error)))
    except Exception as error:
        return StackResult(stack=stack, outcome=Outcome.FAILED, error=_as_ours(error))


def worker_died(stack: str, why: str = "") -> WorkerError:
    return WorkerError(
        f"the worker died{f' ({why})' if why else ''}",
        f"Where the stack is, `bluegreen status {stack}` tells; `bluegreen deploy {stack}` goes on from there.",
    )


def _as_ours(error: Exception) -> BluegreenError:
    if isinstance(error, BluegreenError):
        return error
    return WorkerError("".join(traceback.format_exception(error)).rstrip(), "That is a fault of bluegreen.")


def _one_at_a_time(on_event: OnEvent) -> OnEvent:
    lock = threading.RLock()  # a signal's handler may tell of something while this thread does

    def tell(event: Event) -> None:
        with lock:
            on_event(event)

    return tell


def _unheard(_event: Event) -> None:
    """Nobody listens."""
