"""A copy of the project in a sandbox, and an engine that runs it: what a person has before them at a shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
import yaml

from sandbox.host import REPOSITORY, Sandbox
from sandbox.roles import Roles
from tests.e2e.roles import verb_of

T = TypeVar("T")

STAND_IN = REPOSITORY / "sandbox" / "engine" / "bin"
COMMANDS = Path(sys.executable).parent  # bluegreen, bluegreen-sandbox
STACK = "sandbox"
IN_THE_GATE = "gate: "
DEADLINE_SECONDS = 120.0


def eventually(look: Callable[[], T], *, within: float = 30.0, what: str = "") -> T:
    """The first true answer of `look`."""
    deadline = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within:.0f} s: {what or look}; last seen: {found!r}")
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Call:
    """An AWS call that the sandbox answered, as its calls.jsonl has it. Times are seconds since the epoch."""

    action: str
    kind: str
    began: float
    ended: float

    @property
    def is_write(self) -> bool:
        return self.kind == "write"


@dataclass(frozen=True)
class Finished:
    """A command that has ended. `calls`: the AWS calls meanwhile, whoever made them."""

    code: int
    output: str
    events: list[dict[str, Any]]
    calls: list[Call]
    seconds: float

    @property
    def changes(self) -> Mapping[str, int]:
        """How many resources by what was done to them, where anything was."""
        summaries = [event["summaryEvent"]["resourceChanges"] for event in self.events if "summaryEvent" in event]
        return {op: count for op, count in (summaries[-1] if summaries else {}).items() if op != "same"}

    def done(self, *ops: str) -> Counter[tuple[str, str]]:
        """How often each (op, type) was done."""
        steps = [event["resOutputsEvent"]["metadata"] for event in self.events if "resOutputsEvent" in event]
        return Counter((step["op"], step["type"].rpartition(":")[2]) for step in steps if step["op"] in ops)

    @property
    def writes(self) -> list[str]:
        return [call.action for call in self.calls if call.is_write]

    @property
    def reads(self) -> list[str]:
        return [call.action for call in self.calls if not call.is_write]

    def last(self, action: str) -> Call:
        return [call for call in self.calls if call.action == action][-1]

    @property
    def has_no_traceback(self) -> bool:
        return not any(word in self.output for word in ("Traceback", "KeyboardInterrupt", "panic:"))


class Begun:
    """A command under way. Its output goes to a file, so that it can be watched."""

    def __init__(self, project: Project, program: str, words: tuple[str, ...]) -> None:
        self._project = project
        self._words = (program, *words)
        self._calls_before = len(project.calls())
        number = len(list(project.directory.glob("*.output")))
        self._output = project.directory / f"{number}.output"
        self._events = project.directory / f"{number}.events"
        logs_events = program == "pulumi" and words[0] in ("up", "preview", "destroy")
        self._began = time.monotonic()
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [program, *words, *(["--event-log", str(self._events)] if logs_events else [])],
                cwd=project.directory,
                env=project.environment_of(program, words),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,  # a Ctrl-C is for the group, as a terminal sends it
            )

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_for(self, text: str, *, within: float = 60.0) -> Begun:
        """Until it says so."""
        eventually(lambda: text in self.output or self.process.poll() is not None, within=within, what=text)
        assert text in self.output, f"it never said {text!r}:\n{self.output}"
        return self

    def interrupt(self) -> None:
        self.send(signal.SIGINT)

    def send(self, number: signal.Signals) -> None:
        """To its process group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def finish(self) -> Finished:
        try:
            code = self.process.wait(timeout=DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"{' '.join(self._words)} did not end in {DEADLINE_SECONDS:.0f} s:\n{self.output}")
        events = self._events.read_text().splitlines() if self._events.exists() else []
        return Finished(
            code,
            self.output,
            [json.loads(line) for line in events],
            self._project.calls()[self._calls_before :],
            time.monotonic() - self._began,
        )


