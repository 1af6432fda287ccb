"""A ledger in a DynamoDB table: one table per account and region, one item per event, one for each stack's lease.

The table's keys are `stack` (PROJECT/STACK) and `entry` (`event#...`, or `lease`). An event is one PutItem, a history
one Query; a lease changes by a PutItem on the condition that it still is what it was. All reads are consistent ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bluegreen.aws.session import Session, as_aws_error, is_fault
from bluegreen.errors import AwsError, LedgerError
from bluegreen.ledger.entry import namer
from bluegreen.model.fitted import fitted
from bluegreen.model.history import Event, History
from bluegreen.model.lease import Lease
from bluegreen.model.ledger_place import DEFAULT_NAME

EVENT = "event#"
LEASE = "lease"

MAX_EVENT_BYTES = 390_000
"""An item has at most 400 KB, names and keys included (DynamoDB Developer Guide, "Constraints")."""

THROTTLED = (
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "InternalServerError",
)

KEYS = (("stack", "HASH"), ("entry", "RANGE"))

PURPOSE = {"bluegreen:purpose": "ledger"}
"""The table's tags. It is no stack's: those of an owner would make it an orphan."""

POLL_SECONDS = 2.0
DEADLINE_SECONDS = 300.0


class NoTable(LedgerError):
    """There is no such table."""


class DynamoLedger:
    """The ledger of one stack. `key`: PROJECT/STACK."""

    def __init__(self, session: Session, table: str, key: str) -> None:
        self._session = session
        self._table = table
        self._key = key
        self._name = namer("#")

    @property
    def place(self) -> str:
        return f"DynamoDB table {self._table}{_region(self._session)}"

    def append(self, event: Event) -> None:
        """What is too large for an item is kept without the largest of its evidence."""
        kept = fitted(event, MAX_EVENT_BYTES).as_record()
        item = {
            **self._id(EVENT + self._name(event)),
            **{name: {"S": kept[name]} for name in ("at", "run", "kind", "release", "summary")},
            "evidence": {"S": json.dumps(kept["evidence"], separators=(",", ":"))},
        }
        with self._errors("written"):
            try:
                self._client.put_item(
                    TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(entry)"
                )
            except ClientError as error:
                # No other writer has this name: it was kept at a try whose answer got lost.
                if not is_fault(error, "ConditionalCheckFailedException"):
                    raise

    def read(self) -> History:
        with self._errors("read"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="stack = :stack AND begins_with(entry, :event)",
                ExpressionAttributeValues={":stack": {"S": self._key}, ":event": {"S": EVENT}},
                ConsistentRead=True,
            )
            items = [item for page in pages for item in page["Items"]]
        return History(tuple(self._event(item) for item in items))

    def lease(self) -> Lease:
        with self._errors("read"):
            answer = self._client.get_item(TableName=self._table, Key=self._id(LEASE), ConsistentRead=True)
        item = answer.get("Item")
        if item is None:
            return Lease()
        try:
            return Lease.from_record(
                {
                    "fence": item["fence"]["N"],
                    "beat_at": item["beat_at"]["S"],
                    "holder": json.loads(item["holder"]["S"]),
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"the ledger ({self.place}) has a lease of {self._key} that can't be read ({error!r})",
                f"See that no deployment of this stack runs, then delete the item {self._key}, {LEASE}.",
            ) from error

    def swap_lease(self, expected: Lease, new: Lease) -> bool:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(entry)"}
        if expected != Lease():
            values = _lease_attributes(expected)
            condition = {
                "ConditionExpression": " AND ".join(f"{name} = :{name}" for name in values),
                "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
            }
        item = {**self._id(LEASE), **_lease_attributes(new)}
        with self._errors("written"):
            try:
                self._client.put_item(TableName=self._table, Item=item, **condition)
                return True
            except ClientError as error:
                if not is_fault(error, "ConditionalCheckFailedException"):
                    raise
        return self.lease() == new  # done at a try whose answer got lost

    def publish(self, service: str, values: Mapping[str, str]) -> None:
        """Other systems find them in the stack's SSM parameters."""

    @property
    def _client(self) -> Any:
        return self._session.client("dynamodb")

    def _id(self, entry: str) -> dict[str, Any]:
        return {"stack": {"S": self._key}, "entry": {"S": entry}}

    def _event(self, item: Mapping[str, Any]) -> Event:
        try:
            texts = {name: value["S"] for name, value in item.items() if name not in ("stack", "entry")}
            return Event.from_record({**texts, "evidence": json.loads(texts["evidence"])})
        except (ValueError, KeyError, TypeError) as error:
            entry = item["entry"]["S"]
            raise LedgerError(
                f"the ledger ({self.place}) has an item that is no event: {self._key}, {entry} ({error!r})",
                "Delete that item: it is history, nothing that runs depends on it. A newer bluegreen may have made it.",
            ) from error

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        with _in_our_words(f"the ledger ({self.place}) can't be {done}"):
            try:
                yield
            except ClientError as error:
                if is_fault(error, "ResourceNotFoundException"):
                    stack = self._key.partition("/")[2]
                    raise NoTable(f"there is no {self.place}", f"`bluegreen init {stack}` makes it.") from error
                raise


