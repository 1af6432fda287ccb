"""Opens the ledger of a stack by its name, for who is not in the middle of a deployment of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Ledger, Run


def ledger_of(stack: str, directory: Path) -> Ledger:
    """`stack` is its name without organization and project, `directory` that of Pulumi.yaml."""
    return FileLedger(Run.new(directory, stack, datetime.now(UTC)).ledger)
