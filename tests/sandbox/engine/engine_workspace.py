"""A workspace for an engine: a project, a file backend, and the toy provider on PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
STAND_IN = REPOSITORY / "sandbox" / "engine" / "bin"
RECORDED = json.loads((HERE / "golden/1-created.json").read_text())["checkpoint"]["latest"]
# What a real engine asks of Python before each run, to learn which plugins to fetch: half of its time, for nothing.
PYTHON = f"""#!/bin/sh
case "$*" in
  "-m pip --version") echo "pip 26.0 from / (python 3)";;
  "-m pip list --format json") echo '[]';;
  *) exec "{sys.executable}" "$@";;
esac
"""
SALT = RECORDED["secrets_providers"]["state"]["salt"]  # of the passphrase "x"
PROJECT = "name: demo\nruntime: python\nstackConfigDir: stacks\n"
PREAMBLE = f"""
import os
import sys
from pathlib import Path
sys.path.insert(0, {str(HERE / "toy")!r})
import pulumi
from pulumi import ResourceOptions as O, ResourceHook, ResourceHookBinding as Hooks
from toy import Thing, Provider, Group, echo, note
config = pulumi.Config()
"""


@dataclass
class Workspace:
    root: Path
    engine: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        path = [self.root / "bin", self.engine, Path(sys.executable).parent, kept["PATH"]]
        return {
            **kept,
            "PATH": os.pathsep.join(map(str, path)),
            "PULUMI_BACKEND_URL": f"file://{self.root / 'state'}",
            "PULUMI_HOME": str(self.root / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_STACK": "dev",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # the real CLI hides --event-log without it
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "BLUEGREEN_SANDBOX_PYTHON": sys.executable,
            "TOY_DIR": str(self.root / "toy"),
            **self.extra,
        }

    def program(self, source: str) -> None:
        (self.project / "__main__.py").write_text(PREAMBLE + textwrap.dedent(source))

    def configure(self, **values: Any) -> None:
        """Make the stack's config these values alone, quicker than `config set`; secrets are `{"secure": ...}`."""
        keys = {key if ":" in key else f"demo:{key}": value for key, value in values.items()}
        lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in keys.items())
        (self.project / "stacks/Pulumi.dev.yaml").write_text(f"encryptionsalt: {SALT}\nconfig:\n{lines}")

    def pulumi(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["pulumi", *arguments],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *arguments],
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def up(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, code=code)

    @property
    def document(self) -> dict[str, Any]:
        return json.loads((self.root / "state/.pulumi/stacks/demo/dev.json").read_text())

    @property
    def deployment(self) -> dict[str, Any]:
        return self.document["checkpoint"]["latest"]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        return {r["urn"].rpartition("::")[2]: r for r in self.deployment.get("resources", [])}

    def calls(self) -> list[str]:
        """`create x`, `deleted y`: what the provider was asked and what it did, in order."""
        path = self.root / "toy" / "calls"
        entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [f"{entry['call']} {entry['name']}" for entry in entries if entry["call"] != "configure"]

    def wait_for_call(self, call: str, seconds: float = 30) -> None:
        """Until the provider has begun the call; polled, as it writes a file."""
        deadline = time.monotonic() + seconds
        while call not in self.calls():
            assert time.monotonic() < deadline, f"the provider was not asked to {call}"
            time.sleep(0.02)

    def wait_for_end_of(self, pid: str, seconds: float = 20) -> None:
        """Until the process is gone, or only its entry in the process table is left."""
        deadline = time.monotonic() + seconds
        while subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout[:1] not in "Z":
            assert time.monotonic() < deadline, f"the process {pid} lives on"
            time.sleep(0.05)


def make_workspace(root: Path, engine: Path) -> Workspace:
    for name in ("project/stacks", "state", "toy", "bin"):
        (root / name).mkdir(parents=True)
    (root / "project/Pulumi.yaml").write_text(PROJECT)
    _executable(
        root / "bin/pulumi-resource-toy", f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "toy/provider.py"}" "$@"\n'
    )
    for name in ("python", "python3"):
        _executable(root / "bin" / name, PYTHON)
    workspace = Workspace(root, engine)
    workspace.program("")
    workspace.configure()
    stacks = root / "state/.pulumi/stacks/demo"
    stacks.mkdir(parents=True)
    (root / "state/.pulumi/meta.yaml").write_text("version: 1\n")
    empty = {"version": 3, "checkpoint": {"stack": "organization/demo/dev", "latest": None}}
    (stacks / "dev.json").write_text(json.dumps(empty))
    return workspace


def _executable(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)
