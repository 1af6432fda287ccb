"""The live view: it fits, it says where things are, and it needs neither colours nor Unicode."""

from __future__ import annotations

import dataclasses

import pytest
from rich.text import Text

from bluegreen.events import Outcome, Phase
from bluegreen.progress import Progress
from bluegreen.report.view import ASCII, PRETTY, Look, Said, view

from .stories import IN_THE_GATE, NEW, OLD, REASON, SOAKING, after, began, ended, health, phase, shifted, step

MONOCHROME = dataclasses.replace(PRETTY, has_color=False)
LOOKS = {"pretty": PRETTY, "monochrome": MONOCHROME, "ascii": ASCII}
SAID = [Said(float(at), "prod", f"gate: web-{NEW}: {at} of 4 healthy; {REASON}") for at in range(9)]
STATES = {
    "not begun": Progress(stack="prod"),
    "begun": after(began()),
    "gate": after(*IN_THE_GATE),
    "soak": after(*SOAKING),
    "done": after(*SOAKING, ended(Outcome.DONE)),
    "failed": after(*SOAKING, ended(Outcome.FAILED)),
    "stopped": after(*SOAKING).stopped(40),
}


def shown(*stacks: Progress, width: int = 80, height: int = 24, look: Look = PRETTY, now: float = 35.0) -> list[str]:
    return [line.plain for line in lines(*stacks, width=width, height=height, look=look, now=now)]


def lines(*stacks: Progress, width: int = 80, height: int = 24, look: Look = PRETTY, now: float = 35.0) -> list[Text]:
    return view(stacks, SAID, now=now, width=width, height=height, look=look, verb="deploy")


def named(name: str, state: Progress) -> Progress:
    return dataclasses.replace(state, stack=name)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("width", [60, 72, 80, 100, 200])
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_no_line_is_wider_than_the_terminal(state: Progress, width: int, look: Look) -> None:
    for stacks in ((state,), tuple(named(f"a-stack-with-a-long-name-{number}", state) for number in range(30))):
        frame = lines(*stacks, width=width, look=look)
        assert max(line.cell_len for line in frame) < width
        assert len(frame) < 24


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_ascii_is_enough(state: Progress) -> None:
    assert all(line.isascii() for line in shown(state, named("qa", state), look=ASCII))
    assert all(line.isascii() for line in shown(state, look=ASCII))


def test_the_gate_shows_how_many_are_healthy_and_why_the_others_are_not() -> None:
    (row,) = [line for line in shown(after(*IN_THE_GATE), width=100) if line.startswith(" healthy")]
    assert "  2 of 4  2 unhealthy (Target.ResponseCode" in row


def test_the_phase_at_hand_is_marked_among_all_and_alone_where_there_is_no_room() -> None:
    assert " phase      preparing creating [gate] cutover watching draining deleting" in shown(after(*IN_THE_GATE))
    assert " phase      gate (3 of 7)" in shown(after(*IN_THE_GATE), width=60)


def test_time_is_shown_against_the_usual() -> None:
    assert shown(after(*IN_THE_GATE))[0].endswith("0:35, of about 2:30")
    assert shown(after(*IN_THE_GATE), now=160)[0].endswith("2:40, longer than 2:30")
    assert shown(after(*SOAKING, ended(Outcome.DONE)), now=900)[0].endswith(" 0:06")


def test_a_soak_shows_how_much_of_it_is_over() -> None:
    (row,) = [line for line in shown(after(*SOAKING)) if line.startswith(" soak")]
    assert row.endswith("  0:30 of 1:00")
    assert 0 < row.count("█") < row.count("█") + row.count("░") == 22


def test_shares_are_told_by_role_version_and_percent_and_drawn_by_length() -> None:
    frame = lines(after(*SOAKING))
    (bar,) = [line for line in frame if line.plain.startswith(" traffic")]
    drawn = {str(span.style): span.end - span.start for span in bar.spans if str(span.style) in ("blue", "green")}
    assert sorted(drawn.values()) == [33, 34]
    assert f"            █ active {OLD} 50 %   █ candidate {NEW} 50 %" in [line.plain for line in frame]


@pytest.mark.parametrize("look", [MONOCHROME, dataclasses.replace(ASCII, has_color=False)])
def test_without_colours_shares_differ_in_what_they_are_drawn_with(look: Look) -> None:
    (bar,) = [line for line in shown(after(*SOAKING), look=look) if line.startswith(" traffic")]
    assert len(set(bar.removeprefix(" traffic").strip())) == 2


def test_a_release_keeps_its_colour_when_it_has_all_traffic() -> None:
    done = after(*SOAKING, dataclasses.replace(shifted(), weights={NEW: 100}))  # type: ignore[type-var]
    (bar,) = [line for line in lines(done) if line.plain.startswith(" traffic")]
    assert "green" in {str(span.style) for span in bar.spans}


@pytest.mark.parametrize(
    ("outcome", "head"),
    [
        (Outcome.DONE, "✔ deploy prod  done"),
        (Outcome.FAILED, "✘ deploy prod  failed, and the traffic is where it was"),
        (Outcome.REFUSED, "✘ deploy prod  refused, and nothing was changed"),
        (Outcome.STUCK, "✘ deploy prod  needs a person"),
    ],
)
def test_what_stays_in_the_end_says_how_it_ended(outcome: Outcome, head: str) -> None:
    frame = shown(after(*SOAKING, ended(outcome)))
    assert frame[0].startswith(head)
    assert not [line for line in frame if line.startswith((" phase", " soak"))]
    assert shown(STATES["stopped"])[0].startswith("✘ deploy prod  stopped")


def test_only_the_last_events_are_shown_each_in_a_line() -> None:
    assert [line.split()[0] for line in shown(after(*IN_THE_GATE))[-5:]] == ["0:04", "0:05", "0:06", "0:07", "0:08"]


def test_several_stacks_have_a_row_each() -> None:
    frame = shown(
        named("prod-eu", after(*SOAKING)),
        named("prod-us", after(*IN_THE_GATE)),
        named("prod-ap", STATES["done"]),
        named("prod-sa", STATES["failed"]),
        Progress(stack="prod-af"),
        width=100,
    )
    assert frame[0].startswith("deploy 5 stacks: 2 at work, 1 done, 1 failed, 1 waiting")
    assert [line.split()[1] for line in frame[1:5]] == ["prod-eu", "prod-us", "prod-ap", "prod-sa"]
    assert "2/3   watching       0:30 left" in frame[1]
    assert "2/3   gate           2 of 4" in frame[2]
    assert " done " in frame[3]
    assert frame[5].split() == ["prod-af", "waiting"]
    assert "prod: gate: web" in frame[-1]


def test_where_there_is_no_room_for_all_those_that_need_eyes_come_first() -> None:
    waiting = [Progress(stack=f"edge-{number:02}") for number in range(40)]
    frame = shown(*waiting, named("bad", STATES["failed"]), named("busy", after(*SOAKING)), height=16)
    rows = frame[1:7]
    assert [row.split()[1] for row in rows[-3:-1]] == ["bad", "busy"]
    assert rows[-1] == "  and 37 more"


def test_a_terminal_of_a_few_lines_is_enough() -> None:
    assert len(shown(after(*SOAKING), height=5)) == 4
    assert len(shown(after(*SOAKING), named("qa", after(began(), step(), phase(Phase.GATE), health(1))), height=5)) == 4
