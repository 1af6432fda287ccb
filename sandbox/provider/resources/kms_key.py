"""Keys of KMS, and grants of their use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sandbox.provider.aws import Aws, OperationFailed, absent, doing, first, without_none
from sandbox.provider.resources.iam_role import is_no_json, is_same_policy
from sandbox.provider.table import TAGS, ResourceType, boolean, integer, names, output, text, text_set
from sandbox.provider.wire import Props

_GONE: Final = "NotFoundException"


def _as_pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def _create(aws: Aws, news: Props) -> str:
    with doing(aws.kms, "creating KMS Key"):
        asked = without_none(Description=news.get("description"), Policy=news.get("policy"))
        tags = {"Tags": _as_pairs(news["tags"])} if news.get("tags") else {}
        return str(aws.kms.create_key(**asked, **tags)["KeyMetadata"]["KeyId"])


def _settle(aws: Aws, key: str, news: Props) -> None:
    if news["enableKeyRotation"]:
        _rotate(aws, key, news)


def _rotate(aws: Aws, key: str, news: Props) -> None:
    with doing(aws.kms, f"updating KMS Key ({key}) rotation"):
        if news["enableKeyRotation"]:
            period = without_none(RotationPeriodInDays=news.get("rotationPeriodInDays"))
            aws.kms.enable_key_rotation(KeyId=key, **period)
        else:
            aws.kms.disable_key_rotation(KeyId=key)


def _read(aws: Aws, key: str, known: Props) -> Props | None:
    with doing(aws.kms, f"reading KMS Key ({key})"), absent(_GONE):
        found = aws.kms.describe_key(KeyId=key)["KeyMetadata"]
        if found["KeyState"] == "PendingDeletion":
            return None
        policy = aws.kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        rotation = aws.kms.get_key_rotation_status(KeyId=key)
        pairs = aws.kms.list_resource_tags(KeyId=key)["Tags"]
        return {
            "arn": found["Arn"],
            "keyId": found["KeyId"],
            "description": found.get("Description", ""),
            "enableKeyRotation": rotation["KeyRotationEnabled"],
            "isEnabled": found["Enabled"],
            "multiRegion": found.get("MultiRegion", False),
            "policy": known["policy"] if is_same_policy(known.get("policy"), policy) else policy,
            "rotationPeriodInDays": rotation.get("RotationPeriodInDays"),
            **aws.tag_state([{"Key": each["TagKey"], "Value": each["TagValue"]} for each in pairs]),
        }
    return None


def _update(aws: Aws, key: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed & {"enableKeyRotation", "rotationPeriodInDays"}:
        _rotate(aws, key, news)
    with doing(aws.kms, f"updating KMS Key ({key})"):
        if "description" in changed:
            aws.kms.update_key_description(KeyId=key, Description=news.get("description", ""))
        if "policy" in changed and "policy" in news:
            aws.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=news["policy"])


def _delete(aws: Aws, key: str, olds: Props) -> None:
    with doing(aws.kms, f"deleting KMS Key ({key})"), absent(_GONE):
        aws.kms.schedule_key_deletion(KeyId=key, **without_none(PendingWindowInDays=olds.get("deletionWindowInDays")))


def _retag(aws: Aws, key: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.kms, f"updating tags of KMS Key ({key})"):
        if removed:
            aws.kms.untag_resource(KeyId=key, TagKeys=removed)
        if tags:
            aws.kms.tag_resource(KeyId=key, Tags=_as_pairs(tags))


KEY = ResourceType(
    token="aws:kms/key:Key",
    properties={
        "bypassPolicyLockoutSafetyCheck": boolean(default=False, only=(False,)),
        "deletionWindowInDays": integer(at_least=7, at_most=30),
        "description": text(computed=True),
        "enableKeyRotation": boolean(default=False),
        "isEnabled": boolean(default=True, only=(True,)),
        "policy": text(computed=True, refuses=is_no_json, suppresses=is_same_policy),
        "arn": output(),
        "keyId": output(),
        "multiRegion": boolean(computed=True, replaces=True, only=(False,)),
        "rotationPeriodInDays": integer(computed=True, at_least=90, at_most=2560),
        **TAGS,
    },
    refused=names("customKeyStoreId customerMasterKeySpec keyUsage xksKeyId"),
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
    retag=_retag,
)


def _grant(aws: Aws, news: Props) -> str:
    key = news["keyId"]
    with doing(aws.kms, f"creating KMS Grant for Key ({key})"):
        made = aws.kms.create_grant(
            KeyId=key,
            GranteePrincipal=news["granteePrincipal"],
            Operations=news["operations"],
            **without_none(Name=news.get("name")),
        )
    return f"{key}:{made['GrantId']}"


def _split(identifier: str) -> tuple[str, str]:
    """An ARN has colons too."""
    key, _, grant = identifier.rpartition(":")
    if not key or not grant:
        raise OperationFailed(f"unexpected format of ID ({identifier}), expected KeyID:GrantID")
    return key, grant


def _locate_grant(aws: Aws, given: str) -> tuple[str, Props]:
    key, grant = _split(given)
    return given, {"keyId": key, "grantId": grant}


def _read_grant(aws: Aws, identifier: str, known: Props) -> Props | None:
    key, grant = _split(identifier)
    with doing(aws.kms, f"reading KMS Grant ({identifier})"), absent(_GONE):
        listed = aws.kms.list_grants(KeyId=key)["Grants"]
        found = first([each for each in listed if each["GrantId"] == grant])
        if found is None:
            return None
        return {
            "keyId": key,
            "grantId": grant,
            "grantToken": "",  # AWS tells it once, to whoever makes the grant
            "granteePrincipal": found["GranteePrincipal"],
            "name": found.get("Name") or None,
            "operations": found["Operations"],
        }
    return None


def _revoke(aws: Aws, identifier: str, olds: Props) -> None:
    key, grant = _split(identifier)
    with doing(aws.kms, f"deleting KMS Grant ({identifier})"), absent(_GONE):
        aws.kms.revoke_grant(KeyId=key, GrantId=grant)


GRANT = ResourceType(
    token="aws:kms/grant:Grant",
    properties={
        "granteePrincipal": text(required=True, replaces=True),
        "keyId": text(required=True, replaces=True),
        "name": text(
            replaces=True,
            computed=True,
            pattern=re.compile(r"[a-zA-Z0-9:/_-]{1,256}"),
            pattern_reason="must be 1 to 256 letters, digits and : / _ -",
        ),
        "operations": text_set(required=True, replaces=True),
        "retireOnDelete": boolean(default=False, replaces=True, only=(False,)),
        "grantId": output(),
        "grantToken": output(),
    },
    refused=names("constraints grantCreationTokens retiringPrincipal"),
    name_limit=255,
    create=_grant,
    read=_read_grant,
    delete=_revoke,
    locate=_locate_grant,
)
