"""docs/commands.md: every command with its help. Written from the commands themselves:

python -m tests.docs.commands > docs/commands.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from bluegreen.cli.main import app

PROGRAM = "bluegreen"
WIDTH = 110
HEAD = """\
# Commands

Written from the commands themselves (`make docs`): what `--help` says. At work they are in [README.md](../README.md),
[tour.md](tour.md) and the page that each belongs to. Exit codes, and what `--json` prints: [json.md](json.md).
"""


def root() -> Any:
    return typer.main.get_command(app)


def commands() -> Iterator[tuple[str, Any]]:
    """Each by the words that it is called by, groups before what is in them."""
    yield PROGRAM, root()
    yield from _below(PROGRAM, root())


def leaves() -> list[str]:
    """What does something, without the program's name."""
    return [words.removeprefix(f"{PROGRAM} ") for words, command in commands() if not hasattr(command, "commands")]


def page() -> str:
    parts = [HEAD]
    for words, command in commands():
        title = "" if words == PROGRAM else f"## {words.removeprefix(f'{PROGRAM} ')}\n\n"
        parts.append(f"{title}```console\n$ {words} --help\n{_help(words, command)}\n```\n")
    return "\n".join(parts)


def _below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        yield f"{words} {name}", child
        yield from _below(f"{words} {name}", child)


def _help(words: str, command: Any) -> str:
    context = command.context_class(command, info_name=words, terminal_width=WIDTH, max_content_width=WIDTH)
    text: str = command.get_help(context)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


if __name__ == "__main__":
    print(page(), end="")
