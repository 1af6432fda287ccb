"""Instance profiles of IAM: what gives a machine its role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sandbox.provider.aws import MINUTE, Aws, absent, as_pairs, doing, first
from sandbox.provider.table import TAGS, ResourceType, names, output, text
from sandbox.provider.wire import Props

_GONE: Final = "NoSuchEntity"


def _create(aws: Aws, news: Props) -> str:
    name = str(news["name"])
    with doing(aws.iam, f"creating IAM Instance Profile ({name})"):
        aws.iam.create_instance_profile(
            InstanceProfileName=name, Path=news["path"], Tags=as_pairs(news.get("tags", {}))
        )
    return name


def _settle(aws: Aws, profile: str, news: Props) -> None:
    if role := news.get("role"):
        _add(aws, profile, role)


def _add(aws: Aws, profile: str, role: str) -> None:
    """A role that has just been made is not known everywhere yet."""
    what = f"adding IAM Role ({role}) to IAM Instance Profile ({profile})"
    call = lambda: aws.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)  # noqa: E731
    with doing(aws.iam, what):
        aws.retry(what, (_GONE,), call, timeout=2 * MINUTE, saying="The role with name")


def _remove(aws: Aws, profile: str, role: str) -> None:
    with doing(aws.iam, f"removing IAM Role ({role}) from IAM Instance Profile ({profile})"), absent(_GONE):
        aws.iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=role)


def _read(aws: Aws, profile: str, known: Props) -> Props | None:
    with doing(aws.iam, f"reading IAM Instance Profile ({profile})"), absent(_GONE):
        found = aws.iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
        role = first(found["Roles"])
        return {
            "arn": found["Arn"],
            "createDate": found["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "name": found["InstanceProfileName"],
            "path": found["Path"],
            "role": role["RoleName"] if role else None,
            "uniqueId": found["InstanceProfileId"],
            **aws.tag_state(found.get("Tags", [])),
        }
    return None


def _update(aws: Aws, profile: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "role" in changed:
        if before := olds.get("role"):
            _remove(aws, profile, before)
        if after := news.get("role"):
            _add(aws, profile, after)


def _delete(aws: Aws, profile: str, olds: Props) -> None:
    if role := olds.get("role"):
        _remove(aws, profile, role)
    with doing(aws.iam, f"deleting IAM Instance Profile ({profile})"), absent(_GONE):
        aws.iam.delete_instance_profile(InstanceProfileName=profile)


def _retag(aws: Aws, profile: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.iam, f"updating tags of IAM Instance Profile ({profile})"):
        if removed:
            aws.iam.untag_instance_profile(InstanceProfileName=profile, TagKeys=removed)
        if tags:
            aws.iam.tag_instance_profile(InstanceProfileName=profile, Tags=as_pairs(tags))


INSTANCE_PROFILE = ResourceType(
    token="aws:iam/instanceProfile:InstanceProfile",
    properties={
        "name": text(
            computed=True,
            replaces=True,
            pattern=re.compile(r"[\w+=,.@-]{1,128}", re.ASCII),
            pattern_reason="must be 1 to 128 alphanumeric characters and + = , . @ _ -",
        ),
        "path": text(default="/", replaces=True),
        "role": text(),
        "arn": output(),
        "createDate": output(),
        "uniqueId": output(),
        **TAGS,
    },
    refused=names("namePrefix"),
    name_limit=128,
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
    retag=_retag,
)
