"""What a command tells with `--json`: each line of its stdout is one of docs/events.schema.json."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from sandbox.host import REPOSITORY
from tests.e2e.project import COMMANDS, DEADLINE_SECONDS, Project

SCHEMA = Draft202012Validator(json.loads((REPOSITORY / "docs/events.schema.json").read_text()))


@dataclass(frozen=True)
class Told:
    """A command that has ended. `lines`: of its stdout; `errors`: its stderr."""

    code: int
    lines: list[dict[str, Any]]
    errors: str

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


def told(project: Project, *words: str) -> Told:
    """Run `bluegreen WORDS --json`, and hold what it tells to the schema and to its exit code."""
    done = subprocess.run(
        [str(COMMANDS / "bluegreen"), *words, "--json"],
        cwd=project.directory,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert "Traceback" not in done.stderr, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        faults = [fault.message for fault in SCHEMA.iter_errors(line)]
        assert not faults, (line, faults)
    found = Told(done.returncode, lines, done.stderr)
    assert [line["event"] for line in lines if line["event"] in ("result", "error")] == [found.last["event"]]
    assert found.last["exitCode"] == found.code
    return found
