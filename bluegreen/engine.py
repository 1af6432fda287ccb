"""Pulumi's engine, reached through the Automation API: one stack, its config, its outputs and its updates.

The only importer of `pulumi.automation`. It knows nothing of releases, and never imports the program, which the engine
starts in a process of its own. What the Automation API raises becomes errors of `bluegreen.errors`, with the reasons
that the engine reported.
"""

from __future__ import annotations

import functools
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, InvalidVersionError, StackNotFoundError
from pulumi.automation.events import EngineEvent
from semver import VersionInfo

from bluegreen.errors import EngineError, StackLockedError
from bluegreen.model.settings import NAMESPACE

ENGINE_ENVIRONMENT = {
    # Delete hooks need the program, on a destroy as well.
    "PULUMI_RUN_PROGRAM": "true",
    # The program checks the config itself, and names all faults at once.
    "PULUMI_OPTION_SKIP_CONFIG_VALIDATION": "true",
}

OLDEST_ENGINE = VersionInfo(3, 230)
"""The first with all that the hooks need."""

SAYS_NOTHING = re.compile(r"(update|destroy) failed|an unhandled error occurred: program exited with .*")
"""Errors that the engine adds to the one that says why."""

LOCK_OWNER = re.compile(r"created by \S+@(?P<host>\S+) \(pid (?P<process>\d+)\)")
"""How the engine names who holds the lock of a stack in a file or object store."""

OnEvent = Callable[[EngineEvent], None]
OnOutput = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished update. `changes`: how many resources by what was done to them (create, update, delete, same)."""

    outputs: Mapping[str, Any]
    changes: Mapping[str, int]


class Engine:
    """One stack. `directory`: that of Pulumi.yaml. `environment`: for the program, besides ours.

    Raises EngineError where there is no `pulumi`, or no such stack.
    """

    def __init__(
        self,
        stack: str,
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
        on_event: OnEvent | None = None,
        on_output: OnOutput | None = None,
    ) -> None:
        self._name = stack
        self._on_event = on_event
        self._on_output = on_output or _unheard
        with self._errors():
            self._stack = _open(stack, directory, {**ENGINE_ENVIRONMENT, **(environment or {})})

    @property
    def project(self) -> str:
        with self._errors():
            return str(self._stack.workspace.project_settings().name)

    def config(self) -> dict[str, str]:
        """Every value of the stack's config, by key with its namespace: objects as JSON text."""
        with self._errors():
            return {name: value.value for name, value in self._stack.get_all_config().items()}

    def outputs(self) -> dict[str, Any]:
        """Of the last update; empty where there was none."""
        with self._errors():
            return {name: output.value for name, output in self._stack.outputs().items()}

    def configure(self, values: Mapping[str, str]) -> None:
        """Set these keys of bluegreen's namespace, whatever the project is called."""
        with self._errors():
            self._stack.set_all_config(
                {f"{NAMESPACE}:{name}": auto.ConfigValue(value) for name, value in values.items()}
            )

    def up(self) -> Result:
        """Raises StackLockedError where another update holds the stack, EngineError where the update failed.

        A lock whose owner has died on this machine is no lock: it is taken away, and the state is refreshed first.
        """
        try:
            return self._up()
        except StackLockedError as locked:
            if not _has_died(locked):
                raise
        self._on_output("the update that held the stack has died: its lock is taken away, and the state refreshed")
        with self._errors() as errors:
            self._stack.cancel()
            self._stack.refresh(
                on_event=errors.watching(None),
                on_output=self._on_output,
                on_error=self._on_output,
                clear_pending_creates=True,
                run_program=False,
            )
        return self._up()

    def _up(self) -> Result:
        with self._errors() as errors:
            result = self._stack.up(
                on_event=errors.watching(self._on_event), on_output=self._on_output, on_error=self._on_output
            )
        outputs = {name: output.value for name, output in result.outputs.items()}
        return Result(outputs=outputs, changes=_changes(result.summary))

    def destroy(self) -> Result:
        """Everything of the stack; its config and history stay. Raises as `up` does."""
        with self._errors() as errors:
            result = self._stack.destroy(
                on_event=errors.watching(self._on_event),
                on_output=self._on_output,
                on_error=self._on_output,
                run_program=True,
            )
        return Result(outputs={}, changes=_changes(result.summary))

    def _errors(self) -> _Errors:
        return _Errors(self._name)


