"""What the resource types of EC2 share: describing, deleting, tagging."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_interface
from typing import Any

from botocore.exceptions import ClientError

from sandbox.provider.aws import Aws, absent, as_pairs, code_of, doing


def cidr_fault(_name: str, value: str, version: int = 4) -> str | None:
    """Terraform's ValidateIPv4CIDRBlock and its like for IPv6: a network, not an address in one."""
    try:
        network = ip_interface(value).network
    except ValueError:
        network = None
    if network is None or "/" not in value or network.version != version:
        return f'"{value}" is not a valid IPv{version} CIDR block'
    if str(network.network_address) != value.partition("/")[0]:
        return f'"{value}" is not a valid IPv{version} CIDR block; did you mean "{network}"?'
    return None


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
    codes = ("DependencyViolation", "InvalidGroup.InUse")
    with doing(aws.ec2, f"deleting {what}"), absent(*missing):
        aws.retry(f"{what} delete", codes, call, timeout=aws.timeout(timeout))


def retag(aws: Aws, identifier: str, tags: Mapping[str, str], removed: list[str]) -> None:
    """EC2 objects, whatever their type, are tagged by id."""
    with doing(aws.ec2, f"updating EC2 tags ({identifier})"):
        if removed:
            aws.ec2.delete_tags(Resources=[identifier], Tags=[{"Key": key} for key in removed])
        if tags:
            aws.ec2.create_tags(Resources=[identifier], Tags=as_pairs(tags))
