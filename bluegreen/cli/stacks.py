"""`bluegreen init` and `status`: what a stack needs before it is deployed, and where it is."""

from __future__ import annotations

from typing import Annotated

import typer

from bluegreen.cli.options import AsJson, StackName
from bluegreen.cli.running import running


def status(stack: StackName, as_json: AsJson = False) -> None:
    """Show who takes the traffic now, and what is under way.

    The load balancer is asked, and the ledger; what was declared is compared with it.
    """
    from bluegreen.cli.told import status_in_words
    from bluegreen.events import Result
    from bluegreen.status import status as look

    with running("status", [stack], as_json=as_json, is_live=False) as run:
        found = look(stack, on_event=run.report.see)
        active = next((group.release for group in found.groups if group.role == "active"), "")
        run.report.result(
            Result(
                stack=stack,
                verb="status",
                text=status_in_words(found),
                release=active,
                url=found.url,
                weights=found.serving,
                details=found.as_record(),
            )
        )


def init(
    stacks: Annotated[list[str], typer.Argument(metavar="STACK...", help="The stacks to make: dev, qa, stage, prod.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of each. May be given again.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option(metavar="WHERE", help="dynamodb, dynamodb:TABLE, consul or file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the stacks, and the table of their ledger.

    What is there stays: doing it again changes nothing.
    """
    from bluegreen.events import Result
    from bluegreen.new_stack import init as make

    chosen = dict(_pair(text) for text in settings or [])
    with running("init", stacks, as_json=as_json, is_live=False) as run:
        for stack in stacks:
            make(stack, settings=chosen, ledger=ledger, on_event=run.report.see)
        run.report.result(
            Result(stack=stacks[0] if len(stacks) == 1 else "", verb="init", text=f"{', '.join(stacks)}: ready")
        )


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise typer.BadParameter(f"{text!r} should be KEY=VALUE, such as listenerPort=8080", param_hint="--set")
    return key.strip(), value
