"""Orphans: what takes traffic is never deleted, and what belongs to what stays, stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bluegreen.model.observation import Listener
from bluegreen.model.orphans import Kind, Part, ReapPlan, orphans
from bluegreen.model.tags import Purpose

GROUP = Part(kind=Kind.GROUP, id="g", name="g", groups=("g",), target_groups=("tg",))
POLICY = Part(kind=Kind.POLICY, id="p", name="p", groups=("g",))
ALARM = Part(kind=Kind.ALARM, id="a", name="a", groups=("g",))
TEMPLATE = Part(kind=Kind.TEMPLATE, id="lt", name="lt", groups=("g",))
TARGET_GROUP = Part(kind=Kind.TARGET_GROUP, id="tg", name="tg", groups=("g",))
ALL = (TARGET_GROUP, TEMPLATE, GROUP, POLICY, ALARM)
STATE = frozenset({"something else"})


def listener(weight: int, purpose: Purpose | None = Purpose.PRODUCTION, target_group: str = "tg") -> Listener:
    return Listener(arn="l", port=80, purpose=purpose, weights={target_group: weight})


def plan(*parts: Part, state: frozenset[str] = STATE, listeners: tuple[Listener, ...] = (), **more: Any) -> ReapPlan:
    return orphans(parts or ALL, state, listeners, **more)


def whys(plan: ReapPlan) -> dict[str, str]:
    return {kept.part.name: kept.why for kept in plan.kept}


def test_a_group_that_nobody_needs_goes_with_all_of_its_parts_in_their_order() -> None:
    decided = plan()
    assert [part.kind for part in decided.going] == [
        Kind.ALARM,
        Kind.POLICY,
        Kind.GROUP,
        Kind.TEMPLATE,
        Kind.TARGET_GROUP,
    ]
    assert decided.kept == ()


def test_what_is_in_the_state_is_no_orphan() -> None:
    assert plan(state=frozenset(part.id for part in ALL)) == ReapPlan()


def test_parts_of_a_group_that_is_in_the_state_stay_though_they_are_in_none() -> None:
    decided = plan(state=frozenset({"g"}))
    assert decided.going == ()
    assert set(whys(decided).values()) == {"belongs to g, which is in the state"}


@pytest.mark.parametrize("purpose", [Purpose.PRODUCTION, None], ids=["production", "somebody's own"])
@pytest.mark.parametrize("is_forced", [False, True])
def test_what_takes_traffic_stays_forced_or_not(purpose: Purpose | None, is_forced: bool) -> None:
    decided = plan(listeners=(listener(1, purpose),), is_forced=is_forced)
    assert decided.going == ()
    assert whys(decided)["g"] == "takes traffic"


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_target_group_alone_that_takes_traffic_stays_forced_or_not(is_forced: bool) -> None:
    alone = replace(TARGET_GROUP, groups=())
    decided = plan(alone, listeners=(listener(1),), is_forced=is_forced)
    assert whys(decided) == {"tg": "takes traffic"}


@pytest.mark.parametrize(
    "named", [listener(0), listener(1, Purpose.PREVIEW), listener(0, None)], ids=["weight 0", "preview", "a rule"]
)
def test_what_a_listener_names_without_traffic_stays_unless_forced(named: Listener) -> None:
    decided = plan(listeners=(named,))
    assert decided.going == ()
    assert whys(decided)["g"] == "a listener names its target group"
    assert len(plan(listeners=(named,), is_forced=True).going) == len(ALL)


def test_a_target_group_alone_that_a_listener_names_stays_unless_forced() -> None:
    alone = replace(TARGET_GROUP, groups=())
    assert whys(plan(alone, listeners=(listener(0),))) == {"tg": "a listener names it"}
    assert plan(alone, listeners=(listener(0),), is_forced=True).going == (alone,)


@pytest.mark.parametrize(("machines", "words"), [(1, "has 1 machine"), (2, "has 2 machines")])
def test_a_group_with_machines_stays_with_its_parts_unless_forced(machines: int, words: str) -> None:
    group = replace(GROUP, machines=machines)
    decided = plan(group, TEMPLATE, TARGET_GROUP, ALARM, POLICY)
    assert decided.going == ()
    assert whys(decided)["g"] == words
    assert whys(decided)["lt"] == f"belongs to g, which {words}"
    assert group in plan(group, TEMPLATE, is_forced=True).going


def test_a_template_that_a_group_uses_that_stays_stays_too() -> None:
    other = Part(kind=Kind.GROUP, id="h", name="h", groups=("h",), machines=1)
    template = replace(TEMPLATE, groups=("g", "h"))
    assert whys(plan(GROUP, other, template))["lt"] == "belongs to h, which has 1 machine"


def test_an_alarm_whose_group_is_gone_goes() -> None:
    assert plan(ALARM).going == (ALARM,)


def test_parts_that_are_left_without_a_group_go() -> None:
    loose = (replace(TEMPLATE, groups=()), replace(TARGET_GROUP, groups=()))
    assert plan(*loose).going == loose


def test_one_groups_traffic_holds_no_other_group_back() -> None:
    other = replace(GROUP, id="h", name="h", groups=("h",), target_groups=("other",))
    assert plan(GROUP, other, listeners=(listener(1),)).going == (other,)


def test_only_what_was_to_go_before_goes_later() -> None:
    before, later = plan(GROUP, TEMPLATE), plan(GROUP, TEMPLATE, ALARM)
    assert before.still(later).going == (GROUP, TEMPLATE)
    assert before.still(plan(listeners=(listener(1),))).going == ()
