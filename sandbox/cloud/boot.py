"""A machine that nobody logs into: its image's enabled units, then its user data, in a cell.

    python -m sandbox.cloud.boot BOOT        in JSON

Unlike systemd it restarts nothing: a unit that ends by itself ends the machine, which its Auto Scaling group replaces.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bluegreen.errors import BluegreenError
from sandbox.cloud import unit, user_data
from sandbox.cloud.cell import Cell, CellError

PROJECT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class Boot:
    """What has to be known. Paths are the host's; `units`: names of those to start, with their suffix."""

    tree: str
    scratch: str
    system: str
    hostname: str
    units: list[str]
    environment: dict[str, str]

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "sandbox.cloud.boot", json.dumps(asdict(self)))


class _Units:
    """The services that run, and their end; also the user data, for which some of them wait."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._script: subprocess.Popen[bytes] | None = None
        self._waiting: list[str] = []
        self._names: dict[int, str] = {}
        self._is_stopping = False
        signal.signal(signal.SIGTERM, self._stop)

    def start(self, name: str) -> None:
        file = unit.file_of(Path("/"), name)
        if file and not self._is_stopping:
            process = unit.start(unit.read(Path("/"), file), self._environment)
            self._names[process.pid] = name
            if self._is_stopping:  # told so when the unit had no name yet
                os.kill(process.pid, signal.SIGTERM)

    def start_all(self, names: list[str]) -> None:
        self._waiting = [name for name in names if unit.waits_for_user_data(Path("/"), name)]
        for name in names:
            if name not in self._waiting:
                self.start(name)
        if not self._is_stopping:
            self._script = user_data.start(self._environment)
        if self._script is None:
            self._start_waiting()

    def _start_waiting(self) -> None:
        names, self._waiting = self._waiting, []
        for name in names:
            self.start(name)

    def wait(self) -> int:
        """Until all have been stopped, or one has ended by itself: its exit code then."""
        while self._names or self._script:
            process, status = os.wait()
            if self._script and process == self._script.pid:
                self._script = None
                if not self._is_stopping:
                    user_data.report(os.waitstatus_to_exitcode(status))
                    self._start_waiting()
                continue
            name = self._names.pop(process, None)
            if name and not self._is_stopping:
                print(f"{name} ended by itself", file=sys.stderr)
                return os.waitstatus_to_exitcode(status) or 1
        return 0

    def _stop(self, *_: object) -> None:
        self._is_stopping = True
        for process in self._names:
            os.kill(process, signal.SIGTERM)
        if self._script:
            os.killpg(self._script.pid, signal.SIGTERM)


def main() -> int:
    boot = Boot(**json.loads(sys.argv[1]))
    cell = Cell(
        tree=Path(boot.tree),
        scratch=Path(boot.scratch),
        system=Path(boot.system),
        hostname=boot.hostname,
        programs={},
    )
    try:
        return cell.run(lambda: _run(boot))
    except CellError as fault:
        print(fault.strerror, file=sys.stderr)
        return 1


def _run(boot: Boot) -> int:
    units = _Units(boot.environment)
    try:
        units.start_all(boot.units)
        return units.wait()
    except (BluegreenError, OSError, subprocess.SubprocessError) as fault:
        print(f"the boot failed: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
