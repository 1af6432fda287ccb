"""What came of one HTTP request: an answer, a broken one, or no connection that can be trusted.

Pure: who asks is `bluegreen.checks.probe`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_CHARACTERS_SHOWN = 200
"""Of a body, in a message."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer. `headers`: by name in lower case. `seconds`: from the connection to the body's end."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def excerpt(self) -> str:
        """How the body begins, in one line."""
        if not self.body:
            return "the answer is empty"
        more = "..." if len(self.body) > MOST_CHARACTERS_SHOWN else ""
        return f"the answer: {self.body[:MOST_CHARACTERS_SHOWN]!r}{more}"

    def json_at(self, path: str) -> Any:
        """The value at a dotted path of keys and list indices: `checks.0.ok`. Raises LookupError, which says why."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            raise LookupError("the answer is no JSON") from None
        for part in path.split("."):
            match value:
                case dict() if part in value:
                    value = value[part]
                case list() if part.isdecimal() and int(part) < len(value):
                    value = value[int(part)]
                case _:
                    raise LookupError(f"there is no {path} in the answer")
        return value


@dataclass(frozen=True)
class Broken:
    """A connection was made, and no whole answer came."""

    why: str


@dataclass(frozen=True)
class Unreachable:
    """No connection was made."""

    why: str


@dataclass(frozen=True)
class Untrusted:
    """A connection was made, and TLS was not: most of all, the certificate is not good for the name."""

    why: str


Outcome = Answer | Broken | Unreachable | Untrusted
