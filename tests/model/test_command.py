"""What the end of the gate's command means."""

from __future__ import annotations

import pytest

from bluegreen.model.command import Ended, GateCommand, judge
from bluegreen.model.verdict import Hopeless, Ready

COMMAND = GateCommand(command=("./check", "every thing"), timeout_seconds=5)


def test_an_exit_code_of_zero_passes() -> None:
    assert judge(COMMAND, Ended(code=0)) == Ready("./check 'every thing' passed")


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (3, "ended with exit code 3;"),
        (137, "ended with exit code 137 (SIGKILL);"),
        (143, "ended with exit code 143 (SIGTERM);"),
        (255, "ended with exit code 255;"),
        (None, "did not end in 5 s (gateCommand.timeoutSeconds), and was stopped;"),
    ],
)
def test_any_other_end_is_hopeless_with_the_last_lines(code: int | None, how: str) -> None:
    verdict = judge(COMMAND, Ended(code=code, last_lines=("one", "two")))
    assert isinstance(verdict, Hopeless)
    assert verdict.summary == f"the command ./check 'every thing' {how} its last lines:\n    one\n    two"


def test_a_command_that_said_nothing_is_told_so() -> None:
    verdict = judge(COMMAND, Ended(code=1))
    assert verdict.summary.endswith("exit code 1, and said nothing")
