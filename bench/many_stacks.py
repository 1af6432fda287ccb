"""Times a change of release in many stacks at once, in one sandbox, against what one of them costs.

The bound: 1.2 times (stacks x the CPU time of one / cores + the slowest's waiting). CPU time is that of bluegreen, the
engines and all that they start, and of the sandbox, which is on the same cores here. What one of them waits is the part
of its time, when it is alone, in which none of that computes. Cores are those that other processes left free meanwhile.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml

from bluegreen import engine
from bluegreen.waves import ENGINES_PER_CORE, Request, deploy_one, run
from sandbox.host import REPOSITORY, Sandbox

FACTOR = 1.2
TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True)
class Cost:
    """Of a run, in seconds: its time, the CPU time of all that took part, and that of everybody else meanwhile."""

    seconds: float
    cpu: float
    others: float

    @property
    def cores(self) -> float:
        """That were free."""
        return max(0.1, (os.cpu_count() or 1) - self.others / self.seconds)

    @property
    def waiting(self) -> float:
        return max(0.0, self.seconds - self.cpu)


class Stacks:
    """Stacks of one project, each with the smallest fleet."""

    def __init__(self, sandbox: Sandbox, directory: Path, count: int) -> None:
        self._sandbox = sandbox
        self._directory = directory
        self.names = [f"stack-{number:02}" for number in range(count)]
        (directory / "stacks").mkdir()
        for name in ("Pulumi.yaml", "__main__.py"):
            shutil.copy(REPOSITORY / name, directory / name)
        (directory / ".venv").symlink_to(sys.prefix)
        settings = yaml.safe_load((REPOSITORY / "stacks/Pulumi.sandbox.yaml").read_text())
        settings["config"] |= {"bluegreen:minSize": 1, "bluegreen:desiredCapacity": 1}
        for name in self.names:
            (directory / f"stacks/Pulumi.{name}.yaml").write_text(yaml.safe_dump(settings))
            engine.create(name, directory)

    def deploy(self, names: Sequence[str], image: str, parallel: int | None = None) -> Cost:
        requests = [Request(stack=name, directory=self._directory, options={"ami": image}) for name in names]
        began, cpu, busy = time.monotonic(), self._cpu(), _busy()
        result = run(deploy_one, requests, parallel=parallel)
        if not result.is_done:
            raise SystemExit("\n".join(f"{each.stack}: {each.error}" for each in result.failed))
        cpu, busy = self._cpu() - cpu, _busy() - busy
        return Cost(time.monotonic() - began, cpu, max(0.0, busy - cpu))

    def _cpu(self) -> float:
        ours = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        fields = Path(f"/proc/{self._sandbox.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = sum(int(field) for field in fields[11:15])  # its own and its children's, in user and system mode
        return sum(each.ru_utime + each.ru_stime for each in ours) + ticks / TICKS


def _busy() -> float:
    """CPU seconds of the whole machine since it started: user, nice, system, interrupts, steal (proc(5))."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(fields[at]) for at in (0, 1, 2, 5, 6, 7)) / TICKS


def main(
    stacks: Annotated[int, typer.Option(help="How many.", min=2)] = 20,
    parallel: Annotated[int | None, typer.Option(help="How many at once. [default: twice the cores]", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Deploy release 1 everywhere, then time release 2: alone in one stack, and in all the others at once."""
    with Sandbox.start(boot_seconds=0.5) as sandbox, tempfile.TemporaryDirectory() as directory:
        os.environ.update(sandbox.full_env)
        there = Stacks(sandbox, Path(directory), stacks + 1)
        first, *others = there.names
        images = [sandbox.image(REPOSITORY / "app", tags={"version": version}) for version in ("1", "2")]
        there.deploy(there.names, images[0], parallel)
        one = there.deploy([first], images[1])
        many = there.deploy(others, images[1], parallel)
    cores, at_once = many.cores, parallel or ENGINES_PER_CORE * (os.cpu_count() or 1)
    bound = FACTOR * (stacks * one.cpu / cores + one.waiting)
    figures = {
        "stacks": stacks,
        "freeCores": round(cores, 2),
        "parallel": at_once,
        "oneSeconds": round(one.seconds, 1),
        "oneCpuSeconds": round(one.cpu, 1),
        "oneWaitingSeconds": round(one.waiting, 1),
        "manySeconds": round(many.seconds, 1),
        "manyCpuSeconds": round(many.cpu, 1),
        "boundSeconds": round(bound, 1),
    }
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        typer.echo(f"one stack alone: {one.seconds:.1f} s, of them {one.cpu:.1f} s of CPU, {one.waiting:.1f} s waiting")
        typer.echo(f"{stacks} stacks, {at_once} at once: {many.seconds:.1f} s, {many.cpu:.1f} s of CPU")
        typer.echo(f"bound: {FACTOR} x ({stacks} x {one.cpu:.1f} / {cores:.1f} + {one.waiting:.1f}) = {bound:.1f} s")
    if many.seconds > bound:
        typer.echo("over the bound", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
