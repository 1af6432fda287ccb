"""Progress: what is known of a stack after each event."""

from __future__ import annotations

from bluegreen.events import (
    Began,
    Change,
    Ended,
    Event,
    Health,
    Line,
    Outcome,
    Phase,
    PhaseBegan,
    ResourceChanged,
    Shifted,
    StepBegan,
    Wait,
    WaitBegan,
)
from bluegreen.progress import Machines, Progress

OLD, NEW = "5e0ec4aa", "3a14e965"
BEGAN = Began(stack="prod", verb="deploy", weights={OLD: 100}, roles={OLD: "active"}, expected_seconds=60)
STEP = StepBegan(
    stack="prod", name="canary", number=1, count=3, weights={OLD: 95, NEW: 5}, roles={OLD: "active", NEW: "candidate"}
)


def after(*events: Event, at: float = 100.0) -> Progress:
    """One event a second."""
    progress = Progress(stack="prod")
    for number, event in enumerate(events):
        progress = progress.after(event, at + number)
    return progress


def test_time_runs_from_the_first_event_to_the_end() -> None:
    assert Progress(stack="prod").elapsed(500) == 0
    assert after(BEGAN).elapsed(110) == 10
    ended = after(BEGAN, Ended(stack="prod", outcome=Outcome.DONE, seconds=1))
    assert ended.elapsed(500) == 1
    assert (ended.is_over, ended.is_at_work, ended.outcome) == (True, False, Outcome.DONE)


def test_who_has_the_traffic_is_what_was_last_seen_and_not_what_a_step_is_to_bring() -> None:
    assert after(BEGAN, STEP).weights == {OLD: 100}
    shifted = after(BEGAN, STEP, Shifted(stack="prod", weights={OLD: 95, NEW: 5}))
    assert shifted.weights == {OLD: 95, NEW: 5}
    assert shifted.roles == {OLD: "active", NEW: "candidate"}


def test_releases_keep_their_places_whoever_has_the_traffic() -> None:
    progress = after(BEGAN, STEP, Shifted(stack="prod", weights={NEW: 100}), Shifted(stack="prod", weights={OLD: 100}))
    assert progress.releases == (OLD, NEW)


def test_the_next_step_knows_nothing_of_the_machines_of_the_last() -> None:
    health = Health(stack="prod", group="web", healthy=1, wanted=2, reason="1 starting")
    assert after(BEGAN, health).machines == Machines(1, 2, "1 starting")
    assert after(BEGAN, health, STEP).machines is None


def test_a_wait_is_over_with_its_phase() -> None:
    wait = WaitBegan(stack="prod", wait=Wait.SOAK, group="web", seconds=60)
    watching = after(BEGAN, PhaseBegan(stack="prod", phase=Phase.WATCHING), wait)
    assert watching.waiting
    assert (watching.waiting.began, watching.waiting.seconds, watching.phase_began) == (102, 60, 101)
    assert watching.after(PhaseBegan(stack="prod", phase=Phase.DELETING), 170).waiting is None


def test_resources_are_counted() -> None:
    created = ResourceChanged(stack="prod", change=Change.CREATED, type="aws:ec2/vpc:Vpc", name="web")
    assert after(BEGAN, created, created).changes == {Change.CREATED: 2}


def test_other_events_change_nothing() -> None:
    progress = after(BEGAN)
    assert progress.after(Line(stack="prod", text="said"), 200) == progress


def test_a_stack_of_which_nobody_tells_any_more_has_no_outcome() -> None:
    stopped = after(BEGAN).stopped(130)
    assert (stopped.is_over, stopped.outcome, stopped.elapsed(900)) == (True, None, 30)
