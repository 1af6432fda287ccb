"""Machines kept warm: taken in place, drawn on, gone with their release, refused, changed and taken away."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.load import Load
from tests.e2e.project import Project, eventually

pytestmark = pytest.mark.rollout
REQUESTS_PER_SECOND = 100

POOL: dict[str, Any] = {"minimum": 1, "preparedMaximum": 4, "reuse": True}
"""Beside two machines two, stopped."""


def warm(project: Project) -> dict[str, dict[str, str]]:
    """States by instance, by group."""
    autoscaling = project.aws("autoscaling")
    return {
        name: {
            each["InstanceId"]: each["LifecycleState"]
            for each in autoscaling.describe_warm_pool(AutoScalingGroupName=name)["Instances"]
        }
        for name in project.groups()
    }


def settled(project: Project, count: int, state: str = "Warmed:Stopped") -> list[str]:
    """Of the only group, once so many are warm."""

    def look() -> list[str]:
        (found,) = warm(project).values()
        return list(found) if list(found.values()) == [state] * count else []

    return eventually(look, what=f"{count} {state}")


def serving(project: Project) -> set[str]:
    (group,) = project.groups().values()
    return {each["InstanceId"] for each in group["Instances"] if each["LifecycleState"] == "InService"}


def resize(project: Project, desired: int) -> None:
    (name,) = project.groups()
    project.aws("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=desired)


class TestWarmPool:
    def test_a_running_group_takes_a_pool_in_place(self, project: Project) -> None:
        first = project.up(ami=project.image("1"), max_size=4)
        assert first.code == 0, first.output
        before, groups = project.release, set(project.groups())
        changed = project.up(warm_pool=POOL)
        assert changed.code == 0, changed.output
        assert changed.done("update", "replace", "create") == {("update", "Group"): 1}
        assert (project.release, set(project.groups())) == (before, groups)
        assert not serving(project).intersection(settled(project, 2))
        assert len(project.healthy(project.image("1"))) == 2

    def test_nothing_changes_where_nothing_was_changed(self, project: Project) -> None:
        again = project.up()
        assert again.code == 0, again.output
        assert (again.changes, again.writes) == ({}, [])

    def test_what_is_warm_is_told(self, project: Project) -> None:
        assert "2 of 2 healthy, 2 warm" in project.bluegreen("status", project.stack).output
        project.configure(ami=project.image("2"))
        planned = project.bluegreen("plan", project.stack)
        assert "machines: 2 now, 4 at the peak; warm: 2 now, 4 at the peak" in planned.output

    def test_a_group_that_grows_takes_what_is_warm_and_gives_it_back(self, project: Project) -> None:
        before, waiting = serving(project), settled(project, 2)
        resize(project, 3)
        (left,) = settled(project, 1)
        (taken,) = set(waiting) - {left}
        eventually(lambda: serving(project) == {*before, taken})
        resize(project, 2)
        assert len({*settled(project, 2), *serving(project)} & {*before, *waiting}) == 4, "none was launched anew"
        assert project.ask()["app"] == "1"

    def test_a_new_release_fills_a_pool_of_its_own_and_the_old_one_goes(self, project: Project) -> None:
        with Load(project.outputs["url"], per_second=REQUESTS_PER_SECOND) as load:
            deployed = project.up(ami=project.image("2"))
        assert deployed.code == 0, deployed.output
        assert not load.failures, load.failures[:3]
        assert project.ask()["app"] == "2"
        settled(project, 2)
        order = [call.action for call in deployed.calls if call.action in ("DeleteWarmPool", "DeleteAutoScalingGroup")]
        assert order == ["DeleteWarmPool", "DeleteAutoScalingGroup"]
        left = project.aws("ec2").describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
        )
        images = {each["ImageId"] for one in left["Reservations"] for each in one["Instances"]}
        assert images == {project.image("2")}

    def test_a_rollback_has_a_pool_too(self, project: Project) -> None:
        back = project.bluegreen("rollback", project.stack)
        assert back.code == 0, back.output
        assert project.ask()["app"] == "1"
        assert len(project.groups()) == 1
        settled(project, 2)

    @pytest.mark.parametrize(
        ("pool", "said"),
        [
            ({"state": "hibernated"}, "choose stopped or running"),
            ({"preparedMaximum": 9}, "more than maxSize (4)"),
            ({"state": "stopped"}, "is 0, and the pool that is there keeps 1"),
            ({"minimum": 1}, "is off, and the pool that is there takes machines back"),
        ],
        ids=lambda it: next(iter(it)) if isinstance(it, dict) else "",
    )
    def test_what_can_not_be_is_refused_before_anything_changes(
        self, project: Project, pool: dict[str, Any], said: str
    ) -> None:
        refused = project.up(warm_pool=pool)
        project.configure(warm_pool=POOL)
        assert refused.code != 0
        assert said in refused.output, refused.output
        assert not refused.writes
        assert refused.has_no_traceback, refused.output

    def test_a_pool_changes_in_place(self, project: Project) -> None:
        changed = project.up(warm_pool={**POOL, "preparedMaximum": 3, "state": "running"})
        assert changed.code == 0, changed.output
        assert changed.writes == ["PutWarmPool"]
        eventually(lambda: [len(each) for each in warm(project).values()] == [1])

    def test_it_goes_and_the_group_stays(self, project: Project) -> None:
        before = serving(project)
        gone = project.up(warm_pool=None)
        assert gone.code == 0, gone.output
        assert gone.done("update", "replace", "delete") == {("update", "Group"): 1}
        assert list(warm(project).values()) == [{}]
        (group,) = project.groups().values()
        assert "WarmPoolConfiguration" not in group
        assert serving(project) == before
