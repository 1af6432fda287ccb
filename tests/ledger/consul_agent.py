"""A real Consul: the agent's own development mode, which keeps everything in memory."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def consul_agent(directory: Path) -> Iterator[str]:
    """Its address. Skips the test where there is no `consul` on PATH. `directory`: for its log."""
    binary = shutil.which("consul")
    if not binary:
        pytest.skip("there is no `consul` on PATH")
    port = _free_port()
    ports = [f"-{name}-port={_free_port()}" for name in ("server", "serf-lan", "serf-wan")]
    command = [binary, "agent", "-dev", "-bind=127.0.0.1", f"-http-port={port}", "-dns-port=-1", "-grpc-port=-1"]
    with (directory / "consul.log").open("wb") as log:
        agent = subprocess.Popen([*command, "-grpc-tls-port=-1", *ports], stdout=log, stderr=log)
    try:
        _wait_for_leader(port, directory / "consul.log")
        yield f"127.0.0.1:{port}"
    finally:
        agent.terminate()
        agent.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_leader(port: int, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(300):
        try:
            with opener.open(f"http://127.0.0.1:{port}/v1/status/leader", timeout=5) as answer:
                if answer.read() not in (b'""', b""):
                    return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    pytest.fail(f"the agent has no leader:\n{log.read_text()[-2000:]}")
