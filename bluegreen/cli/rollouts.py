"""`bluegreen deploy`, `promote`, `abort`, `rollback` and `retire`: releases brought in, given up, and brought back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bluegreen.driver import RollbackPlan, Update
    from bluegreen.model.rollout import Step

FAILED = 1

StackName = Annotated[str, typer.Argument(help="The stack, one per environment: dev, qa, stage, prod.")]

WAYS = {
    "flip": "its standby has its machines: one change of the listener",
    "inflate": "its standby has no machines: they come back first",
    "redeploy": "it has no server group any more: it is deployed again, as it was recorded",
}


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
    """Give the candidate of an open rollout up, or what a failed update left; the active release gets all traffic."""
    from bluegreen import deployment

    report(deployment.abort(stack, on_output=say, on_step=announce))


def rollback(
    stack: StackName,
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="The release. [default: the newest standby, or the one before]"),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Say whether it would work; change nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go back even to a release that was not seen healthy, or to another schema.")
    ] = False,
) -> None:
    """Give all traffic back to an earlier release, as it was recorded."""
    from bluegreen import deployment

    if check:
        _check_rollback(stack, to)
        return
    report(deployment.rollback(stack, to=to, force=force, on_plan=announce_rollback, on_output=say, on_step=announce))


def retire(
    stack: StackName,
    versions: Annotated[list[str], typer.Argument(metavar="VERSION...", help="Releases of standbys.")],
) -> None:
    """Take standbys away."""
    from bluegreen import deployment

    report(deployment.retire(stack, versions, on_output=say, on_step=announce))


def _check_rollback(stack: str, to: str | None) -> None:
    from bluegreen import deployment

    plan, launchable, refusal = deployment.check_rollback(stack, to=to)
    announce_rollback(plan)
    for finding in launchable.findings:
        say(f"  {finding.state:9}  {finding.subject}: {finding.detail}")
        if finding.next_step:
            say(f"             {finding.next_step}")
    if refusal:
        raise refusal
    if not launchable.is_launchable:
        say("It would not work: see what is broken. Nothing was changed.")
        raise typer.Exit(FAILED)
    say("It would work, as far as this can be known. Nothing was changed.")


def say(line: str) -> None:
    typer.echo(line.rstrip("\n"))


def announce(step: Step, say: Callable[[str], None] = say) -> None:
    shares = ", ".join(f"{group.role} {group.release.version} {group.weight} %" for group in step.fleet.groups)
    say(f"step: {step.name} ({shares})")


def announce_rollback(plan: RollbackPlan) -> None:
    took = f"; last time the traffic was back after {plan.last_seconds:.1f} s" if plan.last_seconds is not None else ""
    say(f"rollback to release {plan.release.version} ({plan.release.image}): {plan.way}, {WAYS[plan.way]}{took}")


def report(update: Update) -> None:
    stack, outputs = update.stack, update.outputs
    typer.echo(f"{stack} runs release {outputs['activeRelease']['version']} at {outputs['url']}")
    for group in outputs["fleet"]["groups"]:
        if group["role"] == "candidate":
            typer.echo(f"release {group['release']['version']} is a candidate, with {group['weight']} % of the traffic")
