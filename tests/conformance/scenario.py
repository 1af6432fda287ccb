"""A scenario: what is done to a stack, step by step; and the running of it on either engine.

A step is one command of the engine, with the program and config that hold then. Between two steps the world (state, the
toy provider's things, locks) can be carried from one engine to the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.observed import Record, error_lines, events_of, operations_of, preview_of, stable_state
from tests.sandbox.engine.engine_workspace import Workspace, make_workspace

UP = ("up", "--yes", "--skip-preview")
PREVIEW = ("preview", "--json")
REFRESH = ("refresh", "--yes", "--skip-preview")
DESTROY = ("destroy", "--yes", "--skip-preview")
WITH_EVENTS = ("up", "preview", "refresh", "destroy")
CALL_SECONDS = 60.0


@dataclass(frozen=True)
class Meanwhile:
    """What happens once the provider or a hook has been asked for `call`: a signal, or another command."""

    call: str
    signal: signal.Signals | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    name: str
    command: tuple[str, ...] = UP
    program: str | None = None  # None: as it was
    config: Mapping[str, str] | None = None
    meanwhile: Meanwhile | None = None
    drift: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)  # thing's id -> changes; None: gone
    stdin: str | None = None  # the name of an earlier step whose `stack export` is read


@dataclass(frozen=True)
class Scenario:
    """`refused` and `explained` say how the stand-in differs, and hold only if it does: the suite checks both ways."""

    name: str
    about: str
    steps: tuple[Step, ...]
    refused: str = ""  # what the stand-in refuses, in the words of its message
    explained: Mapping[str, str] = field(default_factory=dict)  # pattern of a path -> why the engines differ there
    chance: tuple[str, ...] = ()  # patterns of paths where two runs of one engine may differ too
    environment: Mapping[str, str] = field(default_factory=dict)
    also_crosses: tuple[str, ...] = ()  # steps, beside the last, that each engine does from the other's state
    last_crosses: bool = True  # not where the state before the last step is like that of another scenario

    @property
    def slug(self) -> str:
        return re.sub(r"\W+", "-", self.name)

    @property
    def crossings(self) -> list[int]:
        if self.refused or len(self.steps) == 1:
            return []
        names = [step.name for step in self.steps]
        assert set(self.also_crosses) <= set(names), self.name
        last = [len(names) - 1] if self.last_crosses else []
        return sorted({*last, *map(names.index, self.also_crosses)})

    def at(self, index: int) -> Step:
        """The step with the program and config that hold when it is run."""
        program = next((s.program for s in reversed(self.steps[: index + 1]) if s.program is not None), "")
        config = next((s.config for s in reversed(self.steps[: index + 1]) if s.config is not None), {})
        step = self.steps[index]
        return Step(step.name, step.command, program, config, step.meanwhile, step.drift, step.stdin)


def run(scenario: Scenario, engine: Path, root: Path) -> list[Record]:
    """Every step on one engine."""
    workspace = _workspace(scenario, engine, root)
    records: list[Record] = []
    for index in range(len(scenario.steps)):
        records.append(run_step(scenario, index, workspace, records))
    return records


def go_on(scenario: Scenario, index: int, engine: Path, root: Path, before: list[Record]) -> Record:
    """Step `index` on this engine, from where another engine's step before it ended."""
    workspace = _workspace(scenario, engine, root)
    _restore(before[index - 1], workspace)
    return run_step(scenario, index, workspace, before)


def _workspace(scenario: Scenario, engine: Path, root: Path) -> Workspace:
    workspace = make_workspace(root, engine)
    workspace.extra.update(scenario.environment)
    return workspace


