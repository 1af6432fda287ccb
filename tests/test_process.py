"""A process counts as gone only with proof: neither another machine's nor one whose id was taken again is mistaken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluegreen import process
from bluegreen.process import birthmark, is_gone, runs

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield started
    started.kill()
    started.communicate()


def test_a_process_that_runs_is_not_gone(child: subprocess.Popen[bytes]) -> None:
    assert runs(child.pid)
    assert birthmark(child.pid) == birthmark(child.pid) != birthmark(os.getpid())
    assert not is_gone(child.pid, birthmark(child.pid))


def test_a_process_that_has_ended_is_gone(child: subprocess.Popen[bytes]) -> None:
    born = birthmark(child.pid)
    child.kill()
    child.wait()
    assert not runs(child.pid)
    assert is_gone(child.pid, born)
    assert birthmark(child.pid) == ""


def test_a_zombie_does_not_run(child: subprocess.Popen[bytes]) -> None:
    born = birthmark(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not runs(child.pid)
    assert is_gone(child.pid, born)


def test_an_id_that_another_process_has_now_is_no_sign_of_life() -> None:
    place, ticks = birthmark(os.getpid()).rsplit(" ", 1)
    assert is_gone(os.getpid(), f"{place} {int(ticks) - 1}")


@pytest.mark.parametrize("part", [0, 1], ids=["boot", "container"])
def test_what_ran_elsewhere_is_not_known_to_be_gone(child: subprocess.Popen[bytes], part: int) -> None:
    parts = birthmark(child.pid).split(" ")
    parts[part] = "another"
    child.kill()
    child.wait()
    assert not is_gone(child.pid, " ".join(parts))


def test_a_birthmark_that_is_not_known_proves_nothing_here(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    assert not is_gone(child.pid, "")


def test_a_process_that_may_not_be_looked_at_is_not_gone(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    born = birthmark(child.pid)
    monkeypatch.setattr(process, "_stat", lambda _: None)  # /proc mounted with hidepid

    def forbidden(_process: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert runs(child.pid)
    assert not is_gone(child.pid, born)


def test_without_proc_a_process_that_is_not_there_is_gone(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "PROC", tmp_path)
    assert birthmark(child.pid) == ""
    assert not is_gone(child.pid, "")
    child.kill()
    child.wait()
    assert is_gone(child.pid, "")
