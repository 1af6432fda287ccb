"""Machines: an instance that runs is the processes of its image's units, with an address and a log of their own.

What AWS says about an instance is moto's; cloud.py keeps the two in line. Guarded by `Cloud.lock`, but for `boot`,
which copies files and may take its time: cloud.py calls it for a machine that nobody else touches yet.

A machine runs in a cell (cell.py), where its image's files are at their own paths: boot.py starts its units. One that
was launched with a key pair is for logging in, as a bake does: it has an SSH server (ssh.py), and nothing of it stays
when it is terminated. Where no cells can be made, units run on the host, with their paths rewritten; nobody logs in.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from sandbox.cloud import cell, user_data, warden
from sandbox.cloud.boot import PROJECT, Boot
from sandbox.cloud.images import Images
from sandbox.cloud.loopback import Loopback
from sandbox.cloud.ssh import Login
from sandbox.cloud.unit import Unit, UnitError, enabled_in, left_out, units_of

# A real boot takes tens of seconds and the app is up at its end. Here it takes one, so "running" waits for the app's
# port, this long at most: otherwise the first health check would come too early and cost a whole interval.
_PORT_WAIT_SECONDS = 2.0

_DISK, _CONSOLE = "root", "console.log"
_CONSOLE_BYTES = 64 * 1024  # as much as EC2 keeps of it
_SSH_PORT, _SSH_PORT_WITHOUT_RIGHTS = 22, 2222
_SSH_STOP_SECONDS = 5.0

# A process that the warden does not know yet would outlive a sandbox that is killed. So it starts only when the warden
# knows it, and ends if that line never comes.
_WAIT_FOR_A_LINE = ("/bin/sh", "-c", 'read -r _ && exec "$0" "$@" </dev/null')


class Machine:
    """One machine, from its boot to its end."""

    def __init__(
        self,
        instance_id: str,
        image_id: str,
        address: str,
        directory: Path,
        up_after: float,
        public_key: str | None,
        user_data: bytes,
    ) -> None:
        self.instance_id = instance_id
        self.image_id = image_id
        self.address = address
        self.directory = directory
        self.up_after = up_after
        self.public_key = public_key
        self.user_data = user_data
        self.processes: list[tuple[Unit, subprocess.Popen[bytes]]] = []
        self.is_idle = False  # nothing of it runs: a machine of a publisher's image, with only its user data to do
        self.failure: str | None = None
        self._kill_at: float | None = None

    @property
    def console(self) -> Path:
        return self.directory / _CONSOLE

    @property
    def tree(self) -> Path:
        """Its disk: the image's files, and what was written since."""
        return self.directory / _DISK

    @property
    def is_stopping(self) -> bool:
        return self._kill_at is not None

    def is_up(self, now: float) -> bool:
        if self.is_idle:
            return now >= self.up_after
        return (
            bool(self.processes)
            and now >= self.up_after
            and (now >= self.up_after + _PORT_WAIT_SECONDS or _listens(self.address))
        )

    def has_crashed(self) -> bool:
        """A unit ended by itself, or never started."""
        if self.is_stopping:
            return False
        for unit, process in self.processes:
            if process.poll() is not None and self.failure is None:
                self.failure = f"{unit.name} ended by itself with {process.returncode}"
        return self.failure is not None

    def stop(self, *, within: float | None = None) -> None:
        """SIGTERM; whoever is still there after the unit's TimeoutStopSec is killed by `is_gone`."""
        if self.is_stopping:
            return
        allowed = max((unit.stop_seconds for unit, _ in self.processes), default=0.0)
        self._kill_at = time.monotonic() + (allowed if within is None else min(within, allowed))
        for _, process in self.processes:
            _signal_group(process, signal.SIGTERM)

    def is_gone(self) -> bool:
        if not self.is_stopping:
            return False
        alive = [process for _, process in self.processes if process.poll() is None]
        if alive and time.monotonic() >= (self._kill_at or 0.0):
            for process in alive:
                _signal_group(process, signal.SIGKILL)
        return not alive


