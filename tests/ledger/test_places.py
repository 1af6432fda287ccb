"""Which ledger a setting opens, and that the default is decided once, by an answer and never by a failure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluegreen.aws.session import Session
from bluegreen.errors import LedgerError
from bluegreen.ledger.consul import ConsulLedger
from bluegreen.ledger.dynamodb import DynamoLedger, create_table
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Ledger, Run
from bluegreen.ledger.places import TableOrFile, open_ledger
from bluegreen.model.history import Event, Kind
from bluegreen.model.lease import Lease
from bluegreen.model.ledger_place import LedgerPlace
from tests.ledger.test_dynamodb import Client, FakeSession, refusal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = Event(at=NOW, run="run", kind=Kind.BEGAN)


class NoSession:
    def client(self, service: str) -> None:
        raise AssertionError(f"a client of {service} was made")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.new(tmp_path, "dev", NOW)


def opened(setting: str, session: object, run: Run, said: list[str] | None = None) -> Ledger:
    report = said.append if said is not None else lambda _: None
    return open_ledger(LedgerPlace.parse(setting), session, run, "shop", report, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("", TableOrFile),
        ("dynamodb", DynamoLedger),
        ("dynamodb:team", DynamoLedger),
        ("consul", ConsulLedger),
        ("consul:teams/shop", ConsulLedger),
        ("file", FileLedger),
    ],
)
def test_the_setting_says_which_and_opening_it_asks_nobody(setting: str, kind: type, run: Run) -> None:
    assert isinstance(opened(setting, NoSession(), run), kind)


def test_by_default_it_is_the_table_where_there_is_one(session: Session, run: Run) -> None:
    create_table(session, "bluegreen", sleep=lambda _: None)
    said: list[str] = []
    opened("", session, run, said).append(EVENT)
    assert DynamoLedger(session, "bluegreen", "shop/dev").read().events == (EVENT,)
    assert said == []
    assert not run.ledger.exists()
    client = session.client("dynamodb")
    client.update_table(TableName="bluegreen", DeletionProtectionEnabled=False)
    client.delete_table(TableName="bluegreen")


@pytest.mark.parametrize("first", ["read", "append", "lease"])
def test_where_there_is_no_table_it_is_the_file_which_is_said_once_and_asked_once(first: str, run: Run) -> None:
    missing = refusal("ResourceNotFoundException")
    client = Client(query=missing, put_item=missing, get_item=missing)
    said: list[str] = []
    ledger = opened("", FakeSession(client), run, said)
    match first:
        case "read":
            ledger.read()
        case "append":
            ledger.append(EVENT)
        case _:
            ledger.lease()
    ledger.append(EVENT)
    ledger.read()
    ledger.swap_lease(Lease(), Lease(fence=1, beat_at=NOW))
    assert len(client.calls) == 1
    (line,) = said
    assert "there is no DynamoDB table bluegreen in eu-central-1" in line
    assert "`bluegreen init dev`" in line
    assert ledger.place == str(run.ledger)
    assert EVENT in FileLedger(run.ledger).read().events


def test_what_aws_can_not_say_does_not_turn_the_default_into_the_file(run: Run) -> None:
    client = Client(query=[refusal("AccessDeniedException"), {"Items": []}])
    ledger = opened("", FakeSession(client), run)
    with pytest.raises(LedgerError, match="AccessDenied"):
        ledger.read()
    assert ledger.read().events == (), "and the next answer decides"
    assert not run.ledger.exists()


def test_a_table_that_was_named_must_be_there(session: Session, run: Run) -> None:
    with pytest.raises(LedgerError, match="no DynamoDB table team in eu-central-1"):
        opened("dynamodb:team", session, run).read()
    assert not run.ledger.exists()


def test_publishing_by_default_asks_nobody(run: Run) -> None:
    opened("", NoSession(), run).publish("web", {"image": "ami-00000001"})
