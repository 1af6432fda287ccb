"""What a page shows of a shell: the lines that begin with `$ ` in its console blocks, and what they put out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGES = (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
PROMPT = "$ "
LEFT_OUT = "..."
"""A line of an output that stands for any number of lines."""


@dataclass(frozen=True)
class Shown:
    """A command and its output as a page has them. `first` and `last`: its output's place among the page's lines."""

    command: str
    output: tuple[str, ...]
    first: int
    last: int


def shown(text: str) -> list[Shown]:
    """In their order."""
    return list(_shown(text.splitlines()))


def _shown(lines: Sequence[str]) -> Iterator[Shown]:
    begun: int | None = None
    command = ""
    for number, line in enumerate(lines):
        is_fence = line.startswith("```")
        if begun is not None and (is_fence or line.startswith(PROMPT)):
            yield Shown(command, tuple(lines[begun:number]), begun, number)
            begun = None
        if not is_fence and line.startswith(PROMPT) and _is_in_console(lines[:number]):
            command, begun = line.removeprefix(PROMPT), number + 1


def _is_in_console(before: Sequence[str]) -> bool:
    fences = [line for line in before if line.startswith("```")]
    return len(fences) % 2 == 1 and fences[-1] == "```console"


def inline_code(text: str) -> list[str]:
    """What the prose has between backticks, and lines of indented code."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (\S.*)$", prose, flags=re.MULTILINE)
    return [*re.findall(r"`([^`\n]+)`", prose), *indented]


def with_outputs(text: str, outputs: Sequence[tuple[Shown, Sequence[str]]]) -> str:
    """The page with these outputs in place of those that it has."""
    lines = text.splitlines()
    for each, output in sorted(outputs, key=lambda pair: -pair[0].first):
        lines[each.first : each.last] = output
    return "\n".join(lines) + "\n"
