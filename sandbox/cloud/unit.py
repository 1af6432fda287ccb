"""What starts in an image: systemd units, as far as a rehearsal needs them.

A service starts with its machine if it is enabled: a link in `etc/systemd/system/*.wants/`, made by `systemctl enable`.
Understood: ExecStart, ExecStartPre, Environment, EnvironmentFile, WorkingDirectory, TimeoutStopSec, StateDirectory and
its like, in `etc/systemd/system/*.service` and drop-ins in `NAME.service.d/*.conf`. Absolute paths are meant inside the
image's tree; `/usr/bin/python3` is the sandbox's interpreter. Of the ordering only what waits for the user data is
kept (After=cloud-final.service). Other keys are for a real machine: users, sandboxing, Restart (a process that ends
here is a crashed machine, which its Auto Scaling group replaces). Consul's units are left out: it listens at its
machine's private address, which nobody has here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bluegreen.errors import BluegreenError

UNITS = Path("etc/systemd/system")
WANTS = UNITS / "multi-user.target.wants"
_FOLDERS = (UNITS, Path("usr/lib/systemd/system"))  # in the order of their rank
_OWN_DIRECTORIES = {
    "StateDirectory": ("var/lib", "STATE_DIRECTORY"),
    "CacheDirectory": ("var/cache", "CACHE_DIRECTORY"),
    "LogsDirectory": ("var/log", "LOGS_DIRECTORY"),
    "RuntimeDirectory": ("run", "RUNTIME_DIRECTORY"),
    "ConfigurationDirectory": ("etc", "CONFIGURATION_DIRECTORY"),
}
_LEFT_OUT = frozenset({"consul.service", "consul-joined.service"})
_CLOUD_INIT_FINAL = frozenset({"cloud-final.service", "cloud-init.target"})
_INTERPRETERS = ("/usr/bin/python3", "/usr/bin/env python3")
_DEFAULT_STOP_SECONDS = 90.0  # systemd's DefaultTimeoutStopSec


class UnitError(BluegreenError):
    """A unit file that the sandbox can't start."""


@dataclass(frozen=True)
class Unit:
    """A service, with the paths inside its tree already real ones."""

    name: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    directory: Path
    stop_seconds: float
    before: tuple[tuple[str, ...], ...] = ()  # commands to run first
    makes: tuple[Path, ...] = ()  # directories to make first