class Machines:
    """All machines of a sandbox."""

    def __init__(self, root: Path, images: Images, loopback: Loopback, endpoint: str) -> None:
        self._root = root
        self._images = images
        self._loopback = loopback
        self._endpoint = endpoint
        self._by_id: dict[str, Machine] = {}
        self._addresses: dict[str, str] = {}
        self.ssh_port = loopback.first_free_port(_SSH_PORT, _SSH_PORT_WITHOUT_RIGHTS)
        self._warden = subprocess.Popen(
            [sys.executable, "-I", "-S", warden.__file__], stdin=subprocess.PIPE, start_new_session=True
        )
        root.mkdir(parents=True, exist_ok=True)

    def get(self, instance_id: str) -> Machine | None:
        return self._by_id.get(instance_id)

    def all(self) -> list[Machine]:
        return list(self._by_id.values())

    def tree(self, instance_id: str) -> Path:
        """The disk of an instance that has been booted, also while it is stopped."""
        return self._root / instance_id / _DISK

    def console(self, instance_id: str) -> tuple[bytes, float] | None:
        """The end of what it has written, with the time of that; also of one that is over, unless it was wiped."""
        try:
            with (self._root / instance_id / _CONSOLE).open("rb") as log:
                status = os.fstat(log.fileno())
                log.seek(max(0, status.st_size - _CONSOLE_BYTES))
                return log.read(_CONSOLE_BYTES), status.st_mtime
        except FileNotFoundError:
            return None

    def address(self, instance_id: str) -> str:
        """The instance's own address; it keeps it when it is stopped and started again."""
        if instance_id not in self._addresses:
            self._addresses[instance_id] = self._loopback.for_machine()
        return self._addresses[instance_id]

    def settle(self, instance_id: str, interface: str) -> None:
        """The instance has the address of a network interface, as others had before and will have after it."""
        self._addresses[instance_id] = self.address(interface)

    def create(
        self,
        instance_id: str,
        image_id: str,
        boot_seconds: float,
        *,
        public_key: str | None = None,
        user_data: bytes = b"",
    ) -> Machine:
        machine = self._by_id[instance_id] = Machine(
            instance_id,
            image_id,
            self.address(instance_id),
            self._root / instance_id,
            time.monotonic() + boot_seconds,
            public_key,
            user_data,
        )
        return machine

    def boot(self, machine: Machine) -> None:
        machine.directory.mkdir(exist_ok=True)
        with machine.console.open("ab") as console:
            try:
                if not machine.tree.exists():
                    self._images.copy(machine.image_id, machine.tree)
                user_data.place(machine.tree, machine.instance_id, machine.user_data)
                units = self._units(machine)
                if machine.user_data.startswith(b"#!") and self.cell_obstacle:
                    console.write(f"the user data is not run: {self.cell_obstacle}\n".encode())
                    console.flush()
                for unit in units:
                    machine.processes.append((unit, self._start(machine, unit, console)))
                if skipped := left_out(machine.tree):
                    console.write(f"{', '.join(skipped)} not started: nobody has a private address here\n".encode())
                machine.is_idle = not units and (self._images.is_base(machine.image_id) or bool(skipped))
                if not units and not machine.is_idle:
                    machine.failure = "the image has no unit to start"
            except (OSError, UnitError) as fault:
                machine.failure = f"the boot failed: {fault}"
            if machine.failure:
                console.write(f"{machine.failure}\n".encode())

    def discard(self, machine: Machine) -> None:
        """The machine is over, or stopped; its log and its disk stay for whoever wants to know why, or starts it."""
        for _, process in machine.processes:
            _signal_group(process, signal.SIGKILL)  # children that outlived the unit's main process
            process.wait()
            self._tell_warden("-", process.pid)
        self._by_id.pop(machine.instance_id, None)

    def wipe(self, instance_id: str) -> None:
        """Nothing of it stays on the disk."""
        shutil.rmtree(self._root / instance_id, ignore_errors=True)

    def stop_all(self, *, within: float) -> None:
        for machine in self.all():
            machine.stop(within=within)
        while any(not machine.is_gone() for machine in self.all()):
            time.sleep(0.02)
        for machine in self.all():
            self.discard(machine)
        assert self._warden.stdin
        self._warden.stdin.close()
        self._warden.wait()

    def _environment(self, machine: Machine) -> dict[str, str]:
        return {
            # On a machine that shares its host with others, "all addresses" would be everybody's.
            "HOST": machine.address,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self._endpoint}/_imds/{machine.instance_id}",
            "AWS_ENDPOINT_URL": self._endpoint,
        }

    def _units(self, machine: Machine) -> tuple[Unit, ...]:
        """What to start for it, on the host."""
        units = units_of(machine.tree)
        if machine.public_key is None and (not units or self.cell_obstacle):
            return units
        name = ", ".join(unit.name for unit in units) or "ssh"
        stop_seconds = max((unit.stop_seconds for unit in units), default=_SSH_STOP_SECONDS)
        environment = (("PYTHONPATH", str(PROJECT)),)
        return (Unit(name, self._in_cell(machine), environment, Path("/"), stop_seconds),)

    def _in_cell(self, machine: Machine) -> tuple[str, ...]:
        tree, scratch = str(machine.tree), str(machine.directory / "cell")
        system, hostname = str(self._root.parent / "system"), machine.instance_id
        units, environment = enabled_in(machine.tree), self._environment(machine)
        if machine.public_key is None:
            boot = Boot(
                tree=tree, scratch=scratch, system=system, hostname=hostname, units=units, environment=environment
            )
            return boot.command
        login = Login(
            tree=tree,
            scratch=scratch,
            system=system,
            hostname=hostname,
            address=machine.address,
            port=self.ssh_port,
            public_key=machine.public_key,
            units=units,
            environment={**environment, "ANSIBLE_SKIP_TAGS": "host"},
        )
        return login.command

    @functools.cached_property
    def cell_obstacle(self) -> str | None:
        """Why this computer makes no cells; None if it does."""
        return cell.obstacle()

    def _start(self, machine: Machine, unit: Unit, console: IO[bytes]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*_WAIT_FOR_A_LINE, *unit.command],
            cwd=unit.directory,
            env={
                "PATH": os.defpath,
                "LANG": "C.UTF-8",
                **dict(unit.environment),
                **self._environment(machine),  # last, whatever the unit says
            },
            stdin=subprocess.PIPE,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._tell_warden("+", process.pid)
        assert process.stdin
        with process.stdin as start:
            start.write(b"\n")
        return process

    def _tell_warden(self, sign: str, group: int) -> None:
        assert self._warden.stdin
        self._warden.stdin.write(f"{sign}{group}\n".encode())
        self._warden.stdin.flush()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _listens(address: str) -> bool:
    """Whether any TCP socket listens at this address."""
    wanted = f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}:"
    try:
        with open("/proc/net/tcp", encoding="ascii") as table:
            return any(fields[1].startswith(wanted) and fields[3] == "0A" for fields in map(str.split, table))
    except FileNotFoundError:
        return False
