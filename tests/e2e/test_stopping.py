"""A deployment that is told to stop: once, after the step that it is at; twice, or by SIGTERM, now. Nothing goes on
behind anybody's back, the traffic is unharmed, and the next one goes on from there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from bluegreen import deployment
from bluegreen.driver import Update
from bluegreen.errors import Interrupted
from bluegreen.events import Health
from bluegreen.stop import Stop
from tests.e2e.library import MOST_CALLS, Library, within
from tests.e2e.project import Begun, Project, eventually

pytestmark = pytest.mark.rollout

NOT_LAUNCHED = "We currently do not have sufficient"
CANARY = '[{"weight": 50, "pauseSeconds": 0}]'


@pytest.fixture(scope="module")
def library(project: Project) -> Iterator[Library]:
    """A stack whose release 1 takes the traffic, and whose strategy is a canary."""
    with within(project):
        made = Library.make(project, "dev", ledger="dynamodb", strategy="canary", steps=CANARY)
        deployment.deploy(made.stack, ami=project.image("1"), **made.options)
        yield made


@pytest.fixture
def stack(library: Library) -> Iterator[Project]:
    """Whatever a test has left of it, machines can be launched again."""
    yield library.project
    library.project.allow_launches(None)


def shares(stack: Project) -> dict[str, int]:
    return {group["role"]: int(group["weight"]) for group in stack.outputs["fleet"]["groups"]}


def is_left_alone(stack: Project) -> None:
    """No engine, program or plugin runs any more, and nobody has the lease."""
    eventually(lambda: not stack.processes(), what="nothing goes on behind anybody's back")
    status = stack.bluegreen("status", stack.stack)
    assert status.code == 0, status.output
    assert "under way" not in status.output
    assert len(status.calls) <= MOST_CALLS, [call.action for call in status.calls]


def done(stack: Project, *words: str) -> str:
    ended = stack.bluegreen(*words)
    assert ended.code == 0, ended.output
    assert ended.has_no_traceback, ended.output
    return ended.output


# -- by the library's Stop


def in_the_gate(library: Library, pool: ThreadPoolExecutor, stop: Stop, image: str) -> Future[Update]:
    """A deployment that waits in its gate, since no machine can be launched."""
    library.project.allow_launches(0)
    library.events.clear()
    begun = pool.submit(deployment.deploy, library.stack, ami=image, stop=stop, **library.options)
    eventually(
        lambda: begun.done() or any(NOT_LAUNCHED in event.reason for event in library.told(Health)),
        what="it waits in its gate",
    )
    return begun


def test_asked_once_the_step_ends_and_no_other_is_begun(library: Library, stack: Project) -> None:
    stop = Stop()
    with ThreadPoolExecutor() as pool:
        begun = in_the_gate(library, pool, stop, stack.image("2"))
        stop.ask()
        stack.allow_launches(None)
        with pytest.raises(Interrupted, match="stays at the step `50 % of the traffic`"):
            begun.result(timeout=60)
    assert shares(stack) == {"active": 50, "candidate": 50}
    assert library.status().holder == "", "the lease is given back"
    deployment.abort(library.stack, **library.options)
    assert shares(stack) == {"active": 100}
    assert stack.ask()["app"] == "1"


def test_asked_twice_it_stops_now_and_the_next_deploy_goes_on(library: Library, stack: Project) -> None:
    stop = Stop()
    with ThreadPoolExecutor() as pool:
        begun = in_the_gate(library, pool, stop, stack.image("3"))
        stop.ask()
        stop.ask()
        with pytest.raises(Interrupted, match="`bluegreen deploy` goes on from there"):
            begun.result(timeout=60)
    assert stack.ask()["app"] == "1"
    is_left_alone(stack)
    stack.allow_launches(None)
    ended = deployment.deploy(library.stack, **library.options)
    assert stack.ask()["app"] == "3"
    assert ended.serving == {stack.release: 100}


# -- by signals to the command


def command_in_the_gate(stack: Project, version: str) -> Begun:
    stack.allow_launches(0)
    return stack.begin_bluegreen("deploy", stack.stack, "--ami", stack.image(version)).wait_for(NOT_LAUNCHED)


def test_ctrl_c_finishes_the_step_and_says_where_it_stays(stack: Project) -> None:
    begun = command_in_the_gate(stack, "4")
    begun.interrupt()
    begun.wait_for("finishing this step")
    stack.allow_launches(None)
    stopped = begun.finish()
    assert stopped.code == 3, stopped.output
    assert stopped.has_no_traceback, stopped.output
    assert "stays at the step `50 % of the traffic`" in stopped.output
    assert shares(stack) == {"active": 50, "candidate": 50}
    is_left_alone(stack)
    done(stack, "promote", stack.stack)
    assert stack.ask()["app"] == "4"


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]], ids=["ctrl-c twice", "SIGTERM"])
def test_stopped_now_the_traffic_stays_and_the_next_deploy_goes_on(
    stack: Project, signals: list[signal.Signals], request: pytest.FixtureRequest
) -> None:
    before = stack.ask()["release"]
    begun = command_in_the_gate(stack, request.node.callspec.id)
    for number, each in enumerate(signals):
        if number:
            begun.wait_for("ask again to stop now")
        begun.send(each)
    stopped = begun.finish()
    assert stopped.code == 3, stopped.output
    assert stopped.has_no_traceback, stopped.output
    assert "`bluegreen deploy` goes on from there, `bluegreen abort` takes it back." in stopped.output
    assert stack.ask()["release"] == before
    is_left_alone(stack)
    stack.allow_launches(None)
    done(stack, "deploy", stack.stack)
    assert stack.ask()["release"] == stack.release != before
    assert shares(stack) == {"active": 100}
