"""Reads of a DynamoDB table that holds a ledger: is it there, and is it kept as a ledger should be."""

from __future__ import annotations

from botocore.exceptions import ClientError

from bluegreen.aws.session import Session, in_our_words, is_fault
from bluegreen.model.diagnosis import Table


@in_our_words
def describe_table(session: Session, name: str) -> Table | None:
    """A table; None where there is none of that name. Two calls. Raises AwsError."""
    dynamodb = session.client("dynamodb")
    try:
        found = dynamodb.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if is_fault(error, "ResourceNotFoundException"):
            return None
        raise
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    return Table(
        name=name,
        status=found["TableStatus"],
        # Without a description it is encrypted under a key that DynamoDB owns (DynamoDB API, SSEDescription).
        is_encrypted=found.get("SSEDescription", {}).get("Status") in ("ENABLED", "UPDATING"),
        has_recovery=recovery == "ENABLED",
    )
