"""The page of what AWS documents is what the tests say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.docs.behaviour import ROOT, Row, page

PAGE = ROOT / "docs" / "aws-behaviour.md"


@pytest.fixture(scope="module")
def found() -> list[Row]:
    # In a process of its own: a collection inside a run of the tests would import all of them a second time here.
    code = (
        "import json, dataclasses as d, tests.docs.behaviour as b; print(json.dumps([d.astuple(r) for r in b.rows()]))"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Row(*each) for each in json.loads(told.stdout)]


def test_the_page_is_written_from_the_tests(found: list[Row]) -> None:
    assert PAGE.read_text() == page(found), "run `make docs`"


def test_each_row_names_where_it_is_documented(found: list[Row]) -> None:
    official = ("https://docs.aws.amazon.com/", "https://www.pulumi.com/", "https://github.com/")
    assert found
    assert [row for row in found if not row.source.startswith(official)] == []


def test_each_row_says_something_of_its_own(found: list[Row]) -> None:
    said = [(row.part, row.what) for row in found]
    assert len(set(said)) == len(said)
