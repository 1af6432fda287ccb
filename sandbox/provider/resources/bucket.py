"""Buckets of S3, and what is set on them: each a resource of its own, with the bucket's name as its id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, absent, as_pairs, doing
from sandbox.provider.resources.iam_role import is_no_json, is_same_policy
from sandbox.provider.table import (
    TAGS,
    Property,
    ResourceType,
    block,
    blocks,
    boolean,
    integer,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props

_GONE: Final = ("404", "NoSuchBucket")
_HOSTED_ZONES: Final = {"us-east-1": "Z3AQBSTGFYJSTF", "eu-west-1": "Z1BKCTXD74EZPE", "eu-central-1": "Z21DNDUVLTQW6Q"}


def _create(aws: Aws, news: Props) -> str:
    name = str(news["bucket"])
    where = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    with doing(aws.s3, f"creating S3 Bucket ({name})"):
        aws.s3.create_bucket(Bucket=name, **where)
    return name


def _settle(aws: Aws, name: str, news: Props) -> None:
    if tags := news.get("tags"):
        _put_tags(aws, name, tags)


def _put_tags(aws: Aws, name: str, tags: Mapping[str, str]) -> None:
    with doing(aws.s3, f"setting S3 Bucket ({name}) tags"):
        if tags:
            aws.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": as_pairs(tags)})
        else:
            aws.s3.delete_bucket_tagging(Bucket=name)


def _read(aws: Aws, name: str, known: Props) -> Props | None:
    with doing(aws.s3, f"reading S3 Bucket ({name})"), absent(*_GONE):
        aws.s3.head_bucket(Bucket=name)
        tags = as_pairs(known.get("tags", {}))
        if not aws.has_just_written:
            with absent("NoSuchTagSet"):
                tags = []
                tags = aws.s3.get_bucket_tagging(Bucket=name)["TagSet"]
        return {
            "arn": f"arn:aws:s3:::{name}",
            "bucket": name,
            "bucketDomainName": f"{name}.s3.amazonaws.com",
            "bucketRegion": aws.region,
            "bucketRegionalDomainName": f"{name}.s3.{aws.region}.amazonaws.com",
            "hostedZoneId": _HOSTED_ZONES.get(aws.region, ""),
            "forceDestroy": known.get("forceDestroy", False),
            **aws.tag_state(tags),
        }
    return None


def _update(aws: Aws, name: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "tags" in changed:  # all of them at once: S3 knows no other way
        _put_tags(aws, name, news.get("tags", {}))


def _delete(aws: Aws, name: str, olds: Props) -> None:
    if olds.get("forceDestroy"):
        with doing(aws.s3, f"emptying S3 Bucket ({name})"), absent(*_GONE):
            for page in aws.s3.get_paginator("list_object_versions").paginate(Bucket=name):
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
                if objects:
                    aws.s3.delete_objects(Bucket=name, Delete={"Objects": objects})
    with doing(aws.s3, f"deleting S3 Bucket ({name})"), absent(*_GONE):
        aws.s3.delete_bucket(Bucket=name)


BUCKET = ResourceType(
    token="aws:s3/bucket:Bucket",
    properties={
        "bucket": text(required=True, replaces=True),
        "forceDestroy": boolean(default=False),
        "arn": output(),
        "bucketDomainName": output(),
        "bucketRegion": output(),
        "bucketRegionalDomainName": output(),
        "hostedZoneId": output(),
        **TAGS,
    },
    refused=names(
        "accelerationStatus acl bucketNamespace bucketPrefix corsRules grants lifecycleRules logging "
        "objectLockConfiguration objectLockEnabled policy replicationConfiguration requestPayer "
        "serverSideEncryptionConfiguration versioning website"
    ),
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
)


def _part(
    token: str,
    what: str,
    properties: Mapping[str, Property],
    *,
    put: Callable[[Aws, str, Props], None],
    get: Callable[[Aws, str, Props], Props],
    remove: Callable[[Aws, str], None],
    gone: str,
    refused: str = "",
) -> ResourceType:
    """What one bucket has one of: put whole, whether it is new or not. `gone`: the code of one that isn't there."""

    def create(aws: Aws, news: Props) -> str:
        name = str(news["bucket"])
        with doing(aws.s3, f"creating S3 Bucket ({name}) {what}"):
            aws.retry(name, ("NoSuchBucket", "OperationAborted"), lambda: put(aws, name, news), timeout=2 * MINUTE)
        return name

    def read(aws: Aws, name: str, known: Props) -> Props | None:
        with doing(aws.s3, f"reading S3 Bucket {what} ({name})"), absent(*_GONE, gone):
            return {"bucket": name, **get(aws, name, known)}
        return None

    def update(aws: Aws, name: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        with doing(aws.s3, f"updating S3 Bucket {what} ({name})"):
            put(aws, name, news)

    def delete(aws: Aws, name: str, olds: Props) -> None:
        with doing(aws.s3, f"deleting S3 Bucket {what} ({name})"), absent(*_GONE, gone):
            remove(aws, name)

    return ResourceType(
        token=token,
        properties={"bucket": text(required=True, replaces=True), **properties},
        refused=names(refused),
        create=create,
        read=read,
        update=update,
        delete=delete,
    )


_BLOCKS: Final = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}


