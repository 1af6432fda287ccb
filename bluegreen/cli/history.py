"""`bluegreen history`: the deployments of a stack as a table, one of them whole, or their events.

Moments are shown in UTC. A terminal gets colours; what is piped, or runs in CI, gets plain lines.
"""

from __future__ import annotations

import difflib
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from bluegreen.cli.options import StackName

if TYPE_CHECKING:
    from rich.table import Table

    from bluegreen.model.history import Event
    from bluegreen.model.record import Deployment, Outcome

LIMIT = 20
UNITS = {"d": "days", "h": "hours", "min": "minutes"}
STYLES = {"done": "green", "failed": "red", "rolled back": "yellow", "never ended": "red", "under way": "cyan"}
NOT_KNOWN = "-"
COMMIT_LENGTH = 7
WIDE = 1000
"""Of a table that nobody fits into a window: what is piped is cut nowhere."""


def history(
    stack: StackName,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="One deployment: its run, or the beginning or end of it.", show_default=False
        ),
    ] = None,
    release: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Of this release, or of those that begin so.")
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(help="done, failed, rolled-back, interrupted, under-way or never-ended.")
    ] = None,
    verb: Annotated[str | None, typer.Option(help="deploy, rollback, ..., or 'pulumi up'.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="7d|DATE", help="Begun since then: 30min, 12h, 7d, 2026-11-25.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="The newest so many; 0: all. [default: 20, of events all]", show_default=False),
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="The events, one a line, in place of records.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line: whole records, or whole events.")
    ] = False,
) -> None:
    """List the deployments of a stack, or show one whole."""
    from bluegreen.records import read_records, record_of, select

    wanted = _outcome(outcome)
    begun = _moment(since, datetime.now(UTC))
    records = read_records(stack)
    if run is not None:
        only = record_of(run, records, stack)
        if events or as_json:
            _print([only], stack, events, as_json)
        else:
            typer.echo("\n".join(_described(only)))
        return
    found = select(records, release=release, outcome=wanted, verb=verb, since=begun)
    most = (None if events else LIMIT) if limit is None else limit
    shown = found[-most:] if most else found
    if shown:
        _print(shown, stack, events, as_json, all_runs=[each.run for each in records])
    elif not as_json:
        typer.echo(
            f"No deployment of {stack} matches; there are {len(records)}."
            if records
            else f"Nothing was deployed in {stack} yet."
        )
    if len(shown) < len(found):
        typer.echo(f"{len(found) - len(shown)} earlier are not shown: --limit 0 shows all", err=True)


def _print(
    records: Sequence[Deployment], stack: str, events: bool, as_json: bool, all_runs: Sequence[str] = ()
) -> None:
    if events:
        # As they happened: runs may interleave.
        chosen = sorted((event for each in records for event in each.events), key=lambda event: event.at)
        lines = [json.dumps(event.as_record()) if as_json else line_of(event) for event in chosen]
    elif as_json:
        lines = [json.dumps(each.as_record()) for each in records]
    else:
        _show(_table(records, all_runs))
        return
    typer.echo("\n".join(lines))


def line_of(event: Event) -> str:
    """An event in a line: when, which release, what, and how."""
    return f"{event.at:%Y-%m-%d %H:%M:%S}  {event.release or '-':8}  {event.kind:14}  {_told(event)}".rstrip()


def _told(event: Event) -> str:
    weights = event.evidence.get("weights")
    return _shares(weights) if weights else event.summary


def _table(records: Sequence[Deployment], all_runs: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("when (UTC)", "run", "verb", "release", "image", "version", "operator", "outcome"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    table.add_column("seconds", justify="right", no_wrap=True)
    for each in records:
        outcome = each.outcome.value
        cells = (
            f"{each.began_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            _short_run(each.run, all_runs),
            each.verb,
            each.release or NOT_KNOWN,
            each.image or NOT_KNOWN,
            _version(each),
            " ".join(each.operator.split()) or NOT_KNOWN,
            Text(f"{outcome}, forced" if each.forced else outcome, style=STYLES.get(outcome, "")),
            NOT_KNOWN if each.seconds is None else f"{each.seconds:.1f}",
        )
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))
    return table


