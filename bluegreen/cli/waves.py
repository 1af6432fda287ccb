"""`bluegreen deploy` of more than one stack: their lines as they come, each with its stack's name, and a table at the
end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bluegreen.errors import FAILED

if TYPE_CHECKING:
    from bluegreen.events import Event, OnEvent
    from bluegreen.waves import Stop, WavesResult


def deploy_many(
    stacks: Sequence[str],
    *,
    options: Mapping[str, Any],
    waves: str | None = None,
    parallel: int | None = None,
    cluster: str | None = None,
    stop: Stop | None = None,
    on_event: OnEvent | None = None,
) -> int:
    """Deploy the stacks, wave by wave. `options`: what `deployment.deploy` takes; with a cluster, picklable.

    The exit code: 0 where all are done, else the largest of those that failed. Lines are printed unless `on_event`
    hears what they are made of. Raises WavesError, EngineError and ClusterError before anything is begun.
    """
    from bluegreen import deployment
    from bluegreen.model.waves import ONE_WAVE, parse_waves, plan_waves
    from bluegreen.waves import Request, deploy_one, run

    bounds = parse_waves(waves) if waves else ONE_WAVE
    plan_waves(stacks, bounds)
    directory = Path.cwd()
    deployment.check_all(stacks, directory=directory)
    heard = options if cluster else {**options, "stop": stop}
    requests = [Request(stack=stack, directory=directory, options=heard) for stack in stacks]
    tell = on_event or printing(max(map(len, stacks)))
    if cluster is None:
        result = run(deploy_one, requests, waves=bounds, parallel=parallel, on_event=tell, stop=stop)
    else:
        from bluegreen.cluster import connected

        with connected(cluster, directory, tell) as workers:
            most = min(parallel or workers.threads, workers.threads)
            result = run(deploy_one, requests, waves=bounds, executor=workers, parallel=most, on_event=tell, stop=stop)
    report(result)
    codes = [each.error.exit_code for each in result.failed if each.error]
    return max(codes, default=0 if result.is_done else FAILED)


def printing(width: int) -> OnEvent:
    """Prints each event as lines that begin with the stack's name."""

    def show(event: Event) -> None:
        for line in said(event):
            typer.echo(f"{event.stack:{width}}  {line}".rstrip())

    return show


def said(event: Event) -> list[str]:
    """What the event says, in lines; none where it is of no use without a view."""
    from bluegreen.events import Line, StackBegan, StackEnded

    match event:
        case Line():
            return event.text.splitlines()
        case StackBegan():
            return [f"begins, in wave {event.wave} of {event.waves}"]
        case StackEnded():
            after = f" after {event.seconds:.1f} s" if event.seconds else ""
            return f"{event.outcome}{after}{': ' if event.said else ''}{event.said}".splitlines()
    return []


def report(result: WavesResult) -> None:
    """A line a stack, then what failed, whole."""
    width = max(len(each.stack) for each in result.stacks)
    typer.echo(f"\n{'stack':{width}}  outcome    seconds  release")
    for each in result.stacks:
        seconds = f"{each.seconds:7.1f}" if each.seconds else " " * 7
        where = f"{each.release}  {each.url}" if each.release else ""
        typer.echo(f"{each.stack:{width}}  {each.outcome.value:9}  {seconds}  {where}".rstrip())
    for each in result.failed:
        typer.echo(f"error: {each.stack}: {each.error}", err=True)
