"""Aliases of KMS: other names of keys."""

from __future__ import annotations

import re
from typing import Any

from sandbox.provider.aws import Aws, absent, doing, first
from sandbox.provider.table import ResourceType, names, output, text
from sandbox.provider.wire import Props


def _create(aws: Aws, news: Props) -> str:
    name = str(news["name"])
    with doing(aws.kms, f"creating KMS Alias ({name})"):
        aws.kms.create_alias(AliasName=name, TargetKeyId=news["targetKeyId"])
    return name


def _read(aws: Aws, name: str, known: Props) -> Props | None:
    with doing(aws.kms, f"reading KMS Alias ({name})"):
        pages = aws.kms.get_paginator("list_aliases").paginate()
        found = first([each for page in pages for each in page["Aliases"] if each["AliasName"] == name])
    if found is None:
        return None
    key = found["TargetKeyId"]
    return {
        "arn": found["AliasArn"],
        "name": name,
        "targetKeyId": key,
        "targetKeyArn": found["AliasArn"].removesuffix(name) + f"key/{key}",
    }


def _update(aws: Aws, name: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    with doing(aws.kms, f"updating KMS Alias ({name})"):
        aws.kms.update_alias(AliasName=name, TargetKeyId=news["targetKeyId"])


def _delete(aws: Aws, name: str, olds: Props) -> None:
    with doing(aws.kms, f"deleting KMS Alias ({name})"), absent("NotFoundException"):
        aws.kms.delete_alias(AliasName=name)


def _is_same_key(old: Any, new: Any) -> bool:
    """An id and the ARN that ends with it."""
    return str(old).rpartition("/")[2] == str(new).rpartition("/")[2]


ALIAS = ResourceType(
    token="aws:kms/alias:Alias",
    properties={
        "name": text(
            required=True,
            replaces=True,
            pattern=re.compile(r"alias/[a-zA-Z0-9/_-]+"),
            pattern_reason='must begin with "alias/" and be comprised of only [a-zA-Z0-9/_-]',
        ),
        "targetKeyId": text(required=True, suppresses=_is_same_key),
        "arn": output(),
        "targetKeyArn": output(),
    },
    refused=names("namePrefix"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
)
