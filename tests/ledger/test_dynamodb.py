"""The ledger in DynamoDB: how its table is made and mended, and what is said where AWS refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from bluegreen.aws.session import Session, SessionSettings
from bluegreen.errors import LedgerError
from bluegreen.ledger.dynamodb import DynamoLedger, NoTable, create_table
from bluegreen.model.history import Event, Kind
from bluegreen.model.lease import Holder, Lease
from tests.ledger.conftest import KEY

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = Event(at=NOW, run="run", kind=Kind.BEGAN)
HOLDER = Holder(run="run", verb="deploy", operator="ada", host="here", process=1, born="", since=NOW)
TAKEN = Lease().taken_by(HOLDER, NOW)


def refusal(code: str, action: str = "Query") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, action)


class Client:
    """DynamoDB's, which answers as it is told, or as the real one."""

    def __init__(self, real: Any = None, **answers: Any) -> None:
        self._real, self._answers = real, answers
        self.calls: list[str] = []
        self.meta = type("Meta", (), {"region_name": "eu-central-1"})

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append(name)
            answers = self._answers.get(name) or []
            answer = answers.pop(0) if isinstance(answers, list) and answers else answers or None
            if isinstance(answer, Exception):
                raise answer
            return answer if answer is not None else getattr(self._real, name)(**arguments)

        if name == "get_paginator":
            return lambda _: type("Pages", (), {"paginate": lambda _, **given: iter([self.query(**given)])})()
        return call


class FakeSession:
    def __init__(self, client: Client) -> None:
        self._client = client

    def client(self, service: str) -> Client:
        assert service == "dynamodb"
        return self._client


def ledger(client: Client, table: str = "bluegreen") -> DynamoLedger:
    return DynamoLedger(FakeSession(client), table, KEY)  # type: ignore[arg-type]


# -- the table


def test_a_table_is_made_on_demand_encrypted_protected_and_recoverable(session: Session) -> None:
    made = create_table(session, "new", sleep=lambda _: None)
    assert made.done == ("made", "point-in-time recovery turned on")
    assert made.place == "DynamoDB table new in eu-central-1"
    client = session.client("dynamodb")
    found = client.describe_table(TableName="new")["Table"]
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert found["SSEDescription"]["SSEType"] == "KMS"
    assert found["DeletionProtectionEnabled"]
    assert {key["AttributeName"]: key["KeyType"] for key in found["KeySchema"]} == {"stack": "HASH", "entry": "RANGE"}
    tags = client.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"]
    assert tags == [{"Key": "bluegreen:purpose", "Value": "ledger"}]
    backups = client.describe_continuous_backups(TableName="new")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_a_table_that_is_as_it_should_be_is_left_alone(session: Session, table: str) -> None:
    client = Client(session.client("dynamodb"))
    assert create_table(FakeSession(client), table).done == ()  # type: ignore[arg-type]
    assert all(call.startswith("describe_") for call in client.calls)


def test_what_was_turned_off_is_mended(session: Session, table: str) -> None:
    client = session.client("dynamodb")
    off = {"PointInTimeRecoveryEnabled": False}
    client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=off)
    client.update_table(TableName=table, DeletionProtectionEnabled=False)
    made = create_table(session, table, sleep=lambda _: None)
    assert made.done == ("deletion protection turned on", "point-in-time recovery turned on")
    assert create_table(session, table, sleep=lambda _: None).done == ()


