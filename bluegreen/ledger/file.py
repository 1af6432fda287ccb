"""A ledger in a file: one JSON object a line, appended. The lease is a file beside it, for runs on this machine."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import LedgerError
from bluegreen.model.history import Event, History
from bluegreen.model.lease import Lease

WRITABLE = "Make its directory writable."


@dataclass(frozen=True)
class FileLedger:
    """Events in a file, which is made with its directory when the first one is kept."""

    file: Path

    @property
    def place(self) -> str:
        return str(self.file)

    def append(self, event: Event) -> None:
        """Written with one call and synced: two processes that append at once don't mix their lines."""
        line = json.dumps(event.as_record(), separators=(",", ":")) + "\n"
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                text = (line if _ends_whole(file) else "\n" + line).encode()
                if os.write(file, text) < len(text):  # which is no error yet: only the next write would fail
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise LedgerError(f"the ledger {self.file} can't be written: {error.strerror}", WRITABLE) from error

    def read(self) -> History:
        """Lines that a full disk or a lost machine has cut off are left out."""
        try:
            lines = self.file.read_text().splitlines()
        except FileNotFoundError:
            return History()
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(f"the ledger {self.file} can't be read: {error}", "Mend it, or move it away.") from error
        events = []
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            try:
                events.append(Event.from_record(record))
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerError(
                    f"the ledger {self.file} has a line that is no event: line {number} ({error!r})",
                    "Take that line out, or move the file away: it is history, nothing that runs depends on it.",
                ) from error
        return History(tuple(events))

    @property
    def lease_file(self) -> Path:
        return self.file.parent / "lease.json"

    def lease(self) -> Lease:
        try:
            return Lease.from_record(json.loads(self.lease_file.read_text()))
        except FileNotFoundError:
            return Lease()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"the lease {self.lease_file} can't be read: {error!r}",
                "See that no deployment of this stack runs, then delete it.",
            ) from error

    def swap_lease(self, expected: Lease, new: Lease) -> bool:
        """Under a lock, since a file has no conditional write; whole by a rename, so that no reader needs the lock."""
        try:
            with self._locked():
                if self.lease() != expected:
                    return False
                beside = self.lease_file.with_suffix(".new")
                with beside.open("w") as file:
                    json.dump(new.as_record(), file)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self.lease_file)
                return True
        except OSError as error:
            raise LedgerError(f"the lease {self.lease_file} can't be written: {error.strerror}", WRITABLE) from error

    def publish(self, service: str, values: Mapping[str, str]) -> None:
        """A file is nothing that other systems read."""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.lease_file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _ends_whole(file: int) -> bool:
    """Whether the last write to it was a whole line."""
    size = os.fstat(file).st_size
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"