def _block(aws: Aws, name: str, news: Props) -> None:
    wanted = {argument: news[key] for key, argument in _BLOCKS.items()}
    aws.s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=wanted)


def _blocked(aws: Aws, name: str, known: Props) -> Props:
    found = aws.s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    return {key: found[argument] for key, argument in _BLOCKS.items()}


PUBLIC_ACCESS_BLOCK = _part(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "Public Access Block",
    {**{key: boolean(default=False) for key in _BLOCKS}, "skipDestroy": boolean(only=(False,))},
    put=_block,
    get=_blocked,
    remove=lambda aws, name: aws.s3.delete_public_access_block(Bucket=name),
    gone="NoSuchPublicAccessBlockConfiguration",
)


def _policy_of(aws: Aws, name: str, known: Props) -> Props:
    found = aws.s3.get_bucket_policy(Bucket=name)["Policy"]
    return {"policy": known["policy"] if is_same_policy(known.get("policy"), found) else found}


POLICY = _part(
    "aws:s3/bucketPolicy:BucketPolicy",
    "Policy",
    {"policy": text(required=True, refuses=is_no_json, suppresses=is_same_policy)},
    put=lambda aws, name, news: aws.s3.put_bucket_policy(Bucket=name, Policy=news["policy"]),
    get=_policy_of,
    remove=lambda aws, name: aws.s3.delete_bucket_policy(Bucket=name),
    gone="NoSuchBucketPolicy",
)


def _own(aws: Aws, name: str, news: Props) -> None:
    rules = [{"ObjectOwnership": news["rule"]["objectOwnership"]}]
    aws.s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": rules})


def _owned(aws: Aws, name: str, known: Props) -> Props:
    (rule,) = aws.s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    return {"rule": {"objectOwnership": rule["ObjectOwnership"]}}


OWNERSHIP = _part(
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "Ownership Controls",
    {
        "rule": block(
            {
                "objectOwnership": text(
                    required=True, choices=("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")
                )
            },
            required=True,
        )
    },
    put=_own,
    get=_owned,
    remove=lambda aws, name: aws.s3.delete_bucket_ownership_controls(Bucket=name),
    gone="OwnershipControlsNotFoundError",
)


def _encrypt(aws: Aws, name: str, news: Props) -> None:
    rules: list[dict[str, Any]] = []
    for rule in news["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        asked = {"SSEAlgorithm": default["sseAlgorithm"]}
        if key := default.get("kmsMasterKeyId"):
            asked["KMSMasterKeyID"] = key
        rules.append(
            {"ApplyServerSideEncryptionByDefault": asked, "BucketKeyEnabled": rule.get("bucketKeyEnabled", False)}
        )
    aws.s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})


def _encrypted(aws: Aws, name: str, known: Props) -> Props:
    rules = []
    for rule in aws.s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]:
        default = rule["ApplyServerSideEncryptionByDefault"]
        shown = {"sseAlgorithm": default["SSEAlgorithm"]}
        if key := default.get("KMSMasterKeyID"):
            shown["kmsMasterKeyId"] = key
        rules.append(
            {"applyServerSideEncryptionByDefault": shown, "bucketKeyEnabled": rule.get("BucketKeyEnabled", False)}
        )
    return {"rules": rules}


