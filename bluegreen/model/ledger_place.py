"""Where a stack's ledger is, as the setting `ledger` says it. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum

from bluegreen.model.schema import refusal

DEFAULT_NAME = "bluegreen"
"""Of the table, and the prefix of Consul's keys."""


class Backend(StrEnum):
    """What keeps the events."""

    DEFAULT = ""  # the table where there is one, else the file
    DYNAMODB = "dynamodb"
    CONSUL = "consul"
    FILE = "file"


@dataclass(frozen=True, kw_only=True)
class LedgerPlace:
    """`name`: of the table, or the prefix of Consul's keys."""

    backend: Backend = Backend.DEFAULT
    name: str = DEFAULT_NAME

    @classmethod
    def parse(cls, text: str) -> LedgerPlace:
        """Of `dynamodb`, `dynamodb:TABLE`, `consul`, `consul:PREFIX`, `file`, or nothing. Raises a refusal."""
        word, colon, name = text.partition(":")
        known = [backend.value for backend in Backend if backend]
        if word not in known and text:
            near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.5)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise refusal(f"{text!r} should be {', '.join(known[:-1])} or {known[-1]}{meant}")
        backend = Backend(word)
        if not colon:
            return cls(backend=backend)
        match backend:
            case Backend.DYNAMODB if not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", name):
                # DynamoDB API, CreateTable: TableName
                raise refusal(f"{name!r} is not the name of a table: 3 to 255 letters, digits and _ . -")
            case Backend.CONSUL if not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", name):
                raise refusal(f"{name!r} is not a prefix of keys; one looks like teams/checkout")
            case Backend.FILE:
                raise refusal(f"{text!r} should be file: its place is runs/STACK/ledger.jsonl")
        return cls(backend=backend, name=name)
