"""The JSON Schema of the lines that `--json` writes, made of the events' types.

python -m bluegreen.report.schema > docs/events.schema.json
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from pydantic import TypeAdapter

from bluegreen.events import KINDS, Event, camel

AT = {"type": "string", "format": "date-time", "description": "When it was told, UTC."}


def schema() -> dict[str, Any]:
    """Of one line. A reader should pass over kinds and keys that it does not know: later versions may add some."""
    definitions: dict[str, Any] = {}
    kinds = {kind: _of(event, kind, definitions) for event, kind in KINDS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of `bluegreen ... --json`",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds],
        "$defs": {**kinds, **definitions},
    }


def _of(event: type[Event], kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    made = TypeAdapter(event).json_schema()
    definitions.update(made.get("$defs", {}))
    fields = {camel(name): _without_titles(each) for name, each in made["properties"].items()}
    return {
        "type": "object",
        "description": " ".join((inspect.getdoc(event) or "").split("\n\n")[0].split()),
        "properties": {"at": AT, "event": {"const": kind}, **fields},
        "required": ["at", "event", *fields],
    }


def _without_titles(field: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in field.items() if key not in ("title", "default")}


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
