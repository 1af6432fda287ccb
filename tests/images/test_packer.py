"""Finding Packer, telling it what to build, running it, and stopping it so that it cleans up."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bluegreen.errors import PackerError
from bluegreen.images import packer as packer_module
from bluegreen.images.packer import Interrupter, Packer, Template, packer_environment, run

OnPath = Callable[[str], Path]

OLD = Packer(executable="packer", version=(1, 6, 6))
CURRENT = Packer(executable="packer", version=(1, 15, 4))

WAITS = """#!/bin/bash
interrupted() { n=$((n + 1)); echo "interrupted $n"; }
trap interrupted INT
trap 'echo terminated; exit 3' TERM HUP
echo ready
for i in $(seq 400); do [ "${n:-0}" -ge %d ] && break; sleep 0.05; done
for i in 1 2 3; do sleep 0.05; done
echo cleaned up $n
exit 1
"""
"""Ends in good order some time after so many interrupts."""


@pytest.mark.parametrize(
    ("said", "version"),
    [("Packer v1.6.6", (1, 6, 6)), ("Packer v1.15.4\n\nYour version of Packer is out of date!", (1, 15, 4))],
)
def test_the_packer_on_path_is_found_with_its_version(
    on_path: OnPath, said: str, version: tuple[int, int, int]
) -> None:
    executable = on_path(f"#!/bin/sh\ncat <<E\n{said}\nE\n")
    assert Packer.find() == Packer(executable=str(executable), version=version)


def test_without_packer_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackerError, match="no `packer` on PATH") as caught:
        Packer.find()
    assert "apt install packer" in caught.value.next_step


@pytest.mark.parametrize("version", ["1.6.5", "1.5.9", "0.12.3"])
def test_a_packer_that_is_too_old_is_named_with_the_one_that_is_wanted(on_path: OnPath, version: str) -> None:
    on_path(f"#!/bin/sh\necho Packer v{version}\n")
    with pytest.raises(PackerError, match=f"is Packer {version}, and 1.6.6 is the oldest") as caught:
        Packer.find()
    assert "packer/install" in caught.value.next_step


@pytest.mark.parametrize("script", ["cat", "echo 3 3", "exit 1", "echo Packer of dictionaries"])
def test_another_program_of_that_name_is_told_apart(on_path: OnPath, script: str) -> None:
    on_path(f"#!/bin/sh\n{script}\n")
    with pytest.raises(PackerError, match="is not HashiCorp's Packer"):
        Packer.find()


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("echo panic: no memory >&2; kill -SEGV $$", "was killed by SIGSEGV\n  panic: no memory"),
        ("kill -KILL $$", "was killed by SIGKILL"),
        ("echo a bad plugin >&2; exit 2", "ended with exit code 2\n  a bad plugin"),
    ],
)
def test_a_packer_that_crashes_is_not_taken_for_another_program(on_path: OnPath, script: str, how: str) -> None:
    executable = on_path(f"#!/bin/sh\n{script}\n")
    with pytest.raises(PackerError) as caught:
        Packer.find()
    assert caught.value.what == f"`{executable} version` {how}"


def test_what_another_program_said_is_quoted(on_path: OnPath) -> None:
    on_path("#!/bin/sh\necho usage: packer FILE\n")
    with pytest.raises(PackerError, match=r"is not HashiCorp's Packer: .*\n  usage: packer FILE"):
        Packer.find()


def test_a_packer_that_can_not_be_run_is_named(on_path: OnPath) -> None:
    on_path("\x7fELF")
    with pytest.raises(PackerError, match="can't be asked for its version"):
        Packer.find()


def test_a_current_packer_installs_the_plugins_first() -> None:
    commands = CURRENT.commands(Template(directory=Path("packer/linux")), [Path("a.json"), Path("b.json")])
    assert commands == [
        ["packer", "init", "packer/linux"],
        ["packer", "build", "-color=false", "-var-file=a.json", "-var-file=b.json", "packer/linux"],
    ]


def test_an_old_packer_has_none_to_install() -> None:
    assert [command[1] for command in OLD.commands(Template(directory=Path("x")), [])] == ["build"]


@pytest.mark.parametrize(("version", "has_plugins"), [((1, 6, 6), False), ((1, 7, 0), True), ((2, 0, 0), True)])
def test_plugins_begin_with_1_7(version: tuple[int, int, int], has_plugins: bool) -> None:
    assert Packer(executable="packer", version=version).has_plugins is has_plugins


@pytest.fixture
def template(tmp_path: Path) -> Path:
    for name in ("image.pkr.hcl", "source.pkr.hcl", "plugins.pkr.hcl", "README.md", "packer-1.6/source.pkr.hcl"):
        file = tmp_path / "linux" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "linux"


def test_a_current_packer_builds_the_template_itself(template: Path, tmp_path: Path) -> None:
    assert CURRENT.template(template, tmp_path) == Template(directory=template)


def test_an_old_packer_gets_its_own_source_and_no_plugins(template: Path, tmp_path: Path) -> None:
    made = OLD.template(template, tmp_path)
    files = {file.name: file.read_text() for file in made.directory.iterdir()}
    assert files == {"image.pkr.hcl": "image.pkr.hcl", "source.pkr.hcl": "packer-1.6/source.pkr.hcl"}


def test_its_errors_name_the_files_that_the_user_knows(template: Path, tmp_path: Path) -> None:
    made = OLD.template(template, tmp_path)
    line = f"  on {made.directory}/source.pkr.hcl line 2:"
    assert made.in_own_words(line) == f"  on {template}/packer-1.6/source.pkr.hcl line 2:"


def test_a_template_that_has_nothing_for_an_old_packer_is_an_error(template: Path, tmp_path: Path) -> None:
    (template / "packer-1.6/source.pkr.hcl").unlink()
    (template / "packer-1.6").rmdir()
    with pytest.raises(PackerError, match=r"is for Packer 1\.7\.0 or later, and this is 1\.6\.6"):
        OLD.template(template, tmp_path)


def go(script: Path, on_line: Callable[[str], None]) -> tuple[int, list[str], bool]:
    with Interrupter() as interrupter:
        ended = run(
            [str(script)],
            directory=script.parent,
            environment=packer_environment({}),
            interrupter=interrupter,
            on_line=on_line,
        )
    return ended.code, list(ended.lines), ended.was_interrupted


def test_lines_come_as_they_are_printed_stderr_too(on_path: OnPath) -> None:
    heard: list[str] = []
    code, lines, was_interrupted = go(
        on_path("#!/bin/sh\necho one; echo two >&2; printf 'b\\377d'; exit 3"), heard.append
    )
    assert (code, lines, was_interrupted) == (3, ["one", "two", "b\ufffdd"], False)
    assert heard == lines


def test_packer_does_not_ask_its_makers_for_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "old")
    environment = packer_environment({"AWS_SESSION_TOKEN": ""})
    assert (environment["CHECKPOINT_DISABLE"], environment["AWS_SESSION_TOKEN"]) == ("1", "")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_stops_us_interrupts_packer_once_and_its_clean_up_is_waited_for(
    on_path: OnPath, stop: signal.Signals
) -> None:
    before = signal.getsignal(stop)
    code, lines, was_interrupted = go(on_path(WAITS % 1), lambda line: line == "ready" and os.kill(os.getpid(), stop))
    assert (code, was_interrupted) == (1, True)
    assert lines == ["ready", "interrupted 1", "cleaned up 1"]
    assert signal.getsignal(stop) is before


def test_a_terminals_ctrl_c_reaches_packer_once(on_path: OnPath) -> None:
    """A terminal sends it to the whole group of the command; Packer is in another."""
    ours: set[int] = set()
    theirs: list[str] = []
    go(on_path("#!/bin/sh\nps -o pgid= -p $$"), lambda line: theirs.append(line.strip()))
    ours.add(os.getpgrp())
    assert int(theirs[0]) not in ours


def test_a_second_interrupt_is_handed_on_too(on_path: OnPath) -> None:
    def hear(line: str) -> None:
        if line in ("ready", "interrupted 1"):
            os.kill(os.getpid(), signal.SIGINT)

    _, lines, _ = go(on_path(WAITS % 2), hear)
    assert lines[-1] == "cleaned up 2"


def test_when_nobody_listens_any_more_packer_is_stopped_in_good_order(on_path: OnPath, tmp_path: Path) -> None:
    script = on_path((WAITS % 1).replace("echo cleaned up", f"touch {tmp_path}/cleaned; echo"))

    def hear(_line: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        go(script, hear)
    assert (tmp_path / "cleaned").exists()


def test_signals_that_are_ignored_stay_so(on_path: OnPath) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        code, lines, was_interrupted = go(on_path("#!/bin/sh\necho hi"), lambda _: os.kill(os.getpid(), signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (code, lines, was_interrupted) == (0, ["hi"], False)


def test_a_child_that_packer_left_does_not_hold_us_up(on_path: OnPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer_module, "LINGER_SECONDS", 0.2)
    pids: list[int] = []
    began = time.monotonic()
    code, lines, _ = go(
        on_path("#!/bin/sh\nsleep 60 &\necho $!\nprintf unfinished; exit 4"),
        lambda line: line.isdigit() and pids.append(int(line)),
    )
    os.kill(pids[0], signal.SIGKILL)
    assert (code, lines) == (4, [str(pids[0]), "unfinished"])
    assert time.monotonic() - began < 30


def test_what_a_child_still_says_in_time_is_heard(on_path: OnPath) -> None:
    code, lines, _ = go(on_path("#!/bin/sh\n(sleep 0.3; echo late) & exit 4"), lambda _: None)
    assert (code, lines) == (4, ["late"])


def test_lines_end_as_they_may_on_any_system(on_path: OnPath) -> None:
    _, lines, _ = go(
        on_path("#!/bin/sh\nprintf 'a\\r\\nb\\n\\nna\\303'; sleep 0.1; printf '\\257ve\\n'"), lambda _: None
    )
    assert lines == ["a", "b", "", "naïve"]


def test_a_packer_that_is_gone_meanwhile_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PackerError, match="gone can't be run: "):
        go(tmp_path / "gone", lambda _: None)


def test_it_runs_in_any_thread(on_path: OnPath) -> None:
    script = on_path("#!/bin/sh\necho hi")
    ended: list[tuple[int, list[str], bool]] = []
    thread = threading.Thread(target=lambda: ended.append(go(script, lambda _: None)))
    thread.start()
    thread.join(timeout=10)
    assert ended == [(0, ["hi"], False)]
