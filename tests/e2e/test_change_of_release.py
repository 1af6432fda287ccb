"""A release is changed under load: no request fails, and nothing happens out of order."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sandbox.load import Load
from sandbox.timeline import SETTLE_SECONDS
from tests.e2e.project import Project, eventually

REQUESTS_PER_SECOND = 200
SLOW_EVERY = 20
NOTICED_SECONDS = 1.0  # until then the load balancer sends requests to a machine that has just died, as on AWS


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic."""
    first = project.up(ami=project.image("1"))
    assert first.code == 0, first.output
    return project


@pytest.fixture
def load(served: Project) -> Iterator[Load]:
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND, slow_every=SLOW_EVERY) as it:
        eventually(lambda: it.answers)
        yield it
    assert not it.failures, f"{len(it.failures)} of {len(it.answers)} failed, first {it.failures[:3]}"


def test_a_change_of_release_fails_no_request_and_the_old_group_outlives_the_cutover(
    served: Project, load: Load
) -> None:
    old = served.release
    (old_group,) = served.groups()
    served.aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=old_group, DesiredCapacity=3)
    eventually(lambda: len(served.healthy(served.image("1"))) == 3)

    changed = served.up(ami=served.image("2"))

    assert changed.code == 0, changed.output
    new = served.release
    assert new != old

    only_the_versioned = {"create": 9, "update": 4, "delete": 9}
    assert changed.changes == only_the_versioned

    writes = changed.writes
    assert writes.count("CreateAutoScalingGroup") == writes.count("DeleteAutoScalingGroup") == 1
    made, gone = writes.index("CreateAutoScalingGroup"), writes.index("DeleteAutoScalingGroup")
    assert "ModifyListener" in writes[:made], "the preview listener names the candidate before it has machines"
    between = writes[made + 1 : gone]
    assert between.count("ModifyListener") == 1, f"the cutover is one call: {between}"
    assert between.index("ModifyListener") < between.index("PutScalingPolicy")
    assert not any(action.startswith("Delete") for action in between[: between.index("ModifyListener")])
    assert writes.count("PutParameter") == 2, "image and release"
    assert "PutParameter" not in writes[: writes.index("CreateAutoScalingGroup")]
    assert "PutParameter" not in between[: between.index("ModifyListener")], "published once it has the traffic"

    cutover = changed.last("ModifyListener")
    answers = [answer for answer in load.answers if answer.release]
    assert not [it for it in answers if it.release == old and it.sent_at > cutover.ended + SETTLE_SECONDS]
    assert not [it for it in answers if it.release == new and it.sent_at + it.seconds < cutover.began]
    assert {it.release for it in answers} == {old, new}

    (group,) = served.groups().values()
    assert (group["DesiredCapacity"], len(served.healthy(served.image("2")))) == (3, 3), "as many as the old one had"


def test_an_up_with_nothing_changed_writes_nothing_and_hardly_reads(served: Project) -> None:
    again = served.up()
    assert again.code == 0, again.output
    assert again.changes == {}
    assert again.writes == []
    assert len(again.reads) <= 6, again.reads


def test_a_killed_app_is_replaced_under_load_and_only_its_own_requests_fail(served: Project) -> None:
    before = served.healthy(served.image("2"))
    victim = sorted(before)[0]
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND) as load:
        eventually(lambda: load.answers)
        killed_at = time.time()
        served.sandbox.ask("POST", f"machines/{victim}/kill")
        after = eventually(lambda: len(it := served.healthy(served.image("2")) - {victim}) == len(before) and it)
    assert len(after - before) == 1
    late = [failure for failure in load.failures if failure.sent_at > killed_at + NOTICED_SECONDS]
    assert not late, "a machine that is known to be dead still gets requests"
    assert len(load.failures) < len(load.answers) / len(before), "the others go on answering"


def test_another_port_is_another_release_under_load(served: Project, load: Load) -> None:
    old = served.release
    changed = served.up(port=8081)
    assert changed.code == 0, changed.output
    assert changed.done("create")["create", "Group"] == changed.done("delete")["delete", "Group"] == 1
    assert served.release != old
    assert served.ask()["release"] == served.release
