"""The engine gets a Ctrl-C when it is passed on, and not before."""

from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path

import pytest
from pulumi.automation.errors import CommandError

from bluegreen.pulumi_command import PulumiCommand

SCRIPT = """#!/bin/sh
case "$2" in
  version) echo v3.260.0;;
  say) echo out; echo err >&2;;
  fail) echo "error: no" >&2; exit 7;;
  session) ps -o sid= -p $$ || cut -d' ' -f6 /proc/$$/stat;;
  wait) trap 'echo stopped; exit 3' INT; echo ready; while :; do sleep 0.05; done;;
esac
[ "$1" = version ] && echo v3.260.0
exit 0
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PulumiCommand:
    script = tmp_path / "pulumi"
    script.write_text(SCRIPT)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return PulumiCommand().apart()


def test_both_streams_are_heard_line_by_line_and_kept(command: PulumiCommand, tmp_path: Path) -> None:
    out, err = list[str](), list[str]()
    result = command.run(["say"], str(tmp_path), {}, out.append, err.append)
    assert (out, err, result.stdout, result.stderr) == (["out"], ["err"], "out", "err")


def test_a_command_that_fails_raises_what_the_automation_api_raises(command: PulumiCommand, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="error: no"):
        command.run(["fail"], str(tmp_path), {})


def test_it_runs_in_a_session_of_its_own(command: PulumiCommand, tmp_path: Path) -> None:
    found = command.run(["session"], str(tmp_path), {}).stdout.strip()
    assert int(found) != os.getsid(0)


def test_an_interrupt_reaches_what_runs(command: PulumiCommand, tmp_path: Path) -> None:
    said = list[str]()

    def hear(line: str) -> None:
        said.append(line)
        if line == "ready":
            command.interrupt()

    with pytest.raises(CommandError):
        command.run(["wait"], str(tmp_path), {}, hear)
    assert said == ["ready", "stopped"]


def test_an_interrupt_is_for_its_own_command_alone(command: PulumiCommand, tmp_path: Path) -> None:
    other = command.apart()

    def hear(line: str) -> None:
        other.interrupt()
        if line == "ready":
            command.interrupt()

    with pytest.raises(CommandError):
        command.run(["wait"], str(tmp_path), {}, hear)


def test_ctrl_c_of_a_caller_without_handlers_is_passed_on_and_comes_after_the_end(
    command: PulumiCommand, tmp_path: Path
) -> None:
    said = list[str]()

    def hear(line: str) -> None:
        said.append(line)
        if line == "ready":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        command.run(["wait"], str(tmp_path), {}, hear)
    assert said == ["ready", "stopped"]
