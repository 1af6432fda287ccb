"""A directory as what goes into an image: its files in a fixed order, without what tools and editors leave behind."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from bluegreen.errors import ContentError

JUNK = (
    "__pycache__",
    "*.py[co]",
    ".git",
    ".hg",
    ".svn",
    ".venv",
    ".ansible",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".idea",
    ".vscode",
    ".DS_Store",
    "*~",
    ".*.sw[a-p]",
    ".#*",
    "#*#",
)
"""Patterns of names that are left out, wherever they are."""


class Kind(StrEnum):
    DIRECTORY = "directory"
    FILE = "file"
    LINK = "link"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing in a tree. `path` is relative to the tree, with slashes; `target` is a link's, as written."""

    path: str
    kind: Kind
    source: Path
    is_executable: bool = False
    target: str = ""


def walk(root: Path) -> Iterator[Entry]:
    """Everything in a tree that counts, a directory before what is in it, sorted by name.

    Directories with nothing in them are left out: git does not keep them, so two checkouts may differ in them.

    Raises ContentError where there is no such tree, or it holds what can't go along: links that lead out, devices.
    """
    if not os.path.isdir(root):
        raise ContentError(f"{root} is not a directory", "Name the right one. Nothing was changed.")
    try:
        entries = list(_walk(root.resolve(), root, ""))
    except OSError as error:  # also a file that goes while it is looked at
        raise ContentError(f"{root} can't be read: {error}") from error
    if not entries:
        raise ContentError(f"{root} is empty", "Name the right one. Nothing was changed.")
    yield from entries


def _walk(root: Path, directory: Path, prefix: str) -> Iterator[Entry]:
    try:
        found = sorted(os.scandir(directory), key=lambda each: os.fsencode(each.name))
    except OSError as error:
        raise ContentError(f"{directory} can't be read: {error.strerror}") from error
    for each in found:
        if any(fnmatchcase(each.name, pattern) for pattern in JUNK):
            continue
        path, source = prefix + each.name, Path(each.path)
        mode = each.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            yield Entry(path=path, kind=Kind.LINK, source=source, target=_target(root, source))
        elif stat.S_ISREG(mode):
            yield Entry(path=path, kind=Kind.FILE, source=source, is_executable=bool(mode & stat.S_IXUSR))
        elif stat.S_ISDIR(mode):
            children = list(_walk(root, source, f"{path}/"))
            if children:
                yield Entry(path=path, kind=Kind.DIRECTORY, source=source)
                yield from children
        else:
            raise ContentError(f"{source} is neither a file, nor a directory, nor a link", "Remove it, then run again.")


def _target(root: Path, link: Path) -> str:
    target = os.readlink(link)
    if os.path.isabs(target) or not Path(os.path.realpath(link)).is_relative_to(root):
        raise ContentError(
            f"{link} leads out of the directory, to {target}: it would lead nowhere on a machine",
            "Put a copy in its place, or a relative link to something inside.",
        )
    return target