ENCRYPTION = _part(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "Server-side Encryption Configuration",
    {
        "rules": blocks(
            {
                "applyServerSideEncryptionByDefault": block(
                    {
                        "sseAlgorithm": text(
                            required=True,
                            choices=("AES256", "aws:fsx", "aws:backup", "aws:kms", "aws:kms:dsse"),
                            only=("AES256", "aws:kms"),
                        ),
                        "kmsMasterKeyId": text(),
                    },
                    required=True,
                ),
                "bucketKeyEnabled": boolean(),
            },
            refused="blockedEncryptionTypes",
            ordered=False,
            required=True,
        )
    },
    refused="expectedBucketOwner",
    put=_encrypt,
    get=_encrypted,
    remove=lambda aws, name: aws.s3.delete_bucket_encryption(Bucket=name),
    gone="ServerSideEncryptionConfigurationNotFoundError",
)


def _version(aws: Aws, name: str, status: str) -> None:
    aws.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})


VERSIONING = _part(
    "aws:s3/bucketVersioning:BucketVersioning",
    "Versioning",
    {
        "versioningConfiguration": block(
            {
                "status": text(
                    required=True, choices=("Enabled", "Suspended", "Disabled"), only=("Enabled", "Suspended")
                )
            },
            refused="mfaDelete",
            required=True,
        )
    },
    refused="expectedBucketOwner mfa",
    put=lambda aws, name, news: _version(aws, name, news["versioningConfiguration"]["status"]),
    get=lambda aws, name, known: {
        "versioningConfiguration": {"status": aws.s3.get_bucket_versioning(Bucket=name).get("Status", "Disabled")}
    },
    remove=lambda aws, name: _version(aws, name, "Suspended"),
    gone="",
)


def _rule(rule: Props) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "ID": rule["id"],
        "Status": rule["status"],
        "Filter": {"Prefix": rule["filter"]["prefix"]},
    }
    if expiration := rule.get("expiration"):
        asked["Expiration"] = {"Days": expiration["days"]}
    if old := rule.get("noncurrentVersionExpiration"):
        asked["NoncurrentVersionExpiration"] = {"NoncurrentDays": old["noncurrentDays"]}
    if uploads := rule.get("abortIncompleteMultipartUpload"):
        asked["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": uploads["daysAfterInitiation"]}
    return asked


def _ruled(rule: Mapping[str, Any]) -> Props:
    shown: Props = {"id": rule["ID"], "status": rule["Status"], "filter": {"prefix": rule["Filter"]["Prefix"]}}
    if expiration := rule.get("Expiration"):
        shown["expiration"] = {"days": expiration["Days"]}
    if old := rule.get("NoncurrentVersionExpiration"):
        shown["noncurrentVersionExpiration"] = {"noncurrentDays": old["NoncurrentDays"]}
    if uploads := rule.get("AbortIncompleteMultipartUpload"):
        shown["abortIncompleteMultipartUpload"] = {"daysAfterInitiation": uploads["DaysAfterInitiation"]}
    return shown


LIFECYCLE = _part(
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "Lifecycle Configuration",
    {
        "rules": blocks(
            {
                "id": text(required=True),
                "status": text(required=True, choices=("Enabled", "Disabled")),
                "filter": block(
                    {"prefix": text(required=True)},
                    refused="and objectSizeGreaterThan objectSizeLessThan tag",
                    required=True,
                ),
                "expiration": block({"days": integer(required=True)}, refused="date expiredObjectDeleteMarker"),
                "noncurrentVersionExpiration": block(
                    {"noncurrentDays": integer(required=True, at_least=1)}, refused="newerNoncurrentVersions"
                ),
                "abortIncompleteMultipartUpload": block({"daysAfterInitiation": integer(required=True)}),
            },
            refused="noncurrentVersionTransitions prefix transitions",
            required=True,
        ),
        "transitionDefaultMinimumObjectSize": text(computed=True, only=("all_storage_classes_128K",)),
    },
    refused="expectedBucketOwner timeouts",
    put=lambda aws, name, news: aws.s3.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": [_rule(rule) for rule in news["rules"]]}
    ),
    get=lambda aws, name, known: {
        "rules": [_ruled(rule) for rule in aws.s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]],
        "transitionDefaultMinimumObjectSize": "all_storage_classes_128K",
    },
    remove=lambda aws, name: aws.s3.delete_bucket_lifecycle(Bucket=name),
    gone="NoSuchLifecycleConfiguration",
)