def create(stack: str, directory: Path) -> None:
    """Make the stack where it does not exist yet. Raises EngineError."""
    with _Errors(stack):
        auto.Stack.create_or_select(stack, _workspace(directory, ENGINE_ENVIRONMENT))


def _has_died(locked: StackLockedError) -> bool:
    """Whether whoever holds the lock is known to be gone: it ran on this machine, and no such process does.

    Another machine's process can't be asked about, so its lock stays.
    """
    owners = [(match["host"], int(match["process"])) for match in LOCK_OWNER.finditer(str(locked.__cause__))]
    return bool(owners) and all(host == socket.gethostname() and not _runs(process) for host, process in owners)


def _runs(process: int) -> bool:
    """A zombie does not: nobody has asked yet how it ended."""
    stat = Path(f"/proc/{process}/stat")
    if Path("/proc/self/stat").exists():
        try:
            return stat.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
        except OSError:
            return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _unheard(_line: str) -> None:
    """Without a callback the Automation API prints; this library does not."""


def _changes(summary: auto.UpdateSummary) -> dict[str, int]:
    return {auto.OpType(kind).value: count for kind, count in (summary.resource_changes or {}).items()}


def _open(stack: str, directory: Path, environment: Mapping[str, str]) -> auto.Stack:
    return auto.Stack.select(stack, _workspace(directory, environment))


def _workspace(directory: Path, environment: Mapping[str, str]) -> auto.LocalWorkspace:
    return auto.LocalWorkspace(work_dir=str(directory), env_vars=dict(environment), pulumi_command=_command())


@functools.cache
def _command() -> auto.PulumiCommand:
    """The `pulumi` on PATH. Making one asks it for its version: once is enough."""
    return auto.PulumiCommand(version=OLDEST_ENGINE)


class _Errors:
    """Turns what the Automation API raises into our errors, with the reasons that the engine reported by event."""

    def __init__(self, stack: str) -> None:
        self._stack = stack
        self._reasons: list[str] = []

    def __enter__(self) -> _Errors:
        return self

    def watching(self, on_event: OnEvent | None) -> OnEvent:
        def see(event: EngineEvent) -> None:
            diagnostic = event.diagnostic_event
            if diagnostic and diagnostic.severity == "error":
                self._reasons.append(diagnostic.message.strip())
            if on_event:
                on_event(event)

        return see

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case ConcurrentUpdateError():
                raise StackLockedError(
                    f"another update holds the stack {self._stack}",
                    "Wait until it ends. If its process is gone, `pulumi cancel` frees the stack.",
                ) from error
            case StackNotFoundError():
                raise EngineError(
                    f"there is no stack {self._stack}", f"Make it with `pulumi stack init {self._stack}`."
                ) from error
            case FileNotFoundError(filename="pulumi"):
                raise EngineError(
                    "there is no `pulumi` on PATH",
                    "Install the Pulumi CLI, or rehearse without it: `bluegreen-sandbox run -- bash`.",
                ) from error
            case InvalidVersionError():
                raise EngineError(f"this `pulumi` is too old: {error}", "Install a newer Pulumi CLI.") from error
            case CommandError():
                reasons = [reason for reason in self._reasons if not SAYS_NOTHING.fullmatch(reason)]
                what = "\n  ".join(reasons) or _last_words(str(error))
                raise EngineError(f"{self._stack}: {what}") from error


def _last_words(text: str) -> str:
    """The engine's error line out of a command's whole output."""
    errors = [line.strip() for line in text.splitlines() if line.strip().startswith("error:")]
    return errors[-1] if errors else text.strip()
