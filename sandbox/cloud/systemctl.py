"""`systemctl` and `journalctl` of a machine that can be logged into: what a playbook asks of them, for services.

    python -m sandbox.cloud.systemctl systemctl start app
    python -m sandbox.cloud.systemctl journalctl -u app

Runs in the machine's cell. A started service is a process with its output in a file; it is not restarted when it ends.
Timers, sockets and the like can be enabled, disabled and masked, for the image's sake, but do nothing here.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bluegreen.errors import BluegreenError
from sandbox.cloud import unit

ENVIRONMENT = Path("/run/machine.json")
"""The environment that the machine gives to every session and every unit."""

_ROOT = Path("/")
_RUN = Path("/run/units")
_FLAGS_WITH_VALUE = ("-n", "--lines", "-o", "--output", "-p", "--property", "-t", "--type", "--state")
_SUFFIX = re.compile(r"\.(service|timer|socket|target|path|mount|slice)$")
_POLL_SECONDS = 0.02
_NO_SUCH_UNIT, _NOT_RUNNING = 5, 3  # systemctl's own codes


class SystemctlError(BluegreenError):
    """What this systemctl can't do."""


class Service:
    """A unit by name, and its process if it was started."""

    def __init__(self, name: str) -> None:
        self.name = name if _SUFFIX.search(name) else f"{name}.service"
        self._pid_file = _RUN / f"{self.name}.pid"
        self.log = _RUN / f"{self.name}.log"

    @property
    def file(self) -> Path | None:
        return unit.file_of(_ROOT, self.name)

    @property
    def is_masked(self) -> bool:
        return unit.is_masked(_ROOT, self.name)

    @property
    def links(self) -> list[Path]:
        return sorted((_ROOT / unit.UNITS).glob(f"*.wants/{self.name}"))

    @property
    def pid(self) -> int | None:
        """Of the process, if it runs."""
        with suppress(FileNotFoundError, ProcessLookupError):
            pid = int(self._pid_file.read_text())
            os.kill(pid, 0)
            return pid
        return None

    @property
    def state(self) -> str:
        if self.pid:
            return "active"
        return "failed" if self._pid_file.exists() else "inactive"

    @property
    def enabled(self) -> str:
        if self.is_masked:
            return "masked"
        if self.links:
            return "enabled"
        return "disabled" if self._wanted_by() else "static"

    def start(self) -> None:
        if self.pid:
            return
        settings = unit.read(_ROOT, self._existing())
        _RUN.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            process = unit.start(settings, _machine(), log)
        self._pid_file.write_text(str(process.pid))

    def stop(self) -> None:
        pid = self.pid
        if pid:
            deadline = time.monotonic() + unit.read(_ROOT, self._existing()).stop_seconds
            os.kill(pid, signal.SIGTERM)
            while self.pid and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)

    def enable(self) -> None:
        file = self._existing()
        for target in self._wanted_by():
            folder = _ROOT / unit.UNITS / f"{target}.wants"
            folder.mkdir(parents=True, exist_ok=True)
            link = folder / self.name
            link.unlink(missing_ok=True)
            link.symlink_to(file)

    def disable(self) -> None:
        for link in self.links:
            link.unlink()

    def mask(self) -> None:
        file = _ROOT / unit.UNITS / self.name
        if not file.is_symlink() and file.exists():
            raise SystemctlError(f"Failed to mask unit: File {file} already exists.")
        file.unlink(missing_ok=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to("/dev/null")

    def unmask(self) -> None:
        if self.is_masked:
            (_ROOT / unit.UNITS / self.name).unlink()

    def properties(self) -> dict[str, str]:
        load = "masked" if self.is_masked else "loaded" if self.file else "not-found"
        state = self.state
        return {
            "Id": self.name,
            "LoadState": load,
            "ActiveState": state,
            "SubState": {"active": "running", "failed": "failed"}.get(state, "dead"),
            "UnitFileState": self.enabled if load != "not-found" else "",
            "FragmentPath": str(self.file or ""),
            "MainPID": str(self.pid or 0),
        }

    def _existing(self) -> Path:
        if self.is_masked:
            raise SystemctlError(f"Unit {self.name} is masked.")
        file = self.file
        if file is None:
            raise SystemctlError(f"Unit {self.name} could not be found.")
        return file

    def _wanted_by(self) -> list[str]:
        file = self.file
        lines = file.read_text(encoding="utf-8").splitlines() if file else []
        return [word for line in lines if line.startswith("WantedBy=") for word in line.partition("=")[2].split()]


def _machine() -> dict[str, str]:
    found: dict[str, str] = json.loads(ENVIRONMENT.read_text())
    return found


def _restart(service: Service) -> None:
    service.stop()
    service.start()


_ACTS: dict[str, Callable[[Service], None]] = {
    "start": Service.start,
    "stop": Service.stop,
    "restart": _restart,
    "try-restart": lambda service: _restart(service) if service.pid else None,
    "reload-or-restart": _restart,
    "enable": Service.enable,
    "disable": Service.disable,
    "mask": Service.mask,
    "unmask": Service.unmask,
}
_NOTHING_TO_DO = ("daemon-reload", "daemon-reexec", "reset-failed")


def systemctl(words: list[str]) -> int:
    flags, (verb, *names) = [word for word in words if word.startswith("-")], _arguments(words) or ["list-units"]
    services = [Service(name) for name in _expanded(names)]
    if verb in _NOTHING_TO_DO:
        return 0
    if verb in _ACTS:
        for service in services:
            _ACTS[verb](service)
            if "--now" in flags and verb in ("enable", "disable", "mask"):
                (service.start if verb == "enable" else service.stop)()
        return 0
    match verb:
        case "is-active" | "is-failed":
            print("\n".join(service.state for service in services))
            wanted = "failed" if verb == "is-failed" else "active"
            return 0 if any(service.state == wanted for service in services) else _NOT_RUNNING
        case "is-enabled":
            states = [service.enabled if service.file or service.is_masked else "not-found" for service in services]
            print("\n".join(states))
            return 0 if all(state in ("enabled", "static") for state in states) else 1
        case "show":
            for service in services:
                print("".join(f"{key}={value}\n" for key, value in service.properties().items()))
            return 0
        case "status":
            for service in services:
                known = service.properties()
                print(f"{service.name}: {known['LoadState']}, {service.enabled}, {service.state}")
                print("\n".join(_tail(service.log, 10)))
            return 0 if all(service.pid for service in services) else _NOT_RUNNING
        case "list-unit-files":
            for service in services:
                if service.file:
                    print(service.name, service.enabled)
            return 0 if any(service.file for service in services) else 1
        case _:
            raise SystemctlError(f"the sandbox's systemctl does not know {verb!r}", f"It knows {', '.join(_ACTS)}.")


def journalctl(words: list[str]) -> int:
    count, names = 1000, []
    for flag, value in zip(words, [*words[1:], ""], strict=True):
        if flag in ("-u", "--unit"):
            names.append(value)
        elif flag in ("-n", "--lines"):
            count = int(value)
        elif flag.startswith(("--unit=", "--lines=")):
            key, _, text = flag.partition("=")
            names, count = ([*names, text], count) if key == "--unit" else (names, int(text))
    for name in names:
        print("\n".join(_tail(Service(name).log, count)))
    return 0


def _arguments(words: list[str]) -> list[str]:
    found = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in _FLAGS_WITH_VALUE
        else:
            found.append(word)
    return found


def _expanded(names: list[str]) -> list[str]:
    """Patterns mean the services that were started."""
    started = [file.name.removesuffix(".pid") for file in _RUN.glob("*.pid")]
    found: list[str] = []
    for name in names:
        found += fnmatch.filter(started, name) if "*" in name else [name]
    return found


def _tail(file: Path, count: int) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()[-count:] if file.exists() else []


def main() -> int:
    program, *words = sys.argv[1:]
    programs = {"systemctl": systemctl, "journalctl": journalctl}
    try:
        if program not in programs:  # reboot, halt and the like are links to systemctl
            raise SystemctlError(f"a machine of the sandbox does not {program}", "Stop or terminate it by the EC2 API.")
        return programs[program](words)
    except BluegreenError as fault:
        print(fault, file=sys.stderr)
        return _NO_SUCH_UNIT
    except (OSError, subprocess.SubprocessError) as fault:
        print(fault, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
