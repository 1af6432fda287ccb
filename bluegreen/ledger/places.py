"""Opens the ledger that the setting `ledger` names."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from bluegreen.aws.session import Session
from bluegreen.ledger.consul import ConsulLedger
from bluegreen.ledger.dynamodb import DynamoLedger, NoTable
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Ledger, Run
from bluegreen.model.history import Event, History
from bluegreen.model.lease import Lease
from bluegreen.model.ledger_place import Backend, LedgerPlace

T = TypeVar("T")


def open_ledger(
    place: LedgerPlace,
    session: Session,
    run: Run,
    project: str,
    report: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
) -> Ledger:
    """Asks nobody anything yet, and makes no client. `report` hears where the default comes down to the file."""
    key = f"{project}/{run.stack}"
    match place.backend:
        case Backend.FILE:
            return FileLedger(run.ledger)
        case Backend.DYNAMODB:
            return DynamoLedger(session, place.name, key)
        case Backend.CONSUL:
            return ConsulLedger(place.name, key, environment)
        case Backend.DEFAULT:
            return TableOrFile(DynamoLedger(session, place.name, key), FileLedger(run.ledger), report)


class TableOrFile:
    """The table where there is one, else the file: the first answer decides, so it costs no call of its own.

    Where AWS can't say, nothing is decided, and the error stands: a history and a lease in two places would be none.
    """

    def __init__(self, table: DynamoLedger, file: FileLedger, report: Callable[[str], None]) -> None:
        self._table = table
        self._file = file
        self._report = report
        self._lock = threading.Lock()
        self._chosen: Ledger | None = None

    @property
    def place(self) -> str:
        return (self._chosen or self._table).place

    def append(self, event: Event) -> None:
        self._done(lambda ledger: ledger.append(event))

    def read(self) -> History:
        return self._done(lambda ledger: ledger.read())

    def lease(self) -> Lease:
        return self._done(lambda ledger: ledger.lease())

    def swap_lease(self, expected: Lease, new: Lease) -> bool:
        return self._done(lambda ledger: ledger.swap_lease(expected, new))

    def publish(self, service: str, values: Mapping[str, str]) -> None:
        """Neither does."""

    def _done(self, act: Callable[[Ledger], T]) -> T:
        if self._chosen:
            return act(self._chosen)
        with self._lock:
            if self._chosen is None:
                try:
                    answer = act(self._table)
                except NoTable as none:
                    self._chosen = self._file
                    self._report(f"the history is kept in {self._file.place}: {none.what}. {none.next_step}")
                else:
                    self._chosen = self._table
                    return answer
        return act(self._chosen)
