"""The guard's rules: nothing that a production listener sends weight to is ever deleted."""

from __future__ import annotations

import pytest

from bluegreen.model.guard import Part, judge
from bluegreen.model.observation import Listener
from bluegreen.model.tags import Purpose
from bluegreen.model.verdict import Hopeless, Ready


def listener(weights: dict[str, int], purpose: Purpose | None = Purpose.PRODUCTION) -> Listener:
    return Listener(arn="arn:listener", port=80, purpose=purpose, weights=weights)


@pytest.mark.parametrize("weight", [1, 5, 100])
def test_a_group_with_any_weight_is_kept(weight: int) -> None:
    seen = judge("web-old", Part.MACHINES, ("old",), [listener({"old": weight, "new": 100})])
    assert isinstance(seen, Hopeless)
    assert "web-old still takes traffic" in seen.summary
    assert "left whole" in seen.next_step


def test_a_group_with_one_of_its_target_groups_in_use_is_kept() -> None:
    assert isinstance(judge("web-old", Part.MACHINES, ("a", "b"), [listener({"b": 1})]), Hopeless)


def test_one_listener_of_many_is_enough_to_keep_a_group() -> None:
    assert isinstance(judge("web-old", Part.MACHINES, ("old",), [listener({"new": 1}), listener({"old": 1})]), Hopeless)


@pytest.mark.parametrize("listeners", [[], [listener({})], [listener({"new": 100})], [listener({"old": 0, "new": 1})]])
def test_a_group_without_weight_may_go(listeners: list[Listener]) -> None:
    assert judge("web-old", Part.MACHINES, ("old",), listeners) == Ready("web-old takes no traffic")


def test_the_preview_listener_does_not_count() -> None:
    assert isinstance(judge("web-old", Part.MACHINES, ("old",), [listener({"old": 1}, Purpose.PREVIEW)]), Ready)


def test_a_listener_that_is_not_ours_counts_like_production() -> None:
    assert isinstance(judge("web-old", Part.MACHINES, ("old",), [listener({"old": 1}, None)]), Hopeless)


def test_a_policy_is_not_held_by_the_listener_that_a_destroy_deletes_next() -> None:
    assert isinstance(judge("web-old", Part.ATTACHMENT, ("old",), [listener({"old": 1})]), Ready)


def test_a_policy_is_held_by_a_listener_that_is_not_ours() -> None:
    assert isinstance(judge("web-old", Part.ATTACHMENT, ("old",), [listener({"old": 1}, None)]), Hopeless)
