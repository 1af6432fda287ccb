"""`bluegreen deploy` of more than one stack: wave by wave, and a table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluegreen.cli.running import Running

if TYPE_CHECKING:
    from bluegreen.waves import WavesResult


def deploy_many(
    stacks: Sequence[str],
    running: Running,
    *,
    options: Mapping[str, Any],
    waves: str | None = None,
    parallel: int | None = None,
    cluster: str | None = None,
) -> int:
    """Deploy the stacks, wave by wave. `options`: what `deployment.deploy` takes; with a cluster, picklable.

    Returns the exit code. Raises WavesError, NoSuchStackError and ClusterError before anything is begun.
    """
    from bluegreen import deployment
    from bluegreen.events import Outcome, Result
    from bluegreen.model.waves import ONE_WAVE, parse_waves, plan_waves
    from bluegreen.waves import Request, deploy_one, run

    bounds = parse_waves(waves) if waves else ONE_WAVE
    plan_waves(stacks, bounds)
    directory = Path.cwd()
    deployment.check_all(stacks, directory=directory)
    heard = options if cluster else {**options, "stop": running.stop}
    requests = [Request(stack=stack, directory=directory, options=heard) for stack in stacks]
    tell, stop = running.report.see, running.stop
    if cluster is None:
        result = run(deploy_one, requests, waves=bounds, parallel=parallel, on_event=tell, stop=stop)
    else:
        from bluegreen.cluster import connected

        with connected(cluster, directory, tell) as workers:
            most = min(parallel or workers.threads, workers.threads)
            result = run(deploy_one, requests, waves=bounds, executor=workers, parallel=most, on_event=tell, stop=stop)
    running.report.result(
        Result(
            stack="",
            outcome=Outcome.of_exit_code(result.exit_code),
            exit_code=result.exit_code,
            verb=running.verb,
            text="\n".join(_told(result)),
            details={"stacks": [_record(each) for each in result.stacks]},
        )
    )
    return result.exit_code


def _told(result: WavesResult) -> Iterator[str]:
    """A line a stack, then what failed, whole."""
    width = max(len("stack"), *(len(each.stack) for each in result.stacks))
    yield f"\n{'stack':{width}}  outcome    seconds  release"
    for each in result.stacks:
        seconds = f"{each.seconds:7.1f}" if each.seconds else " " * 7
        where = f"{each.release}  {each.url}" if each.release else ""
        yield f"{each.stack:{width}}  {each.outcome.value:9}  {seconds}  {where}".rstrip()
    for each in result.failed:
        yield f"\n{each.stack}: {each.error}"


def _record(result: Any) -> dict[str, Any]:
    return {
        "stack": result.stack,
        "outcome": result.outcome.value,
        "release": result.release,
        "url": result.url,
        "seconds": round(result.seconds, 1),
        "error": str(result.error or ""),
    }
