"""Pulumi's engine, reached through the Automation API: one stack, its config, its outputs and its updates.

Beside `bluegreen.pulumi_command` the only importer of `pulumi.automation`. It knows nothing of releases, and never
imports the program, which the engine starts in a process of its own. What the Automation API raises becomes errors of
`bluegreen.errors`, with the reasons that the engine reported.
"""

from __future__ import annotations

import difflib
import functools
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pulumi import automation as auto
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, InvalidVersionError, StackNotFoundError
from pulumi.automation.events import EngineEvent
from semver import VersionInfo

from bluegreen.errors import EngineError, NoSuchStackError, StackLockedError
from bluegreen.model.notice import hook_in, said_within
from bluegreen.model.permissions import DENIED, WHERE_POLICIES_ARE
from bluegreen.model.settings import NAMESPACE
from bluegreen.model.stack_name import short
from bluegreen.process import runs
from bluegreen.pulumi_command import PulumiCommand

ENGINE_ENVIRONMENT = {
    # Delete hooks need the program, on a destroy as well.
    "PULUMI_RUN_PROGRAM": "true",
    # The program checks the config itself, and names all faults at once.
    "PULUMI_OPTION_SKIP_CONFIG_VALIDATION": "true",
}

OLDEST_ENGINE = VersionInfo(3, 230)
"""The first with all that the hooks need."""

SAYS_NOTHING = re.compile(r"(update|destroy|preview) failed|an unhandled error occurred: program exited with .*")
"""Errors that the engine adds to the one that says why."""

STACK_TYPE = "pulumi:pulumi:Stack"

LOCK_OWNER = re.compile(r"created by (?P<who>\S+)@(?P<host>\S+) \(pid (?P<process>\d+)\)(?: at (?P<since>\S+))?")
"""How the engine names who holds the lock of a stack in a file or object store."""

T = TypeVar("T")

