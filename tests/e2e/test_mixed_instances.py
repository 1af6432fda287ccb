"""Machines of several types and of the Spot market: brought in with a release, refused, taken away with another."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.e2e.project import Project, eventually

pytestmark = pytest.mark.rollout

MIXED: dict[str, Any] = {"types": ["t3a.small", "t3.medium"], "onDemandBase": 1, "onDemandPercent": 50}


def machines(project: Project) -> Counter[tuple[str, str]]:
    """Type and market of each that runs."""
    found = project.aws("ec2").describe_instances(
        Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    )
    return Counter(
        (each["InstanceType"], each.get("InstanceLifecycle", "on demand"))
        for reservation in found["Reservations"]
        for each in reservation["Instances"]
    )


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    first = project.up(ami=project.image("1"), min_size=2, desired_capacity=2, max_size=3)
    assert first.code == 0, first.output
    return project


def test_a_release_is_mixed(served: Project) -> None:
    before = served.release
    changed = served.up(mixed_instances=MIXED, min_size=3, max_size=4)
    assert changed.code == 0, changed.output
    assert served.release != before
    (group,) = served.groups().values()
    policy = group["MixedInstancesPolicy"]
    overrides = [each["InstanceType"] for each in policy["LaunchTemplate"]["Overrides"]]
    assert overrides == ["t3.small", "t3a.small", "t3.medium"]
    assert policy["InstancesDistribution"]["SpotAllocationStrategy"] == "price-capacity-optimized"
    assert group["CapacityRebalance"]
    assert machines(served) == {("t3.small", "on demand"): 2, ("t3.small", "spot"): 1}


def test_nothing_changes_where_nothing_was_changed(served: Project) -> None:
    again = served.up()
    assert again.code == 0, again.output
    assert (again.changes, again.writes) == ({}, [])


def test_what_can_not_run_is_refused_before_anything_changes(served: Project) -> None:
    for types, said in (
        (["t4g.small"], "t4g.small runs arm64"),
        (["t9.small"], "t9.small does not exist"),
        (["t3.small"], "which is instanceType"),
    ):
        refused = served.up(mixed_instances={"types": types})
        served.configure(mixed_instances=MIXED)
        assert refused.code != 0
        assert said in refused.output, refused.output
        assert not refused.writes


WEIGHTS = {"t3.small": 2, "t3.large": 8}


def test_weights_that_can_not_be_are_refused(served: Project) -> None:
    refused = served.up(mixed_instances={"types": ["t3.large"], "weights": {"t3.large": 8}})
    served.configure(mixed_instances=MIXED)
    assert "has none for t3.small" in refused.output, refused.output
    assert not refused.writes


def test_a_release_with_weights_begins_with_as_much_as_runs_in_units(served: Project) -> None:
    """Of weight 1 there are three machines: six units, and one too many where seven are wanted."""
    changed = served.up(
        mixed_instances={"types": ["t3.large"], "weights": WEIGHTS}, min_size=5, max_size=12, desired_capacity=5
    )
    assert changed.code == 0, changed.output
    (group,) = served.groups().values()
    assert group["DesiredCapacity"] == 6
    assert [each["WeightedCapacity"] for each in group["Instances"]] == ["2"] * 3
    assert "6 of 6 healthy" in changed.output
    assert machines(served) == {("t3.small", "on demand"): 3}
    again = served.up()
    assert again.code == 0, again.output
    assert (again.changes, again.writes) == ({}, [])


def test_what_has_grown_is_met_by_the_next_release_in_units(served: Project) -> None:
    (name,) = served.groups()
    served.aws("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=7)
    eventually(lambda: machines(served) == {("t3.small", "on demand"): 4})
    served.configure(ami=served.image("2"))
    planned = served.bluegreen("plan", served.stack)
    assert "machines: 4 now, 8 at the peak" in planned.output, planned.output
    assert "4 x t3.small" in planned.output
    changed = served.up()
    assert changed.code == 0, changed.output
    assert "8 of 7 healthy" in changed.output
    (group,) = served.groups().values()
    assert group["DesiredCapacity"] == 7
    assert served.ask()["app"] == "2"
    assert "4 of 4 healthy" in served.bluegreen("status", served.stack).output


def test_another_release_is_of_one_type_again(served: Project) -> None:
    served.aws("autoscaling").set_desired_capacity(AutoScalingGroupName=next(iter(served.groups())), DesiredCapacity=6)
    gone = served.up(mixed_instances=None, min_size=3, max_size=4, desired_capacity=3)
    assert gone.code == 0, gone.output
    (group,) = served.groups().values()
    assert "MixedInstancesPolicy" not in group
    assert machines(served) == {("t3.small", "on demand"): 3}
