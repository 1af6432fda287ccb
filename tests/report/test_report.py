"""Reports: what is told is shown once, from whatever thread, and nobody's missing terminal holds a deployment up."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from bluegreen.errors import GateFailed, RolledBack
from bluegreen.events import KINDS, EngineLine, Event, Failed, Line, Outcome, Phase, Result, Shifted
from bluegreen.report import Mode, mode_of, reporter
from bluegreen.report.on_terminal import LiveReport, look_of
from bluegreen.report.report import PlainReport
from bluegreen.report.schema import schema
from bluegreen.report.wording import plain

from .picture import picture
from .stories import IN_THE_GATE, NEW, OLD, SOAKING, began, ended, health, phase, shifted, soak, step

DOCS = Path(__file__).parents[2] / "docs"
NOON = datetime(2026, 11, 25, 13, 0, tzinfo=timezone(timedelta(hours=1)))
REFUSED = GateFailed("web: 0 of 2 healthy, after 15 of 15 s", "The traffic stays on web-1.")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """A report, and what it has written."""

    def __init__(self, mode: Mode, *stacks: str, is_verbose: bool = False) -> None:
        self.clock = Clock()
        self.out, self.err = io.StringIO(), io.StringIO()
        self.report = reporter(
            mode,
            stacks or ("prod",),
            verb="deploy",
            is_verbose=is_verbose,
            out=self.out,
            err=self.err,
            clock=self.clock,
            now=lambda: NOON,
        )

    def see(self, *events: Event, seconds: float = 1.0) -> None:
        for event in events:
            self.report.see(event)
            self.clock.now += seconds

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


# -- plain lines


def test_a_line_for_each_event_that_matters_with_the_seconds() -> None:
    shown = Shown(Mode.PLAIN)
    shown.see(*SOAKING[:4])
    assert shown.lines == [
        f"    0.0 s  active {OLD} 100 %, takes about 2:30",
        f"    1.0 s  step 2 of 3: canary at 50 % (active {OLD} 50 %, candidate {NEW} 50 %)",
        "    2.0 s  gate: what gains traffic is being proven",
        f"    3.0 s  traffic: {OLD} 50 %, {NEW} 50 %",
    ]


def test_of_several_stacks_each_line_says_whose_it_is() -> None:
    shown = Shown(Mode.PLAIN, "prod-eu", "prod-us")
    shown.see(shifted("prod-us"), Failed(stack="prod-eu", text="web is not well\n  look at it"))
    assert shown.lines == [
        f"prod-us:     0.0 s  traffic: {OLD} 50 %, {NEW} 50 %",
        "prod-eu:     1.0 s  failed: web is not well",
        "prod-eu:              look at it",
    ]


def test_the_same_health_is_not_said_over_and_over() -> None:
    shown = Shown(Mode.PLAIN)
    for _ in range(40):  # flaps
        shown.see(health(1), health(2))
    assert len([line for line in shown.lines if "1 of 4" in line]) == 3  # at 0, 30 and 60 s of 80
    assert len([line for line in shown.lines if "2 of 4" in line]) == 3


def test_a_change_of_health_is_said_at_once() -> None:
    shown = Shown(Mode.PLAIN)
    shown.see(health(1), health(1), health(2), health(3), seconds=0.1)
    assert ["of 4 healthy" in line for line in shown.lines] == [True, True, True]


def test_a_long_silence_is_broken() -> None:
    shown = Shown(Mode.PLAIN)
    report = shown.report
    assert isinstance(report, PlainReport)
    shown.see(*IN_THE_GATE)
    before = len(shown.lines)
    for _ in range(65):
        shown.clock.now += 1
        report.tick()
    assert [line.strip() for line in shown.lines[before:]] == [
        "34.0 s  still gate, 2 of 4 healthy, 0:31 now",
        "64.0 s  still gate, 2 of 4 healthy, 1:01 now",
    ]
    shown.see(ended(Outcome.DONE))
    before = len(shown.lines)
    shown.clock.now += 100
    report.tick()
    assert len(shown.lines) == before


def test_the_result_comes_last_and_an_error_goes_to_stderr() -> None:
    shown = Shown(Mode.PLAIN)
    with shown.report as report:
        report.result(Result(stack="prod", text="prod runs release a"))
        report.error(REFUSED, 1)
    assert shown.lines == ["prod runs release a"]
    assert shown.err.getvalue() == f"error: {REFUSED}\n"


def test_the_engines_lines_are_for_the_verbose() -> None:
    line = EngineLine(stack="prod", text=" +  aws:lb:Listener web creating (0s)")
    shown = Shown(Mode.PLAIN)
    shown.see(line)
    assert shown.lines == []
    shown = Shown(Mode.PLAIN, is_verbose=True)
    shown.see(line)
    assert shown.lines == ["    0.0 s   +  aws:lb:Listener web creating (0s)"]


def test_an_encoding_that_has_not_all_characters_is_no_error() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    report = reporter(Mode.PLAIN, ["prod"], out=out, err=out)
    report.see(Line(stack="prod", text="größer ✔"))
    assert raw.getvalue().decode().endswith("gr??er ?\n")


# -- JSON


def test_each_event_is_a_line_and_the_last_is_the_result() -> None:
    shown = Shown(Mode.JSON)
    shown.see(*SOAKING)
    shown.report.result(Result(stack="prod", verb="deploy", release=NEW, url="http://web", weights={NEW: 100}))
    assert [record["event"] for record in shown.records] == [
        "began",
        "step",
        "phase",
        "shifted",
        "phase",
        "wait",
        "result",
    ]
    assert shown.records[3] == {
        "at": "2026-11-25T12:00:00.000+00:00",
        "event": "shifted",
        "stack": "prod",
        "weights": {OLD: 50, NEW: 50},
    }
    assert shown.records[1]["watchSeconds"] == 0
    assert (shown.records[-1]["outcome"], shown.records[-1]["exitCode"]) == ("done", 0)


def test_an_error_is_the_last_line_too_with_what_to_do() -> None:
    shown = Shown(Mode.JSON)
    shown.report.error(RolledBack("release b was rolled back", "See runs/prod."), 1)
    assert shown.records == [
        {
            "at": "2026-11-25T12:00:00.000+00:00",
            "event": "error",
            "stack": "prod",
            "outcome": "failed",
            "exitCode": 1,
            "error": "RolledBack",
            "what": "release b was rolled back",
            "nextStep": "See runs/prod.",
        }
    ]
    assert shown.err.getvalue() == ""


def test_of_several_stacks_the_last_line_is_of_all() -> None:
    shown = Shown(Mode.JSON, "prod-eu", "prod-us")
    shown.see(ended(Outcome.DONE, "prod-eu"), ended(Outcome.STUCK, "prod-us"))
    shown.report.error(REFUSED, 3)
    assert [(record["event"], record["stack"]) for record in shown.records] == [
        ("ended", "prod-eu"),
        ("ended", "prod-us"),
        ("error", ""),
    ]
    assert shown.records[-1]["outcome"] == "needs a person"


def test_every_line_is_as_the_schema_says() -> None:
    check = Draft202012Validator(schema())
    shown = Shown(Mode.JSON, is_verbose=True)
    shown.see(*IN_THE_GATE, *SOAKING, EngineLine(stack="prod", text="x"), ended(Outcome.DONE))
    shown.report.result(Result(stack="prod"))
    shown.report.error(REFUSED, 2)
    for record in shown.records:
        assert not list(check.iter_errors(record))
    wrong = [{**shown.records[0], "event": "unheard of"}, {**shown.records[0], "verb": 1}, {"event": "began"}]
    assert not any(check.is_valid(record) for record in wrong)


def test_the_schema_in_the_docs_is_that_of_the_types() -> None:
    written = json.loads((DOCS / "events.schema.json").read_text())
    assert written == schema(), "python -m bluegreen.report.schema > docs/events.schema.json"


def test_the_docs_name_every_kind_and_every_key() -> None:
    page = (DOCS / "json.md").read_text()
    definitions = schema()["$defs"]
    for kind in KINDS.values():
        assert f"`{kind}`" in page
        row = next(line for line in page.splitlines() if line.startswith(f"| `{kind}` |"))
        keys = [key for key in definitions[kind]["properties"] if key not in ("at", "event", "stack")]
        assert [key for key in keys if f"`{key}`" not in row] == []


def test_the_docs_name_every_outcome_with_its_exit_code() -> None:
    page = (DOCS / "json.md").read_text()
    for outcome in Outcome:
        assert f"| {outcome.exit_code} | `{outcome}` |" in page
        assert Outcome.of_exit_code(outcome.exit_code) is outcome
    assert Outcome.of_exit_code(130) is Outcome.STUCK


# -- whoever listens


class Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("mode", [Mode.PLAIN, Mode.JSON])
def test_output_that_nobody_takes_holds_nothing_up(mode: Mode) -> None:
    with reporter(mode, ["prod"], out=Gone(), err=Gone()) as report:
        report.see(shifted())
        report.result(Result(stack="prod", text="done"))
        report.error(REFUSED, 1)


def test_events_may_come_from_any_thread() -> None:
    shown = Shown(Mode.JSON, *(f"stack-{number}" for number in range(8)))
    threads = [
        threading.Thread(target=lambda name=name: [shown.report.see(shifted(name)) for _ in range(50)])
        for name in (f"stack-{number}" for number in range(8))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shown.records) == 400


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("as_json", "out", "environment", "mode"),
    [
        (False, Terminal(), {"TERM": "xterm"}, Mode.LIVE),
        (False, Terminal(), {"TERM": "dumb"}, Mode.PLAIN),
        (False, Terminal(), {}, Mode.PLAIN),
        (False, Terminal(), {"TERM": "xterm", "CI": "true"}, Mode.PLAIN),
        (False, io.StringIO(), {"TERM": "xterm"}, Mode.PLAIN),
        (True, Terminal(), {"TERM": "xterm"}, Mode.JSON),
    ],
)
def test_a_live_view_is_for_terminals(
    as_json: bool, out: io.StringIO, environment: Mapping[str, str], mode: Mode
) -> None:
    assert mode_of(as_json=as_json, out=out, environment=environment) is mode


# -- the live view


def live(
    *stacks: str, width: int = 80, encoding: Mapping[str, str] = {"LANG": "C.UTF-8"}
) -> tuple[LiveReport, Console]:
    console = Console(
        record=True, width=width, height=24, force_terminal=True, file=io.StringIO(), _environ={"TERM": "xterm"}
    )
    report = LiveReport(
        stacks or ("prod",),
        verb="deploy",
        is_verbose=True,
        out=io.StringIO(),
        err=io.StringIO(),
        clock=Clock(),
        environment=encoding,
        console=console,
    )
    return report, console


def frame(report: LiveReport, width: int = 80) -> list[str]:
    return [line.plain for line in report.lines(width, 24)]


def test_the_view_follows_the_events() -> None:
    report, _ = live()
    for event in (*IN_THE_GATE, health(2), health(3)):
        report.see(event)
    events = [line for line in frame(report) if "gate: web" in line]
    assert ["2 of 4" in line for line in events] == [True, False], "the same line is not shown twice in a row"
    assert any(line.startswith(" healthy") and "3 of 4" in line for line in frame(report))


def test_what_is_left_on_the_terminal_is_the_end_of_it() -> None:
    report, console = live()
    with report:
        for event in SOAKING:
            report.see(event)
        report.see(EngineLine(stack="prod", text="the engine \x1b[2Jsays"))
        report.result(Result(stack="prod", text="prod runs release b"))
    text = console.export_text(clear=False)
    assert "✔ deploy prod  done" in text
    assert "the engine says" in text
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l"), "the cursor is back"


def test_in_a_locale_of_c_and_with_any_text_only_ascii_is_drawn() -> None:
    report, console = live("prod", "qa", encoding={"LANG": "C"})
    with report:
        for event in (*SOAKING, Line(stack="prod", text="größer ✔"), EngineLine(stack="qa", text="größer")):
            report.see(event)
    assert console.export_text().isascii()


def test_colours_can_be_unwanted() -> None:
    def console(**environment: str) -> Console:
        return Console(force_terminal=True, _environ={"TERM": "xterm-256color", **environment}, file=io.StringIO())

    here = {"LANG": "en_US.UTF-8"}
    assert look_of(console(), here).has_color
    assert not look_of(console(NO_COLOR="1"), here).has_color
    assert look_of(console(), {"LANG": "C"}).is_ascii
    assert look_of(console(), {"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}).is_ascii
    assert not look_of(console(), {"LC_CTYPE": "C.UTF-8"}).is_ascii


PLAY = """
import sys, time
from bluegreen.events import *
from bluegreen.report import Mode, reporter
with reporter(Mode.LIVE, ["prod"], verb="deploy") as report:
    report.see(Began(stack="prod", verb="deploy", weights={"aaaaaaaa": 100}))
    report.see(PhaseBegan(stack="prod", phase=Phase.GATE))
    if sys.argv[1] == "raise":
        raise RuntimeError("a fault")
    while True:
        time.sleep(0.05)
