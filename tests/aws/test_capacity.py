"""Capacity is raised and never lowered."""

from __future__ import annotations

import pytest

from bluegreen.aws.capacity import raise_desired_capacity
from bluegreen.aws.observe import Observer
from bluegreen.errors import AwsError
from tests.aws.world import WEB, World


def test_capacity_is_raised_and_read_back(world: World) -> None:
    world.make_group("web-1", world.old)
    (group,) = world.observer.groups(WEB)
    world.calls.clear()
    assert raise_desired_capacity(world.session, group, 3).desired == 3
    assert world.calls == ["SetDesiredCapacity", "DescribeAutoScalingGroups"]


def test_capacity_is_raised_to_the_maximum_at_the_most(world: World) -> None:
    world.make_group("web-1", world.old)
    (group,) = world.observer.groups(WEB)
    assert raise_desired_capacity(world.session, group, 9).desired == 4


def test_capacity_that_aws_does_not_show_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.make_group("web-1", world.old)
    (group,) = world.observer.groups(WEB)
    monkeypatch.setattr(Observer, "group", lambda self, name: group)
    with pytest.raises(AwsError, match="raised to 3 machines, but AWS shows 2"):
        raise_desired_capacity(world.session, group, 3)


@pytest.mark.parametrize("desired", [0, 1, 2])
def test_capacity_is_never_lowered(world: World, desired: int) -> None:
    world.make_group("web-1", world.old)
    (group,) = world.observer.groups(WEB)
    world.calls.clear()
    assert raise_desired_capacity(world.session, group, desired) == group
    assert world.calls == []