def _short_run(run: str, all_runs: Sequence[str]) -> str:
    """The end of a run's name, where it is enough to name it."""
    end = run.rpartition("-")[2]
    return end if sum(each.startswith(end) or each.endswith(end) for each in all_runs) == 1 else run


def _version(record: Deployment) -> str:
    commit = record.commit[:COMMIT_LENGTH] if record.commit != "unknown" else ""
    return " ".join(part for part in (record.version, commit) if part) or NOT_KNOWN


def _show(table: Table) -> None:
    from rich.console import Console

    if sys.stdout.isatty() and not os.environ.get("CI"):
        Console().print(table)
        return
    buffer = io.StringIO()
    Console(file=buffer, width=WIDE, color_system=None, force_terminal=False).print(table)
    typer.echo("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()))


def _described(record: Deployment) -> Iterator[str]:
    fields = {
        "run": record.run,
        "stack": record.stack,
        "verb": record.verb,
        "strategy": record.strategy,
        "outcome": record.outcome.value,
        "forced": ", ".join(record.forced),
        "release": record.release,
        "image": record.image,
        "version": record.version,
        "commit": record.commit,
        "artifact": record.artifact,
        "playbooks": record.playbooks,
        "content": record.content_digest,
        "promoted from": " ".join(vars(record.promoted_from).values()).rstrip() if record.promoted_from else "",
        "operator": record.operator,
        "CI run": record.ci_run,
        "began": _when(record.began_at),
        "ended": _when(record.ended_at),
        "seconds": _seconds(record),
        "gate": _gate(record),
        "machines": _change(record.capacity_before, record.capacity_after, ""),
        "traffic": _change(record.weights_before, record.weights_after, " %"),
        "serving": _shares(record.serving),
        "error": record.error.replace("\n", "\n" + " " * 15),
    }
    for name, value in fields.items():
        yield f"{name:13}  {value or NOT_KNOWN}"
    yield ""
    for event in record.events:
        after = (event.at - record.began_at).total_seconds()
        yield f"{after:9.1f} s  {event.release or NOT_KNOWN:8}  {event.kind:14}  {_told(event)}".rstrip()


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def _seconds(record: Deployment) -> str:
    parts = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in record.phases.items())
    total = NOT_KNOWN if record.seconds is None else f"{record.seconds:.1f}"
    return f"{total} ({parts})" if parts else total


def _gate(record: Deployment) -> str:
    gate = record.gate
    if gate is None:
        return ""
    told = [f"{gate.healthy} of {gate.wanted} healthy, after {gate.waited_seconds:.1f} s"]
    if gate.smoke_tests:
        told.append(f"smoke tests {', '.join(gate.smoke_tests)}")
    if gate.command:
        told.append(f"command {gate.command}")
    return "; ".join(told)


def _change(before: Mapping[str, int], after: Mapping[str, int], unit: str) -> str:
    was, now = _shares(before, unit) or "none", _shares(after, unit) or "none"
    return f"{was} -> {now}" if before or after else ""


def _shares(shares: Mapping[str, int], unit: str = " %") -> str:
    return ", ".join(f"{version} {share}{unit}" for version, share in shares.items())


def _outcome(text: str | None) -> Outcome | None:
    from bluegreen.model.record import Outcome

    if text is None:
        return None
    try:
        return Outcome(text.replace("-", " ").lower())
    except ValueError:
        known = [outcome.value.replace(" ", "-") for outcome in Outcome]
        near = difflib.get_close_matches(text, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f": {', '.join(known)}"
        raise typer.BadParameter(f"{text!r} is no outcome{meant}", param_hint="--outcome") from None


def _moment(text: str | None, now: datetime) -> datetime | None:
    """A span before now, or a date or moment, in UTC where it names no zone."""
    if text is None:
        return None
    try:
        if span := re.fullmatch(r"(\d+)(d|h|min)", text):
            return now - timedelta(**{UNITS[span[2]]: int(span[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        message = f"{text!r} is neither a span (30min, 12h, 7d) nor a date (2026-11-25, 2026-11-25T18:15:00Z)"
        raise typer.BadParameter(message, param_hint="--since") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