@dataclass(frozen=True, kw_only=True)
class TableMade:
    """What making a table has done, in words; nothing where it was there as it should be."""

    place: str
    done: tuple[str, ...] = ()


def create_table(
    session: Session,
    table: str = DEFAULT_NAME,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> TableMade:
    """Make the table, or mend it: on demand, encrypted by KMS, with point-in-time recovery and deletion protection.

    Doing it again does nothing. Raises LedgerError.
    """
    place = f"DynamoDB table {table}{_region(session)}"
    with _in_our_words(f"the {place} can't be made"):
        making = _Making(session.client("dynamodb"), table, place, sleep, clock)
        done = [*making.ensure_table(), *making.ensure_settings(), *making.ensure_recovery()]
    return TableMade(place=place, done=tuple(done))


@dataclass(frozen=True)
class _Making:
    client: Any
    table: str
    place: str
    sleep: Callable[[float], None]
    clock: Callable[[], float]

    def ensure_table(self) -> Iterator[str]:
        try:
            found = self._described()
        except ClientError as error:
            if not is_fault(error, "ResourceNotFoundException"):
                raise
        else:
            keys = tuple((each["AttributeName"], each["KeyType"]) for each in found["KeySchema"])
            if sorted(keys) != sorted(KEYS):
                raise LedgerError(
                    f"the {self.place} is something else: its keys are {', '.join(name for name, _ in keys)}",
                    "Name another: `pulumi config set ledger dynamodb:TABLE`.",
                )
            return
        try:
            self.client.create_table(
                TableName=self.table,
                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in KEYS],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in KEYS],
                BillingMode="PAY_PER_REQUEST",
                SSESpecification={"Enabled": True, "SSEType": "KMS"},
                DeletionProtectionEnabled=True,
                Tags=[{"Key": key, "Value": value} for key, value in PURPOSE.items()],
            )
        except ClientError as error:
            if not is_fault(error, "ResourceInUseException"):  # somebody else has begun to make it
                raise
        yield "made"

    def ensure_settings(self) -> Iterator[str]:
        """One change at a time: the table has to be active for each."""
        if not self._active().get("DeletionProtectionEnabled"):
            self.client.update_table(TableName=self.table, DeletionProtectionEnabled=True)
            yield "deletion protection turned on"
        if self._active().get("SSEDescription", {}).get("SSEType") != "KMS":
            self.client.update_table(TableName=self.table, SSESpecification={"Enabled": True, "SSEType": "KMS"})
            self._active()
            yield "encrypted by KMS"

    def ensure_recovery(self) -> Iterator[str]:
        described = self.client.describe_continuous_backups(TableName=self.table)["ContinuousBackupsDescription"]
        if described.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED":
            return
        self._patiently(self._enable_recovery)
        yield "point-in-time recovery turned on"

    def _enable_recovery(self) -> bool:
        """A new table refuses it for some seconds (DynamoDB API, UpdateContinuousBackups)."""
        try:
            self.client.update_continuous_backups(
                TableName=self.table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
        except ClientError as error:
            if not is_fault(error, "ContinuousBackupsUnavailableException"):
                raise
            return False
        return True

    def _active(self) -> dict[str, Any]:
        """Its description once it may be changed. A table that was only just asked for may not be listed yet."""
        found: dict[str, Any] = {}

        def look() -> bool:
            nonlocal found
            try:
                found = self._described()
            except ClientError as error:
                if not is_fault(error, "ResourceNotFoundException"):
                    raise
                return False
            is_encrypting = found.get("SSEDescription", {}).get("Status") == "UPDATING"
            return bool(found["TableStatus"] == "ACTIVE" and not is_encrypting)

        self._patiently(look)
        return found

    def _described(self) -> dict[str, Any]:
        return dict(self.client.describe_table(TableName=self.table)["Table"])

    def _patiently(self, act: Callable[[], bool]) -> None:
        began = self.clock()
        while not act():
            if self.clock() - began > DEADLINE_SECONDS:
                raise LedgerError(
                    f"the {self.place} is not ready after {DEADLINE_SECONDS:.0f} s", "Run it again: it goes on."
                )
            self.sleep(POLL_SECONDS)


def _lease_attributes(lease: Lease) -> dict[str, Any]:
    record = lease.as_record()
    return {
        "fence": {"N": str(lease.fence)},
        "beat_at": {"S": record["beat_at"] or ""},
        "holder": {"S": json.dumps(record["holder"], sort_keys=True)},
    }


def _region(session: Session) -> str:
    try:
        return f" in {session.client('dynamodb').meta.region_name}"
    except AwsError:
        return ""


@contextmanager
def _in_our_words(what: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        asked = as_aws_error(error)
        next_step = asked.next_step
        if isinstance(error, ClientError) and is_fault(error, *THROTTLED):
            next_step = "It passes: run again in a minute."
        raise LedgerError(f"{what}: {asked.what}", _or_elsewhere(next_step)) from error
    except AwsError as error:
        raise LedgerError(f"{what}: {error.what}", error.next_step) from error


def _or_elsewhere(next_step: str) -> str:
    """A caller who may deploy, and may not use the table, can still say where the history should be."""
    if next_step.startswith("Allow this caller"):
        return f"{next_step} docs/ledger.md has the policy; `pulumi config set ledger file` keeps it in a file."
    return next_step
