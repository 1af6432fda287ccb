"""Log groups of CloudWatch Logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bluegreen.model.flow_logs import RETENTION_DAYS
from sandbox.provider.aws import MINUTE, Aws, absent, doing, first, without_none
from sandbox.provider.table import TAGS, ResourceType, boolean, integer, names, output, text
from sandbox.provider.wire import Props

_GONE: Final = "ResourceNotFoundException"
_DAYS: Final = (0, *RETENTION_DAYS)


def _create(aws: Aws, news: Props) -> str:
    name = str(news["name"])
    with doing(aws.logs, f"creating CloudWatch Logs Log Group ({name})"):
        aws.logs.create_log_group(
            logGroupName=name, **without_none(kmsKeyId=news.get("kmsKeyId"), tags=news.get("tags") or None)
        )
    return name


def _settle(aws: Aws, name: str, news: Props) -> None:
    if news["retentionInDays"]:
        _retain(aws, name, news["retentionInDays"])


def _retain(aws: Aws, name: str, days: int) -> None:
    with doing(aws.logs, f"setting CloudWatch Logs Log Group ({name}) retention policy"):
        if days:
            aws.logs.put_retention_policy(logGroupName=name, retentionInDays=days)
        else:
            aws.logs.delete_retention_policy(logGroupName=name)


def _read(aws: Aws, name: str, known: Props) -> Props | None:
    with doing(aws.logs, f"reading CloudWatch Logs Log Group ({name})"):
        listed = aws.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        found = first([group for group in listed if group["logGroupName"] == name])
        if found is None:
            return None
        arn = found["arn"].removesuffix(":*")
        tags = known.get("tags", {})
        if not aws.has_just_written:
            tags = aws.logs.list_tags_for_resource(resourceArn=arn)["tags"]
    return {
        "arn": arn,
        "name": name,
        "kmsKeyId": found.get("kmsKeyId"),
        "retentionInDays": found.get("retentionInDays", 0),
        "tags": tags or None,
        "tagsAll": tags,
    }


def _update(aws: Aws, name: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "retentionInDays" in changed:
        _retain(aws, name, news["retentionInDays"])
    if "kmsKeyId" in changed:
        with doing(aws.logs, f"associating CloudWatch Logs Log Group ({name}) KMS key"):
            if key := news.get("kmsKeyId"):
                aws.logs.associate_kms_key(logGroupName=name, kmsKeyId=key)
            else:
                aws.logs.disassociate_kms_key(logGroupName=name)


def _delete(aws: Aws, name: str, olds: Props) -> None:
    with doing(aws.logs, f"deleting CloudWatch Logs Log Group ({name})"), absent(_GONE):
        call = lambda: aws.logs.delete_log_group(logGroupName=name)  # noqa: E731
        aws.retry(f"{name} delete", ("OperationAbortedException",), call, timeout=MINUTE, saying="try again")


def _retag(aws: Aws, name: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.logs, f"updating tags of CloudWatch Logs Log Group ({name})"):
        arn = aws.arn("logs", aws.clients.account(), f"log-group:{name}")
        if removed:
            aws.logs.untag_resource(resourceArn=arn, tagKeys=removed)
        if tags:
            aws.logs.tag_resource(resourceArn=arn, tags=dict(tags))


LOG_GROUP = ResourceType(
    token="aws:cloudwatch/logGroup:LogGroup",
    properties={
        "name": text(
            computed=True,
            replaces=True,
            pattern=re.compile(r"[a-zA-Z0-9._\-/#]{1,512}"),
            pattern_reason="must be 1 to 512 letters, digits and . _ - / #",
        ),
        "kmsKeyId": text(),
        "retentionInDays": integer(default=0, choices=_DAYS),
        "arn": output(),
        **TAGS,
        "skipDestroy": boolean(default=False, only=(False,)),
    },
    refused=names("deletionProtectionEnabled logGroupClass namePrefix"),
    name_limit=512,
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
    retag=_retag,
)
