"""A candidate takes the traffic only once it is as large as what serves by then."""

from __future__ import annotations

import pytest

from sandbox.load import Load
from tests.e2e.project import STACK, Project, eventually

pytestmark = pytest.mark.rollout

LARGE = 6


@pytest.mark.parametrize("driven_by", ["pulumi", "bluegreen"])
def test_a_scale_out_while_the_candidate_starts_ends_with_as_many_candidates_before_the_cutover(
    project: Project, driven_by: str
) -> None:
    if not project.groups():
        assert project.up(ami=project.image("1")).code == 0
    (active,) = project.groups()
    autoscaling = project.aws("autoscaling")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=active, DesiredCapacity=2)
    eventually(lambda: len(project.groups()[active]["Instances"]) == 2)
    image = project.image(driven_by)
    project.sandbox.ask("PUT", "boot-seconds", {"seconds": 4})
    with Load(project.outputs["url"], per_second=200) as load:
        if driven_by == "pulumi":
            begun = project.begin_up(ami=image)
        else:
            begun = project.begin_bluegreen("deploy", STACK, "--ami", image)
        begun.wait_for("0 of 2 healthy")
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=active, DesiredCapacity=LARGE)
        done = begun.finish()
    project.sandbox.ask("PUT", "boot-seconds", {"seconds": 0.5})
    assert done.code == 0, done.output
    assert not load.failures, load.failures[:3]
    assert f"raised to {LARGE}, what the active group runs at" in done.output
    assert f"{LARGE} of {LARGE} healthy" in done.output
    raised = [at for at, call in enumerate(done.calls) if call.action == "SetDesiredCapacity"]
    cutover = [at for at, call in enumerate(done.calls) if call.action == "ModifyListener"][-1]
    assert raised
    assert max(raised) < cutover
    (group,) = project.groups()
    assert group != active
    assert project.groups()[group]["DesiredCapacity"] == LARGE
