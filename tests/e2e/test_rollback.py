"""Going back: what it will be is told beforehand, it takes no longer than an update that changes nothing, and a check
changes nothing at all."""

from __future__ import annotations

import time

import pytest

from sandbox.load import Load
from tests.e2e.project import STACK, Project

pytestmark = pytest.mark.rollout


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 2 takes the traffic; release 1 is a standby at full size."""
    project.configure(strategy="redBlack", scale_down_delay_seconds=0, max_remaining_groups=2)
    for version in ("1", "2"):
        deployed = project.bluegreen("deploy", STACK, "--ami", project.image(version))
        assert deployed.code == 0, deployed.output
    return project


def standby_at_full_size(project: Project, version: str) -> None:
    """As it is within `scaleDownDelaySeconds`."""
    project.configure(scale_down_delay_seconds=600)
    deploying = project.begin_bluegreen("deploy", STACK, "--ami", project.image(version))
    deploying.wait_for("is watched for 600 s").interrupt()
    assert deploying.finish().has_no_traceback


def test_a_rollback_to_a_standby_at_full_size_is_no_slower_than_an_up_that_changes_nothing(served: Project) -> None:
    standby_at_full_size(served, "3")
    settled = [served.pulumi("up", "--yes", "--skip-preview") for _ in range(3)]
    nothing = sorted(each.seconds for each in settled)[1]
    assert all(each.code == 0 for each in settled)

    with Load(served.outputs["url"], per_second=200) as load:
        began = time.time()
        back = served.bluegreen("rollback", STACK)
    assert back.code == 0, back.output
    assert not load.failures, load.failures[:3]
    assert "flip, its standby has its machines: one change of the listener" in back.output
    assert served.ask()["app"] == "2"
    seconds = back.last("ModifyListener").ended - began
    assert seconds < 1.5 * nothing, (
        f"traffic back after {seconds:.2f} s; an up that changes nothing takes {nothing:.2f} s"
    )


def test_a_check_says_whether_a_rollback_would_work_and_changes_nothing(served: Project) -> None:
    deployed = served.up(ami=served.image("4"))
    assert deployed.code == 0, deployed.output
    checked = served.bluegreen("rollback", STACK, "--check")
    assert checked.code == 0, checked.output
    assert "ok         image" in checked.output
    assert "ok         quota" in checked.output
    assert "Nothing was changed." in checked.output
    assert checked.writes == []


def test_an_earlier_release_comes_back_as_it_was_recorded_and_not_as_the_settings_are_today(served: Project) -> None:
    before = served.outputs["activeRelease"]
    deployed = served.up(ami=served.image("5"), drain_seconds=4)
    assert deployed.code == 0, deployed.output
    back = served.bluegreen("rollback", STACK, "--to", before["version"])
    assert back.code == 0, back.output
    assert "redeploy, it has no server group any more" in back.output
    assert served.outputs["activeRelease"] == before
    assert served.ask()["release"] == before["version"]


def test_a_rollback_whose_image_is_gone_is_refused_and_the_check_says_so(served: Project) -> None:
    gone = served.outputs["activeRelease"]
    deployed = served.up(ami=served.image("6"))
    assert deployed.code == 0, deployed.output
    served.aws("ec2").deregister_image(ImageId=gone["image"])
    for words in (["--check"], []):
        refused = served.bluegreen("rollback", STACK, "--to", gone["version"], *words)
        assert refused.code == 2
        assert f"the image {gone['image']} of release {gone['version']} is gone" in refused.output
        assert refused.has_no_traceback
        assert refused.writes == []
