"""Whether an output is the one that a page shows, apart from what is another one each time. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.docs.page import LEFT_OUT

MASKS = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(\+00:00)?", "WHEN"),
    (r"\b\d{8}-\d{6}-[0-9a-f]{4}\b", "RUN"),
    (r"(?<=WHEN  )[0-9a-f]{4}\b", "RUN"),
    (r"\b(ami|i|snap)-[0-9a-f]{8,17}\b", r"\1-ID"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{7}\b", "GROUP"),
    (r"\b[0-9a-f]{64}\b|\b[0-9a-f]{40}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{12}\b|\b[0-9a-f]{10}\b", "DIGEST"),
    (r"(?<!\w)(?=[0-9a-f]*\d)[0-9a-f]{7,8}\b", "VERSION"),
    (r"\b[\w.-]+@[\w.-]+", "WHO"),
    (r"\bas \w+(?=, from)", "as WHO"),
    (r"\b127(\.\d+){3}\b", "ADDRESS"),
    (r"file://\S+|/\S*/(?=[\w.-]+\b)", "PATH/"),
    (r"\b\d+:\d\d\b", "TIME"),
    (r"\b\d+\.\d+(\.\d+)*\b", "N"),
    (r"\b\d+ s\b", "N s"),
    (r"(?<=web-1-)[\d-]+", "ID"),
    (r"app-\d+\b", "app-ID"),
    (r"\s+", " "),
)
CUT = "…"
"""Within a line: any text."""
COUNTS = re.compile(r"(seen|wanted|requests|alarms|alarm) ")
"""Of lines that tell what was sampled, the numbers are others each time."""
SOMETIMES = re.compile(
    r"stand-in for the Pulumi CLI|gate: \S+: \d+ of \d+ healthy(;.*)?$|\bstill [\w ]+, \d|soak: .*\d healthy$"
)
"""Lines that say how far something is: how many there are depends on how fast the machine is."""


def masked(line: str) -> str:
    for pattern, mask in MASKS:
        line = re.sub(pattern, mask, line)
    return re.sub(r"\d+", "N", line).strip() if COUNTS.search(line) else line.strip()


def lasting(output: Sequence[str]) -> list[str]:
    return [line for line in output if not SOMETIMES.search(line)]


def aligned(shown: Sequence[str], real: Sequence[str]) -> list[str] | None:
    """The real lines in the form that is shown, with what that leaves out left out; None where it is another output."""
    wanted, there = lasting(shown), lasting(real)
    parts: list[list[str]] = [[]]
    for line in wanted:
        if line.strip() == LEFT_OUT:
            parts.append([])
        else:
            parts[-1].append(line)
    result: list[str] = []
    at = 0
    for number, part in enumerate(parts):
        is_first, is_last = number == 0, number == len(parts) - 1
        places = range(at, len(there) - len(part) + 1)
        if is_first:
            places = range(min(1, len(places)))
        if is_last:
            last = len(there) - len(part)
            places = range(last, last + 1) if last in places else range(0)
        found = next((place for place in places if _is_like(part, there[place : place + len(part)])), None)
        if found is None:
            return None
        fitted = (_fitted(*pair) for pair in zip(part, there[found : found + len(part)], strict=True))
        result += [*([] if is_first else [LEFT_OUT]), *(line for line in fitted if line is not None)]
        at = found + len(part)
    return result


def _is_like(shown: Sequence[str], real: Sequence[str]) -> bool:
    return all(_fitted(line, there) is not None for line, there in zip(shown, real, strict=True))


def _fitted(shown: str, real: str) -> str | None:
    """The real line in the form that is shown; None where it is another line."""
    start, cut, end = shown.partition(CUT)
    if not cut:
        return real if masked(shown) == masked(real) else None
    starts = [at for at in range(len(real), -1, -1) if masked(real[:at]) == masked(start)]
    ends = [at for at in range(len(real) + 1) if masked(real[at:]) == masked(end)]
    return (
        f"{real[: starts[0]].rstrip()}{start[len(start.rstrip()) :]}{CUT}{real[ends[0] :]}" if starts and ends else None
    )
