"""Times a change of release against a straight boto3 script, in the same sandbox and the same run.

Each is a command of its own, timed from its start until the URL answers with the new version. The bound:
ours at most 1.5 times the script's time, plus the engine's start (an `up` in which nothing changed).
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sandbox.host import REPOSITORY, Sandbox

FACTOR = 1.5
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Run:
    """Seconds of one run."""

    script: float
    ours: float
    engine_start: float

    @property
    def bound(self) -> float:
        return FACTOR * self.script + self.engine_start


class Stack:
    """The project, copied, with release 1 deployed."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self._env = sandbox.full_env
        self._directory = directory
        (directory / "stacks").mkdir()
        for name in ("Pulumi.yaml", "__main__.py", "stacks/Pulumi.sandbox.yaml"):
            shutil.copy(REPOSITORY / name, directory / name)
        (directory / ".venv").symlink_to(sys.prefix)
        self.pulumi("stack", "init", "sandbox")

    def pulumi(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments], cwd=self._directory, env=self._env, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"pulumi {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def up_to(self, ami: str) -> None:
        self.pulumi("config", "set", "ami", ami)
        self.pulumi("up", "--yes", "--skip-preview")

    def seconds_until(self, version: str, command: Sequence[str]) -> float:
        """From the start of a command until the URL answers with a version of the app; waits for its end, too."""
        url = json.loads(self.pulumi("stack", "output", "--json"))["url"]
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=self._directory, env=self._env, stdout=subprocess.DEVNULL)
        while version_at(url) != version:
            if process.poll() is not None and version_at(url) != version:
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
            time.sleep(SAMPLE_SECONDS)
        taken = time.monotonic() - began
        process.wait()
        return taken


def version_at(url: str) -> str:
    with urllib.request.urlopen(f"{url}/version", timeout=10) as answer:
        return str(json.load(answer)["app"])


def measure(boot_seconds: float) -> Run:
    with Sandbox.start(boot_seconds=boot_seconds) as sandbox, tempfile.TemporaryDirectory() as directory:
        os.environ["no_proxy"] = "*"
        one, two, three = (sandbox.image(REPOSITORY / "app", tags={"version": version}) for version in "123")
        stack = Stack(sandbox, Path(directory))
        stack.up_to(one)
        began = time.monotonic()
        stack.pulumi("up", "--yes", "--skip-preview")
        engine_start = time.monotonic() - began
        stack.pulumi("config", "set", "ami", two)
        ours = stack.seconds_until("2", ["pulumi", "up", "--yes", "--skip-preview"])
        group = json.loads(stack.pulumi("stack", "output", "--json"))["serverGroups"][0]
        script = [sys.executable, "-m", "bench.straight_script", three, json.dumps(group)]
        return Run(
            script=stack.seconds_until("3", ["env", f"PYTHONPATH={REPOSITORY}", *script]),
            ours=ours,
            engine_start=engine_start,
        )


def main(
    runs: Annotated[int, typer.Option(min=1, help="How many, each in a sandbox of its own.")] = 3,
    boot_seconds: Annotated[float, typer.Option(min=0, help="How long a machine boots.")] = 2.0,
) -> None:
    """Time a change of release against a straight boto3 script. Exits with 1 if the median is over the bound."""
    print(f"{'script':>8} {'ours':>8} {'engine':>8} {'bound':>8}   seconds")
    measured = []
    for _ in range(runs):
        run = measure(boot_seconds)
        measured.append(run)
        print(f"{run.script:8.2f} {run.ours:8.2f} {run.engine_start:8.2f} {run.bound:8.2f}", flush=True)
    share = statistics.median(run.ours / run.bound for run in measured)
    print(f"median: {share:.2f} of the bound")
    raise SystemExit(share > 1)


if __name__ == "__main__":
    typer.run(main)
