"""A migration runs once per release, before any traffic, and an image that can't live with the database gets none."""

from __future__ import annotations

import pytest

from sandbox.host import REPOSITORY
from tests.e2e.project import STACK, Project

pytestmark = pytest.mark.rollout


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1, which suits schema 12 and 13, takes the traffic; a migration notes each of its runs."""
    first = project.bluegreen("deploy", STACK, "--ami", image(project, "1", "12-13"))
    assert first.code == 0, first.output
    script = 'echo "$BLUEGREEN_IMAGE" >> migrated; [ ! -e broken ] && echo schema=13'
    project.configure(migration={"command": ["sh", "-c", script]}, strategy="canary")
    project.configure(steps=[{"weight": 20, "pauseSeconds": 0}, {"weight": 60, "pauseSeconds": 0}])
    return project


def image(project: Project, version: str, schema_compat: str) -> str:
    tags = {"version": version, "schema-compat": schema_compat}
    return project.sandbox.image(REPOSITORY / "app", tags=tags, env={"APP_VERSION": version})


def runs(project: Project) -> list[str]:
    file = project.directory / "migrated"
    return file.read_text().split() if file.exists() else []


def test_a_migration_that_fails_keeps_the_traffic_where_it_is_and_is_run_again(served: Project) -> None:
    old, new = served.release, image(served, "2", "12-13")
    (served.directory / "broken").touch()
    failed = served.bluegreen("deploy", STACK, "--ami", new)
    assert failed.code == 1
    assert "or mend `migration`" in failed.output
    assert served.ask()["release"] == old
    (served.directory / "broken").unlink()
    done = served.bluegreen("deploy", STACK, "--ami", new)
    assert done.code == 0, done.output
    assert served.ask()["app"] == "2"
    assert runs(served) == [new, new], "once more after the failure, and then for no further step"


def test_an_image_that_does_not_suit_the_schema_is_kept_off_the_database_both_ways(served: Project) -> None:
    good = served.release
    too_old = served.bluegreen("deploy", STACK, "--ami", image(served, "0", "11-12"))
    assert too_old.code == 1
    assert "is for schema-compat 11-12" in too_old.output
    assert served.ask()["release"] == good
    assert served.bluegreen("abort", STACK).code == 0

    served.configure(migration={"command": ["sh", "-c", "echo schema=14"]})
    done = served.bluegreen("deploy", STACK, "--ami", image(served, "3", "13-14"))
    assert done.code == 0, done.output
    writes_nothing = served.bluegreen("rollback", STACK)
    assert writes_nothing.code == 2
    assert "the database has schema 14" in writes_nothing.output
    assert writes_nothing.writes == []
    forced = served.bluegreen("rollback", STACK, "--force")
    assert forced.code == 0, forced.output
    assert served.release == good
