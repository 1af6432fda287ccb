"""The `bluegreen` command: parses, calls the library, prints. No rules here, and nothing heavy is imported for help.

Exit codes: 0 done, 1 failed, 2 a wrong command line.
"""

from __future__ import annotations

import gc
import json
import sys
from typing import Annotated

import typer

from bluegreen.cli import bake, catalog, doctor, rollouts
from bluegreen.errors import BluegreenError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Blue/green deployment of machine images on AWS. `pulumi up` does the same as `bluegreen deploy`.",
)

FAILED = 1
GARBAGE_THRESHOLD = 100_000  # objects

app.add_typer(bake.artifact, name="artifact")
app.add_typer(catalog.images, name="images")
app.command(epilog="Example: ami=$(bluegreen bake dev)")(bake.bake)
app.command(epilog="Example: bluegreen release dev")(bake.release)
app.command(epilog="Example: bluegreen deploy dev --ami ami-0123456789abcdef0")(rollouts.deploy)
app.command(epilog="Example: bluegreen promote prod")(rollouts.promote)
app.command(epilog="Example: bluegreen abort prod")(rollouts.abort)
app.command(epilog="Example: bluegreen rollback prod --check")(rollouts.rollback)
app.command(epilog="Example: bluegreen retire prod 4d197941")(rollouts.retire)
app.command(epilog="Example: bluegreen history prod")(rollouts.history)
app.command(epilog="Example: bluegreen doctor dev")(doctor.doctor)


@app.command(epilog="Example: bluegreen status dev")
def status(stack: rollouts.StackName) -> None:
    """Show what the stack's last update put out, as JSON."""
    from bluegreen import deployment

    typer.echo(json.dumps(deployment.outputs(stack), indent=2))


@app.command(epilog="Example: bluegreen destroy dev --yes")
def destroy(
    stack: rollouts.StackName,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Destroy everything of the stack. Its config and history stay."""
    from bluegreen import deployment

    if not yes and not typer.confirm(f"Destroy everything of {stack}?"):
        raise typer.Exit(FAILED)
    deployment.destroy(stack, on_output=_say)


def _say(line: str) -> None:
    typer.echo(line.rstrip("\n"))


def main() -> None:
    # A client of AWS is hundreds of thousands of objects that stay. Looking among them for garbage, as often as Python
    # does by default, takes a fifth of the time of a short command.
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        app()
    except BluegreenError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(FAILED)
