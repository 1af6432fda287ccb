"""A bucket of the stack's, with all that makes it safe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from bluegreen.checks.storage import OwnBucket
from bluegreen.model.bucket import only_over_tls

ABANDONED_UPLOAD_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long what is under a prefix stays: for `days`, None for ever; what was overwritten or deleted, for
    `old_version_days`."""

    prefix: str
    old_version_days: int
    days: int | None = None


def make_bucket(
    name: str,
    bucket: OwnBucket,
    *,
    retention: Retention,
    key: pulumi.Input[str] | None,
    keep_on_destroy: bool,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> aws.s3.Bucket:
    """Versioned, encrypted (with a KMS key, by its ARN, or with S3's own), for nobody but this account and over TLS
    alone, without access lists. What of it is left by a destroy keeps all of that, and the next `up` takes it over.
    """
    kept = pulumi.ResourceOptions(parent=parent, retain_on_delete=keep_on_destroy)
    made = aws.s3.Bucket(
        name,
        bucket=bucket.name,
        force_destroy=not keep_on_destroy,
        tags={**tags, "Name": name},
        opts=pulumi.ResourceOptions.merge(
            kept,
            # One that is in the state already is not imported again.
            pulumi.ResourceOptions(import_=bucket.name if bucket.is_there else None),
        ),
    )
    closed = aws.s3.BucketPublicAccessBlock(
        name,
        bucket=made.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=kept,
    )
    aws.s3.BucketOwnershipControls(
        name, bucket=made.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=_after(kept, closed)
    )
    aws.s3.BucketPolicy(
        name,
        bucket=made.id,
        policy=made.arn.apply(lambda arn: json.dumps(only_over_tls(arn))),
        opts=_after(kept, closed),
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=made.id,
        rules=[
            {
                "apply_server_side_encryption_by_default": {
                    "sse_algorithm": "aws:kms" if key is not None else "AES256",
                    "kms_master_key_id": key,
                },
                # Fewer requests to KMS, which cost money.
                "bucket_key_enabled": key is not None,
            }
        ],
        opts=kept,
    )
    versions = aws.s3.BucketVersioning(name, bucket=made.id, versioning_configuration={"status": "Enabled"}, opts=kept)
    aws.s3.BucketLifecycleConfiguration(name, bucket=made.id, rules=[_rule(retention)], opts=_after(kept, versions))
    return made


def _rule(retention: Retention) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
    return aws.s3.BucketLifecycleConfigurationRuleArgs(
        id=retention.prefix.strip("/"),
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=retention.prefix),
        expiration=(
            aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=retention.days) if retention.days else None
        ),
        noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=retention.old_version_days
        ),
        abort_incomplete_multipart_upload=(
            aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=ABANDONED_UPLOAD_DAYS
            )
        ),
    )


def _after(opts: pulumi.ResourceOptions, *others: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=others))
