"""After `kill -9` in the middle of a rollout, abort and promote both end well."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from sandbox.load import Load
from tests.e2e.project import STACK, Begun, Project, eventually
from tests.e2e.test_rollout import roles

REQUESTS_PER_SECOND = 200

pytestmark = pytest.mark.rollout


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic."""
    first = project.bluegreen("deploy", STACK, "--ami", project.image("1"))
    assert first.code == 0, first.output
    project.configure(strategy="canary", steps=[{"weight": 40, "pauseSeconds": 600}], soak_seconds=0)
    return project


@pytest.fixture
def load(served: Project) -> Iterator[Load]:
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND) as it:
        yield it
    assert not it.failures, f"{len(it.failures)} of {len(it.answers)} failed, first {it.failures[:3]}"


def kill(served: Project, begun: Begun) -> None:
    """The driver, its engine, and what a real engine leaves behind."""
    os.killpg(begun.process.pid, signal.SIGKILL)
    begun.process.wait()
    served.end_processes()


def killed_in_the_pause(served: Project, version: str) -> None:
    begun = served.begin_bluegreen("deploy", STACK, "--ami", served.image(version)).wait_for("is watched for 600 s")
    kill(served, begun)
    assert roles(served) == {"active": 60, "candidate": 40}


def killed_in_the_gate(served: Project, version: str) -> None:
    served.allow_launches(0)
    begun = served.begin_bluegreen("deploy", STACK, "--ami", served.image(version))
    kill(served, begun.wait_for("We currently do not have sufficient"))
    served.allow_launches(None)
    assert roles(served) == {"active": 100}


@pytest.mark.parametrize("killed", [killed_in_the_pause, killed_in_the_gate])
def test_after_a_kill_an_abort_leaves_the_old_release_alone(served: Project, load: Load, killed: object) -> None:
    old = served.release
    killed(served, "2")  # type: ignore[operator]
    done = served.bluegreen("abort", STACK)
    assert done.code == 0, done.output
    assert roles(served) == {"active": 100}
    assert served.release == old
    assert len(served.groups()) == 1
    assert served.ask()["release"] == old


@pytest.mark.parametrize("killed", [killed_in_the_pause, killed_in_the_gate])
def test_after_a_kill_a_promotion_ends_with_the_new_release_alone(served: Project, load: Load, killed: object) -> None:
    old = served.release
    version = "3" if killed is killed_in_the_pause else "4"
    killed(served, version)  # type: ignore[operator]
    done = served.bluegreen("promote", STACK)
    assert done.code == 0, done.output
    assert roles(served) == {"active": 100}
    assert served.release != old
    assert served.ask()["app"] == version
    assert len(served.groups()) == 1


def test_after_a_kill_past_the_cutover_a_rollback_goes_to_what_ran_before(served: Project, load: Load) -> None:
    """Outputs come at the end of an update: they still name the old release then."""
    old = served.release
    served.configure(strategy="blueGreen", soak_seconds=600)
    begun = served.begin_bluegreen("deploy", STACK, "--ami", served.image("5")).wait_for("is watched for 600 s")
    kill(served, begun)
    assert served.ask()["app"] == "5"
    done = served.bluegreen("rollback", STACK)
    assert done.code == 0, done.output
    assert "flip" in done.output
    eventually(lambda: served.ask()["release"] == old)
    assert served.release == old
    assert len(served.groups()) == 1
