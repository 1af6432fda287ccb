"""Runs the Pulumi CLI in a session of its own, so that Ctrl-C at the terminal reaches it only when we pass it on.

A terminal sends Ctrl-C to every process of its foreground group. An update that is to finish its step must not get it.
"""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import IO

from pulumi import automation as auto
from pulumi.automation.errors import create_command_error

OnLine = Callable[[str], object]


class PulumiCommand(auto.PulumiCommand):
    """The Automation API's command, but for the session. `interrupt` reaches what runs at that moment."""

    _running: list[subprocess.Popen[str]] = []

    def apart(self) -> PulumiCommand:
        """The same CLI, with interrupts of its own. Nothing is asked for its version again."""
        mine = copy.copy(self)
        mine._running = []
        return mine

    def interrupt(self) -> None:
        """As Ctrl-C does at a terminal: once, the engine ends what it is at; twice, it ends."""
        for process in tuple(self._running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnLine | None = None,
        on_error: OnLine | None = None,
    ) -> auto.CommandResult:
        """Raises CommandError where the command fails, KeyboardInterrupt once it has ended where it was interrupted."""
        was_interrupted = False
        with ThreadPoolExecutor(max_workers=1) as beside:
            running = beside.submit(self._run, args, cwd, additional_env, on_output, on_error)
            while not running.done():
                try:
                    wait([running])
                except KeyboardInterrupt:  # of a caller that handles no signals
                    was_interrupted = True
                    self.interrupt()
        if was_interrupted:
            raise KeyboardInterrupt
        result = running.result()
        if result.code:
            raise create_command_error(result)
        return result

    def _run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnLine | None,
        on_error: OnLine | None,
    ) -> auto.CommandResult:
        output: list[str] = []
        error: list[str] = []
        with subprocess.Popen(
            [self.command, "--non-interactive", *args],
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            self._running.append(process)
            reads = threading.Thread(target=_read, args=(process.stderr, error, on_error))
            reads.start()
            _read(process.stdout, output, on_output)
            reads.join()
            code = process.wait()
            self._running.remove(process)
        return auto.CommandResult(stdout="\n".join(output), stderr="\n".join(error), code=code)


def _read(stream: IO[str] | None, lines: list[str], heard: OnLine | None) -> None:
    assert stream, "it is a pipe"
    fault: Exception | None = None
    with stream:
        for line in stream:
            lines.append(line.rstrip())
            if heard and fault is None:
                try:
                    heard(lines[-1])
                except Exception as error:  # of a caller's callback: it must not end an update in the middle
                    fault = error
    if fault:
        raise fault
