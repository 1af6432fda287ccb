"""The state while it changes: what is done, what is under way, and the checkpoint written after every step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from sandbox.engine.checkpoint import Operation, Resource, Snapshot


class Journal:
    """Resources that this run has dealt with come first, in the order of completion; then those it has not come to.

    A preview has a journal too; its `write` does nothing.
    """

    def __init__(self, base: Snapshot, write: Callable[[Snapshot], None]) -> None:
        self._write = write
        self._lock = threading.RLock()
        self._base = list(base.resources)
        self._done: list[Resource] = []
        # Whether an interrupted create made something is for a person to find out: it stays pending until a refresh.
        self._pending = [op for op in base.pending if op.type == "creating"]
        self._renamed: dict[str, str] = {}
        self._is_closed = False

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot((*self._done, *self._base), tuple(self._pending))

    def begin(self, type: str, resource: Resource) -> Operation:
        operation = Operation(type, resource)
        with self._lock:
            self._pending.append(operation)
            self.save()
        return operation

    def end(self, operation: Operation) -> None:
        with self._lock:
            self._pending.remove(operation)
            self.save()

    def add(self, new: Resource, old: Resource | None = None) -> None:
        """`new` is as it should be, and stands where `old` stood."""
        with self._lock:
            if old is not None:
                self._base = [r for r in self._base if r is not old]
                self._done = [r for r in self._done if r is not old]  # imported in this run
            self._done.append(new)

    def amend(self, was: Resource, now: Resource) -> None:
        """`was`, wherever it is, is now `now`."""
        with self._lock:
            self._done = [now if r is was else r for r in self._done]
            self._base = [now if r is was else r for r in self._base]

    def condemn(self, old: Resource) -> Resource:
        """`old` has been replaced and is yet to be deleted: as it then is."""
        condemned = replace(old, delete=True)
        self.amend(old, condemned)
        return condemned

    def rename(self, old_urn: str, new_urn: str) -> None:
        """An alias was taken up: what the state still says of the old URN is written as the new one."""
        with self._lock:
            self._renamed[old_urn] = new_urn

    def remove(self, old: Resource) -> None:
        with self._lock:
            self._done = [r for r in self._done if r is not old]
            self._base = [r for r in self._base if r is not old]

    def forget_pending(self) -> None:
        """Drop what earlier runs left pending: a refresh has looked."""
        with self._lock:
            self._pending = []

    def save(self) -> None:
        with self._lock:
            if not self._is_closed:
                snapshot = self.snapshot()
                resources = (
                    tuple(r.renamed(self._renamed) for r in snapshot.resources) if self._renamed else snapshot.resources
                )
                self._write(replace(snapshot, resources=resources))

    def close(self) -> None:
        """Write no more: what steps do after a termination is not known to have happened."""
        with self._lock:
            self._is_closed = True
