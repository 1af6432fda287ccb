"""Opens the ledger of a stack by its name, for who is not in the middle of a deployment of it.

The engine is not asked: what says where the ledger is stands in the stack's file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bluegreen.images.stack_file import read_ledger_config
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Ledger, Run
from bluegreen.model.ledger_place import Backend
from bluegreen.model.stack_name import short


def ledger_of(stack: str, directory: Path) -> Ledger:
    """`directory`: that of Pulumi.yaml. Asks nobody anything yet.

    Raises SettingsError, StackFileError where there is no project.
    """
    name = short(stack)
    config = read_ledger_config(name, directory)
    run = Run.new(directory, name, datetime.now(UTC))
    if config.place.backend is Backend.FILE:
        return FileLedger(run.ledger)
    from bluegreen.aws.session import Session
    from bluegreen.ledger.places import open_ledger

    return open_ledger(config.place, Session(config.session), run, config.project, lambda _: None)
