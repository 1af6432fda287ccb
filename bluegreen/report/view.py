"""The live view as lines of text: what a terminal of some width shows of the stacks' progress. Pure.

Nothing here draws; that is `bluegreen.report.live`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from bluegreen.events import Outcome, Phase, Wait
from bluegreen.progress import Progress
from bluegreen.report.bar import cells_of, filled
from bluegreen.report.wording import duration, ending, plain

LAST_EVENTS = 5
WIDEST = 100
"""Longer lines are hard to read; and lines that are not there need not be put right when a terminal gets narrower."""
LABEL = 11
MARGIN = " "
STYLES = ("blue", "green", "cyan", "magenta", "yellow")
"""By the order in which releases are told of: who has the traffic at first is blue, who comes is green."""


@dataclass(frozen=True)
class Look:
    """What a terminal can show."""

    full: str
    empty: str
    fills: str
    frames: str
    done: str
    failed: str
    is_ascii: bool = False
    has_color: bool = True

    def fill(self, number: int) -> str:
        """What a release's share is drawn with: without colours, each differently."""
        return self.full if self.has_color else self.fills[number % len(self.fills)]


PRETTY = Look(full="█", empty="░", fills="█▒▓░▄", frames="⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", done="✔", failed="✘")
ASCII = Look(full="#", empty=".", fills="#=+-~", frames="|/-\\", done="+", failed="x", is_ascii=True)


@dataclass(frozen=True)
class Said:
    """Something that was told. `at`: seconds since the command began."""

    at: float
    stack: str
    text: str
    is_bad: bool = False


def view(
    stacks: Sequence[Progress], said: Sequence[Said], *, now: float, width: int, height: int, look: Look, verb: str = ""
) -> list[Text]:
    """The lines, at most `height` of them, none wider than `width`."""
    width = max(20, min(width - 1, WIDEST))
    if len(stacks) == 1:
        lines = one_stack(stacks[0], now=now, width=width, look=look, verb=verb)
    else:
        lines = many_stacks(stacks, now=now, width=width, rows=max(1, height - LAST_EVENTS - 6), look=look, verb=verb)
    shown = [_event(each, width, len(stacks) > 1, look) for each in said[-LAST_EVENTS:]]
    whole = [*lines, Text(), *shown] if shown else lines
    return whole[: max(1, height - 1)]


def one_stack(progress: Progress, *, now: float, width: int, look: Look, verb: str = "") -> list[Text]:
    lines = [_head(progress, now, width, look, verb)]
    if progress.step:
        step = progress.step
        lines.append(_row("step", Text(f"{step.number} of {step.count}: {plain(step.name)}"), width, look))
    if not progress.is_over:
        lines.append(_row("phase", _phases(progress, now, width - LABEL - 1, look), width, look))
        lines.append(_row(*_under_way(progress, now, width - LABEL - 1, look), width, look))
    lines += _traffic(progress, width, look)
    return lines


def _head(progress: Progress, now: float, width: int, look: Look, verb: str) -> Text:
    mark, style = _mark(progress, now, look)
    name = f"{progress.verb or verb} {progress.stack}".strip()
    text = Text.assemble((mark, style), " ", (name, "bold"))
    if progress.is_over:
        text.append(f"  {ending(progress.outcome)}", style)
    return _sides(text, Text(_times(progress, now), "dim"), width, look)


def _mark(progress: Progress, now: float, look: Look) -> tuple[str, str]:
    if progress.outcome is Outcome.DONE:
        return look.done, "bold green"
    if progress.is_over:
        return look.failed, "bold red"
    if not progress.has_begun:
        return " ", "dim"
    return look.frames[int(now * 4) % len(look.frames)], "bold cyan"


def _times(progress: Progress, now: float) -> str:
    elapsed = progress.elapsed(now)
    expected = progress.expected_seconds
    if progress.is_over or not expected:
        return duration(elapsed)
    over = elapsed > expected
    return f"{duration(elapsed)}, {'longer than' if over else 'of about'} {duration(expected)}"


