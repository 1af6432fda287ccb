"""An `up` with nothing to change: whoever has the stand-in waits no longer than with the real engine."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import pytest

from tests.conformance import recordings
from tests.sandbox.engine.engine_workspace import STAND_IN, Workspace, make_workspace

pytestmark = pytest.mark.conformance
PROGRAM = 'one = Thing("one")\ntwo = Thing("two", after=one.id)\npulumi.export("id", two.id)'
ROUNDS = 5


def seconds(workspace: Workspace) -> float:
    began = time.monotonic()
    workspace.up()
    return time.monotonic() - began


def test_an_up_with_nothing_to_change_takes_the_stand_in_no_longer(tmp_path: Path) -> None:
    real = recordings.real_engine()
    if real is None:
        pytest.skip("no real `pulumi` on PATH")
    workspaces = make_workspace(tmp_path / "real", real), make_workspace(tmp_path / "stand-in", STAND_IN)
    for workspace in workspaces:
        workspace.program(PROGRAM)
        workspace.up()
    took = [tuple(map(seconds, workspaces)) for _ in range(ROUNDS)]  # in turns: other work slows down both
    assert median(one for _, one in took) <= median(one for one, _ in took), took
