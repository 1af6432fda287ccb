"""Managed policies of IAM, and their attachment to roles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sandbox.provider.aws import Aws, OperationFailed, absent, as_pairs, doing, without_none
from sandbox.provider.resources.iam_role import _policy, is_no_json, is_same_policy
from sandbox.provider.table import TAGS, Kind, ResourceType, names, output, text
from sandbox.provider.wire import Props

_GONE: Final = "NoSuchEntity"
_MOST_VERSIONS: Final = 5


def _create(aws: Aws, news: Props) -> str:
    name = str(news["name"])
    with doing(aws.iam, f"creating IAM Policy ({name})"):
        made = aws.iam.create_policy(
            PolicyName=name,
            Path=news["path"],
            PolicyDocument=news["policy"],
            **without_none(Description=news.get("description")),
            Tags=as_pairs(news.get("tags", {})),
        )
    return str(made["Policy"]["Arn"])


def _read(aws: Aws, arn: str, known: Props) -> Props | None:
    with doing(aws.iam, f"reading IAM Policy ({arn})"), absent(_GONE):
        found = aws.iam.get_policy(PolicyArn=arn)["Policy"]
        version = aws.iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])["PolicyVersion"]
        return {
            "arn": arn,
            "attachmentCount": found["AttachmentCount"],
            "description": found.get("Description") or None,
            "name": found["PolicyName"],
            "path": found["Path"],
            "policy": _policy(known.get("policy"), version["Document"]),
            "policyId": found["PolicyId"],
            **aws.tag_state(found.get("Tags", [])),
        }
    return None


def _update(aws: Aws, arn: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    """A new version; IAM keeps five, so the oldest goes first."""
    if "policy" not in changed:
        return
    with doing(aws.iam, f"updating IAM Policy ({arn})"):
        others = _other_versions(aws, arn)
        if len(others) >= _MOST_VERSIONS - 1:
            aws.iam.delete_policy_version(PolicyArn=arn, VersionId=others[0])
        aws.iam.create_policy_version(PolicyArn=arn, PolicyDocument=news["policy"], SetAsDefault=True)


def _delete(aws: Aws, arn: str, olds: Props) -> None:
    with doing(aws.iam, f"deleting IAM Policy ({arn})"), absent(_GONE):
        for version in _other_versions(aws, arn):
            aws.iam.delete_policy_version(PolicyArn=arn, VersionId=version)
        aws.iam.delete_policy(PolicyArn=arn)


def _other_versions(aws: Aws, arn: str) -> list[str]:
    """But the default one, the oldest first."""
    found = aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]
    return sorted((each["VersionId"] for each in found if not each["IsDefaultVersion"]), key=lambda it: int(it[1:]))


def _retag(aws: Aws, arn: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.iam, f"updating tags of IAM Policy ({arn})"):
        if removed:
            aws.iam.untag_policy(PolicyArn=arn, TagKeys=removed)
        if tags:
            aws.iam.tag_policy(PolicyArn=arn, Tags=as_pairs(tags))


POLICY = ResourceType(
    token="aws:iam/policy:Policy",
    properties={
        "description": text(replaces=True),
        "name": text(
            computed=True,
            replaces=True,
            pattern=re.compile(r"[\w+=,.@-]{1,128}", re.ASCII),
            pattern_reason="must be 1 to 128 alphanumeric characters and + = , . @ _ -",
        ),
        "path": text(default="/", replaces=True),
        "policy": text(required=True, refuses=is_no_json, suppresses=is_same_policy),
        "arn": output(),
        "attachmentCount": output(Kind.INTEGER),
        "policyId": output(),
        **TAGS,
    },
    refused=names("namePrefix delayAfterPolicyCreationInMs"),
    name_limit=128,
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    retag=_retag,
)


def _attach(aws: Aws, news: Props) -> str:
    role, arn = news["role"], news["policyArn"]
    with doing(aws.iam, f"attaching IAM Policy ({arn}) to IAM Role ({role})"):
        aws.iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    return f"{role}/{arn}"


def _locate(aws: Aws, given: str) -> tuple[str, Props]:
    role, slash, arn = given.partition("/")
    if not role or not slash or not arn:
        raise OperationFailed(f'unexpected format of ID ("{given}"), expected <role-name>/<policy_arn>')
    return given, {"role": role, "policyArn": arn}


def _read_attachment(aws: Aws, identifier: str, known: Props) -> Props | None:
    role, _, arn = identifier.partition("/")
    with doing(aws.iam, f"reading IAM Role Policy Attachment ({identifier})"), absent(_GONE):
        pages = aws.iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
        if any(each["PolicyArn"] == arn for page in pages for each in page["AttachedPolicies"]):
            return {"role": role, "policyArn": arn}
    return None


def _detach(aws: Aws, identifier: str, olds: Props) -> None:
    role, _, arn = identifier.partition("/")
    with doing(aws.iam, f"detaching IAM Policy ({arn}) from IAM Role ({role})"), absent(_GONE):
        aws.iam.detach_role_policy(RoleName=role, PolicyArn=arn)


ATTACHMENT = ResourceType(
    token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    properties={"policyArn": text(required=True, replaces=True), "role": text(required=True, replaces=True)},
    create=_attach,
    read=_read_attachment,
    delete=_detach,
    locate=_locate,
)
