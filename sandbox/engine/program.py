"""The program's process: starts `runner.py` with the project's Python, relays what it prints, ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.engine.errors import EngineError
from sandbox.engine.project import Project
from sandbox.engine.properties import Secret, plain

EXPLAINED = 32  # the exit code of `runner.py` when the program has shown its error
GRACE_SECONDS = 5.0
HEARING_SECONDS = 0.5


class Program:
    def __init__(
        self,
        project: Project,
        *,
        stack: str,
        address: str,
        config: Mapping[str, str | Secret],
        dry_run: bool,
        parallel: int,
        environment: Mapping[str, str],
        on_line: Callable[[str, bool], None],
        on_exit: Callable[[int], None],
    ) -> None:
        python, environment = _python(project, environment)
        program = project.program.resolve()
        if not program.exists():
            raise EngineError(f"could not locate the program: {program} does not exist (`main` in {project.file})")
        directory = program if program.is_dir() else program.parent
        options = {
            "monitor": address,
            "engine": address,
            "project": project.name,
            "stack": stack,
            "organization": "organization",
            "root_directory": str(project.root),
            "dry_run": "true" if dry_run else "false",
            "parallel": str(parallel),
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._is_interrupted = False
        # A session of its own: Ctrl-C reaches the engine alone, which decides what the program is told, and when.
        self._process = subprocess.Popen(
            [python, "-u", str(Path(__file__).with_name("runner.py")), *flags, str(program)],
            cwd=directory,
            env={
                **environment,
                "PULUMI_CONFIG": json.dumps(plain(dict(config))),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(
                    [key for key, value in config.items() if isinstance(value, Secret)]
                ),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._relays = [
            threading.Thread(target=_relay, args=(stream, on_line, is_error), daemon=True)
            for stream, is_error in ((self._process.stdout, False), (self._process.stderr, True))
        ]
        for relay in self._relays:
            relay.start()
        threading.Thread(target=self._watch, args=(on_exit,), daemon=True).start()

    def _watch(self, on_exit: Callable[[int], None]) -> None:
        code = self._process.wait()
        for relay in self._relays:
            relay.join(timeout=1)  # a child of the program may hold the pipe open
        on_exit(code)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the program has ended and said all; past `seconds` it is killed."""
        if seconds is not None and not self.has_ended_within(seconds):
            self.kill()
        self._process.wait()
        for relay in self._relays:
            relay.join(timeout=1)

    def has_ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def interrupt(self) -> None:
        """Send SIGINT, once: a second one would break into what the program does about the first."""
        if not self._is_interrupted and self._process.poll() is None:
            self._is_interrupted = True
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _relay(stream: Any, on_line: Callable[[str, bool], None], is_error: bool) -> None:
    for line in stream:
        on_line(line.rstrip("\n"), is_error)


def _python(project: Project, environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The interpreter, and the environment with the project's virtual environment active."""
    if project.virtualenv is None:
        python = shutil.which("python3", path=environment.get("PATH")) or shutil.which(
            "python", path=environment.get("PATH")
        )
        if python is None:
            raise EngineError("no python3 on PATH; install it, or name a virtual environment in Pulumi.yaml")
        return python, dict(environment)
    directory = (project.root / project.virtualenv).absolute()
    binaries = directory / "bin"
    if not (binaries / "python").exists():
        raise EngineError(
            f"The 'virtualenv' option in {project.file} names {str(directory)!r}, which holds no Python; make it first"
        )
    active = {key: value for key, value in environment.items() if key != "PYTHONHOME"}
    active |= {"VIRTUAL_ENV": str(directory), "PATH": f"{binaries}{os.pathsep}{environment.get('PATH', '')}"}
    return str(binaries / "python"), active
