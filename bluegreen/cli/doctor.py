"""`bluegreen doctor`: what is missing to deploy, and the command that gets it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from bluegreen.cli.catalog import NEEDS_A_PERSON, in_columns

if TYPE_CHECKING:
    from bluegreen.model.diagnosis import Finding


def doctor(
    stack: Annotated[str | None, typer.Argument(help="Look at this stack, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
) -> None:
    """Look for what a deployment needs: programs, credentials, region, backend, ledger, quota. Changes nothing.

    Exit code 3 where something is missing.
    """
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


def lines_of(findings: tuple[Finding, ...]) -> list[str]:
    """A line for each, and below it what to do."""
    rows = in_columns([(finding.state.value, finding.subject, finding.detail) for finding in findings])
    indent = " " * (max(len(finding.state.value) for finding in findings) + 2)
    return [
        line
        for row, finding in zip(rows, findings, strict=True)
        for line in (row, *([f"{indent}-> {finding.next_step}"] if finding.next_step else []))
    ]
