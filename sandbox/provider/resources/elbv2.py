"""What the resource types of Elastic Load Balancing share: names, describing, attributes, tagging."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from sandbox.provider.aws import Aws, as_pairs, code_of, doing, first
from sandbox.provider.table import Kind, Property, text
from sandbox.provider.wire import Props

NAME_LIMIT: Final = 32
NAME: Final = text(
    computed=True,
    replaces=True,
    pattern=re.compile(r"(?!internal-)(?!-)[0-9A-Za-z-]{1,32}(?<!-)"),
    pattern_reason="cannot be longer than 32 characters, must contain only alphanumeric characters and hyphens, cannot "
    'begin or end with a hyphen, and cannot begin with "internal-"',
)
Attributes = Mapping[str, tuple[str, Any]]  # property -> (attribute in AWS, value that a new object has)


def find(ask: Callable[..., Any], missing: str, **which: Any) -> Any:
    """The one object in the answer, or None when the answer is this code."""
    try:
        answer = ask(**which)
    except ClientError as error:
        if code_of(error) == missing:
            return None
        raise
    return first(next(value for value in answer.values() if isinstance(value, list)))


def tag_arguments(news: Props) -> dict[str, Any]:
    return {"Tags": as_pairs(news["tags"])} if news.get("tags") else {}


def tags_of(aws: Aws, identifier: str, known: Props) -> Props:
    """ELB's descriptions have no tags; after a write of our own they are those of the inputs."""
    if aws.has_just_written:
        return aws.tag_state(as_pairs(known.get("tags", {})))
    described = aws.elbv2.describe_tags(ResourceArns=[identifier])["TagDescriptions"]
    return aws.tag_state(described[0]["Tags"] if described else [])


def retag(aws: Aws, identifier: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.elbv2, f"updating ELBv2 tags ({identifier})"):
        if removed:
            aws.elbv2.remove_tags(ResourceArns=[identifier], TagKeys=removed)
        if tags:
            aws.elbv2.add_tags(ResourceArns=[identifier], Tags=as_pairs(tags))


def attributes_to_set(table: Attributes, news: Props, olds: Props | None) -> list[dict[str, str]]:
    """Only what isn't so already: for a new object (no `olds`), what differs from AWS's own start."""
    wanted = []
    for name, (key, initial) in table.items():
        before = initial if olds is None else olds.get(name, initial)
        if name in news and news[name] != before:
            wanted.append({"Key": key, "Value": _attribute_text(news[name])})
    return wanted


def attributes_read(properties: Mapping[str, Property], table: Attributes, live: list[dict[str, str]]) -> Props:
    values = {line["Key"]: line["Value"] for line in live}
    state: Props = {}
    for name, (key, initial) in table.items():
        value = values.get(key, _attribute_text(initial))
        match properties[name].kind:
            case Kind.BOOLEAN:
                state[name] = value == "true"
            case Kind.INTEGER:
                state[name] = int(value)
            case _:
                state[name] = value
    return state


def _attribute_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
