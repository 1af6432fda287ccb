"""What the resource types of EC2 share: describing, deleting, tagging."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from sandbox.provider.aws import Aws, absent, as_pairs, code_of, doing

CIDR: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}")
CIDR_REASON: Final = "is not a valid IPv4 CIDR block"


def describe(ask: Callable[..., Any], *missing: str, **which: Any) -> list[Any]:
    """The one list in EC2's answer; empty when EC2 says, with one of these codes, that there is no such id."""
    try:
        answer = ask(**which)
    except ClientError as error:
        if code_of(error) in missing:
            return []
        raise
    return next(value for value in answer.values() if isinstance(value, list))


def where(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


def delete(aws: Aws, what: str, call: Callable[[], Any], *missing: str, timeout: float) -> None:
    """Network objects can't go while something still hangs on them; that something may be on its way out."""
    with doing(aws.ec2, f"deleting {what}"), absent(*missing):
        aws.retry(f"{what} delete", ("DependencyViolation",), call, timeout=aws.timeout(timeout))


def retag(aws: Aws, identifier: str, tags: Mapping[str, str], removed: list[str]) -> None:
    """EC2 objects, whatever their type, are tagged by id."""
    with doing(aws.ec2, f"updating EC2 tags ({identifier})"):
        if removed:
            aws.ec2.delete_tags(Resources=[identifier], Tags=[{"Key": key} for key in removed])
        if tags:
            aws.ec2.create_tags(Resources=[identifier], Tags=as_pairs(tags))
