"""Events in words."""

from __future__ import annotations

import pytest

from bluegreen.events import (
    Began,
    Change,
    Check,
    Checked,
    ConfigDiffers,
    Ended,
    EngineLine,
    Event,
    Failed,
    Health,
    Line,
    Outcome,
    Phase,
    PhaseBegan,
    ResourceChanged,
    Shifted,
    StepBegan,
    UpdateEnded,
    Warned,
)
from bluegreen.report.wording import duration, plain, words_of

SAID: list[tuple[Event, str]] = [
    (Began(stack="p", verb="deploy"), ""),
    (
        Began(stack="p", verb="deploy", weights={"a": 100}, roles={"a": "active"}, expected_seconds=90),
        "active a 100 %, takes about 1:30",
    ),
    (
        StepBegan(
            stack="p", name="canary at 5 %", number=1, count=3, weights={"a": 95, "b": 5}, roles={"b": "candidate"}
        ),
        "step 1 of 3: canary at 5 % (a 95 %, candidate b 5 %)",
    ),
    (
        ConfigDiffers(stack="p", key="minSize", deployed="3", here=None, is_used=False),
        "config: minSize is not set here, and 3 in the last update: the deployed one counts",
    ),
    (PhaseBegan(stack="p", phase=Phase.CUTOVER), "cutover"),
    (PhaseBegan(stack="p", phase=Phase.DRAINING), ""),
    (ResourceChanged(stack="p", change=Change.CREATED, type="aws:ec2/vpc:Vpc", name="web"), ""),
    (
        ResourceChanged(stack="p", change=Change.DELETED, type="aws:autoscaling/group:Group", name="web-a"),
        "server group web-a deleted",
    ),
    (
        Health(stack="p", group="web-a", healthy=1, wanted=2, reason="1 starting"),
        "gate: web-a: 1 of 2 healthy; 1 starting",
    ),
    (Checked(stack="p", check=Check.GATE, group="web-a", text="", is_passed=True), "gate: web-a: passed"),
    (Checked(stack="p", check=Check.SOAK, group="web-a", text="quiet", is_passed=False), "soak: web-a: quiet"),
    (Shifted(stack="p", weights={"a": 50, "b": 50}), "traffic: a 50 %, b 50 %"),
    (UpdateEnded(stack="p", changes={"deleted": 1, "created": 2}), "update ended: 2 created, 1 deleted"),
    (UpdateEnded(stack="p", changes={}), "update ended: nothing changed"),
    (Line(stack="p", text="said"), "said"),
    (EngineLine(stack="p", text="said"), ""),
    (Warned(stack="p", text="said"), "warning: said"),
    (Failed(stack="p", text="said"), "failed: said"),
    (Ended(stack="p", outcome=Outcome.DONE, seconds=62, text="runs a"), "done after 1:02: runs a"),
    (Ended(stack="p", outcome=Outcome.STUCK, seconds=62), "needs a person after 1:02"),
]


@pytest.mark.parametrize(("event", "words"), SAID)
def test_an_event_in_words(event: Event, words: str) -> None:
    assert words_of(event) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (59.9, "0:59"), (62, "1:02"), (3723, "1:02:03")])
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_nothing_that_is_said_can_move_the_cursor() -> None:
    shown = plain("a\x1b[2J\x1b[31mb\x1b]0;title\x07c\re\x08\x1b")
    assert shown == "abc e "
    assert plain("two\nlines") == "two\nlines"


def test_what_an_encoding_does_not_have_is_replaced() -> None:
    assert plain("größer ✔", "ascii") == "gr??er ?"
    assert plain("größer", "utf-8") == "größer"
