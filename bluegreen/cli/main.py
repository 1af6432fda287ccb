"""The `bluegreen` command: parses, calls the library, prints. No rules here, and nothing heavy is imported for help."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from bluegreen.cli import bake, catalog, doctor, history, iam_policy, rollouts, stacks
from bluegreen.errors import BluegreenError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Blue/green deployment of machine images on AWS. A plain `pulumi up` deploys too, in one cutover.",
    epilog="Exit codes: 0 done; 1 failed, and the traffic is where it was; 2 wrong input, nothing was changed; "
    "3 it needs a person.",
)

GARBAGE_THRESHOLD = 100_000  # objects

app.command(epilog="Example: bluegreen doctor dev")(doctor.doctor)
app.command(epilog="Example: bluegreen init dev qa stage prod")(stacks.init)
app.command(epilog="Example: ami=$(bluegreen bake dev)")(bake.bake)
app.command(epilog="Example: bluegreen release dev")(bake.release)
app.command(epilog="Example: bluegreen plan prod --ami ami-0123456789abcdef0")(rollouts.plan)
app.command(epilog="Example: bluegreen deploy stage --from qa")(rollouts.deploy)
app.command(epilog="Example: bluegreen promote prod")(rollouts.promote)
app.command(epilog="Example: bluegreen abort prod")(rollouts.abort)
app.command(epilog="Example: bluegreen rollback prod --check")(rollouts.rollback)
app.command(epilog="Example: bluegreen retire prod 4d197941")(rollouts.retire)
app.command(epilog="Example: bluegreen status prod")(stacks.status)
app.command(epilog="Example: bluegreen history prod --outcome failed --since 7d")(history.history)
app.command(epilog="Example: bluegreen destroy dev --yes")(rollouts.destroy)
app.command(epilog="Example: bluegreen iam-policy deploy prod --to policies")(iam_policy.iam_policy)
app.add_typer(bake.artifact, name="artifact")
app.add_typer(catalog.images, name="images")


def _version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"bluegreen {version('bluegreen')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Say which this is.")
    ] = False,
) -> None:
    """What comes before a command."""


def main() -> None:
    # A client of AWS is hundreds of thousands of objects that stay. Looking among them for garbage, as often as Python
    # does by default, takes a fifth of the time of a short command.
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        app()
    except BluegreenError as error:
        _tell(error)
        sys.exit(error.exit_code)


def _tell(error: BluegreenError) -> None:
    """Of commands that have no report; those that have one tell their errors themselves."""
    if "--json" not in sys.argv[1:]:
        typer.echo(f"error: {error}", err=True)
        return
    from bluegreen.report import Mode, reporter

    with reporter(Mode.JSON, []) as report:
        report.error(error, error.exit_code)
