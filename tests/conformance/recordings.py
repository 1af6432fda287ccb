"""What the real engine did in each scenario: kept beside the tests, and made anew by `make conformance-record`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conformance.observed import Record
from tests.conformance.scenario import Scenario, run
from tests.conformance.scenarios import SCENARIOS
from tests.sandbox.engine.engine_workspace import REPOSITORY

RECORDED = Path(__file__).parent / "recorded"


def real_engine() -> Path | None:
    """The directory of the real `pulumi` on PATH."""
    found = shutil.which("pulumi")
    if found is None or Path(found).resolve().is_relative_to(REPOSITORY):
        return None
    return Path(found).parent


def version_of(engine: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    return subprocess.run(
        [engine / "pulumi", "version"], capture_output=True, text=True, env=environment
    ).stdout.strip()


def file_of(scenario: Scenario) -> Path:
    return RECORDED / f"{scenario.slug}.json"


def recorded(scenario: Scenario) -> list[Record]:
    steps: list[Record] = json.loads(file_of(scenario).read_text())["steps"]
    return steps


def write(scenario: Scenario, engine: str, steps: list[Record]) -> None:
    """One line for each part of a step: short, and still to be read in a comparison of two versions."""
    lines = []
    for step in steps:
        parts = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in step.items())
        lines.append(f" {{\n{parts}\n }}")
    text = ",\n".join(lines)
    file_of(scenario).write_text(
        f'{{"scenario": {json.dumps(scenario.name)}, "engine": "pulumi {engine}", "steps": [\n{text}\n]}}\n'
    )


def main() -> int:
    engine = real_engine()
    if engine is None:
        print("error: no real `pulumi` on PATH to record; put it there first", file=sys.stderr)
        return 1
    version = version_of(engine)
    wanted = [s for s in SCENARIOS if not sys.argv[1:] or s.name in sys.argv[1:]]
    RECORDED.mkdir(exist_ok=True)

    def record(scenario: Scenario) -> None:
        with tempfile.TemporaryDirectory() as root:
            write(scenario, version, run(scenario, engine, Path(root)))
        print(f"{scenario.name}: recorded from pulumi {version}", flush=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(record, wanted))
    for path in RECORDED.glob("*.json"):
        if path not in {file_of(s) for s in SCENARIOS}:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
