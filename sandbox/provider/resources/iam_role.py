"""Roles of IAM, and the policies that are written into them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import Aws, OperationFailed, absent, as_pairs, doing, without_none
from sandbox.provider.table import TAGS, ResourceType, boolean, integer, names, output, text
from sandbox.provider.wire import Props

_GONE: Final = "NoSuchEntity"


def is_same_policy(old: Any, new: Any) -> bool:
    """Order and blanks mean nothing."""
    try:
        return bool(json.loads(old or "null") == json.loads(new or "null"))
    except (TypeError, ValueError):
        return False


def is_no_json(name: str, value: str) -> str | None:
    try:
        json.loads(value)
    except ValueError as error:
        return f'"{name}" contains an invalid JSON policy: {error}'
    return None


def _policy(known: Any, found: Mapping[str, Any]) -> str:
    """As the program wrote it, where it means the same."""
    now = json.dumps(found, separators=(",", ":"))
    return str(known) if known and is_same_policy(known, now) else now


def _create_role(aws: Aws, news: Props) -> str:
    name = str(news["name"])
    with doing(aws.iam, f"creating IAM Role ({name})"):
        aws.iam.create_role(
            RoleName=name,
            Path=news["path"],
            AssumeRolePolicyDocument=news["assumeRolePolicy"],
            MaxSessionDuration=news["maxSessionDuration"],
            **without_none(Description=news.get("description")),
            Tags=as_pairs(news.get("tags", {})),
        )
    return name


def _read_role(aws: Aws, role: str, known: Props) -> Props | None:
    with doing(aws.iam, f"reading IAM Role ({role})"), absent(_GONE):
        found = aws.iam.get_role(RoleName=role)["Role"]
        return {
            "arn": found["Arn"],
            "assumeRolePolicy": _policy(known.get("assumeRolePolicy"), found["AssumeRolePolicyDocument"]),
            "createDate": found["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "description": found.get("Description") or None,
            "maxSessionDuration": found["MaxSessionDuration"],
            "name": found["RoleName"],
            "path": found["Path"],
            "uniqueId": found["RoleId"],
            **aws.tag_state(found.get("Tags", [])),
        }
    return None


def _update_role(aws: Aws, role: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    with doing(aws.iam, f"updating IAM Role ({role})"):
        if "assumeRolePolicy" in changed:
            aws.iam.update_assume_role_policy(RoleName=role, PolicyDocument=news["assumeRolePolicy"])
        if changed & {"description", "maxSessionDuration"}:
            aws.iam.update_role(
                RoleName=role,
                Description=news.get("description", ""),
                MaxSessionDuration=news["maxSessionDuration"],
            )


def _delete_role(aws: Aws, role: str, olds: Props) -> None:
    with doing(aws.iam, f"deleting IAM Role ({role})"), absent(_GONE):
        aws.iam.delete_role(RoleName=role)


def _retag_role(aws: Aws, role: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.iam, f"updating tags of IAM Role ({role})"):
        if removed:
            aws.iam.untag_role(RoleName=role, TagKeys=removed)
        if tags:
            aws.iam.tag_role(RoleName=role, Tags=as_pairs(tags))


ROLE = ResourceType(
    token="aws:iam/role:Role",
    properties={
        "assumeRolePolicy": text(required=True, refuses=is_no_json, suppresses=is_same_policy),
        "description": text(),
        "forceDetachPolicies": boolean(default=False, only=(False,)),
        "maxSessionDuration": integer(default=3600, at_least=3600, at_most=43200),
        "name": text(
            computed=True,
            replaces=True,
            pattern=re.compile(r"[\w+=,.@-]{1,64}", re.ASCII),
            pattern_reason="must be 1 to 64 alphanumeric characters and + = , . @ _ -",
        ),
        "path": text(default="/", replaces=True),
        "arn": output(),
        "createDate": output(),
        "uniqueId": output(),
        **TAGS,
    },
    refused=names("inlinePolicies managedPolicyArns namePrefix permissionsBoundary"),
    name_limit=64,
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    retag=_retag_role,
)


def _put_policy(aws: Aws, news: Props) -> str:
    role, name = news["role"], news["name"]
    with doing(aws.iam, f"putting IAM Role ({role}) Policy ({name})"):
        aws.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=news["policy"])
    return f"{role}:{name}"


def _locate_policy(aws: Aws, given: str) -> tuple[str, Props]:
    role, _, name = given.partition(":")
    if not role or not name:
        raise OperationFailed("role_policy id must be of the form <role name>:<policy name>")
    return given, {"role": role, "name": name}


def _read_policy(aws: Aws, identifier: str, known: Props) -> Props | None:
    role, _, name = identifier.partition(":")
    with doing(aws.iam, f"reading IAM Role Policy ({identifier})"), absent(_GONE):
        found = aws.iam.get_role_policy(RoleName=role, PolicyName=name)
        return {"role": role, "name": name, "policy": _policy(known.get("policy"), found["PolicyDocument"])}
    return None


def _update_policy(aws: Aws, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    _put_policy(aws, news)


def _delete_policy(aws: Aws, identifier: str, olds: Props) -> None:
    role, _, name = identifier.partition(":")
    with doing(aws.iam, f"deleting IAM Role Policy ({identifier})"), absent(_GONE):
        aws.iam.delete_role_policy(RoleName=role, PolicyName=name)


ROLE_POLICY = ResourceType(
    token="aws:iam/rolePolicy:RolePolicy",
    properties={
        "name": text(
            computed=True,
            replaces=True,
            pattern=re.compile(r"[\w+=,.@-]{1,128}", re.ASCII),
            pattern_reason="must be 1 to 128 alphanumeric characters and + = , . @ _ -",
        ),
        "policy": text(required=True, refuses=is_no_json, suppresses=is_same_policy),
        "role": text(required=True, replaces=True),
    },
    refused=names("namePrefix"),
    name_limit=128,
    create=_put_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
    locate=_locate_policy,
)
