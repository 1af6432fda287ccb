"""One bake at a time: a lock per project directory, stack and user, on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bluegreen.errors import BluegreenError


class LockError(BluegreenError):
    """The lock's file can't be had."""


@contextlib.contextmanager
def bake_lock(directory: Path, stack: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a project's stack. `on_wait` is told once where another process holds it. Raises LockError.

    The kernel lets go of it when the process ends, however it ends. The file stays: to remove it would let two in.
    """
    key = hashlib.sha256(f"{directory.resolve()}\0{stack}".encode()).hexdigest()[:16]
    file = Path(tempfile.gettempdir(), f"bluegreen-bake-{os.getuid()}-{key}.lock")
    try:
        # Not through a link: anybody can put one into the system's temporary directory.
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise LockError(
            f"the lock that keeps two bakes apart can't be had: {error}", f"Remove {file}. Nothing was launched."
        ) from error
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
