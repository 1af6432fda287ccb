"""The real program: either engine goes on where the other stopped, from a finished, a failed and a killed `up`."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.host import Sandbox
from tests.e2e.project import IN_THE_GATE, STACK, STAND_IN, Finished, Project

pytestmark = [pytest.mark.real_engine, pytest.mark.conformance]


@pytest.fixture
def real() -> Path:
    found = shutil.which("pulumi")
    if found is None or Path(found).parent == STAND_IN:
        pytest.skip("no real `pulumi` on PATH")
    return Path(found).parent


@pytest.fixture
def project(real: Path, tmp_path: Path) -> Iterator[Project]:
    with Sandbox.start(boot_seconds=0.2) as sandbox:
        made = Project.make(sandbox, tmp_path / "project", STAND_IN)
        yield made
        made.end_processes()


def changes_nothing(project: Project) -> None:
    again = project.begin("up", "--skip-preview", "--stack", STACK, "--expect-no-changes").finish()
    assert again.code == 0, again.output
    assert again.changes == {}
    assert again.writes == []


def is_well(done: Finished) -> None:
    assert done.code == 0, done.output


def test_either_engine_changes_rolls_back_finishes_and_destroys_what_the_other_left(
    project: Project, real: Path
) -> None:
    is_well(project.up(ami=project.image("1")))
    first = project.release

    project.engine = real
    changes_nothing(project)
    is_well(project.up(ami=project.image("2")))
    assert len(project.groups()) == 1

    project.engine = STAND_IN
    changes_nothing(project)
    is_well(project.up(ami=project.image("1")))
    assert project.release == first

    for one, other in ((STAND_IN, real), (real, STAND_IN)):
        killed_in_the_gate(project, one)
        project.engine = other
        assert project.up().code != 0, "the stack is locked"
        is_well(project.pulumi("cancel", "--yes", "--stack", STACK))
        is_well(project.up(ami=project.image("1")))
        assert project.release == first
        assert len(project.groups()) == 1
        changes_nothing(project)

    project.engine = real
    is_well(project.up(ami=project.image("2")))
    project.engine = STAND_IN
    is_well(project.pulumi("destroy", "--skip-preview", "--stack", STACK, "--run-program"))
    assert project.groups() == {}


def killed_in_the_gate(project: Project, engine: Path) -> None:
    project.engine = engine
    begun = project.begin_up(ami=project.image("broken", BROKEN="1")).wait_for(IN_THE_GATE)
    os.killpg(begun.process.pid, signal.SIGKILL)
    begun.process.wait()
    project.end_processes()
