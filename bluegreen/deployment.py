"""Drives a stack with Pulumi's Automation API: the library that the command and CI call.

The only importer of `pulumi.automation`; never imports the program, which the engine starts in a process of its own.
No printing: progress goes to a callback, failures are errors of `bluegreen.errors`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, InvalidVersionError, StackNotFoundError
from pulumi.automation.events import EngineEvent
from semver import VersionInfo

from bluegreen.errors import EngineError, StackLockedError

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

OnEvent = Callable[[EngineEvent], None]
OnOutput = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Update:
    """A finished update. `changes`: how many resources by what was done to them (create, update, delete, same)."""

    stack: str
    outputs: Mapping[str, Any]
    changes: Mapping[str, int]


def deploy(
    stack: str,
    *,
    ami: str | None = None,
    directory: Path | None = None,
    on_event: OnEvent | None = None,
    on_output: OnOutput | None = None,
) -> Update:
    """Bring a stack to what its config says, with `ami` written there first where given: one `pulumi up`.

    `directory`: that of Pulumi.yaml; the current one by default.

    Raises StackLockedError where another update holds the stack, EngineError with the engine's own reasons where the
    update failed: a gate that refused, a guard that kept a group, a fault of the config.
    """
    with _Errors(stack) as errors:
        opened = _open(stack, directory)
        if ami is not None:
            opened.set_config("ami", auto.ConfigValue(ami))
        result = opened.up(
            on_event=errors.watching(on_event), on_output=on_output or _unheard, on_error=on_output or _unheard
        )
    return Update(
        stack=stack,
        outputs={name: output.value for name, output in result.outputs.items()},
        changes=_changes(result.summary),
    )


def destroy(
    stack: str,
    *,
    directory: Path | None = None,
    on_event: OnEvent | None = None,
    on_output: OnOutput | None = None,
) -> Update:
    """Destroy everything of a stack; its config and history stay. Raises as `deploy` does."""
    with _Errors(stack) as errors:
        opened = _open(stack, directory)
        result = opened.destroy(
            on_event=errors.watching(on_event),
            on_output=on_output or _unheard,
            on_error=on_output or _unheard,
            run_program=True,
        )
    return Update(stack=stack, outputs={}, changes=_changes(result.summary))


def outputs(stack: str, *, directory: Path | None = None) -> dict[str, Any]:
    """What the stack's last update put out; empty where it was never deployed. Raises EngineError."""
    with _Errors(stack):
        return {name: output.value for name, output in _open(stack, directory).outputs().items()}


def check(stack: str, *, directory: Path | None = None) -> None:
    """See that there is an engine, and such a stack, before anything long is begun. Raises EngineError."""
    with _Errors(stack):
        _open(stack, directory)


def create(stack: str, *, directory: Path | None = None) -> None:
    """Make the stack where it does not exist yet. Raises EngineError."""
    with _Errors(stack):
        auto.Stack.create_or_select(stack, _workspace(directory))


def _unheard(_line: str) -> None:
    """Without a callback the Automation API prints; this library does not."""


def _changes(summary: auto.UpdateSummary) -> dict[str, int]:
    return {auto.OpType(kind).value: count for kind, count in (summary.resource_changes or {}).items()}


def _open(stack: str, directory: Path | None) -> auto.Stack:
    return auto.Stack.select(stack, _workspace(directory))


def _workspace(directory: Path | None) -> auto.LocalWorkspace:
    return auto.LocalWorkspace(
        work_dir=str(directory or Path.cwd()), env_vars=ENGINE_ENVIRONMENT, pulumi_command=_engine()
    )


@functools.cache
def _engine() -> auto.PulumiCommand:
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
