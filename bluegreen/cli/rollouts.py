"""`bluegreen deploy`, `promote`, `abort`, `rollback`, `retire` and `destroy`: releases brought in, given up, brought
back."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bluegreen.errors import FAILED

if TYPE_CHECKING:
    from bluegreen import events as told
    from bluegreen.driver import Update
    from bluegreen.model.history import Event
    from bluegreen.stop import Stop

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

    with stoppable() as stop:
        report(deployment.deploy(stack, ami=ami, on_event=show, stop=stop))


def promote(stack: StackName) -> None:
    """Give all traffic to the candidate of an open rollout, now."""
    from bluegreen import deployment

    with stoppable() as stop:
        report(deployment.promote(stack, on_event=show, stop=stop))


def abort(stack: StackName) -> None:
    """Give the candidate of an open rollout up, or what a failed update left; the active release gets all traffic."""
    from bluegreen import deployment

    with stoppable() as stop:
        report(deployment.abort(stack, on_event=show, stop=stop))


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
    with stoppable() as stop:
        report(deployment.rollback(stack, to=to, force=force, on_event=show, stop=stop))


def retire(
    stack: StackName,
    versions: Annotated[list[str], typer.Argument(metavar="VERSION...", help="Releases of standbys.")],
) -> None:
    """Take standbys away."""
    from bluegreen import deployment

    with stoppable() as stop:
        report(deployment.retire(stack, versions, on_event=show, stop=stop))


def history(
    stack: StackName,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, whole.")] = False,
) -> None:
    """List what became of the stack's releases, the oldest event first."""
    from bluegreen import deployment

    for event in deployment.history(stack):
        typer.echo(json.dumps(event.as_record()) if as_json else line_of(event))


def line_of(event: Event) -> str:
    """An event in a line: when, which release, what, and how."""
    said = event.summary
    if weights := event.evidence.get("weights"):
        said = ", ".join(f"{version} {weight} %" for version, weight in weights.items())
    return f"{event.at:%Y-%m-%d %H:%M:%S}  {event.release or '-':8}  {event.kind:14}  {said}".rstrip()


def _check_rollback(stack: str, to: str | None) -> None:
    from bluegreen import deployment

    plan, launchable, refusal = deployment.check_rollback(stack, to=to)
    show(plan)
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


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Ctrl-C asks to stop: once after the step, twice now. What CI sends to end a job, SIGTERM, is now at once."""
    from bluegreen.stop import Stop

    stop = Stop()

    def at_once(_signal: int, _frame: object) -> None:
        while not stop.is_urgent:
            stop.ask()

    before = {
        each: signal.signal(each, handler)
        for each, handler in {
            signal.SIGINT: lambda _signal, _frame: stop.ask(),
            signal.SIGTERM: at_once,
            signal.SIGHUP: at_once,
        }.items()
    }
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def say(line: str) -> None:
    typer.echo(line.rstrip("\n"))


def show(event: told.Event, say: Callable[[str], None] = say) -> None:
    from bluegreen import events

    match event:
        case events.Line(text=text):
            say(text)
        case events.StepBegan(name=name, weights=weights, roles=roles):
            shares = ", ".join(f"{roles[version]} {version} {weight} %" for version, weight in weights.items())
            say(f"step: {name} ({shares})")
        case events.RollbackPlanned(release=release, image=image, way=way, last_seconds=last):
            took = f"; last time the traffic was back after {last:.1f} s" if last is not None else ""
            say(f"rollback to release {release} ({image}): {way}, {WAYS[way]}{took}")
        case events.ConfigDiffers(key=key, deployed=deployed, here=here, is_used=is_used, why=why):
            what = "new" if is_used else f"set aside: {why}"
            say(f"config: {key}: {here} here, {deployed} in the last update ({what})")


def report(update: Update) -> None:
    stack, outputs = update.stack, update.outputs
    typer.echo(f"{stack} runs release {outputs['activeRelease']['version']} at {outputs['url']}")
    for group in outputs["fleet"]["groups"]:
        if group["role"] == "candidate":
            typer.echo(f"release {group['release']['version']} is a candidate, with {group['weight']} % of the traffic")