OnEvent = Callable[[EngineEvent], None]
OnOutput = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished update. `changes`: how many resources by what was done to them (create, update, delete, same)."""

    outputs: Mapping[str, Any]
    changes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Config:
    """A stack's config. `values`: by key with its namespace; objects as JSON text. `secrets`: the keys of secret ones,
    which are never shown."""

    values: Mapping[str, str]
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class StateResource:
    """What the state holds. `arn` is empty where it has none. `is_pending`: an operation on it was not seen to end."""

    urn: str
    id: str
    arn: str = ""
    is_pending: bool = False


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

    def config(self) -> Config:
        """The stack's config, as the checkout has it."""
        with self._errors():
            return _config(self._stack.get_all_config())

    def last_configs(self) -> tuple[Config, ...]:
        """The configs of the stack's last ten updates, however they ended, the newest first; a refresh is one, too."""
        with self._errors():
            updates = self._stack.history(page_size=10)
        return tuple(_config(each.config) for each in updates)

    def outputs(self) -> dict[str, Any]:
        """Of the last update that ended well; empty where there was none.

        Out of the state: the Automation API's own question starts the engine twice, for outputs that are secrets.
        """
        stacks = [each for each in self._state().get("resources") or [] if each["type"] == STACK_TYPE]
        return dict(stacks[0].get("outputs") or {}) if stacks else {}

    def resources(self) -> tuple[StateResource, ...]:
        """All that the stack's state holds, what is to be deleted yet included."""
        state = self._state()
        pending = [each["resource"] for each in state.get("pending_operations") or []]
        return (
            *(_resource(each, is_pending=False) for each in state.get("resources") or []),
            *(_resource(each, is_pending=True) for each in pending),
        )

    def _state(self) -> Mapping[str, Any]:
        with self._errors():
            return self._stack.export_stack().deployment or {}

    def configure(self, values: Mapping[str, str | None], secrets: Set[str] = frozenset()) -> None:
        """Set these keys, which are of bluegreen's namespace where they name none; take those out that are None."""
        values = {key if ":" in key else f"{NAMESPACE}:{key}": value for key, value in values.items()}
        with self._errors():
            for name in (name for name, value in values.items() if value is None):
                self._stack.remove_config(name)
            known = {name: value for name, value in values.items() if value is not None}
            if known:
                self._stack.set_all_config(
                    {name: auto.ConfigValue(value, secret=name in secrets) for name, value in known.items()}
                )

    def preview(self, values: Mapping[str, str | None], secrets: Set[str] = frozenset()) -> dict[str, int]:
        """How many resources an `up` would leave, create, update, replace and delete, were these keys set as
        `configure` sets them. They are set in a copy of the stack's config: nothing is changed.

        Raises EngineError where the program, or a provider, refuses.
        """
        workspace = cast("_Workspace", self._stack.workspace)
        with workspace.config_copied(self._name) as copy, self._errors() as errors:
            self.configure(values, secrets)
            result = self._stack.preview(
                config_file=str(copy), on_event=errors.watching(None), on_output=_unheard, on_error=_unheard
            )
        return {auto.OpType(kind).value: count for kind, count in result.change_summary.items()}

    def tell_program(self, environment: Mapping[str, str]) -> None:
        """Variables for the program, besides those that it has."""
        workspace = self._stack.workspace
        workspace.env_vars = {**workspace.env_vars, **environment}

    def interrupt(self) -> None:
        """As Ctrl-C does at a terminal: an operation that runs ends what it is at. Twice: it ends."""
        command = self._stack.workspace.pulumi_command
        assert isinstance(command, PulumiCommand)
        command.interrupt()

    def up(self) -> Result:
        """Raises StackLockedError where another update holds the stack, EngineError where the update failed.

        A lock whose owner has died on this machine is no lock: it is taken away, and the state is refreshed first.
        """
        result = self._past_a_dead_lock(
            lambda errors: self._stack.up(
                on_event=errors.watching(self._on_event), on_output=self._on_output, on_error=self._on_output
            )
        )
        outputs = {name: output.value for name, output in result.outputs.items()}
        return Result(outputs=outputs, changes=_changes(result.summary))

    def destroy(self) -> Result:
        """Everything of the stack; its config and history stay. Raises as `up` does, and minds locks as it does."""
        result = self._past_a_dead_lock(
            lambda errors: self._stack.destroy(
                on_event=errors.watching(self._on_event),
                on_output=self._on_output,
                on_error=self._on_output,
                run_program=True,
            )
        )
        return Result(outputs={}, changes=_changes(result.summary))

    def _past_a_dead_lock(self, operate: Callable[[_Errors], T]) -> T:
        try:
            with self._errors() as errors:
                return operate(errors)
        except StackLockedError as locked:
            if not (_has_died(locked) and self._is_of_this_machine()):
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
        with self._errors() as errors:
            return operate(errors)

    def _is_of_this_machine(self) -> bool:
        """Whether the state is in files here: elsewhere two machines of one name may lock it."""
        with self._errors():
            return str(self._stack.workspace.who_am_i().url or "").startswith("file://")

    def _errors(self) -> _Errors:
        return _Errors(self._name)


def _config(found: Mapping[str, auto.ConfigValue]) -> Config:
    return Config(
        values={name: value.value for name, value in found.items()},
        secrets=frozenset(name for name, value in found.items() if value.secret),
    )


def _resource(record: Mapping[str, Any], *, is_pending: bool) -> StateResource:
    arn = (record.get("outputs") or {}).get("arn")
    return StateResource(
        urn=record["urn"],
        id=record.get("id", ""),
        arn=arn if isinstance(arn, str) else "",
        is_pending=is_pending,
    )


def create(stack: str, directory: Path) -> bool:
    """Make the stack where it does not exist yet. Whether it was made. Raises EngineError."""
    with _Errors(stack):
        workspace = _workspace(directory, ENGINE_ENVIRONMENT)
        try:
            auto.Stack.select(stack, workspace)
        except StackNotFoundError:
            auto.Stack.create(stack, workspace)
            return True
        return False


def names(directory: Path) -> tuple[str, ...]:
    """The stacks of the project. Raises EngineError."""
    with _Errors(""):
        return tuple(each.name for each in _workspace(directory, ENGINE_ENVIRONMENT).list_stacks())


def _has_died(locked: StackLockedError) -> bool:
    """Whether whoever holds the lock is known to be gone: it ran on this machine, and no such process does.

    Another machine's process can't be asked about, so its lock stays.
    """
    owners = [(match["host"], int(match["process"])) for match in LOCK_OWNER.finditer(str(locked.__cause__))]
    return bool(owners) and all(host == socket.gethostname() and not runs(process) for host, process in owners)


def _unheard(_line: str) -> None:
    """Without a callback the Automation API prints; this library does not."""


def _changes(summary: auto.UpdateSummary) -> dict[str, int]:
    return {auto.OpType(kind).value: count for kind, count in (summary.resource_changes or {}).items()}


