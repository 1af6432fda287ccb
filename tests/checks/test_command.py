"""The gate's command as a real process: what it is given, what it says, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bluegreen.checks import leash
from bluegreen.checks.command import LAST_LINES, CommandRunner, check_program
from bluegreen.errors import SettingsError
from bluegreen.model.command import Ended, GateCommand

FOREVER = "60"


@dataclass
class Shell:
    """Runs shell scripts as the gate's command, in a directory of the test's."""

    directory: Path
    said: list[str] = field(default_factory=list)

    async def start(self, script: str, timeout_seconds: int = 30, **variables: str) -> Ended:
        command = GateCommand(command=("sh", "-c", script), timeoutSeconds=timeout_seconds)
        return await CommandRunner(directory=self.directory, report=self.said.append).run(command, variables)

    def run(self, script: str, timeout_seconds: int = 30, **variables: str) -> Ended:
        return asyncio.run(self.start(script, timeout_seconds, **variables))

    @property
    def lines(self) -> list[str]:
        return "\n".join(self.said).splitlines()

    def pid(self, file: str = "pid") -> int:
        eventually(lambda: (self.directory / file).exists() and (self.directory / file).read_text().endswith("\n"))
        return int((self.directory / file).read_text())


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def eventually(look: Callable[[], object], within: float = 15.0) -> None:
    deadline = time.monotonic() + within
    while not look():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return f"{pid} (" in (stat := Path(f"/proc/{pid}/stat").read_text()) and ") Z" not in stat
    except (FileNotFoundError, ProcessLookupError):  # the second where it ends between opening and reading
        return False


def test_it_runs_in_the_projects_directory_with_our_environment_and_the_gates(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "ours")
    ended = shell.run('pwd; echo "$OURS $BLUEGREEN_RELEASE"', BLUEGREEN_RELEASE="1f0c9a52")
    assert ended == Ended(code=0, last_lines=(str(shell.directory), "ours 1f0c9a52"))


def test_no_shell_reads_its_words(shell: Shell) -> None:
    command = GateCommand(command=("printf", "%s\n", "$HOME;", "a b", "*"))
    asyncio.run(CommandRunner(directory=shell.directory, report=shell.said.append).run(command, {}))
    assert shell.lines == ["gate: command: $HOME;", "gate: command: a b", "gate: command: *"]


def test_what_it_says_is_passed_on_as_it_comes(shell: Shell) -> None:
    async def watch() -> None:
        running = asyncio.ensure_future(shell.start("echo one; echo two >&2; read line < go; printf three"))
        os.mkfifo(shell.directory / "go")
        await asyncio.to_thread(eventually, lambda: len(shell.lines) == 2)
        assert not running.done()
        await asyncio.to_thread((shell.directory / "go").write_text, "\n")
        await running

    asyncio.run(asyncio.wait_for(watch(), 20))
    assert shell.lines == ["gate: command: one", "gate: command: two", "gate: command: three"]


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_its_exit_code_is_a_shells(shell: Shell, script: str, code: int) -> None:
    assert shell.run(script).code == code


def test_its_last_lines_are_kept(shell: Shell) -> None:
    ended = shell.run("seq 5000; exit 1")
    assert ended.last_lines == tuple(str(5001 - LAST_LINES + number) for number in range(LAST_LINES))
    assert len(shell.lines) == 5000
    assert len(shell.said) < 100, "not a message a line"


def test_a_line_without_end_is_cut(shell: Shell) -> None:
    ended = shell.run("head -c 3000000 /dev/zero | tr '\\0' x")
    assert [len(line) for line in ended.last_lines] == [1000]


def test_it_reads_nothing(shell: Shell) -> None:
    assert shell.run("cat; echo end").last_lines == ("end",)


def test_when_its_time_is_over_it_ends_with_all_its_children(shell: Shell) -> None:
    began = time.monotonic()
    ended = shell.run(f"sleep {FOREVER} & echo $! > pid; echo started; wait", timeout_seconds=1)
    assert ended == Ended(code=None, last_lines=("started",))
    assert time.monotonic() - began < 5
    assert not is_alive(shell.pid())


def test_children_that_ignore_a_polite_end_are_killed(shell: Shell) -> None:
    ended = shell.run(f"trap '' TERM; sh -c 'echo $$ > pid; sleep {FOREVER}; sleep {FOREVER}'", timeout_seconds=1)
    assert ended.code is None
    eventually(lambda: not is_alive(shell.pid()))


def test_what_it_leaves_in_the_background_ends_with_it_and_is_not_waited_for(shell: Shell) -> None:
    began = time.monotonic()
    ended = shell.run(f"sleep {FOREVER} & echo $! > pid; echo done")
    assert ended == Ended(code=0, last_lines=("done",))
    assert time.monotonic() - began < 5
    eventually(lambda: not is_alive(shell.pid()))


def test_a_child_that_has_left_its_group_is_not_waited_for(shell: Shell) -> None:
    ended = shell.run(f"setsid sh -c 'echo $$ > pid; exec sleep {FOREVER}' & until [ -s pid ]; do sleep 0.05; done")
    try:
        assert ended.code == 0
    finally:
        os.kill(shell.pid(), signal.SIGKILL)


def test_cancelled_it_ends_the_command(shell: Shell) -> None:
    async def cancel() -> None:
        running = asyncio.ensure_future(shell.start(f"echo $$ > pid; exec sleep {FOREVER}"))
        await asyncio.to_thread(shell.pid)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancel())
    assert not is_alive(shell.pid())


def test_however_the_program_ends_the_command_ends_too(shell: Shell) -> None:
    """Held by a process that is killed: nothing of it runs any more that could clean up."""
    script = f"echo $$ > pid; sleep {FOREVER} & echo $! > child; wait"
    code = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, {leash.__file__!r}, 'sh', '-c', {script!r}], stdin=subprocess.PIPE,\n"
        f"                 cwd={str(shell.directory)!r}, start_new_session=True)\n"
        f"time.sleep({FOREVER})\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code])
    pids = [shell.pid(), shell.pid("child")]
    assert all(is_alive(pid) for pid in pids)
    holder.kill()
    holder.wait()
    eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_a_program_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "check").write_text("#!/bin/sh\n")
    for word, reason in {
        "no-such-program": "there is no program 'no-such-program': it is not on PATH",
        "./missing": f"there is no program './missing': {tmp_path}/missing is not there, or can't be run",
        "./check": f"there is no program './check': {tmp_path}/check is not there, or can't be run",
    }.items():
        with pytest.raises(SettingsError) as caught:
            check_program(GateCommand(command=(word,)), tmp_path)
        assert f"bluegreen:gateCommand.command: {reason}" in str(caught.value)
    (tmp_path / "check").chmod(0o755)
    for word in ("./check", str(tmp_path / "check"), "sh"):
        check_program(GateCommand(command=(word,)), tmp_path)


def test_a_program_that_has_gone_since_is_told_in_its_last_lines(shell: Shell) -> None:
    command = GateCommand(command=("./gone",))
    ended = asyncio.run(CommandRunner(directory=shell.directory, report=shell.said.append).run(command, {}))
    assert ended.code == leash.NOT_RUN
    assert "No such file or directory: './gone'" in ended.last_lines[-1]
