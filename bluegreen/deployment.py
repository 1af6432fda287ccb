"""Drives a stack with Pulumi's Automation API: the library that the command and CI call.

The only importer of `pulumi.automation`; never imports the program, which the engine starts in a process of its own.
No printing: progress goes to a callback, failures are errors of `bluegreen.errors`.
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pulumi import automation as auto
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, InvalidVersionError, StackNotFoundError
from pulumi.automation.events import EngineEvent
from semver import VersionInfo

from bluegreen.errors import EngineError, RolloutError, SettingsError, StackLockedError
from bluegreen.model.fleet import Fleet
from bluegreen.model.release import Release
from bluegreen.model.rollout import Step, bring_in, roll_back, standby_for_rollback
from bluegreen.model.rollout import abort as plan_abort
from bluegreen.model.rollout import promote as plan_promotion
from bluegreen.model.rollout import retire as plan_retirement
from bluegreen.model.settings import NAMESPACE, Settings

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
OnStep = Callable[[Step], None]
Sleep = Callable[[float], None]


class Options(TypedDict, total=False):
    """What every verb takes. `directory`: that of Pulumi.yaml, the current one by default. `on_step` hears of each step
    before it begins. `sleep` passes the time between steps."""

    directory: Path | None
    on_event: OnEvent | None
    on_output: OnOutput | None
    on_step: OnStep | None
    sleep: Sleep


@dataclass(frozen=True, kw_only=True)
class Update:
    """A finished update. `changes`: how many resources by what was done to them (create, update, delete, same)."""

    stack: str
    outputs: Mapping[str, Any]
    changes: Mapping[str, int]


def deploy(stack: str, *, ami: str | None = None, **options: Unpack[Options]) -> Update:
    """Bring a stack to what its config says, with `ami` in place of the config's where given.

    A release that isn't active comes in step by step, as the setting `strategy` says, one `pulumi up` a step. With
    `promotion` manual it stops before the last of them; `promote` goes on. A rollout that was left in the middle goes
    on from where it is.

    Raises StackLockedError where another update holds the stack, EngineError with the engine's own reasons where an
    update failed: a gate that refused, a guard that kept a group, a fault of the config; SettingsError, and
    RolloutError where another rollout is open.
    """
    driver = _Driver(stack, **options)
    settings = driver.settings.with_image(ami) if ami else driver.settings
    release = Release.from_settings(settings)
    return driver.walk(bring_in(release, driver.fleet, settings), settings)


def promote(stack: str, **options: Unpack[Options]) -> Update:
    """Make the candidate of an open rollout active, now. Raises as `deploy` does, RolloutError where there is none."""
    driver = _Driver(stack, **options)
    return driver.walk(plan_promotion(driver.deployed_fleet, driver.settings), driver.settings)


def abort(stack: str, **options: Unpack[Options]) -> Update:
    """Give the candidate of an open rollout up: all traffic is the active group's. Raises as `promote` does."""
    driver = _Driver(stack, **options)
    return driver.walk(plan_abort(driver.deployed_fleet), driver.settings)


def rollback(stack: str, *, to: str | None = None, **options: Unpack[Options]) -> Update:
    """Give all traffic to a standby: the newest, or the release of version `to`. Raises as `promote` does."""
    driver = _Driver(stack, **options)
    plan = roll_back(standby_for_rollback(driver.deployed_fleet, to), driver.deployed_fleet, driver.settings)
    return driver.walk(plan.steps, driver.settings)


def retire(stack: str, versions: Sequence[str], **options: Unpack[Options]) -> Update:
    """Take standbys away, by the versions of their releases. Raises as `promote` does."""
    driver = _Driver(stack, **options)
    return driver.walk(plan_retirement(versions, driver.deployed_fleet), driver.settings)


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
        _take_serial(opened)
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


def _take_serial(opened: auto.Stack) -> None:
    """A checkout that is older than the last update must not deploy; what is to be destroyed needs no newer one."""
    record = opened.outputs().get("fleet")
    written = opened.get_all_config().get(f"{NAMESPACE}:fleet")
    serial = Settings.parse({"fleet": written.value}).fleet.serial if written else 0
    if record and serial < record.value["serial"]:
        opened.set_config("fleet", auto.ConfigValue(json.dumps({"serial": record.value["serial"]})))


class _Driver:
    """Walks the steps of a rollout: writes each fleet to the config, and has the engine bring it about."""

    def __init__(
        self,
        stack: str,
        *,
        directory: Path | None = None,
        on_event: OnEvent | None = None,
        on_output: OnOutput | None = None,
        on_step: OnStep | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._stack = stack
        self._errors = _Errors(stack)
        self._on_event = on_event
        self._on_output = on_output or _unheard
        self._on_step = on_step or _unseen
        self._sleep = sleep
        with self._errors:
            self._opened = _open(stack, directory)
            values = {name: value.value for name, value in self._opened.get_all_config().items()}
            outputs = {name: output.value for name, output in self._opened.outputs().items()}
        prefix = f"{NAMESPACE}:"
        self.settings = Settings.parse(
            {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
        )
        record = outputs.get("fleet")
        self.fleet = Fleet.from_record(record) if record else None
        self._serial = max(record["serial"] if record else 0, self.settings.fleet.serial)

    @property
    def deployed_fleet(self) -> Fleet:
        """What runs. Raises RolloutError where nothing does."""
        if self.fleet is None:
            raise RolloutError(f"nothing is deployed in {self._stack}", f"Run `bluegreen deploy {self._stack}` first.")
        return self.fleet

    def walk(self, steps: Sequence[Step], settings: Settings) -> Update:
        """The last update. Without steps the fleet stays, and what else is changed in the config is brought about."""
        if not steps:
            if self.fleet and not self._config_means(self.fleet):
                self._write(self.fleet, settings)
            return self._up()
        for step in steps:
            self._on_step(step)
            self._write(step.fleet, settings)
            update = self._up()
            if step.needs_promotion:
                break
            if step.watch_seconds:
                self._stay(step)
        return update

    def _config_means(self, fleet: Fleet) -> bool:
        """Whether the config, as it is, describes this fleet. It does not after an update that failed, for one."""
        try:
            return Fleet.from_settings(self.settings).shares == fleet.shares
        except SettingsError:
            return False

    def _stay(self, step: Step) -> None:
        self._on_output(f"staying at `{step.name}` for {step.watch_seconds} s; Ctrl-C leaves it there")
        try:
            self._sleep(step.watch_seconds)
        except KeyboardInterrupt:
            raise RolloutError(
                f"interrupted: {self._stack} stays at the step `{step.name}`",
                "`bluegreen deploy` goes on from there; so do `promote`, `abort` and `rollback`.",
            ) from None

    def _write(self, fleet: Fleet, settings: Settings) -> None:
        self._serial += 1
        there = settings.with_image(fleet.active.release.image)
        config = fleet.as_config(serial=self._serial, basis=Release.from_settings(there))
        with self._errors:
            self._opened.set_all_config(
                {
                    "ami": auto.ConfigValue(there.image),
                    "fleet": auto.ConfigValue(config.model_dump_json(by_alias=True, exclude_none=True)),
                }
            )

    def _up(self) -> Update:
        with self._errors:
            result = self._opened.up(
                on_event=self._errors.watching(self._on_event), on_output=self._on_output, on_error=self._on_output
            )
        return Update(
            stack=self._stack,
            outputs={name: output.value for name, output in result.outputs.items()},
            changes=_changes(result.summary),
        )


def _unseen(_step: Step) -> None:
    """Nobody asked."""


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
