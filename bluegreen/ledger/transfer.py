"""From one ledger to another: what was kept before a better place was made must not be lost."""

from __future__ import annotations

from collections import Counter
from datetime import UTC

from bluegreen.ledger.ledger import Ledger
from bluegreen.model.history import Event


def import_events(source: Ledger, target: Ledger) -> int:
    """Copy the events of a ledger that another one does not have, oldest first; how many were copied.

    Once it was done, doing it again copies nothing; an import that broke off goes on. Raises LedgerError.
    """
    there = Counter(_identity(event) for event in target.read().events)
    copied = 0
    for event in source.read().events:
        if there[_identity(event)]:
            there[_identity(event)] -= 1
            continue
        target.append(event)
        copied += 1
    return copied


def _identity(event: Event) -> tuple[object, ...]:
    """Without its evidence, of which a target may have kept less."""
    return event.at.astimezone(UTC), event.run, event.kind, event.release
