"""A ledger in a file: one JSON object a line, appended."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import LedgerError
from bluegreen.model.history import Event, History


@dataclass(frozen=True)
class FileLedger:
    """Events in a file, which is made with its directory when the first one is kept."""

    file: Path

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
            raise LedgerError(
                f"the ledger {self.file} can't be written: {error.strerror}", "Make its directory writable."
            ) from error

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


def _ends_whole(file: int) -> bool:
    """Whether the last write to it was a whole line."""
    size = os.fstat(file).st_size
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"
