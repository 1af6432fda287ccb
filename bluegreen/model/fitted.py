"""An event that keeps within what a ledger takes as one entry. Pure."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from bluegreen.model.history import Event

LEFT_OUT = "leftOut"
"""In the evidence: what was too large to be kept, {name: bytes}."""

SUMMARY_CHARACTERS = 2000
"""Of a summary that has to be cut."""


def size_of(value: Any) -> int:
    """In bytes, as JSON."""
    return len(json.dumps(value, separators=(",", ":")).encode())


def fitted(event: Event, limit_bytes: int) -> Event:
    """The event, whose record has at most so many bytes as JSON: the largest of its evidence is left out first, and is
    named in what is left. An event is rather kept in part than lost.
    """
    if size_of(event.as_record()) <= limit_bytes:
        return event
    evidence, left_out = dict(event.evidence), {}
    kept = dataclasses.replace(event, summary=event.summary[:SUMMARY_CHARACTERS])
    for name in sorted(evidence, key=lambda name: size_of(evidence[name]), reverse=True):
        left_out[name] = size_of(evidence.pop(name))
        kept = dataclasses.replace(kept, evidence={**evidence, LEFT_OUT: left_out})
        if size_of(kept.as_record()) <= limit_bytes:
            break
    return kept
