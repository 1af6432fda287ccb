"""A scaling activity: an entry of an Auto Scaling group's history, in AWS's words.

Wording: the API reference (Activity), the user guide ("Troubleshoot Amazon EC2 Auto Scaling"), and what users quote of
their own groups: k2m30/a9s#36, kubernetes/autoscaler#1263, Netflix/edda#60, awslabs/benchmark-ai#71.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException


@dataclass
class Activity:
    """`home`: account and region. `place`: where it is about, for its Details."""

    group: str
    group_arn: str
    home: tuple[str, str]
    description: str
    cause: str
    status: str
    place: dict[str, str]
    progress: int = 30
    message: str | None = None
    group_is_deleted: bool = False
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def end(self, status: str, *, message: str | None = None) -> None:
        self.status, self.message, self.progress, self.ended = status, message, 100, datetime.now(UTC)

    def fail(self, status: str, message: str) -> None:
        """Ended, with the reason in its description as well."""
        self.end(status, message=message)
        self.description += f"{'.' if self.description[-1] != '.' else ''}  Status Reason: {message}"

    def as_answer(self) -> dict[str, Any]:
        return {
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "AutoScalingGroupARN": self.group_arn,
            "AutoScalingGroupState": "Deleted" if self.group_is_deleted else None,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.started,
            "EndTime": self.ended,
            "StatusCode": self.status,
            "StatusMessage": self.message,
            "Progress": self.progress,
            "Details": json.dumps(self.place, separators=(",", ":")),
        }


def place_of(subnet: str | None, zone: str | None) -> dict[str, str]:
    return {key: value for key, value in (("Subnet ID", subnet), ("Availability Zone", zone)) if value}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def created(causes: Iterable[str], *, size: int, by: int = 1) -> str:
    return _difference(causes, "an instance was started", "increasing", size, size + by)


def removed(causes: Iterable[str], instance_id: str, *, size: int, by: int = 1) -> str:
    chosen = f"At {now()} instance {instance_id} was selected for termination."
    return "  ".join(
        [_difference(causes, "an instance was taken out of service", "shrinking", size, size - by), chosen]
    )


def _difference(causes: Iterable[str], what: str, how: str, before: int, after: int) -> str:
    why = (
        f"At {now()} {what} in response to a difference between desired and actual capacity, {how} the capacity from "
        f"{before} to {after}."
    )
    return "  ".join([*causes, why])


def taken_out(why: str) -> str:
    return f"At {now()} an instance was taken out of service in response to {why}."


def rebalanced(zones: Iterable[str]) -> str:
    return (
        f"At {now()} instances were launched to balance instances in zones {' '.join(sorted(zones))} with other zones "
        "resulting in more than desired number of instances in the group."
    )


def not_launched(fault: ServiceException) -> str:
    return f"{str(fault.message).rstrip('.')}. Launching EC2 instance failed."
