"""The bucket that artifacts are published to, as part of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from bluegreen.checks.storage import OwnBucket
from bluegreen.components.bucket import Retention, make_bucket
from bluegreen.components.encryption_key import EncryptionKey
from bluegreen.components.stack import Stack
from bluegreen.model.artifact_bucket import Artifacts
from bluegreen.model.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ArtifactBucketArgs:
    """What to make."""

    bucket: OwnBucket
    """Its name, and whether it was there before."""
    settings: Artifacts
    """How long what is in it stays."""
    key: pulumi.Input[str] | None = None
    """ARN of the KMS key that encrypts it; None for S3's own."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(
        cls, settings: Settings, *, stack: Stack, encryption: EncryptionKey | None = None
    ) -> ArtifactBucketArgs | None:
        """None where the settings ask for none. Raises as `Stack.admit` does."""
        if not settings.artifacts:
            return None
        return cls(
            bucket=stack.admit(settings).storage.artifacts,
            settings=settings.artifacts,
            key=encryption.of_buckets if encryption else None,
            tags={**settings.tags, **stack.owner("").tags},
        )


class ArtifactBucket(pulumi.ComponentResource):
    """One per stack. A version of an artifact stays; what is replaced or deleted stays for some days."""

    bucket: aws.s3.Bucket

    def __init__(self, name: str, args: ArtifactBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:ArtifactBucket", name, None, opts)
        self.bucket = make_bucket(
            f"{name}-artifacts",
            args.bucket,
            retention=Retention(prefix="artifacts/", old_version_days=args.settings.old_version_days),
            key=args.key,
            keep_on_destroy=args.settings.keep_on_destroy,
            tags=args.tags,
            parent=self,
        )
        self.register_outputs({"bucket": self.bucket.bucket})
