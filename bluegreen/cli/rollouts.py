"""`bluegreen deploy`, `promote`, `abort`, `rollback` and `retire`: releases brought in, given up and brought back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bluegreen.deployment import Update
    from bluegreen.model.rollout import Step

StackName = Annotated[str, typer.Argument(help="The stack, one per environment: dev, qa, stage, prod.")]


def deploy(
    stack: StackName,
    ami: Annotated[str | None, typer.Option(help="The image to deploy. [default: the config's]")] = None,
) -> None:
    """Bring the stack to its config; another image comes in as the setting `strategy` says."""
    from bluegreen import deployment

    report(deployment.deploy(stack, ami=ami, on_output=say, on_step=announce))


def promote(stack: StackName) -> None:
    """Give all traffic to the candidate of an open rollout, now."""
    from bluegreen import deployment

    report(deployment.promote(stack, on_output=say, on_step=announce))


def abort(stack: StackName) -> None:
    """Give the candidate of an open rollout up; the active release gets all traffic."""
    from bluegreen import deployment

    report(deployment.abort(stack, on_output=say, on_step=announce))


def rollback(
    stack: StackName,
    to: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The release. [default: the newest standby]")
    ] = None,
) -> None:
    """Give all traffic back to a standby."""
    from bluegreen import deployment

    report(deployment.rollback(stack, to=to, on_output=say, on_step=announce))


def retire(
    stack: StackName,
    versions: Annotated[list[str], typer.Argument(metavar="VERSION...", help="Releases of standbys.")],
) -> None:
    """Take standbys away."""
    from bluegreen import deployment

    report(deployment.retire(stack, versions, on_output=say, on_step=announce))


def say(line: str) -> None:
    typer.echo(line.rstrip("\n"))


def announce(step: Step, say: Callable[[str], None] = say) -> None:
    shares = ", ".join(f"{group.role} {group.release.version} {group.weight} %" for group in step.fleet.groups)
    say(f"step: {step.name} ({shares})")


def report(update: Update) -> None:
    stack, outputs = update.stack, update.outputs
    typer.echo(f"{stack} runs release {outputs['activeRelease']['version']} at {outputs['url']}")
    for group in outputs["fleet"]["groups"]:
        if group["role"] == "candidate":
            typer.echo(f"release {group['release']['version']} is a candidate, with {group['weight']} % of the traffic")
