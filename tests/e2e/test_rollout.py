"""Rollouts in several steps: each is declared, so that a plain `pulumi up` in the middle keeps it."""

from __future__ import annotations

from collections import Counter

import pytest

from sandbox.load import Load
from tests.e2e.project import STACK, Project, eventually

REQUESTS_PER_SECOND = 200
TOLERANCE = 0.05

pytestmark = pytest.mark.rollout


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic."""
    first = project.bluegreen("deploy", STACK, "--ami", project.image("1"))
    assert first.code == 0, first.output
    return project


def bluegreen(project: Project, *words: str) -> str:
    done = project.bluegreen(*words)
    assert done.code == 0, done.output
    return done.output


def roles(project: Project) -> dict[str, int]:
    return {group["role"]: int(group["weight"]) for group in project.outputs["fleet"]["groups"]}


def test_a_canary_shifts_the_traffic_as_told_and_no_request_fails(served: Project) -> None:
    served.configure(strategy="canary", steps=[{"weight": 30, "pauseSeconds": 4}], promotion="manual")
    old = served.release
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND) as load:
        begun = served.begin_bluegreen("deploy", STACK, "--ami", served.image("2")).finish()
        assert begun.code == 0, begun.output
        shifted = begun.last("ModifyListener").ended
        eventually(lambda: sum(it.sent_at > shifted for it in load.answers) > 1000)
    assert not load.failures, load.failures[:3]
    (new,) = {it.release for it in load.answers if it.release} - {old}
    seen = Counter(it.release for it in load.answers if it.sent_at > shifted)
    assert abs(seen[new] / seen.total() - 0.30) < TOLERANCE
    assert roles(served) == {"active": 70, "candidate": 30}
    assert served.release == old, "the active release is the old one until all traffic has moved"


def test_a_plain_up_in_the_middle_of_a_canary_changes_nothing(served: Project) -> None:
    again = served.up()
    assert again.code == 0, again.output
    assert again.writes == []
    assert roles(served) == {"active": 70, "candidate": 30}


def test_a_third_image_in_the_middle_is_refused_and_names_the_ways_out(served: Project) -> None:
    image = served.outputs["activeRelease"]["image"]
    for refused in (served.bluegreen("deploy", STACK, "--ami", served.image("3")), served.up(ami=served.image("3"))):
        assert refused.code != 0
        assert "bluegreen promote" in refused.output
        assert "bluegreen abort" in refused.output
        assert refused.writes == []
    served.configure(ami=image)


def test_an_abort_gives_the_candidate_up_and_no_request_fails(served: Project) -> None:
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND) as load:
        bluegreen(served, "abort", STACK)
    assert not load.failures, load.failures[:3]
    assert roles(served) == {"active": 100}
    assert len(served.groups()) == 1


def test_red_black_keeps_the_old_group_and_a_rollback_to_it_is_one_listener_change(served: Project) -> None:
    old = served.release
    served.configure(strategy="redBlack", promotion="auto", scale_down_delay_seconds=30)
    deploying = served.begin_bluegreen("deploy", STACK, "--ami", served.image("2")).wait_for("for 30 s; Ctrl-C")
    eventually(lambda: len(served.groups()) == 2 and served.ask()["release"] != old)
    eventually(lambda: roles(served) == {"active": 100, "standby": 0})
    deploying.interrupt()
    interrupted = deploying.finish()
    assert interrupted.has_no_traceback
    assert "stays at the step `promoted`" in interrupted.output
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND) as load:
        back = served.bluegreen("rollback", STACK)
    assert back.code == 0, back.output
    assert not load.failures, load.failures[:3]
    assert served.release == old
    assert served.ask()["release"] == old
    before = back.writes[: back.writes.index("DeleteAutoScalingGroup")]
    assert before.count("ModifyListener") == 2, "production and preview"
    assert "CreateAutoScalingGroup" not in back.writes


def test_a_checkout_from_before_the_last_rollout_is_refused_and_changes_nothing(served: Project) -> None:
    file = served.directory / f"stacks/Pulumi.{STACK}.yaml"
    kept = file.read_text()
    served.configure(fleet=None)
    stale = served.up()
    assert stale.code != 0
    assert "older than what runs" in stale.output
    assert stale.has_no_traceback
    assert stale.writes == []
    file.write_text(kept)
    assert served.up().code == 0


def test_a_destroy_needs_no_newer_checkout(served: Project) -> None:
    served.configure(fleet=None)
    bluegreen(served, "destroy", STACK, "--yes")
    assert served.resources == []
