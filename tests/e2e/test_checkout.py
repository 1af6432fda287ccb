"""A checkout of last week does not bring last week back: the settings of the last update count, and it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.e2e.library import SMALL_WORDS
from tests.e2e.project import Project
from tests.e2e.told import told

pytestmark = pytest.mark.rollout


@pytest.fixture(scope="module")
def stale(project: Project) -> Project:
    """Release 2 runs, with settings of its own; the stack file is of release 1."""
    stack = replace(project, stack="dev")
    for command in (["init", "dev", *SMALL_WORDS], ["deploy", "dev", "--ami", stack.image("1")]):
        done = stack.bluegreen(*command)
        assert done.code == 0, done.output
    old = stack.file.read_text()
    for command in (["init", "dev", "--set", "maxSize=4"], ["deploy", "dev", "--ami", stack.image("2")]):
        done = stack.bluegreen(*command)
        assert done.code == 0, done.output
    stack.file.write_text(old)
    return stack


def test_a_deploy_from_it_rolls_nothing_back_and_tells_what_it_sets_aside(stale: Project) -> None:
    before = stale.outputs["fleet"]["groups"]
    done = stale.bluegreen("deploy", "dev")
    assert done.code == 0, done.output
    assert set(done.writes) <= {"PutItem"}, "of the ledger"
    assert "this checkout is older than the stack's last update" in done.output
    assert f"bluegreen:ami is {stale.image('1')} here, and {stale.image('2')} in the last update" in done.output
    assert "bluegreen:maxSize is 6 here, and 4 in the last update" in done.output
    assert stale.outputs["fleet"]["groups"] == before
    assert stale.ask()["app"] == "2"


def test_an_image_that_is_named_comes_in_with_the_settings_of_the_last_update(stale: Project) -> None:
    stale.configure(ami=stale.image("1"), max_size=None, fleet=None)
    done = told(stale, "deploy", "dev", "--ami", stale.image("3"))
    assert done.code == 0, done.last
    assert {each["key"]: each["isUsed"] for each in done.of("config")} == {
        "bluegreen:ami": False,
        "bluegreen:maxSize": False,
    }
    assert stale.ask()["app"] == "3"
    assert [group["MaxSize"] for group in stale.groups().values()] == [4]
    assert "maxSize: 4" in stale.file.read_text().replace('"', "").replace("'", ""), "the checkout is of today now"
