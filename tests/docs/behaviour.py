"""docs/aws-behaviour.md: what AWS and its Pulumi provider document, and the test that the sandbox does it.

A test that holds the sandbox to a documented behaviour is marked
`@pytest.mark.documented("what happens", "https://where.it.is/said")`; a parametrised one may mark each case. Written by

python -m tests.docs.behaviour > docs/aws-behaviour.md
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import getdoc
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHERE = ROOT / "tests" / "sandbox"
HEAD = """\
# What AWS documents, and the test that the sandbox does it

Written from the tests (`make docs`). What the sandbox is made of, and what was never tried on AWS, is in
[fidelity.md](fidelity.md).
"""


@dataclass(frozen=True)
class Row:
    part: str  # the first line of the test module's docstring
    what: str
    source: str  # a URL
    test: str

    def __str__(self) -> str:
        name = self.source.rstrip("/").rpartition("/")[2]
        return f"| {self.what} | [{name}]({self.source}) | {self.test} |"


class _Collector:
    def __init__(self) -> None:
        self.rows: list[Row] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.rows = list(dict.fromkeys(row for item in session.items for row in _rows(item)))


def _rows(item: pytest.Item) -> Iterator[Row]:
    for mark in item.iter_markers("documented"):
        what, source = mark.args
        module = getattr(item, "module", None)
        part = (getdoc(module) or "").partition("\n")[0].rstrip(".")
        test = getattr(item, "originalname", item.name)
        yield Row(part, what, source, f"`{item.path.relative_to(ROOT)}` {test.removeprefix('test_').replace('_', ' ')}")


def rows() -> list[Row]:
    """All rows, in the order of the tests. Raises: RuntimeError, where the tests can't be collected."""
    collector = _Collector()
    arguments = ["--collect-only", "--quiet", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", str(WHERE)]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main([*arguments, "--import-mode=importlib"], plugins=[collector])
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"the tests can't be collected:\n{said.getvalue()}")
    return collector.rows


def page(found: list[Row]) -> str:
    parts = [HEAD]
    for part, of_part in groupby(sorted(found, key=lambda row: row.part), key=lambda row: row.part):
        parts.append(f"\n## {part}\n\n| what is documented | where | test |\n| --- | --- | --- |\n")
        parts += [f"{row}\n" for row in of_part]
    return "".join(parts)


if __name__ == "__main__":
    print(page(rows()), end="")
