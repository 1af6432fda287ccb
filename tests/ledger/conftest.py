"""Stores that ledgers are opened in: each backend's, new for every test. `open_ledger` opens one more client of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from bluegreen.aws.session import Session, SessionSettings
from bluegreen.ledger.consul import ConsulLedger
from bluegreen.ledger.dynamodb import DynamoLedger, create_table
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Ledger
from tests.ledger.consul_agent import consul_agent
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
    with consul_agent(tmp_path) as address:
        yield address


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
