"""Nothing is destroyed while AWS would refuse to delete its load balancer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from bluegreen.checks.protection import check_unprotected
from bluegreen.errors import Protected
from bluegreen.model.observation import Group
from bluegreen.model.tags import Owner

OWNER = Owner(project="bluegreen", stack="prod", service="web")
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/web-4f2a/50dc6c495c0c9188"


@dataclass
class Stack:
    protected: tuple[str, ...]

    def groups(self, owner: Owner) -> tuple[Group, ...]:
        names = ("a", "b")
        return tuple(
            Group(name=name, service="web", minimum=1, maximum=1, desired=1, target_groups=(f"tg-{name}",))
            for name in names
        )

    def protected_balancers(self, target_groups: Iterable[str], owner: Owner) -> tuple[str, ...]:
        assert list(target_groups) == ["tg-a", "tg-b"]
        return self.protected


def test_what_is_protected_is_named_with_the_way_out() -> None:
    with pytest.raises(Protected, match=r"web-4f2a is protected against deletion\n.*deletionProtection.*false"):
        check_unprotected(Stack((BALANCER,)), OWNER)


def test_what_is_not_protected_may_go() -> None:
    check_unprotected(Stack(()), OWNER)
