"""Which instance a shrinking Auto Scaling group takes out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.cloud.termination import Candidate, choose

POLICIES = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html"
PROTECTION = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html"


def at(id: str, zone: str = "a", *, template: int = 1, launched_at: float = 0.0, protected: bool = False) -> Candidate:
    return Candidate(id, zone, (0.0, template), launched_at, protected)


def chosen(*candidates: Candidate, policies: tuple[str, ...] = ()) -> str | None:
    found = choose(candidates, policies)
    return found and found.id


@pytest.mark.documented("the zone with the most instances loses one, whatever the policies", POLICIES)
def test_balance_between_zones_comes_first() -> None:
    group = at("old", "a", template=1), at("x", "b", template=2, launched_at=1), at("y", "b", template=2, launched_at=2)
    assert chosen(*group) == "x"
    assert chosen(*group, policies=("OldestLaunchTemplate",)) == "x"


@pytest.mark.documented(
    "what is in a zone that the group has left goes before all others",
    "https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html",
)
def test_what_is_where_the_group_launches_no_more_goes_first() -> None:
    left = replace(at("left", "c", template=2, launched_at=9), is_astray=True)
    assert chosen(at("old", "a"), at("older", "a"), left) == "left"
    assert chosen(at("old", "a"), replace(left, is_protected=True)) == "old"


@pytest.mark.documented("the default policy takes what comes from the oldest launch template", POLICIES)
def test_the_oldest_launch_template_goes_first() -> None:
    assert chosen(at("new", template=2), at("old", template=1, launched_at=9)) == "old"


@pytest.mark.documented("policies are applied in their order", POLICIES)
@pytest.mark.parametrize(("policy", "expected"), [("NewestInstance", "young"), ("OldestInstance", "elder")])
def test_a_policy_comes_before_the_default(policy: str, expected: str) -> None:
    group = at("elder", template=2), at("young", template=1, launched_at=5)
    assert chosen(*group, policies=(policy,)) == expected


@pytest.mark.documented("an instance that is protected from scale-in is not taken out", PROTECTION)
def test_protected_instances_stay() -> None:
    group = at("kept", protected=True), at("kept too", protected=True), at("free", "b")
    assert chosen(*group) == "free"
    assert chosen(*group[:2]) is None
