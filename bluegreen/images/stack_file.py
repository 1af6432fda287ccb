"""A stack's config as its file has it, read without the engine: a bake starts no Pulumi."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bluegreen.aws.session import SessionSettings
from bluegreen.errors import BluegreenError, Fault, SettingsError
from bluegreen.model.ledger_place import LedgerPlace
from bluegreen.model.settings import NAMESPACE, Settings
from bluegreen.model.stack_name import short

PROJECT_FILE = "Pulumi.yaml"
RUN_THERE = "Run this where the project's Pulumi.yaml is."

NEEDED = frozenset({"service", "port", "healthCheck", "rootDevice", "artifactBucket", "tags"})
"""What an image depends on. Another setting may be a secret: only the engine can read those."""


class StackFileError(BluegreenError):
    """There is no such project or stack here, or its file can't be read."""


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """What a stack's files say. `stack` is its name without organization and project."""

    project: str
    stack: str
    settings: Settings
    session: SessionSettings


def read_stack(stack: str, directory: Path) -> StackConfig:
    """The config of a stack of the project in `directory`; defaults of Pulumi.yaml count.

    Raises StackFileError where the project or the stack has no file, SettingsError with the faults of the config.
    """
    name = short(stack)
    project = _read(directory / PROJECT_FILE, RUN_THERE)
    file, stack_config = _stack_config(name, project, directory)
    config = {**_defaults(project), **stack_config}
    session, settings = _of(config, "aws"), _of(config, NAMESPACE)
    secrets = {
        *(f"aws:{key}" for key, value in session.items() if _has_secret(value)),
        *(f"{NAMESPACE}:{key}" for key in NEEDED & settings.keys() if _has_secret(settings[key])),
    }
    if secrets:
        message = f"is a secret in {file}, and only the engine can read those; set it without --secret"
        raise SettingsError([Fault(key, message) for key in secrets])
    return StackConfig(
        project=str(project.get("name", "")),
        stack=name,
        settings=_parse({key: value for key, value in settings.items() if not _has_secret(value)}),
        session=SessionSettings.parse(session),
    )


@dataclass(frozen=True, kw_only=True)
class LedgerConfig:
    """Where a stack's ledger is."""

    project: str
    place: LedgerPlace
    session: SessionSettings


def read_ledger_config(name: str, directory: Path) -> LedgerConfig:
    """By the settings that say it: a fault of another one, or a stack whose file is gone, hides no history.

    Raises StackFileError where there is no project, SettingsError.
    """
    project = _read(directory / PROJECT_FILE, RUN_THERE)
    try:
        _, stack_config = _stack_config(name, project, directory)
    except StackFileError:
        stack_config = {}
    config = {**_defaults(project), **stack_config}
    settings = Settings.parse({"ledger": config.get(f"{NAMESPACE}:ledger")})
    return LedgerConfig(
        project=str(project.get("name", "")),
        place=settings.ledger_place,
        session=SessionSettings.parse(_of(config, "aws")),
    )


def check_stack(stack: str, directory: Path) -> None:
    """That the project in `directory` has such a stack, whatever its settings. Raises StackFileError."""
    _stack_config(short(stack), _read(directory / PROJECT_FILE, RUN_THERE), directory)


def stack_names(directory: Path) -> tuple[str, ...]:
    """The stacks that the project has a file for, sorted. Raises StackFileError where there is no project."""
    project = _read(directory / PROJECT_FILE, RUN_THERE)
    return tuple(_names(directory / str(project.get("stackConfigDir") or ".")))


def read_project(directory: Path) -> Settings:
    """What the project's Pulumi.yaml sets for every stack. Raises as `read_stack` does."""
    project = _read(directory / PROJECT_FILE, RUN_THERE)
    return _parse(_of(_defaults(project), NAMESPACE))


def _stack_config(name: str, project: Mapping[str, Any], directory: Path) -> tuple[Path, dict[str, Any]]:
    """A stack's file, and the config in it."""
    stacks = directory / str(project.get("stackConfigDir") or ".")
    file = stacks / f"Pulumi.{name}.yaml"
    return file, _read(file, _which_stacks(name, stacks)).get("config") or {}


def _parse(config: Mapping[str, Any]) -> Settings:
    try:
        return Settings.parse(config)
    except SettingsError as error:
        # A bake makes the image: that none is set yet is no fault.
        raise SettingsError([fault for fault in error.faults if fault.path != f"{NAMESPACE}:ami"]) from None


def _read(file: Path, if_missing: str) -> dict[str, Any]:
    try:
        # The C parser, where there is one: it reads these files ten times as fast.
        found = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise StackFileError(f"{file} does not exist", if_missing) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StackFileError(f"{file} can't be read: {error}") from error
    if not isinstance(found, dict | None) or not isinstance((found or {}).get("config") or {}, dict):
        raise StackFileError(f"{file} is no file of Pulumi's: it should hold keys and values")
    return found or {}


def _names(stacks: Path) -> list[str]:
    return sorted(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in stacks.glob("Pulumi.*.yaml"))


def _which_stacks(stack: str, directory: Path) -> str:
    names = _names(directory)
    if near := difflib.get_close_matches(stack, names, n=1, cutoff=0.6):
        return f"Did you mean {near[0]}? There are: {', '.join(names)}."
    there = f"There are: {', '.join(names)}. " if names else ""
    return f"{there}`bluegreen init {stack} --set aws:region=...` makes it."


def _defaults(project: Mapping[str, Any]) -> dict[str, Any]:
    """What Pulumi.yaml sets for every stack: plain values, or `value` or `default` beside a type and a description.

    A key without a namespace is the project's (Pulumi docs, "Project-level configuration").
    """
    defaults = {}
    for key, entry in (project.get("config") or {}).items():
        name = key if ":" in key else f"{NAMESPACE}:{key}"
        if not isinstance(entry, dict):
            defaults[name] = entry
        elif "value" in entry or "default" in entry:
            defaults[name] = entry.get("value", entry.get("default"))
    return defaults


def _of(config: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    prefix = f"{namespace}:"
    return {key.removeprefix(prefix): value for key, value in config.items() if str(key).startswith(prefix)}


def _has_secret(value: object) -> bool:
    match value:
        case {"secure": str()}:
            return True
        case dict():
            return any(_has_secret(each) for each in value.values())
        case list():
            return any(_has_secret(each) for each in value)
        case _:
            return False