@dataclass
class Project:
    """Pulumi.yaml, program and stack file of this repository, with one stack, in a running sandbox."""

    sandbox: Sandbox
    directory: Path
    engine: Path  # the directory of the `pulumi` to run
    stack: str = STACK
    roles: Roles | None = None  # everything is done by an administrator otherwise
    role: str = ""  # whose everything is done, instead of that of each verb
    _images: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, sandbox: Sandbox, directory: Path, engine: Path, stack: str = STACK) -> Project:
        (directory / "stacks").mkdir(parents=True)
        for name in ("Pulumi.yaml", "__main__.py", f"stacks/Pulumi.{stack}.yaml"):
            shutil.copy(REPOSITORY / name, directory / name)
        for name in ("ansible", "app", "packer"):
            shutil.copytree(
                REPOSITORY / name, directory / name, ignore=shutil.ignore_patterns("__pycache__", "ami.txt")
            )
        (directory / ".venv").symlink_to(sys.prefix)
        project = cls(sandbox, directory, engine, stack)
        assert project.pulumi("stack", "init", stack).code == 0
        return project

    def another(self, stack: str, **config: object) -> Project:
        """The same project's other stack, whose file is the first one's with this config of the `aws:` namespace."""
        document = yaml.safe_load((self.directory / f"stacks/Pulumi.{self.stack}.yaml").read_text())
        document["config"] |= {f"aws:{key}": value for key, value in config.items()}
        (self.directory / f"stacks/Pulumi.{stack}.yaml").write_text(yaml.safe_dump(document))
        assert self.pulumi("stack", "init", stack).code == 0
        return replace(self, stack=stack)

    @property
    def file(self) -> Path:
        """The stack's."""
        return self.directory / f"stacks/Pulumi.{self.stack}.yaml"

    @property
    def environment(self) -> dict[str, str]:
        environment = self.sandbox.full_env
        return {
            **environment,
            "PATH": os.pathsep.join([str(self.engine), environment["PATH"]]),
            "PULUMI_DEBUG_COMMANDS": "true",  # the real CLI hides --event-log without it
        }

    def environment_of(self, program: str, words: tuple[str, ...]) -> dict[str, str]:
        verb = self.role or verb_of(program, words)
        return {**self.environment, **(self.roles.environment(verb) if self.roles and verb else {})}

    @contextmanager
    def acting_as(self, role: str) -> Iterator[None]:
        """Whatever is done meanwhile."""
        self.role = role
        yield
        self.role = ""

    # -- the person's side

    def pulumi(self, *words: str) -> Finished:
        return self.begin(*words).finish()

    def begin(self, *words: str) -> Begun:
        return Begun(self, "pulumi", words)

    def bluegreen(self, *words: str) -> Finished:
        return self.begin_bluegreen(*words).finish()

    def begin_bluegreen(self, *words: str) -> Begun:
        return Begun(self, "bluegreen", words)

    def up(self, **settings: object) -> Finished:
        """Change these settings, if any, and `pulumi up`."""
        return self.begin_up(**settings).finish()

    def begin_up(self, **settings: object) -> Begun:
        self.configure(**settings)
        return self.begin("up", "--skip-preview", "--stack", self.stack)

    def configure(self, **settings: object) -> None:
        """Write settings to the stack's file, in `snake_case`; None takes one out."""
        document = yaml.safe_load(self.file.read_text())
        for name, value in settings.items():
            first, *rest = name.split("_")
            key = "bluegreen:" + first + "".join(part.capitalize() for part in rest)
            document["config"].pop(key, None)
            if value is not None:
                document["config"][key] = value
        self.file.write_text(yaml.safe_dump(document))

    def image(self, version: str, **switches: str) -> str:
        """The image of this version of the app, made when it is first asked for."""
        if version not in self._images:
            self._images[version] = self.sandbox.image(REPOSITORY / "app", tags={"version": version}, env=switches)
        return self._images[version]

    @property
    def outputs(self) -> dict[str, Any]:
        stack = next(each for each in self.resources if each["type"] == "pulumi:pulumi:Stack")
        return dict(stack.get("outputs", {}))

    @property
    def release(self) -> str:
        """The version of the active release, as the outputs have it."""
        return str(self.outputs["activeRelease"]["version"])

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The state, as the file backend keeps it."""
        file = self.sandbox.dir / f"state/.pulumi/stacks/bluegreen/{self.stack}.json"
        return list(json.loads(file.read_text())["checkpoint"]["latest"].get("resources", []))

    @property
    def groups_in_the_state(self) -> set[str]:
        groups = [each for each in self.resources if each["type"] == "aws:autoscaling/group:Group"]
        return {each["outputs"]["name"] for each in groups}

    # -- the sandbox's side

    def aws(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.sandbox.endpoint,
            region_name=self.sandbox.region,
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )

    def calls(self) -> list[Call]:
        lines = (self.sandbox.dir / "calls.jsonl").read_text().splitlines()
        return [
            Call(each["action"], each["kind"], began=each["at"] - each["ms"] / 1000, ended=each["at"])
            for each in map(json.loads, lines)
        ]

    def allow_launches(self, number: int | None) -> None:
        """So many launches succeed, then capacity runs out. None: it never does."""
        self.sandbox.ask("PUT", "capacity", {"launches": number})

    def machines(self, image: str) -> list[dict[str, Any]]:
        return [each for each in self.sandbox.status()["machines"] if each["image"] == image]

    def healthy(self, image: str) -> set[str]:
        """Ids of an image's machines that a load balancer finds healthy."""
        groups = self.sandbox.status()["targetGroups"]
        healthy = {each["id"] for group in groups for each in group["targets"] if each["health"] == "healthy"}
        return healthy & {each["id"] for each in self.machines(image)}

    def groups(self) -> dict[str, dict[str, Any]]:
        """Auto Scaling groups by name, as AWS describes them."""
        found = self.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return {each["AutoScalingGroupName"]: each for each in found}

    def ask(self, path: str = "/version") -> dict[str, str]:
        """What the service answers to its users."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.outputs["url"] + path, timeout=10) as answer:
            found: dict[str, str] = json.load(answer)
            return found

    @property
    def is_on_the_stand_in(self) -> bool:
        return self.engine == STAND_IN

    def processes(self) -> list[int]:
        """Engines, programs and plugins that were started in this project and still run."""
        return list(self._processes())

    def end_processes(self) -> None:
        for process in self._processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _processes(self) -> Iterator[int]:
        mark = f"PULUMI_BACKEND_URL=file://{self.sandbox.dir / 'state'}\0".encode()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it ended, or is another user's
                if mark in environment.read_bytes():
                    yield int(environment.parent.name)
