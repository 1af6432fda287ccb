"""Whether a process of this machine still runs: the proof that the owner of a lock or a lease is dead."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def runs(process: int) -> bool:
    """Whether there is such a process. A zombie does not run: nobody has asked yet how it ended."""
    fields = _stat(process)
    return _answers(process) if fields is None else fields[0] not in ("Z", "X")


def birthmark(process: int) -> str:
    """When a process of this machine started, such that no other process has the same: one that got its id later, or
    that runs in another container or on another machine of the same name. Empty where that is not to be known.

    Boot id, pid namespace, and the start in clock ticks since the boot (proc(5), field 22 of /proc/PID/stat).
    """
    fields, place = _stat(process), _place()
    return f"{place} {fields[19]}" if fields and place else ""


def is_gone(process: int, born: str) -> bool:
    """Whether a process that had this birthmark is known to be gone. The caller has seen that it is of this host.

    Not known after a reboot, nor in another container: a host's name alone does not tell one machine from another.
    """
    place = _place()
    if not born or not place:
        return not born and not place and not runs(process)
    if born.rpartition(" ")[0] != place:
        return False
    return not runs(process) or birthmark(process) not in ("", born)


def _place() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def _stat(process: int) -> list[str] | None:
    """From its state on; None where it can't be read: no such process, another user's, or no /proc."""
    try:
        return (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _answers(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