def run_step(scenario: Scenario, index: int, workspace: Workspace, before: list[Record]) -> Record:
    step = scenario.at(index)
    workspace.program(step.program or "")
    workspace.configure(**(step.config or {}))
    for id, changes in step.drift.items():
        _drift(workspace.root / "toy" / id, changes)
    log = workspace.root / f"events-{index}"
    has_events = step.command[0] in WITH_EVENTS
    command = (*step.command, "--event-log", str(log)) if has_events else step.command
    stdin = json.dumps(before[[s.name for s in scenario.steps].index(step.stdin)]["export"]) if step.stdin else ""
    calls_before, state_before = _calls(workspace), workspace.document
    code, said, complained, beside = _execute(workspace, command, step.meanwhile, len(calls_before), stdin)
    calls, state = _calls(workspace), workspace.document
    events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    record: Record = {
        "step": step.name,
        "command": list(step.command),
        "code": code,
        "errors": error_lines(f"{said}\n{complained}", workspace.root) if not events or code == 255 else [],
        "operations": operations_of(calls[len(calls_before) :], [state_before, state]),
        "events": events_of(events, workspace.root),
        "state": stable_state(state),
        "things": {p.name: json.loads(p.read_text()) for p in sorted((workspace.root / "toy").glob("thing-*"))},
        "calls": calls,
        "locks": len(_locks(workspace)),
    }
    if beside is not None:
        record["beside"] = beside
    if "--json" in step.command and step.command[0] == "preview" and said.startswith("{"):
        record["preview"] = preview_of(json.loads(said), workspace.root)
    elif step.command[:2] == ("stack", "export") and code == 0:
        record["export"] = stable_state(json.loads(said))
    elif "--json" in step.command and code == 0:
        record["answer"] = json.loads(said)
    return record


def _execute(
    workspace: Workspace, command: tuple[str, ...], meanwhile: Meanwhile | None, calls_before: int, stdin: str
) -> tuple[int, str, str, dict[str, Any] | None]:
    running = subprocess.Popen(
        ["pulumi", *command],
        cwd=workspace.project,
        env=workspace.environment,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    beside = None
    if meanwhile is not None:
        deadline = time.monotonic() + CALL_SECONDS
        while meanwhile.call not in (f"{c['call']} {c['name']}" for c in _calls(workspace)[calls_before:]):
            has_ended = running.poll() is not None or time.monotonic() > deadline
            assert not has_ended, f"`{meanwhile.call}` was not asked for\n{running.communicate()}"
            time.sleep(0.02)
        if meanwhile.command:
            other = workspace.pulumi(*meanwhile.command, code=None)
            beside = {
                "code": other.returncode,
                "errors": error_lines(f"{other.stdout}\n{other.stderr}", workspace.root),
            }
        elif meanwhile.signal is signal.SIGKILL:
            left = _descendants(running.pid)
            running.kill()
            for pid in left:  # whoever outlives its engine would hold the pipes open
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        elif meanwhile.signal is not None:
            running.send_signal(meanwhile.signal)
    said, complained = running.communicate(stdin or None, timeout=CALL_SECONDS)
    return running.returncode, said, complained, beside


def _descendants(pid: int) -> list[int]:
    """The processes below this one, as they are now."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, level = [], [pid]
    while level := [child for child, parent in parents.items() if parent in level]:
        found += level
    return found


def _drift(path: Path, changes: Mapping[str, Any] | None) -> None:
    if changes is None:
        path.unlink()
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _calls(workspace: Workspace) -> list[dict[str, str]]:
    path = workspace.root / "toy" / "calls"
    entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{"call": e["call"], "name": e["name"]} for e in entries if e["call"] != "configure"]


def _locks(workspace: Workspace) -> list[Path]:
    return sorted((workspace.root / "state/.pulumi/locks").rglob("*.json"))


def _restore(left: Record, workspace: Workspace) -> None:
    """The world as a step of another engine left it."""
    stacks = workspace.root / "state/.pulumi/stacks/demo"
    (stacks / "dev.json").write_text(json.dumps(left["state"]))
    for id, thing in left["things"].items():
        (workspace.root / "toy" / id).write_text(json.dumps(thing))
    (workspace.root / "toy" / "calls").write_text("".join(json.dumps(call) + "\n" for call in left["calls"]))
    for number in range(left["locks"]):
        lock = workspace.root / f"state/.pulumi/locks/organization/demo/dev/{number}.json"
        lock.parent.mkdir(parents=True, exist_ok=True)
        holder = {"pid": 1, "username": "u", "hostname": "h", "timestamp": "2026-01-01T00:00:00Z"}
        lock.write_text(json.dumps(holder))
