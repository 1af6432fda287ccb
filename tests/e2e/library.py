"""The library on one stack of a sandbox, as a program uses it that imports it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bluegreen.events import Event
from bluegreen.new_stack import init
from bluegreen.status import Status, status
from tests.e2e.project import Project

MOST_CALLS = 8
SMALL = {"listenerPort": "8080", "nat": "none", "drainSeconds": "1", "minSize": "1", "desiredCapacity": "1"}
SMALL_WORDS = tuple(word for key, value in SMALL.items() for word in ("--set", f"{key}={value}"))
"""The same for `bluegreen init`."""


@dataclass
class Library:
    """`events`: what it has told since they were last cleared."""

    project: Project
    events: list[Event] = field(default_factory=list)

    @classmethod
    def make(cls, project: Project, stack: str, *, ledger: str, **settings: str) -> Library:
        """On a new stack, of one machine."""
        init(stack, settings={**SMALL, **settings}, ledger=ledger, directory=project.directory)
        return cls(replace(project, stack=stack))

    @property
    def stack(self) -> str:
        return self.project.stack

    @property
    def options(self) -> dict[str, Any]:
        return {"directory": self.project.directory, "on_event": self.events.append}

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    def status(self) -> Status:
        """At most 8 calls of AWS, wherever the stack is."""
        before = len(self.project.calls())
        found = status(self.stack, directory=self.project.directory)
        calls = [call.action for call in self.project.calls()[before:]]
        assert len(calls) <= MOST_CALLS, calls
        return found


@contextmanager
def within(project: Project) -> Iterator[pytest.MonkeyPatch]:
    """This process's environment is that of a shell in the sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        environment = project.environment
        for key in os.environ.keys() - environment.keys():
            patch.delenv(key)
        for key, value in environment.items():
            patch.setenv(key, value)
        yield patch
