"""Machines of several types and of the Spot market: brought in with a release, refused, taken away with another."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.e2e.project import Project

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


def test_another_release_is_of_one_type_again(served: Project) -> None:
    gone = served.up(mixed_instances=None)
    assert gone.code == 0, gone.output
    (group,) = served.groups().values()
    assert "MixedInstancesPolicy" not in group
    assert machines(served) == {("t3.small", "on demand"): 3}