def _phases(progress: Progress, now: float, width: int, look: Look) -> Text:
    """All of them with the one at hand marked, or, where there is no room, that alone."""
    names = list(Phase)
    wide = " > " if look.is_ascii else " \u203a "
    room = (width - 2 - sum(len(name) for name in names)) // (len(names) - 1)
    gap = wide if room >= len(wide) else " "
    if room < len(gap):
        if progress.phase is None:
            return Text("-", "dim")
        number = names.index(progress.phase) + 1
        return Text(f"{progress.phase} ({number} of {len(names)})", "bold cyan")
    text = Text()
    for name in names:
        if text.plain:
            text.append(gap, "dim")
        if name is progress.phase:
            text.append(f"[{name}]", "bold cyan")
        else:
            text.append(name, "dim")
    return text


def _under_way(progress: Progress, now: float, width: int, look: Look) -> tuple[str, Text]:
    """What is waited for: time, or machines that get healthy."""
    bar = max(8, min(24, width // 3))
    if waiting := progress.waiting:
        took = now - waiting.began
        text = _gauge(filled(took, waiting.seconds, bar), bar, "cyan", look)
        until = "at most " if waiting.wait in (Wait.STICKY, Wait.LEAVING) else ""
        text.append(f"  {duration(took)} of {until}{duration(waiting.seconds)}")
        return waiting.wait, text
    if machines := progress.machines:
        is_enough = machines.healthy >= machines.wanted
        text = _gauge(filled(machines.healthy, machines.wanted, bar), bar, "green" if is_enough else "yellow", look)
        text.append(f"  {machines.healthy} of {machines.wanted}")
        if machines.reason:
            text.append(f"  {plain(machines.reason)}", "dim")
        return "healthy", text
    changed = ", ".join(f"{count} {change}" for change, count in progress.changes.items())
    return "resources", Text(changed or "-", "" if changed else "dim")


def _gauge(full: int, width: int, style: str, look: Look) -> Text:
    return Text.assemble((look.full * full, style), (look.empty * (width - full), "dim"))


def _traffic(progress: Progress, width: int, look: Look) -> list[Text]:
    """The bar, and below it whose its parts are."""
    if not progress.weights:
        return [_row("traffic", Text("-", "dim"), width, look)]
    lines = [_row("traffic", bar_of(progress, width - LABEL - 1, look), width, look)]
    legend: list[Text] = []
    for version, weight in progress.weights.items():
        number = progress.releases.index(version)
        part = Text.assemble(
            (look.fill(number), _style(number)),
            f" {progress.roles.get(version, '')} ".replace("  ", " "),
            (version, "bold" if weight else ""),
            f" {weight} %",
        )
        if legend and legend[-1].cell_len + part.cell_len + 3 <= width - LABEL - 1:
            legend[-1].append("   ").append_text(part)
        else:
            legend.append(part)
    return lines + [_row("", line, width, look) for line in legend]


def bar_of(progress: Progress, width: int, look: Look) -> Text:
    """Who has how much of the traffic."""
    cells = cells_of(progress.weights, width)
    text = Text()
    for version, count in cells.items():
        number = progress.releases.index(version)
        text.append(look.fill(number) * count, _style(number))
    return text


def many_stacks(
    stacks: Sequence[Progress], *, now: float, width: int, rows: int, look: Look, verb: str = ""
) -> list[Text]:
    """A row each; where there is no room for all, those at work and those that failed come first."""
    shown = set(sorted(range(len(stacks)), key=lambda number: _urgency(stacks[number]))[:rows])
    name_width = min(20, max(len("stack"), *(cell_len(progress.stack) for progress in stacks)))
    bar_width = width - name_width - 44
    lines = [_summary(stacks, now, width, look, verb)]
    lines += [
        _stack_row(progress, now, width, name_width, bar_width, look)
        for number, progress in enumerate(stacks)
        if number in shown
    ]
    if left := len(stacks) - len(shown):
        lines.append(_cut(Text(f"  and {left} more", "dim"), width, look))
    return lines


def _summary(stacks: Sequence[Progress], now: float, width: int, look: Look, verb: str) -> Text:
    at_work = sum(progress.is_at_work for progress in stacks)
    done = sum(progress.outcome is Outcome.DONE for progress in stacks)
    bad = sum(progress.is_over for progress in stacks) - done
    waiting = len(stacks) - at_work - done - bad
    parts = [(at_work, "at work", ""), (done, "done", "green"), (bad, "failed", "bold red"), (waiting, "waiting", "")]
    text = Text.assemble((f"{verb} {len(stacks)} stacks:".strip(), "bold"), " ")
    counts = [Text(f"{count} {what}", style) for count, what, style in parts if count]
    text.append_text(Text(", ").join(counts))
    began = [progress.began for progress in stacks if progress.has_begun]
    ended = [progress.ended for progress in stacks if progress.ended is not None]
    until = max(ended) if ended and not at_work and not waiting else now
    return _sides(text, Text(duration(until - min(began)) if began else "", "dim"), width, look)


def _urgency(progress: Progress) -> int:
    if progress.is_over:
        return 3 if progress.outcome is Outcome.DONE else 0
    return 1 if progress.has_begun else 2


def _stack_row(progress: Progress, now: float, width: int, name_width: int, bar_width: int, look: Look) -> Text:
    mark, style = _mark(progress, now, look)
    step = f"{progress.step.number}/{progress.step.count}" if progress.step else ""
    machines = progress.machines
    health = f"{machines.healthy} of {machines.wanted}" if machines and progress.phase is Phase.GATE else ""
    if waiting := progress.waiting:
        health = f"{duration(max(0.0, waiting.seconds - (now - waiting.began)))} left"
    if progress.is_over:
        state, health = (progress.outcome.value if progress.outcome else ending(None)), ""
    else:
        state = (progress.phase or "begun") if progress.has_begun else "waiting"
    text = Text.assemble(
        (mark, style),
        " ",
        set_cell_size(plain(progress.stack), name_width),
        f"  {step:5}",
        (f" {state:14}", style if progress.is_over or not progress.has_begun else ""),
        f" {health:9}  ",
    )
    if bar_width >= 8:
        bar = bar_of(progress, bar_width, look)
        bar.append(" " * (bar_width - bar.cell_len))
        text.append_text(bar)
    times = Text(duration(progress.elapsed(now)) if progress.has_begun else "", "dim")
    return _sides(text, times, width, look)


def _event(said: Said, width: int, is_named: bool, look: Look) -> Text:
    first = plain(said.text.strip().splitlines()[0] if said.text.strip() else "")
    text = Text.assemble((f"{duration(said.at):>7}  ", "dim"))
    if is_named and said.stack:
        text.append(f"{plain(said.stack)}: ", "bold")
    text.append(first, "red" if said.is_bad else "")
    return _cut(text, width, look)


def _row(label: str, value: Text, width: int, look: Look) -> Text:
    return _cut(Text.assemble((f" {label:{LABEL - 1}} ", "dim"), value), width, look)


def _sides(left: Text, right: Text, width: int, look: Look) -> Text:
    room = width - right.cell_len - 1
    text = _cut(left, room, look)
    text.append(" " * (width - text.cell_len - right.cell_len)).append_text(right)
    return text


def _cut(text: Text, width: int, look: Look) -> Text:
    """Shortened to this width, with dots in the end that say so."""
    if text.cell_len <= width:
        return text
    dots = "..." if look.is_ascii else "…"
    shorter = text.copy()
    shorter.truncate(max(0, width - len(dots)), overflow="crop")
    shorter.append(dots)
    return shorter


def _style(number: int) -> str:
    return STYLES[number % len(STYLES)]
