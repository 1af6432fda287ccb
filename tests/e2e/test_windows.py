"""Deployment windows, as a person with a plain `pulumi up` meets them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.rollout


def test_a_new_release_waits_for_its_window_or_is_forced_and_the_way_back_is_open(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = project.up(ami=project.image("1"))
    assert first.code == 0, first.output
    before = project.outputs
    day = f"{datetime.now(UTC) + timedelta(days=3):%a}".lower()

    closed = project.up(ami=project.image("2"), windows=[{"days": [day], "from": "12:00", "to": "12:01"}])
    assert closed.code != 0
    assert f"the window {day} 12:00-12:01 UTC opens" in closed.output
    assert "BLUEGREEN_FORCE=true" in closed.output
    assert closed.has_no_traceback, closed.output
    assert not closed.writes
    assert project.outputs == before

    preview = project.pulumi("preview")
    assert preview.code == 0, preview.output
    assert "takes no new release now" in preview.output

    monkeypatch.setenv("BLUEGREEN_FORCE", "true")
    forced = project.up()
    assert forced.code == 0, forced.output
    assert "forced: outside the deployment windows" in forced.output
    assert project.release != before["activeRelease"]["version"]
    monkeypatch.delenv("BLUEGREEN_FORCE")

    back = project.up(ami=project.image("1"))
    assert back.code == 0, back.output
    assert project.release == before["activeRelease"]["version"]
