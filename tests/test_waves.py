"""Many stacks: none begins after the first that fails, what is under way ends, and never too many run at once."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from bluegreen import deployment, waves
from bluegreen.driver import Update
from bluegreen.errors import BluegreenError, EngineError, Fault, RolledBack, SettingsError, WavesError, WorkerError
from bluegreen.events import Ended, Event, Line, StackBegan
from bluegreen.events import Outcome as Ending
from bluegreen.model.waves import parse_waves
from bluegreen.waves import Outcome, Request, StackResult, WavesResult, _one_at_a_time, deploy_one, run

DONE, FAILED, NOT_BEGUN = Outcome.DONE, Outcome.FAILED, Outcome.NOT_BEGUN
LONG = 10.0  # seconds; a wait that a test expects to end is never this long


def requests(*stacks: str, **options: Any) -> list[Request]:
    return [Request(stack=stack, directory=Path("."), options=options) for stack in stacks]


def done(request: Request) -> StackResult:
    return StackResult(stack=request.stack, outcome=DONE)


def failed(request: Request) -> StackResult:
    return StackResult(stack=request.stack, outcome=FAILED, error=EngineError(f"{request.stack} has no room"))


def failing(*stacks: str) -> Callable[[Request], StackResult]:
    return lambda request: failed(request) if request.stack in stacks else done(request)


def outcomes(result: waves.WavesResult) -> dict[str, Outcome]:
    return {each.stack: each.outcome for each in result.stacks}


@dataclass
class Stop:
    is_asked: bool = False


@dataclass
class Told:
    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def begun(self) -> list[str]:
        return [event.stack for event in self.events if isinstance(event, StackBegan)]


# -- waves


def test_a_wave_begins_when_all_of_the_wave_before_is_done() -> None:
    told = Told()
    result = run(done, requests("a", "b", "c"), waves=parse_waves("1,100%"), on_event=told)
    assert result.is_done
    assert [each.stack for each in result.stacks] == ["a", "b", "c"]
    first_end = next(at for at, event in enumerate(told.events) if isinstance(event, Ended))
    assert [event.stack for event in told.events[: first_end + 1]] == ["a", "a"]
    assert [(event.stack, event.wave, event.waves) for event in told.events if isinstance(event, StackBegan)] == [
        ("a", 1, 2),
        ("b", 2, 2),
        ("c", 2, 2),
    ]


def test_no_later_wave_begins_after_a_failure() -> None:
    told = Told()
    result = run(failing("a"), requests("a", "b", "c"), waves=parse_waves("1,2,100%"), on_event=told)
    assert outcomes(result) == {"a": FAILED, "b": NOT_BEGUN, "c": NOT_BEGUN}
    assert not result.is_done
    assert told.begun == ["a"]
    assert told.events[-1] == Ended(stack="a", outcome=Ending.REFUSED, seconds=0, text="a has no room")


def test_none_of_the_same_wave_begins_after_a_failure_and_what_is_under_way_ends() -> None:
    has_failed = threading.Event()

    def verb(request: Request) -> StackResult:
        if request.stack == "b":
            return failed(request)
        assert has_failed.wait(LONG)  # `a` is under way until the failure of `b` is known
        return done(request)

    def hear(event: Event) -> None:
        if isinstance(event, Ended) and event.stack == "b":
            has_failed.set()

    result = run(verb, requests("a", "b", "c", "d"), parallel=2, on_event=hear)
    assert outcomes(result) == {"a": DONE, "b": FAILED, "c": NOT_BEGUN, "d": NOT_BEGUN}


@dataclass
class Counting:
    """A verb that knows how many of it run, and waits until as many do as should."""

    wanted: int
    now: int = 0
    most: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, request: Request) -> StackResult:
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.wanted, LONG)
            self.now -= 1
        return done(request)


class Unbounded(Executor):
    """A foreign executor that would run all at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(target=lambda: future.set_result(fn(*args, **kwargs))).start()
        return future


class Busy(Executor):
    """It has a worker for the first stack only; the others wait for it."""

    is_taken = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if not self.is_taken:
            self.is_taken = True
            future.set_result(fn(*args, **kwargs))
        return future


def test_what_an_executor_holds_back_is_called_back_after_a_failure() -> None:
    told = Told()
    result = run(failed, requests("a", "b"), parallel=2, executor=Busy(), on_event=told)
    assert outcomes(result) == {"a": FAILED, "b": NOT_BEGUN}
    assert isinstance(told.events[-1], Ended)
    assert told.events[-1].stack == "a"


@pytest.mark.parametrize("executor", [None, Unbounded()], ids=["threads", "foreign"])
def test_never_more_run_at_once_than_parallel_and_no_fewer(executor: Executor | None) -> None:
    verb = Counting(wanted=3)
    result = run(verb, requests(*"abcdefghij"), parallel=3, executor=executor)
    assert result.is_done
    assert verb.most == 3


def test_twice_the_cores_run_at_once_by_default() -> None:
    limit = 2 * (os.cpu_count() or 1)
    verb = Counting(wanted=limit)
    assert run(verb, requests(*(str(number) for number in range(limit + 3)))).is_done
    assert verb.most == limit


