"""`bluegreen doctor`: what is missing to deploy, and the command that gets it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bluegreen.cli.catalog import in_columns
from bluegreen.errors import NEEDS_A_PERSON

if TYPE_CHECKING:
    from bluegreen.model.diagnosis import Finding
    from bluegreen.orphans import Reaped


def doctor(
    stack: Annotated[str | None, typer.Argument(help="Look at this stack, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
    reap: Annotated[
        bool, typer.Option("--reap", help="List the stack's orphans instead, and after a yes delete them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --reap: don't ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --reap: also what has machines, or is named without traffic.")
    ] = False,
) -> None:
    """Find what is missing to deploy, with the command that gets it.

    Programs, credentials, region, backend, ledger, quota. Changes nothing.

    Exit code 3 where something is missing. With --reap: what carries the stack's tags and is in no state.
    """
    if reap:
        if stack is None:
            raise typer.BadParameter("needs a stack", param_hint="--reap")
        _reap(stack, yes, force, as_json)
        return
    if yes or force:
        raise typer.BadParameter("goes with --reap", param_hint="--yes" if yes else "--force")
    from bluegreen import doctor as library
    from bluegreen.model.diagnosis import is_fit

    findings = library.check(stack)
    if as_json:
        record = {"isFit": is_fit(findings), "findings": [finding.as_record() for finding in findings]}
        typer.echo(json.dumps(record, indent=2))
    else:
        for line in lines_of(findings):
            typer.echo(line)
    if not is_fit(findings):
        raise typer.Exit(NEEDS_A_PERSON)


def _reap(stack: str, yes: bool, force: bool, as_json: bool) -> None:
    from bluegreen import orphans

    plan = orphans.plan_reap(stack, is_forced=force)
    if not as_json:
        rows = [("keep", str(kept.part), kept.why) for kept in plan.kept]
        rows += [("delete", str(part), "in no state") for part in plan.going]
        for line in in_columns(rows) if rows else [f"{stack} has no orphans"]:
            typer.echo(line)
    is_meant = bool(plan.going) and (yes or (_is_asked() and not as_json and typer.confirm("Delete them?")))
    done: tuple[Reaped, ...] = ()
    if is_meant:
        done = orphans.reap(stack, plan, is_forced=force, on_reaped=None if as_json else _tell)
    elif plan.going and not as_json:
        typer.echo("Nothing was deleted: `--yes` deletes without asking.")
    if as_json:
        record = {
            "going": [str(part) for part in plan.going],
            "kept": [{"part": str(kept.part), "why": kept.why} for kept in plan.kept],
            "deleted": [str(each.part) for each in done if not each.refusal],
            "left": [{"part": str(each.part), "why": each.refusal} for each in done if each.refusal],
        }
        typer.echo(json.dumps(record, indent=2))
    if any(each.refusal for each in done):
        raise typer.Exit(NEEDS_A_PERSON)


def _is_asked() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _tell(reaped: Reaped) -> None:
    if reaped.refusal:
        typer.echo(f"not deleted: {reaped.part}: {reaped.refusal}", err=True)
    else:
        typer.echo(f"deleted {reaped.part}")


def lines_of(findings: tuple[Finding, ...]) -> list[str]:
    """A line for each, and below it what to do."""
    rows = in_columns([(finding.state.value, finding.subject, finding.detail) for finding in findings])
    indent = " " * (max(len(finding.state.value) for finding in findings) + 2)
    return [
        line
        for row, finding in zip(rows, findings, strict=True)
        for line in (row, *([f"{indent}-> {finding.next_step}"] if finding.next_step else []))
    ]
