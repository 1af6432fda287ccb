"""Stores that ledgers are opened in: each backend's, new for every test. `open_ledger` opens one more client of it."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from bluegreen.aws.session import Session, SessionSettings
from bluegreen.ledger.consul import ConsulLedger
from bluegreen.ledger.dynamodb import DynamoLedger, create_table
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Ledger
from tests.ledger.consul_server import ConsulServer

KEY = "shop/dev"
_numbers = itertools.count()
OpenLedger = Callable[[], Ledger]


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """In an account that is the module's alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        with mock_aws():
            yield Session(SessionSettings(region="eu-central-1"))


@pytest.fixture
def table(session: Session) -> str:
    """A new one."""
    name = f"ledger-{next(_numbers)}"
    create_table(session, name, sleep=lambda _: None)
    return name


@pytest.fixture
def consul() -> Iterator[ConsulServer]:
    server = ConsulServer()
    yield server
    server.close()


@pytest.fixture
def real_consul(tmp_path: Path) -> Iterator[str]:
    """The address of an agent that keeps all in memory."""
    binary = shutil.which("consul")
    if not binary:
        pytest.skip("there is no `consul` on PATH")
    port = _free_port()
    ports = [f"-{name}-port={_free_port()}" for name in ("server", "serf-lan", "serf-wan")]
    command = [binary, "agent", "-dev", "-bind=127.0.0.1", f"-http-port={port}", "-dns-port=-1", "-grpc-port=-1"]
    with (tmp_path / "consul.log").open("wb") as log:
        agent = subprocess.Popen([*command, "-grpc-tls-port=-1", *ports], stdout=log, stderr=log)
    try:
        _wait_for_leader(port, tmp_path / "consul.log")
        yield f"127.0.0.1:{port}"
    finally:
        agent.terminate()
        agent.wait(30)


@pytest.fixture(params=["file", "dynamodb", "consul", "real consul"])
def open_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> OpenLedger:
    match request.param:
        case "file":
            return lambda: FileLedger(tmp_path / "runs" / "dev" / "ledger.jsonl")
        case "dynamodb":
            table, session = request.getfixturevalue("table"), request.getfixturevalue("session")
            return lambda: DynamoLedger(session, table, KEY)
        case "consul":
            address = request.getfixturevalue("consul").address
        case _:
            address = request.getfixturevalue("real_consul")
    return lambda: ConsulLedger("bluegreen", KEY, {"CONSUL_HTTP_ADDR": address})


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
