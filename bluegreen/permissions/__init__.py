"""The IAM policies of the verbs, with placeholders for the place: made by `make iam-policies`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent


def template(verb: str) -> dict[str, Any]:
    """The policy of `bake`, `deploy`, `rollback` or `read-only`."""
    found: dict[str, Any] = json.loads((DIRECTORY / f"{verb}.json").read_text(encoding="utf-8"))
    return found