def _open(stack: str, directory: Path, environment: Mapping[str, str]) -> auto.Stack:
    workspace = _workspace(directory, environment)
    try:
        return auto.Stack.select(stack, workspace)
    except StackNotFoundError as error:
        names = [each.name for each in workspace.list_stacks()]
        near = difflib.get_close_matches(stack, names, n=1, cutoff=0.6)
        raise NoSuchStackError(
            f"there is no stack {stack}",
            (f"Did you mean {near[0]}? " if near else "")
            + (f"There are: {', '.join(sorted(names))}. " if names else "")
            + f"`bluegreen init {stack}` makes it.",
        ) from error


class _Workspace(auto.LocalWorkspace):
    """Asks for a stack without making it the one that a later `pulumi up` takes.

    The Automation API's own way makes it that (pulumi/pulumi#8186), and several at once spoil the file that says it.
    """

    copy: Path | None = None
    """Of the stack's config: `pulumi config` is about it."""

    def select_stack(self, stack_name: str) -> None:
        self._run_pulumi_cmd_sync(["stack", "--stack", stack_name, "--show-name"])

    def create_stack(self, stack_name: str) -> None:
        self._run_pulumi_cmd_sync(["stack", "init", stack_name, "--no-select"])

    @contextmanager
    def config_copied(self, stack: str) -> Iterator[Path]:
        """Whatever is set meanwhile is set in a copy of the stack's config, which is gone afterwards."""
        directory = Path(self.work_dir)
        project = yaml.safe_load((directory / "Pulumi.yaml").read_bytes())
        file = directory / str(project.get("stackConfigDir") or ".") / f"Pulumi.{short(stack)}.yaml"
        with tempfile.TemporaryDirectory(prefix="bluegreen-") as folder:
            self.copy = Path(folder) / file.name
            try:
                if file.exists():
                    shutil.copy(file, self.copy)
                yield self.copy
            finally:
                self.copy = None

    def _run_pulumi_cmd_sync(
        self, args: list[str], on_output: OnOutput | None = None, on_error: OnOutput | None = None
    ) -> auto.CommandResult:
        about = ["--config-file", str(self.copy)] if self.copy and args[0] == "config" else []
        return super()._run_pulumi_cmd_sync([*args, *about], on_output, on_error)


def _workspace(directory: Path, environment: Mapping[str, str]) -> auto.LocalWorkspace:
    return _Workspace(work_dir=str(directory), env_vars=dict(environment), pulumi_command=_command().apart())


@functools.cache
def _command() -> PulumiCommand:
    """The `pulumi` on PATH. Making one asks it for its version: once is enough."""
    return PulumiCommand(version=OLDEST_ENGINE)


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
                owners = [match.groupdict() for match in LOCK_OWNER.finditer(str(error))]
                who = "".join(
                    f"\n  {each['who']} on {each['host']}, process {each['process']}"
                    + (f", since {each['since']}" if each["since"] else "")
                    for each in owners
                )
                raise StackLockedError(
                    f"another update holds the stack {self._stack}{who}",
                    "Wait until it ends. If its process is gone, "
                    f"`pulumi cancel --stack {self._stack}` frees the stack.",
                ) from error
            case StackNotFoundError():
                raise NoSuchStackError(
                    f"there is no stack {self._stack}", f"Make it with `bluegreen init {self._stack}`."
                ) from error
            case FileNotFoundError(filename="pulumi"):
                raise EngineError(
                    "there is no `pulumi` on PATH",
                    "Install the Pulumi CLI, or rehearse without it: `bluegreen-sandbox run -- bash`.",
                ) from error
            case InvalidVersionError():
                raise EngineError(f"this `pulumi` is too old: {error}", "Install a newer Pulumi CLI.") from error
            case CommandError():
                said = [each for each in self._reasons if not SAYS_NOTHING.fullmatch(each)]
                told = dict.fromkeys(said_within(each) for each in said or [_last_words(str(error))])
                what = "\n  ".join(told)
                failed = EngineError(f"{self._stack}: {what}", WHERE_POLICIES_ARE if DENIED in what else "")
                failed.hooks = tuple(hook for each in said if (hook := hook_in(each)))
                raise failed from error


def _last_words(text: str) -> str:
    """The engine's error line out of a command's whole output."""
    errors = [line.strip() for line in text.splitlines() if line.strip().startswith("error:")]
    return errors[-1] if errors else text.strip()
