"""The plugin as a process: how it starts, how it ends, and that a real engine can work with it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2_grpc

BIN = Path(__file__).parents[3] / "sandbox" / "provider" / "bin"
PLUGIN = BIN / "pulumi-resource-aws"
PROGRAM = """
import os

import pulumi
import pulumi_aws as aws

vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", tags={"Name": os.environ["TEST_NAME"]})
group = aws.lb.TargetGroup("web", port=int(os.environ["TEST_PORT"]), protocol="HTTP", vpc_id=vpc.id)
pulumi.export("group", group.arn)
"""


def _line(process: subprocess.Popen[bytes], seconds: float) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    assert ready, "the plugin said nothing"
    return process.stdout.readline().decode().strip()


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "BLUEGREEN_SANDBOX_PYTHON": sys.executable}


@pytest.fixture
def plugin(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([PLUGIN], stdout=subprocess.PIPE, env=environment)
    yield process
    process.kill()
    process.wait()


def test_it_says_its_port_and_serves_the_version_of_the_sdk(plugin: subprocess.Popen[bytes]) -> None:
    port = int(_line(plugin, 20))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        info = provider_pb2_grpc.ResourceProviderStub(channel).GetPluginInfo(Empty(), timeout=10)
    assert info.version.startswith("7.")


def test_an_interrupt_with_nothing_under_way_ends_it_at_once(plugin: subprocess.Popen[bytes]) -> None:
    _line(plugin, 20)
    plugin.send_signal(signal.SIGINT)
    assert plugin.wait(timeout=5) == 0


def test_it_ends_with_an_engine_that_was_killed(environment: dict[str, str]) -> None:
    # The shell stands for the engine: the plugin is its child, and tells its own pid before its port.
    engine = subprocess.Popen(
        ["sh", "-c", f'"{PLUGIN}" & echo $!; wait'], stdout=subprocess.PIPE, env=environment, bufsize=0
    )
    plugin = int(_line(engine, 20))
    int(_line(engine, 20))
    engine.kill()
    engine.wait()
    deadline = time.monotonic() + 10
    while _runs(plugin):
        assert time.monotonic() < deadline, "the plugin outlived its engine"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")  # where nobody collects orphans a dead one stays as a zombie


@pytest.mark.real_engine
@pytest.mark.skipif(shutil.which("pulumi") is None, reason="no `pulumi` on PATH")
def test_a_real_engine_creates_updates_replaces_refreshes_and_destroys(
    tmp_path: Path, aws_environment: None, empty_account: None, environment: dict[str, str]
) -> None:
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "Pulumi.yaml").write_text("name: provider-test\nruntime: python\n")
    (tmp_path / "state").mkdir()
    environment |= os.environ | {
        "PATH": os.pathsep.join([str(BIN), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "sandbox",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DEBUG_COMMANDS": "true",  # without it the engine doesn't know --event-log
    }

    def pulumi(*arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(name: str, port: int) -> dict[str, list[str]]:
        """What the engine did to which resource."""
        environment.update(TEST_NAME=name, TEST_PORT=str(port))
        log = tmp_path / "events.jsonl"
        log.unlink(missing_ok=True)
        pulumi("up", "--yes", "--skip-preview", "--event-log", str(log))
        steps: dict[str, list[str]] = {}
        for event in map(json.loads, log.read_text().splitlines()):
            metadata = event.get("resourcePreEvent", {}).get("metadata", {})
            if metadata.get("type", "").startswith("aws:") and metadata["op"] != "same":
                steps.setdefault(metadata["type"], []).append(metadata["op"])
        return steps

    vpc, group = "aws:ec2/vpc:Vpc", "aws:lb/targetGroup:TargetGroup"
    pulumi("stack", "init", "dev")
    assert up("one", 80) == {vpc: ["create"], group: ["create"]}
    pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert up("one", 80) == {}
    assert up("two", 81) == {vpc: ["update"], group: ["create-replacement", "replace", "delete-replaced"]}
    pulumi("destroy", "--yes", "--skip-preview")
    assert json.loads(pulumi("stack", "export"))["deployment"].get("resources", []) == []