def test_none_at_once_and_waves_that_fit_no_stacks_are_refused_before_anything_is_begun() -> None:
    told = Told()
    with pytest.raises(WavesError, match="0 stacks at once are none"):
        run(done, requests("a"), parallel=0, on_event=told)
    with pytest.raises(WavesError, match="names no stack"):
        run(done, requests("a", "b"), waves=parse_waves("2,100%"), on_event=told)
    with pytest.raises(WavesError, match="a is named twice"):
        run(done, requests("a", "a"), on_event=told)
    assert told.events == []


# -- stopping


def test_none_begins_once_it_is_asked_to_stop() -> None:
    stop = Stop()

    def verb(request: Request) -> StackResult:
        stop.is_asked = True
        return done(request)

    result = run(verb, requests("a", "b", "c"), parallel=1, stop=stop)
    assert outcomes(result) == {"a": DONE, "b": NOT_BEGUN, "c": NOT_BEGUN}


def test_after_ctrl_c_what_is_under_way_ends_and_nothing_more_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    is_interrupted = threading.Event()

    def interrupted_once(*args: Any, **options: Any) -> Any:
        if not is_interrupted.is_set():
            is_interrupted.set()
            raise KeyboardInterrupt
        return wait(*args, **options)

    def verb(request: Request) -> StackResult:
        assert is_interrupted.wait(LONG)
        return done(request)

    monkeypatch.setattr(waves, "wait", interrupted_once)
    assert outcomes(run(verb, requests("a", "b"), parallel=1)) == {"a": DONE, "b": NOT_BEGUN}


def test_a_second_ctrl_c_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: Any, **_options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(waves, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(done, requests("a", "b"), parallel=1)


# -- what a worker's process does


def process(request: Request) -> StackResult:
    if request.stack == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if request.stack == "bad":
        raise ValueError("no such thing")
    return StackResult(stack=request.stack, outcome=DONE, url=str(os.getpid()))


def processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn"))


def test_stacks_are_deployed_by_a_pool_of_processes() -> None:
    with processes() as pool:
        result = run(process, requests("a", "b"), executor=pool, parallel=2)
    assert result.is_done
    assert str(os.getpid()) not in {each.url for each in result.stacks}


def test_a_worker_that_dies_is_a_failed_stack_that_says_so() -> None:
    with processes() as pool:
        result = run(process, requests("die", "b"), executor=pool, parallel=1)
    assert outcomes(result) == {"die": FAILED, "b": NOT_BEGUN}
    error = result.failed[0].error
    assert isinstance(error, WorkerError)
    assert error.what.startswith("the worker died")
    assert "`bluegreen status die` tells; `bluegreen deploy die` goes on from there" in error.next_step


def test_an_error_that_is_none_of_ours_is_a_failed_stack_with_its_traceback() -> None:
    result = run(lambda request: process(request), requests("bad"))
    error = result.failed[0].error
    assert isinstance(error, WorkerError)
    assert "Traceback" in error.what
    assert "ValueError: no such thing" in error.what


# -- deploying one


def test_what_a_stack_is_told_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def deploy(stack: str, **options: Any) -> Update:
        asked.update(options, stack=stack)
        options["on_event"](Line(stack=stack, text="gate: passed"))
        return Update(stack=stack, outputs={"activeRelease": {"version": "4d197941"}, "url": "http://a"}, changes={})

    monkeypatch.setattr(deployment, "deploy", deploy)
    told = Told()
    (result,) = run(deploy_one, requests("dev", ami="ami-1"), on_event=told).stacks
    assert (asked["stack"], asked["directory"], asked["ami"]) == ("dev", Path("."), "ami-1")
    assert (result.outcome, result.release, result.url) == (DONE, "4d197941", "http://a")
    assert Line(stack="dev", text="gate: passed") in told.events


@pytest.mark.parametrize(
    "error", [RolledBack("it was rolled back", "see there"), SettingsError([Fault("bluegreen:zones", "is 9")])]
)
def test_a_failed_deployment_comes_back_from_another_process_as_it_was(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deploy(stack: str, **options: Any) -> Update:
        raise error

    monkeypatch.setattr(deployment, "deploy", deploy)
    result = pickle.loads(pickle.dumps(deploy_one(requests("dev")[0])))
    assert result.outcome is FAILED
    assert type(result.error) is type(error)
    assert str(result.error) == str(error)
    assert vars(result.error) == vars(error)


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([None, None], 0),
        ([RolledBack("back"), SettingsError([])], 1),
        ([SettingsError([]), SettingsError([])], 2),
        ([None, SettingsError([])], 1),
        ([SettingsError([]), WorkerError("died")], 3),
    ],
)
def test_the_exit_code_claims_no_more_than_is_true_of_every_stack(
    errors: list[BluegreenError | None], code: int
) -> None:
    """2 says that nothing was changed, which is wrong once one stack is done."""
    results = [
        StackResult(stack=str(at), outcome=Outcome.FAILED if error else Outcome.DONE, error=error)
        for at, error in enumerate(errors)
    ]
    assert WavesResult(stacks=tuple(results)).exit_code == code


def test_a_signals_handler_may_tell_of_something_while_its_thread_does() -> None:
    heard: list[str] = []

    def see(event: Event) -> None:
        if not heard:
            heard.append("first")
            tell(event)
        heard.append("told")

    tell = _one_at_a_time(see)
    tell(Line(stack="a", text="begins"))
    assert heard == ["first", "told", "told"]
