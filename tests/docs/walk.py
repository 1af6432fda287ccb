"""Goes the way that a page shows, in a copy of the project: each of its commands, with what it really puts out.

    python -m tests.docs.walk README.md docs/tour.md

puts the real outputs into the pages. What a page leaves out with `...` stays left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sandbox.host import REPOSITORY
from tests.docs.likeness import CUT, aligned, lasting
from tests.docs.page import LEFT_OUT, Shown, shown, with_outputs
from tests.docs.shell import Shell

BEGIN = ".venv/bin/bluegreen-sandbox run"
"""What a walk begins with. Before it stands how to get there."""
END = "exit"
HOME = "/home/ann/bluegreen"
COPIED = ("Pulumi.yaml", "__main__.py", ".gitignore", "ansible", "app", "packer", "stacks")


def the_walk(page: Path) -> list[Shown]:
    """From the sandbox's start to its end."""
    commands = shown(page.read_text())
    first = next(number for number, each in enumerate(commands) if each.command.startswith(BEGIN))
    last = next(number for number, each in enumerate(commands) if number > first and each.command == END)
    return commands[first : last + 1]


def go(page: Path, directory: Path) -> Iterator[tuple[Shown, list[str]]]:
    """Each command of the walk with its output, once it has ended."""
    _clone(directory)
    with Shell(directory, _environment()) as shell:
        for each in the_walk(page):
            yield each, shell.run(each.command)


def _clone(directory: Path) -> None:
    """As a clone is: with the packages beside it, and a commit."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=shutil.ignore_patterns("__pycache__", "ami.txt"))
        else:
            shutil.copy(source, directory / name)
    (directory / ".venv").symlink_to(sys.prefix)
    git = ["git", "-C", str(directory), "-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "A clone")):
        subprocess.run([*git, *words], check=True, capture_output=True)


def _environment() -> dict[str, str]:
    return {**os.environ, "USER": "ann", "LOGNAME": "ann"}


def main(pages: list[str]) -> int:
    codes = [_refresh(Path(page).resolve()) for page in pages]
    return max(codes)


def _refresh(page: Path) -> int:
    outputs: list[tuple[Shown, list[str]]] = []
    unlike = 0
    with tempfile.TemporaryDirectory() as place:
        for each, real in go(page, Path(place) / "bluegreen"):
            real = [_of_anybody(line, place) for line in real]
            print(f"$ {each.command}", *real, sep="\n", flush=True)
            is_shortened = any(line.strip() == LEFT_OUT or CUT in line for line in each.output)
            found = aligned(each.output, real) if is_shortened else lasting(real)
            if found is None:
                unlike += 1
                print(f"UNLIKE what {page.name} shows", flush=True)
            else:
                outputs.append((each, found))
    page.write_text(with_outputs(page.read_text(), outputs))
    return 1 if unlike else 0


def _of_anybody(line: str, place: str) -> str:
    """The same without what tells whose machine it was."""
    line = line.replace(f"{place}/bluegreen", HOME).replace(str(REPOSITORY), HOME).replace(sys.prefix, f"{HOME}/.venv")
    return re.sub(r"\bann@[\w.-]+", "ann@vm", line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
