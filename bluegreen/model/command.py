"""The user's own command of the gate: what it is, and what its end means.

Pure: who runs it is `bluegreen.checks.command`.
"""

from __future__ import annotations

import shlex
import signal
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from bluegreen.model.schema import ConfigModel, refusal
from bluegreen.model.verdict import Hopeless, Ready

SIGNALLED = 128
"""A program that a signal ended has this code and the signal's number, as in a shell."""


def _words(value: object) -> object:
    if isinstance(value, str):
        raise refusal(f"should be a list of words, such as {value.split() or ['make']}: no shell reads it")
    if isinstance(value, list) and not (value and value[0]):
        raise refusal("should begin with a program")
    if isinstance(value, list) and any(isinstance(word, str) and "\0" in word for word in value):
        raise refusal("has a word with a null byte")
    return value


class GateCommand(ConfigModel):
    """A program with its arguments, run in the project's directory. No shell reads it."""

    command: Annotated[tuple[str, ...], BeforeValidator(_words)]
    timeout_seconds: int = Field(300, ge=1, le=7200)

    @property
    def program(self) -> str:
        return self.command[0]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: with this exit code, or None where its time was over. `last_lines`: of its output."""

    code: int | None
    last_lines: tuple[str, ...] = ()


def judge(command: GateCommand, ended: Ended, setting: str = "gateCommand") -> Ready | Hopeless:
    """A command that failed once has failed: there is no second try. `setting`: the one that names it."""
    name = shlex.join(command.command)
    if ended.code == 0:
        return Ready(f"{name} passed")
    if ended.code is None:
        how = f"did not end in {command.timeout_seconds} s ({setting}.timeoutSeconds), and was stopped"
    else:
        how = f"ended with exit code {ended.code}{_signal(ended.code)}"
    said = "".join(f"\n    {line}" for line in ended.last_lines)
    return Hopeless(
        f"the command {name} {how}" + (f"; its last lines:{said}" if said else ", and said nothing"),
        f"Deploy a release that it lets pass, or mend `{setting}`.",
    )


def _signal(code: int) -> str:
    try:
        return f" ({signal.Signals(code - SIGNALLED).name})"
    except ValueError:
        return ""
