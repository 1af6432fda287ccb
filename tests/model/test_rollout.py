"""From one fleet to the next: every step is a fleet that the config can hold, and none loses the way back too early."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.fleet import ALL_TRAFFIC, MOST_GROUPS, Fleet, Role, check_serial
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.release import Release
from bluegreen.model.rollout import (
    RolloutError,
    Step,
    Way,
    abort,
    bring_in,
    choose_rollback,
    promote,
    resume,
    retire,
    roll_back,
)
from bluegreen.model.settings import FleetConfig, Settings, Strategy

STRATEGIES = list(Strategy)


def settings(number: int = 2, **config: Any) -> Settings:
    return Settings.parse({"ami": f"ami-{number:08x}", **config})


def release(number: int, **config: Any) -> Release:
    return Release.from_settings(settings(number, **config))


def running(*numbers: int, **config: Any) -> Fleet:
    """The first is active, the others are standbys at full size, the newest first."""
    steps = bring_in(release(numbers[-1]), None, settings(numbers[-1]))
    fleet = steps[-1].fleet
    for number in reversed(numbers[:-1]):
        fleet = bring_in(release(number), fleet, settings(number, strategy="redBlack", maxRemainingGroups=5))[0].fleet
    return fleet


def shares(steps: tuple[Step, ...], number: int) -> list[int]:
    """The traffic of a release, step by step."""
    found = [step.fleet.group_of(release(number).version) for step in steps]
    return [group.weight if group else 0 for group in found]


def roles(fleet: Fleet) -> dict[str, tuple[str, int]]:
    return {group.release.image[-1]: (group.role.value, group.capacity.maximum) for group in fleet.groups}


def test_the_first_release_is_one_step_whatever_the_strategy() -> None:
    for strategy in STRATEGIES:
        (step,) = bring_in(release(1), None, settings(1, strategy=strategy.value))
        assert roles(step.fleet) == {"1": ("active", 6)}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_planning_again_after_success_plans_nothing(strategy: Strategy) -> None:
    wanted = settings(strategy=strategy.value)
    done = bring_in(release(2), running(1), wanted)[-1].fleet
    assert bring_in(release(2), done, wanted) == ()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_old_release_is_there_until_the_new_one_has_all_traffic(strategy: Strategy) -> None:
    for step in bring_in(release(2), running(1), settings(strategy=strategy.value)):
        if step.fleet.active.release == release(1):
            assert step.fleet.candidate
            assert step.fleet.candidate.release == release(2)
        else:
            assert step.fleet.active.weight == ALL_TRAFFIC


def test_blue_green_and_highlander_are_one_step() -> None:
    for strategy in ("blueGreen", "highlander"):
        (step,) = bring_in(release(2), running(1), settings(strategy=strategy))
        assert roles(step.fleet) == {"2": ("active", 6)}


def test_red_black_keeps_the_old_group_whole_for_a_while_and_then_at_zero() -> None:
    kept, emptied = bring_in(release(2), running(1), settings(strategy="redBlack", scaleDownDelaySeconds=90))
    assert (roles(kept.fleet), kept.watch_seconds) == ({"2": ("active", 6), "1": ("standby", 6)}, 90)
    assert (roles(emptied.fleet), emptied.watch_seconds) == ({"2": ("active", 6), "1": ("standby", 0)}, 0)


@pytest.mark.parametrize(("most", "left"), [(1, "4"), (2, "43"), (3, "432"), (5, "4321")])
def test_red_black_leaves_so_many_groups_and_the_oldest_go_first(most: int, left: str) -> None:
    steps = bring_in(release(4), running(3, 2, 1), settings(4, strategy="redBlack", maxRemainingGroups=most))
    assert "".join(roles(steps[-1].fleet)) == left


def test_highlander_leaves_no_standby_and_blue_green_all_of_them() -> None:
    assert "".join(roles(bring_in(release(4), running(3, 2), settings(4, strategy="highlander"))[-1].fleet)) == "4"
    assert "".join(roles(bring_in(release(4), running(3, 2), settings(4))[-1].fleet)) == "42"


def test_a_canary_goes_through_its_steps_and_waits_at_each() -> None:
    shifts = [{"weight": 5, "pauseSeconds": 60}, {"weight": 50, "pauseSeconds": 120}]
    steps = bring_in(release(2), running(1), settings(strategy="canary", steps=shifts))
    assert shares(steps, 2) == [5, 50, 100]
    assert shares(steps, 1) == [95, 50, 0]
    assert [step.watch_seconds for step in steps] == [60, 120, 0]


def test_linear_shifts_are_all_alike_and_the_last_is_the_rest() -> None:
    steps = bring_in(release(2), running(1), settings(strategy="linear", stepPercent=30, stepSeconds=7))
    assert shares(steps, 2) == [30, 60, 90, 100]
    assert [step.watch_seconds for step in steps] == [7, 7, 7, 0]


def test_a_rollout_that_was_left_in_the_middle_goes_on_with_the_step_where_it_is() -> None:
    wanted = settings(strategy="linear", stepPercent=30)
    steps = bring_in(release(2), running(1), wanted)
    assert bring_in(release(2), steps[1].fleet, wanted) == steps[1:]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_manual_promotion_waits_before_all_traffic_moves_and_never_earlier(strategy: Strategy) -> None:
    steps = bring_in(release(2), running(1), settings(strategy=strategy.value, promotion="manual"))
    waits = [step for step in steps if step.needs_promotion]
    assert len(waits) == 1
    after = steps[steps.index(waits[0]) + 1]
    assert waits[0].fleet.active.release == release(1)
    assert after.fleet.active.release == release(2)


def test_a_candidate_that_waits_for_promotion_takes_no_traffic_unless_a_step_says_so() -> None:
    waiting, *_ = bring_in(release(2), running(1), settings(promotion="manual"))
    assert shares((waiting,), 2) == [0]
    assert waiting.fleet.previewed.release == release(2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_promote_and_abort_end_an_open_rollout_from_any_point(strategy: Strategy) -> None:
    wanted = settings(strategy=strategy.value, promotion="manual")
    for step in bring_in(release(2), running(1), wanted):
        if not step.fleet.candidate:
            continue
        assert promote(step.fleet, wanted)[0].fleet.active.release == release(2)
        (aborted,) = abort(step.fleet)
        assert roles(aborted.fleet) == {"1": ("active", 6)}
        assert aborted.fleet.active.weight == ALL_TRAFFIC


def test_without_a_candidate_there_is_nothing_to_promote_or_abort() -> None:
    for attempt in (lambda: promote(running(1), settings(1)), lambda: abort(running(1))):
        with pytest.raises(RolloutError, match="no candidate"):
            attempt()


def test_a_third_release_is_not_brought_in_while_a_rollout_is_open() -> None:
    step, *_ = bring_in(release(2), running(1), settings(strategy="canary"))
    with pytest.raises(RolloutError, match="bluegreen abort"):
        bring_in(release(3), step.fleet, settings(3, strategy="canary"))


def test_a_rollback_to_a_standby_at_full_size_is_a_flip() -> None:
    plan = roll_back(release(1), running(2, 1), settings())
    assert (plan.way, len(plan.steps)) == (Way.FLIP, 1)
    assert roles(plan.steps[0].fleet) == {"1": ("active", 6)}


def test_a_rollback_to_a_standby_at_zero_brings_its_machines_back() -> None:
    current = bring_in(release(2), running(1), settings(strategy="redBlack"))[-1].fleet
    plan = roll_back(release(1), current, settings())
    assert plan.way is Way.INFLATE
    assert plan.steps[0].fleet.active.capacity.minimum == 2


def test_a_rollback_to_a_release_without_a_group_makes_one_from_its_own_settings() -> None:
    old = release(1, instanceType="m5.large", port=8081)
    plan = roll_back(old, running(2), settings())
    assert plan.way is Way.REDEPLOY
    assert plan.steps[0].fleet.active.release == old


def test_what_was_begun_since_makes_even_the_active_release_one_to_go_back_to() -> None:
    plan = roll_back(release(1), running(1), settings(1), is_settled=False)
    assert (plan.way, len(plan.steps)) == (Way.FLIP, 1)
    assert plan.steps[0].fleet == running(1)


def test_a_rollback_gives_an_open_rollout_up() -> None:
    step, *_ = bring_in(release(3), running(2, 1), settings(3, strategy="canary"))
    (back,) = roll_back(release(2), step.fleet, settings()).steps
    assert roles(back.fleet) == {"2": ("active", 6), "1": ("standby", 6)}


def test_there_is_no_rollback_to_what_is_active() -> None:
    with pytest.raises(RolloutError, match="is active"):
        roll_back(release(1), running(1), settings(1))


def test_only_standbys_can_be_retired() -> None:
    (step,) = retire([release(1).version], running(2, 1))
    assert roles(step.fleet) == {"2": ("active", 6)}
    for version in (release(2).version, "nothing"):
        with pytest.raises(RolloutError, match="no standby"):
            retire([version], running(2, 1))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_step_has_more_groups_than_a_listener_takes(strategy: Strategy) -> None:
    full = running(5, 4, 3, 2, 1)
    assert len(full.groups) == MOST_GROUPS
    wanted = settings(6, strategy=strategy.value, maxRemainingGroups=5, promotion="manual")
    for step in bring_in(release(6), full, wanted):
        assert len(step.fleet.groups) <= MOST_GROUPS


# -- the config that holds a fleet


def config_of(fleet: Fleet, wanted: Settings, serial: int = 1) -> Settings:
    """The settings with what `bluegreen` would write for this fleet."""
    there = wanted.with_image(fleet.active.release.image)
    config = fleet.as_config(serial=serial, basis=Release.from_settings(there))
    return there.model_copy(update={"fleet": config})


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_plain_up_reproduces_every_step(strategy: Strategy) -> None:
    wanted = settings(strategy=strategy.value, promotion="manual")
    for step in bring_in(release(2), running(1), wanted):
        assert Fleet.from_settings(config_of(step.fleet, wanted)) == step.fleet


def test_the_config_survives_being_written_as_text() -> None:
    step, *_ = bring_in(release(2), running(1), settings(strategy="canary"))
    written = config_of(step.fleet, settings(strategy="canary"))
    text = written.fleet.model_dump_json(by_alias=True, exclude_none=True)
    read = Settings.parse({"ami": written.ami, "strategy": "canary", "fleet": text})
    assert Fleet.from_settings(read) == step.fleet


def test_the_record_in_the_outputs_is_the_whole_fleet() -> None:
    step, *_ = bring_in(release(2), running(1), settings(strategy="canary"))
    assert Fleet.from_record(step.fleet.as_record(serial=3)) == step.fleet


def test_a_rollback_to_earlier_settings_holds_until_the_settings_change() -> None:
    old = release(1, port=8081)
    back = roll_back(old, running(2), settings()).steps[0].fleet
    written = config_of(back, settings())
    assert Fleet.from_settings(written).active.release == old
    changed = written.model_copy(update={"instance_type": "m5.large"})
    assert Fleet.from_settings(changed).active.release.launch.instance_type == "m5.large"
    assert Fleet.from_settings(changed).active.release.target.port == 8080


def test_a_third_image_in_the_middle_of_a_rollout_names_promote_and_abort() -> None:
    step, *_ = bring_in(release(2), running(1), settings(strategy="canary"))
    with pytest.raises(SettingsError, match=r"bluegreen promote.*bluegreen abort"):
        Fleet.from_settings(config_of(step.fleet, settings()).with_image("ami-00000009"))


def test_the_candidates_image_as_the_active_one_promotes_it() -> None:
    step, *_ = bring_in(release(2), running(1), settings(strategy="canary"))
    fleet = Fleet.from_settings(config_of(step.fleet, settings()).with_image(release(2).image))
    assert roles(fleet) == {"2": ("active", 6)}


def test_a_plain_change_of_image_keeps_the_standbys() -> None:
    fleet = Fleet.from_settings(config_of(running(2, 1), settings()).with_image("ami-00000003"))
    assert roles(fleet) == {"3": ("active", 6), "1": ("standby", 6)}


def test_a_standbys_image_as_the_active_one_makes_it_active_and_no_standby() -> None:
    fleet = Fleet.from_settings(config_of(running(2, 1), settings()).with_image(release(1).image))
    assert roles(fleet) == {"1": ("active", 6)}
    assert fleet.active.role is Role.ACTIVE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.update(image="ami-00000008"),
        lambda record: record.pop("launch"),
        lambda record: record["target"].update(unknown=1),
    ],
)
def test_a_record_that_was_changed_by_hand_is_refused_by_its_path(spoil: Any) -> None:
    step, *_ = bring_in(release(2), running(1), settings(strategy="canary"))
    written = config_of(step.fleet, settings())
    assert written.fleet.candidate
    spoil(written.fleet.candidate.release)
    with pytest.raises(SettingsError, match=r"bluegreen:fleet\.candidate\.release"):
        Fleet.from_settings(written)


@pytest.mark.parametrize(("serial", "last"), [(0, {}), (3, {"serial": 3}), (4, {"serial": 3})])
def test_a_config_as_new_as_the_last_update_is_taken(serial: int, last: dict[str, Any]) -> None:
    check_serial(FleetConfig(serial=serial), last)


def test_a_config_older_than_the_last_update_is_refused() -> None:
    with pytest.raises(SettingsError, match="pulumi config refresh"):
        check_serial(FleetConfig(serial=2), {"serial": 3})
    with pytest.raises(SettingsError, match="older"):
        check_serial(FleetConfig(), {"serial": 1})


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"steps": [{"weight": 50}, {"weight": 50}]}, "bluegreen:steps"),
        ({"steps": [{"weight": 50}, {"weight": 5}]}, "bluegreen:steps"),
        ({"steps": [{"weight": 101}]}, r"bluegreen:steps\[0\].weight"),
        ({"steps": [{"weight": 0}]}, r"bluegreen:steps\[0\].weight"),
        ({"steps": [{"weight": 5, "pause": 3}]}, r"bluegreen:steps\[0\].pause"),
        ({"stepPercent": 100}, "bluegreen:stepPercent"),
        ({"maxRemainingGroups": 6}, "bluegreen:maxRemainingGroups"),
        ({"strategy": "bluegreen"}, "bluegreen:strategy"),
        ({"fleet": {"serial": -1}}, "bluegreen:fleet.serial"),
    ],
)
def test_bad_rollout_settings_are_refused_by_path(config: dict[str, Any], path: str) -> None:
    with pytest.raises(SettingsError, match=path):
        settings(**config)


# -- a canary that ends at all of the traffic


ALL_AT_LAST = {"strategy": "canary", "steps": [{"weight": 50}, {"weight": 100, "pauseSeconds": 60}]}


def test_a_canary_may_watch_all_of_the_traffic_before_the_old_group_goes() -> None:
    steps = bring_in(release(2), running(1), settings(**ALL_AT_LAST))
    assert shares(steps, 2) == [50, 100, 100]
    assert shares(steps, 1) == [50, 0, 0]
    last = steps[1]
    assert last.watch_seconds == 60
    assert last.watched == release(2)
    assert roles(last.fleet) == {"1": ("active", 6), "2": ("candidate", 6)}
    assert len(last.fleet.listed(is_sticky=False)) == 2, "going back is one listener change"
    assert Fleet.from_settings(config_of(last.fleet, settings(**ALL_AT_LAST))) == last.fleet


def test_from_all_of_the_traffic_there_is_a_way_back_and_a_way_on() -> None:
    wanted = settings(**ALL_AT_LAST)
    _, last, _ = bring_in(release(2), running(1), wanted)
    (back,) = abort(last.fleet)
    assert (roles(back.fleet), back.fleet.active.weight) == ({"1": ("active", 6)}, 100)
    assert roles(promote(last.fleet, wanted)[0].fleet) == {"2": ("active", 6)}
    assert bring_in(release(2), last.fleet, wanted)[0].fleet == last.fleet


# -- who is watched


@pytest.mark.parametrize("strategy", ["blueGreen", "highlander"])
def test_a_cutover_that_leaves_nothing_to_go_back_to_is_left_to_the_guard(strategy: str) -> None:
    (step,) = bring_in(release(2), running(1), settings(strategy=strategy))
    assert step.watched is None


def test_so_is_a_red_black_that_keeps_nothing() -> None:
    steps = bring_in(release(2), running(1), settings(strategy="redBlack", maxRemainingGroups=1))
    assert roles(steps[-1].fleet) == {"2": ("active", 6)}
    assert [step.watched for step in steps] == [None]


def test_red_black_watches_the_new_release_while_the_old_one_stays_whole_and_not_later() -> None:
    kept, emptied = bring_in(release(2), running(1), settings(strategy="redBlack"))
    assert kept.watched == release(2)
    assert emptied.watched is None


@pytest.mark.parametrize(("delay", "soak", "watch"), [(0, 0, 0), (90, 60, 90), (60, 90, 90), (0, 90, 90), (90, 0, 90)])
def test_red_black_watches_for_the_longer_of_its_delay_and_the_soak(delay: int, soak: int, watch: int) -> None:
    config = {"strategy": "redBlack", "scaleDownDelaySeconds": delay, "soakSeconds": soak}
    kept, emptied = bring_in(release(2), running(1), settings(**config))
    assert (kept.watch_seconds, emptied.watch_seconds) == (watch, 0)
    (alone,) = bring_in(release(2), running(1), settings(maxRemainingGroups=1, **config))
    assert alone.watch_seconds == 0, "the guard keeps the soak, within the update"


def test_a_cutover_is_watched_from_outside_only_where_it_keeps_a_way_back() -> None:
    kept, *others = bring_in(release(2), running(1), settings(strategy="redBlack", groupStickinessSeconds=60))
    assert kept.keeps_way_back
    assert not any(step.keeps_way_back for step in others)
    for strategy in ("blueGreen", "highlander", "canary", "linear"):
        assert not any(step.keeps_way_back for step in bring_in(release(2), running(1), settings(strategy=strategy)))


# -- a cutover whose watch was interrupted


@pytest.mark.parametrize("stickiness", [0, 300])
def test_a_red_black_cutover_that_was_not_watched_to_its_end_goes_on_from_there(stickiness: int) -> None:
    wanted = settings(
        strategy="redBlack", scaleDownDelaySeconds=90, groupStickinessSeconds=stickiness, maxRemainingGroups=3
    )
    steps = bring_in(release(3), running(2, 1), wanted)
    assert resume(steps[0].fleet, wanted) == steps
    assert steps[0].watched == release(3)
    assert steps[0].watch_seconds == 90


def test_a_red_black_cutover_whose_standby_has_gone_on_is_not_resumed() -> None:
    wanted = settings(strategy="redBlack")
    kept, emptied = bring_in(release(2), running(1), wanted)
    assert resume(kept.fleet, wanted)
    assert resume(emptied.fleet, wanted) == ()


@pytest.mark.parametrize("strategy", [each for each in STRATEGIES if each is not Strategy.RED_BLACK])
def test_where_the_guard_watches_there_is_nothing_to_resume(strategy: Strategy) -> None:
    assert resume(running(2, 1), settings(strategy=strategy.value)) == ()


def test_a_red_black_release_that_is_alone_has_nothing_to_resume() -> None:
    assert resume(running(1), settings(1, strategy="redBlack")) == ()


@pytest.mark.parametrize("pause", [0, 60])
def test_every_share_of_a_canary_is_watched_and_the_last_cutover_by_the_guard(pause: int) -> None:
    shifts = [{"weight": 5, "pauseSeconds": pause}, {"weight": 50, "pauseSeconds": pause}]
    steps = bring_in(release(2), running(1), settings(strategy="canary", steps=shifts))
    assert [step.watched for step in steps] == [release(2), release(2), None]


def test_a_candidate_without_traffic_is_not_watched_and_neither_is_a_way_back() -> None:
    waiting, *_ = bring_in(release(2), running(1), settings(promotion="manual"))
    assert waiting.watched is None
    assert [step.watched for step in roll_back(release(1), running(2, 1), settings()).steps] == [None]
    assert [step.watched for step in abort(waiting.fleet)] == [None]
    assert [step.watched for step in retire([release(1).version], running(2, 1))] == [None]


# -- which release to go back to


def served(*numbers: int, failed: int | None = None) -> History:
    """Each took all of the traffic, one after the other."""
    events = []
    for minute, number in enumerate(numbers):
        each, at = release(number), datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
        evidence = {"weights": {each.version: 100}, "releases": {each.version: each.as_record()}}
        events.append(Event(at=at, run="run", kind=Kind.CUTOVER, release=each.version, evidence=evidence))
        if number == failed:
            events.append(Event(at=at, run="run", kind=Kind.SOAK_FAILED, release=each.version))
    return History(tuple(events))


def test_without_a_version_a_rollback_goes_to_the_newest_standby() -> None:
    assert choose_rollback(running(3, 2, 1), served(1, 2, 3), None) == release(2)
    assert choose_rollback(running(3, 1), served(1, 2, 3), None) == release(1), "it is there already"


def test_without_a_standby_it_goes_to_the_healthy_release_that_served_before() -> None:
    assert choose_rollback(running(3), served(1, 2, 3), None) == release(2)
    assert choose_rollback(running(3), served(1, 2, 3, failed=2), None) == release(1)


def test_of_an_open_rollout_without_a_standby_it_goes_to_the_active_release() -> None:
    step, *_ = bring_in(release(2), running(1), settings(strategy="canary"))
    assert choose_rollback(step.fleet, served(1), None) == release(1)
    plan = roll_back(release(1), step.fleet, settings())
    assert plan.way is Way.FLIP
    assert roles(plan.steps[0].fleet) == {"1": ("active", 6)}


def test_of_an_open_rollout_with_standbys_it_goes_to_the_active_release_all_the_same() -> None:
    step, *_ = bring_in(release(3), running(2, 1), settings(3, strategy="canary"))
    assert step.fleet.standbys
    assert choose_rollback(step.fleet, served(1, 2), None) == release(2)
    assert choose_rollback(step.fleet, served(1, 2), release(1).version) == release(1), "unless it is named"


def test_a_version_is_found_in_the_fleet_and_in_the_history() -> None:
    assert choose_rollback(running(3, 2), History(), release(2).version) == release(2)
    assert choose_rollback(running(3), served(1, 2, 3), release(1).version) == release(1)
    failed = choose_rollback(running(3), served(1, 2, failed=2), release(2).version)
    assert failed == release(2), "whether it may is judged elsewhere"


def test_a_version_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(RolloutError, match="release nothing is not known") as caught:
        choose_rollback(running(3), served(1), "nothing")
    assert release(1).version in caught.value.what
    assert release(3).version in caught.value.what
    assert "bluegreen history" in caught.value.next_step


@pytest.mark.parametrize("history", [History(), served(3), served(1, 3, failed=1)])
def test_where_no_earlier_release_was_seen_healthy_there_is_nothing_to_go_back_to(history: History) -> None:
    with pytest.raises(RolloutError, match="no earlier release to go back to"):
        choose_rollback(running(3), history, None)