def test_a_table_of_another_purpose_is_refused_and_left_alone(session: Session) -> None:
    session.client("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(LedgerError, match="is something else: its keys are id"):
        create_table(session, "orders")


def test_a_new_table_that_is_not_ready_yet_is_waited_for(session: Session, table: str) -> None:
    whole = session.client("dynamodb").describe_table(TableName=table)
    creating = {"Table": {**whole["Table"], "TableStatus": "CREATING"}}
    missing = refusal("ResourceNotFoundException")
    client = Client(
        session.client("dynamodb"),
        describe_table=[missing, missing, creating, whole],
        create_table=[refusal("ResourceInUseException")],
        describe_continuous_backups=[{"ContinuousBackupsDescription": {}}],
        update_continuous_backups=[refusal("ContinuousBackupsUnavailableException"), {}],
    )
    slept: list[float] = []
    made = create_table(FakeSession(client), table, sleep=slept.append)  # type: ignore[arg-type]
    assert made.done == ("made", "point-in-time recovery turned on")
    assert len(slept) == 3


def test_a_table_that_never_gets_ready_is_an_error(session: Session, table: str) -> None:
    whole = session.client("dynamodb").describe_table(TableName=table)
    client = Client(describe_table={"Table": {**whole["Table"], "TableStatus": "CREATING"}})
    moments = iter(range(0, 10_000, 100))
    with pytest.raises(LedgerError, match="not ready after 300 s"):
        create_table(FakeSession(client), table, sleep=lambda _: None, clock=lambda: next(moments))  # type: ignore[arg-type]


# -- what is refused


def test_without_the_table_it_says_who_makes_it(session: Session) -> None:
    missing = DynamoLedger(session, "nowhere", KEY)
    for act in (missing.read, missing.lease, lambda: missing.append(EVENT), lambda: missing.swap_lease(Lease(), TAKEN)):
        with pytest.raises(NoTable, match="there is no DynamoDB table nowhere in eu-central-1") as caught:
            act()
        assert caught.value.next_step == "`bluegreen init dev` makes it."


@pytest.mark.parametrize(
    ("error", "next_step"),
    [
        (refusal("ExpiredTokenException"), "Renew the credentials"),
        (refusal("UnrecognizedClientException"), "Renew the credentials"),
        (refusal("ProvisionedThroughputExceededException"), "run again in a minute"),
        (refusal("ThrottlingException"), "run again in a minute"),
        (refusal("AccessDeniedException"), "`pulumi config set ledger file`"),
        (EndpointConnectionError(endpoint_url="http://x"), "Check `aws:region`"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, EndpointConnectionError) else str(each)[:40],
)
def test_what_aws_refuses_is_a_ledger_error_that_says_what_to_do(error: Exception, next_step: str) -> None:
    refusing = ledger(Client(query=error, get_item=error, put_item=error))
    for act, done in (
        (refusing.read, "read"),
        (refusing.lease, "read"),
        (lambda: refusing.append(EVENT), "written"),
        (lambda: refusing.swap_lease(Lease(), TAKEN), "written"),
    ):
        with pytest.raises(LedgerError, match=f"DynamoDB table bluegreen in eu-central-1.* can't be {done}") as caught:
            act()
        assert next_step in caught.value.next_step


def test_without_a_region_it_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(LedgerError, match="must specify a region"):
        DynamoLedger(Session(SessionSettings()), "bluegreen", KEY).read()


def test_an_item_that_is_no_event_is_an_error_that_names_it(session: Session, table: str) -> None:
    kept = DynamoLedger(session, table, KEY)
    kept.append(EVENT)
    session.client("dynamodb").put_item(
        TableName=table, Item={"stack": {"S": KEY}, "entry": {"S": "event#9999"}, "kind": {"S": "party"}}
    )
    with pytest.raises(LedgerError, match="no event: shop/dev, event#9999"):
        kept.read()


def test_a_lease_that_can_not_be_read_is_an_error_and_no_free_lease(session: Session, table: str) -> None:
    session.client("dynamodb").put_item(TableName=table, Item={"stack": {"S": KEY}, "entry": {"S": "lease"}})
    with pytest.raises(LedgerError, match="a lease of shop/dev that can't be read"):
        DynamoLedger(session, table, KEY).lease()


# -- how it asks


def test_an_answer_that_got_lost_is_no_conflict(session: Session, table: str) -> None:
    """The client tries again by itself, and meets what its first try has written."""
    real = session.client("dynamodb")

    class Losing(Client):
        def put_item(self, **arguments: Any) -> Any:
            real.put_item(**arguments)
            return real.put_item(**arguments)

    losing = ledger(Losing(real), table)
    losing.append(EVENT)
    assert losing.swap_lease(Lease(), TAKEN)
    assert DynamoLedger(session, table, KEY).read().events == (EVENT,)
    assert losing.lease() == TAKEN


def test_stacks_share_a_table_and_see_nothing_of_each_other(session: Session, table: str) -> None:
    one, other = DynamoLedger(session, table, "shop/dev"), DynamoLedger(session, table, "shop/dev-2")
    one.append(EVENT)
    one.swap_lease(Lease(), TAKEN)
    assert (other.read().events, other.lease()) == ((), Lease())


def test_an_event_is_one_call_and_a_history_one(session: Session, table: str) -> None:
    client = Client(session.client("dynamodb"))
    kept = ledger(client, table)
    kept.append(EVENT)
    kept.read()
    assert client.calls == ["put_item", "query"]