"""


@pytest.mark.parametrize("how", ["interrupt", "raise"])
def test_a_terminal_is_given_back_whatever_ends_the_command(how: str) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "LANG": "C.UTF-8", "COLUMNS": "70", "LINES": "20"}
    process = subprocess.Popen(
        [sys.executable, "-c", PLAY, how], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = read_until(ours, lambda text: "[gate]" in text or "gate (3" in text or how == "raise")
    if how == "interrupt":
        process.send_signal(signal.SIGINT)
    seen += read_until(ours, lambda _: process.poll() is not None)
    os.close(ours)
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert "✘ deploy prod  stopped" in plain(seen)
    assert ("KeyboardInterrupt" if how == "interrupt" else "RuntimeError: a fault") in seen


def read_until(terminal: int, is_enough: Callable[[str], bool], within: float = 20.0) -> str:
    text, deadline = b"", time.monotonic() + within
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.05)[0]:
            if is_enough(text.decode(errors="replace")):
                break
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # whoever wrote has ended
            break
        text += chunk
        if not chunk:
            break
    return text.decode(errors="replace")


@pytest.mark.parametrize("mode", Mode)
def test_events_in_any_order_and_of_any_stack_are_shown(mode: Mode) -> None:
    with reporter(mode, [], out=io.StringIO(), err=io.StringIO()) as report:
        for event in (soak(), phase(Phase.GATE), Shifted(stack="qa", weights={}), step(), began(), health(0, 0)):
            report.see(event)
        report.result(Result(stack=""))


def test_the_picture_in_the_docs_is_of_this_view() -> None:
    assert (DOCS / "live-view.svg").read_text() == picture(), "python -m tests.report.picture > docs/live-view.svg"