def start(unit: Unit, environment: Mapping[str, str], output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own. `environment` is the machine's, and wins. Raises OSError,
    CalledProcessError."""
    variables = {"PATH": os.defpath, "LANG": "C.UTF-8", **dict(unit.environment), **environment}
    for directory in unit.makes:
        directory.mkdir(parents=True, exist_ok=True)
    for command in unit.before:
        subprocess.run(
            command,
            cwd=unit.directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
        )
    return subprocess.Popen(
        unit.command,
        cwd=unit.directory,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def units_of(tree: Path) -> tuple[Unit, ...]:
    """The services of an image's tree that are enabled, by name. Those that only the host's system has don't count."""
    files = (file_of(tree, name) for name in enabled_in(tree))
    return tuple(read(tree, file) for file in files if file)


def enabled_in(tree: Path) -> list[str]:
    """The names of the enabled services, with their suffix."""
    return sorted(_enabled_in(tree) - _LEFT_OUT)


def left_out(tree: Path) -> list[str]:
    """Those that a real machine would start besides."""
    return sorted(_enabled_in(tree) & _LEFT_OUT)


def _enabled_in(tree: Path) -> set[str]:
    return {link.name for link in (tree / UNITS).glob("*.wants/*.service")}


def file_of(tree: Path, name: str) -> Path | None:
    """The file of a unit, whatever its kind; one that is masked has none."""
    if is_masked(tree, name):
        return None
    return next((tree / folder / name for folder in _FOLDERS if (tree / folder / name).is_file()), None)


def is_masked(tree: Path, name: str) -> bool:
    file = tree / UNITS / name
    return file.is_symlink() and str(file.readlink()) == "/dev/null"


def read(tree: Path, file: Path) -> Unit:
    """Raises UnitError."""
    settings: dict[str, list[str]] = {}
    for part in (file, *sorted((tree / UNITS / f"{file.name}.d").glob("*.conf"))):
        for key, value in _lines(part, "Service"):
            if value:
                settings.setdefault(key, []).append(value)
            else:
                settings.pop(key, None)  # systemd: an empty value resets the list
    commands = settings.get("ExecStart", [])
    if len(commands) != 1:
        raise UnitError(
            f"{file.name} has {len(commands) or 'no'} ExecStart lines; a machine here starts one command per unit",
            "Give the unit exactly one ExecStart.",
        )
    environment: dict[str, str] = {}
    for line in settings.get("Environment", []):
        environment.update(_assignments(line))
    for name in settings.get("EnvironmentFile", []):
        environment.update(_environment_file(tree, name, file))
    makes = []
    for key, (top, variable) in _OWN_DIRECTORIES.items():
        if names := [name for line in settings.get(key, []) for name in line.split()]:
            makes += [_inside(tree, f"{top}/{name}") for name in names]
            environment[variable] = ":".join(str(_inside(tree, f"{top}/{name}")) for name in names)
    return Unit(
        name=file.stem,
        command=_command(tree, commands[0], environment),
        before=tuple(_command(tree, line, environment) for line in settings.get("ExecStartPre", [])),
        makes=tuple(makes),
        environment=tuple(environment.items()),
        directory=_inside(tree, settings.get("WorkingDirectory", ["/"])[-1].lstrip("-")),
        stop_seconds=_seconds(settings.get("TimeoutStopSec", [""])[-1]),
    )


def waits_for_user_data(tree: Path, name: str) -> bool:
    file = file_of(tree, name)
    parts = (file, *sorted((tree / UNITS / f"{name}.d").glob("*.conf"))) if file else ()
    after = {each for part in parts for key, value in _lines(part, "Unit") if key == "After" for each in value.split()}
    return bool(after & _CLOUD_INIT_FINAL)


def _lines(file: Path, wanted: str) -> list[tuple[str, str]]:
    """The settings of one section."""
    section, lines = "", []
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == wanted and line and line[0] not in "#;" and "=" in line:
            key, _, value = line.partition("=")
            lines.append((key.strip(), value.strip()))
    return lines


def _assignments(line: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in shlex.split(line) if "=" in part)


def _environment_file(tree: Path, name: str, unit: Path) -> dict[str, str]:
    path = _inside(tree, name.removeprefix("-"))
    if not path.is_file():
        if name.startswith("-"):
            return {}
        raise UnitError(
            f"{unit.name} reads its environment from {name}, which the image does not have",
            "Put the file into the image, or write EnvironmentFile=-… if it may be missing.",
        )
    found: dict[str, str] = {}
    for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
        if line and line[0] not in "#;":
            found.update(_assignments(line))
    return found


def _command(tree: Path, line: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    line = line.lstrip("@-:+!")  # systemd's prefixes say how to run it, not what
    for interpreter in _INTERPRETERS:
        if line == interpreter or line.startswith(interpreter + " "):
            line = "{python}" + line[len(interpreter) :]
    words = [each for word in shlex.split(line) for each in _expanded(word, environment)]
    return tuple(sys.executable if word == "{python}" else _word(tree, word) for word in words)


def _expanded(word: str, environment: Mapping[str, str]) -> list[str]:
    """systemd.service(5): `$A` as a whole word becomes words, `${A}` is replaced anywhere; what is unset is empty."""
    if match := re.fullmatch(r"\$(\w+)", word):
        return environment.get(match[1], "").split()
    return [re.sub(r"\$\{(\w+)\}", lambda match: environment.get(match[1], ""), word).replace("$$", "$")]


def _word(tree: Path, word: str) -> str:
    """A path of the image, if there is one; a program that only the host has stays the host's."""
    return str(_inside(tree, word)) if word.startswith("/") and _inside(tree, word).exists() else word


def _inside(tree: Path, path: str) -> Path:
    return tree / path.lstrip("/")


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|sec|min|m)?", text)
    if not match:
        return _DEFAULT_STOP_SECONDS
    return float(match[1]) * (60 if match[2] in ("min", "m") else 1)
