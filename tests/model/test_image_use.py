"""Pruning: what anybody needs stays, and each image that stays says why."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen.model.fleet import Capacity, Fleet, Role, ServerGroupPlan
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.image_use import AccountImage, Needs, PrunePlan, Purpose, Retention, Use, prune, uses_of
from bluegreen.model.place import Place
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HERE, THERE = Place(account="111111111111", region="eu-west-1"), Place(account="111111111111", region="us-east-1")
TAGS = {"bluegreen:project": "shop", "bluegreen:service": "web"}


def image(number: int, days: int = 100, **values: Any) -> AccountImage:
    """The higher the number, the younger among those of the same age."""
    made = AccountImage(
        id=f"ami-{number:08x}",
        place=HERE,
        name=f"web-{number}",
        created=NOW - timedelta(days=days) + timedelta(minutes=number),
        state="available",
        size_gib=8,
        tags={**TAGS, "bluegreen:content-digest": f"d{number}"},
    )
    return replace(made, **values)


def plan(
    *images: AccountImage, keep: int = 0, days: int = 30, vetoed: set[str] | None = None, **needs: Any
) -> PrunePlan:
    return prune(
        images,
        Needs(**needs),
        Retention(keep=keep, older_than=timedelta(days=days)),
        project="shop",
        services={"web"},
        now=NOW,
        vetoed=vetoed or (),
    )


def why(plan: PrunePlan) -> str:
    (kept,) = plan.kept
    assert plan.going == ()
    return kept.why


def use(of: AccountImage, purpose: Purpose, stack: str = "prod") -> Use:
    return Use(stack=stack, image=of.id, purpose=purpose)


def test_what_nobody_needs_goes_the_oldest_first() -> None:
    young, old = image(1, days=40), image(2, days=90)
    assert plan(young, old).going == (old, young)


def test_planning_again_without_what_went_plans_nothing() -> None:
    images = [image(number) for number in range(5)]
    first = plan(*images, keep=2)
    assert plan(*(kept.image for kept in first.kept), keep=2).going == ()


@pytest.mark.parametrize("purpose", Purpose)
def test_what_a_stack_needs_stays(purpose: Purpose) -> None:
    assert why(plan(image(1), stacks=[use(image(1), purpose)])) == f"{purpose} in prod"


def test_every_stack_that_needs_it_is_named() -> None:
    stacks = [use(image(1), Purpose.ACTIVE), use(image(1), Purpose.STANDBY, "qa")]
    assert why(plan(image(1), stacks=stacks)) == "active in prod, standby in qa"


def test_what_an_instance_of_whomever_runs_stays() -> None:
    assert why(plan(image(1), account={image(1).id: ["instance i-1", "launch template x, version 2"]})) == (
        "used by instance i-1, launch template x, version 2"
    )


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({}, "does not say whose it is"),
        ({"bluegreen:service": "web"}, "does not say whose it is"),
        ({**TAGS, "bluegreen:project": "other"}, "is of the project other"),
        ({**TAGS, "bluegreen:service": "api"}, "is of the service api, which no stack has"),
        ({"bluegreen:project": "shop"}, r"is of the service \(none\)"),
    ],
)
def test_what_is_not_ours_stays(tags: dict[str, str], reason: str) -> None:
    assert re.match(reason, why(plan(image(1, tags=tags))))


@pytest.mark.parametrize("state", ["pending", "transient", "deregistered"])
def test_what_is_on_its_way_stays(state: str) -> None:
    assert why(plan(image(1, state=state))) == f"is {state}"


def test_what_has_failed_goes() -> None:
    assert plan(image(1, state="failed")).going


def test_the_source_of_a_copy_that_is_being_made_stays() -> None:
    assert why(plan(image(1), copied=frozenset({image(1).id}))) == "is being copied"


def test_it_stays_too_where_only_the_content_of_the_copy_is_known() -> None:
    assert why(plan(image(1), copied_contents=frozenset({"d1"}))) == "is being copied"


def test_images_of_no_known_content_are_not_taken_for_copies_of_each_other() -> None:
    assert plan(image(1, tags=TAGS), copied_contents=frozenset({""})).going


def test_what_another_account_may_launch_stays() -> None:
    assert why(plan(image(1), shared={image(1).id: "222222222222"})) == "shared with 222222222222"


def test_what_is_young_stays() -> None:
    assert why(plan(image(1, days=29))) == "is 28 days old"
    assert plan(image(1, days=31)).going


def test_the_newest_of_a_service_stay_however_old() -> None:
    images = [image(number) for number in range(5)]
    decided = plan(*images, keep=2)
    assert [kept.image for kept in decided.kept] == images[3:]
    assert decided.kept[0].why == "one of the newest 2 of web"


def test_each_service_and_each_place_has_its_own_newest() -> None:
    api = image(9, tags={**TAGS, "bluegreen:service": "api"})
    elsewhere = image(1, place=THERE)
    decided = prune(
        [image(1), api, elsewhere],
        Needs(),
        Retention(keep=1, older_than=timedelta()),
        project="shop",
        services={"web", "api"},
        now=NOW,
    )
    assert decided.going == ()


def test_a_revoked_image_is_not_one_of_the_newest_and_goes() -> None:
    old, bad = image(1), image(2)
    assert plan(old, bad, keep=1, vetoed={bad.id}).going == (bad,)


def test_a_revoked_image_that_runs_stays() -> None:
    bad = image(2)
    assert why(plan(bad, vetoed={bad.id}, stacks=[use(bad, Purpose.ACTIVE)])) == "active in prod"


def test_an_image_that_failed_is_not_one_of_the_newest() -> None:
    old, failed = image(1), image(2, state="failed")
    assert plan(old, failed, keep=1).going == (failed,)


def test_a_copy_in_another_region_is_judged_by_itself() -> None:
    copy = image(2, place=THERE, tags=image(1).tags)
    assert plan(image(1), copy, stacks=[use(image(1), Purpose.ACTIVE)]).going == (copy,)


# -- what a stack needs


def release(number: int) -> Release:
    return Release.from_settings(Settings.parse({"ami": f"ami-{number:08x}"}))


def outputs(*roles: tuple[Role, int]) -> dict[str, Any]:
    capacity = Capacity(minimum=1, maximum=1, desired=1)
    groups = [
        ServerGroupPlan(release=release(n), role=role, weight=100 * (role is Role.ACTIVE), capacity=capacity)
        for role, n in roles
    ]
    return {"fleet": Fleet(tuple(groups)).as_record(serial=1)}


def served(*numbers: int, doubtful: tuple[int, ...] = ()) -> History:
    events = []
    for at, number in enumerate(numbers):
        of = release(number)
        told = {"weights": {of.version: 100}, "releases": {of.version: of.as_record()}}
        moment = NOW + timedelta(minutes=at)
        events.append(Event(at=moment, run="run", kind=Kind.CUTOVER, release=of.version, evidence=told))
        if number in doubtful:
            events.append(Event(at=moment, run="run", kind=Kind.SOAK_FAILED, release=of.version))
    return History(tuple(events))


def purposes(uses: tuple[Use, ...]) -> dict[int, Purpose]:
    return {int(use.image.removeprefix("ami-"), 16): use.purpose for use in uses}


def settings(number: int) -> Settings:
    return Settings.parse({"ami": f"ami-{number:08x}"})


def test_each_group_of_the_fleet_is_needed() -> None:
    out = outputs((Role.ACTIVE, 1), (Role.CANDIDATE, 2), (Role.STANDBY, 3))
    assert purposes(uses_of("prod", settings(1), out, History())) == {
        1: Purpose.ACTIVE,
        2: Purpose.CANDIDATE,
        3: Purpose.STANDBY,
    }


def test_what_the_config_means_is_needed_before_it_runs() -> None:
    assert purposes(uses_of("prod", settings(4), {}, History())) == {4: Purpose.CONFIGURED}


def test_the_releases_of_a_fleet_in_the_config_are_needed() -> None:
    fleet = Fleet.from_record(outputs((Role.ACTIVE, 1), (Role.CANDIDATE, 2), (Role.STANDBY, 3))["fleet"])
    written = fleet.as_config(serial=2, basis=release(4)).model_dump_json(by_alias=True, exclude_none=True)
    config = Settings.parse({"ami": "ami-00000004", "fleet": written})
    assert set(purposes(uses_of("prod", config, {}, History()))) == {1, 2, 3, 4}


def test_the_newest_three_that_were_seen_healthy_are_rollback_targets() -> None:
    out = outputs((Role.ACTIVE, 6))
    found = purposes(uses_of("prod", settings(6), out, served(1, 2, 3, 4, 5, 6)))
    assert found == {6: Purpose.ACTIVE, **dict.fromkeys((3, 4, 5), Purpose.ROLLBACK_TARGET)}


def test_what_was_not_seen_healthy_is_no_rollback_target() -> None:
    found = purposes(uses_of("prod", settings(3), outputs((Role.ACTIVE, 3)), served(1, 2, 3, doubtful=(2,))))
    assert found == {3: Purpose.ACTIVE, 1: Purpose.ROLLBACK_TARGET}


def test_after_a_rollback_what_served_before_is_still_a_target() -> None:
    found = purposes(uses_of("prod", settings(1), outputs((Role.ACTIVE, 1)), served(1, 2, 3, 4, 5, 1)))
    assert found == {1: Purpose.ACTIVE, **dict.fromkeys((3, 4, 5), Purpose.ROLLBACK_TARGET)}


def test_a_stack_that_never_deployed_needs_nothing() -> None:
    assert uses_of("qa", Settings.parse({}), {}, History()) == ()
