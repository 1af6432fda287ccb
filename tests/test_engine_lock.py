"""The engine's own lock: of a process that is known to be dead it is no lock; another's is left alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation as auto

from bluegreen import engine
from bluegreen.engine import Engine
from bluegreen.errors import StackLockedError


@dataclass
class Stack:
    """One that a process of this machine, or of another, has locked. `asked`: what it was asked, in order."""

    process: int
    host: str = field(default_factory=socket.gethostname)
    asked: list[str] = field(default_factory=list)
    backend: str = "file:///home/ann"

    @property
    def workspace(self) -> Any:
        return SimpleNamespace(who_am_i=lambda: SimpleNamespace(url=self.backend))

    def up(self, **_: Any) -> Any:
        return self._operate("up")

    def destroy(self, **_: Any) -> Any:
        return self._operate("destroy")

    def cancel(self) -> None:
        self.asked.append("cancel")

    def refresh(self, **_: Any) -> None:
        self.asked.append("refresh")

    def _operate(self, name: str) -> Any:
        self.asked.append(name)
        if "cancel" not in self.asked:
            said = f"the stack is currently locked by 1 lock(s): created by ann@{self.host} (pid {self.process})"
            raise auto.errors.ConcurrentUpdateError(SimpleNamespace(stdout="", stderr=said, code=255))
        return SimpleNamespace(outputs={}, summary=SimpleNamespace(resource_changes={}))


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def of(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(engine, "_open", lambda *_: stack)
    return Engine("dev", Path())


@pytest.mark.parametrize("operation", ["up", "destroy"])
def test_the_lock_of_a_dead_process_is_taken_away_and_the_state_refreshed_first(
    operation: str, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(dead)
    getattr(of(stack, monkeypatch), operation)()
    assert stack.asked == [operation, "cancel", "refresh", operation]


@pytest.mark.parametrize("operation", ["up", "destroy"])
def test_the_lock_of_a_process_that_runs_or_can_not_be_asked_about_stays(
    operation: str, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines of one name may lock a state that is in S3: what this one's processes are proves nothing there."""
    for stack in (Stack(os.getpid()), Stack(dead, host="ci-7"), Stack(dead, backend="s3://states")):
        with pytest.raises(StackLockedError, match=f"ann on {stack.host}, process {stack.process}"):
            getattr(of(stack, monkeypatch), operation)()
        assert stack.asked == [operation]
