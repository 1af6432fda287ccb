"""The bucket that snapshots are uploaded to, and the role for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.checks.storage import OwnBucket
from bluegreen.components.bucket import Retention, make_bucket
from bluegreen.components.encryption_key import EncryptionKey
from bluegreen.components.stack import Stack
from bluegreen.model.backups import Backups, upload_statement
from bluegreen.model.encryption import use_in_buckets
from bluegreen.model.settings import Settings


@dataclass(frozen=True, kw_only=True)
class BackupBucketArgs:
    """What to make."""

    bucket: OwnBucket
    """Its name, and whether it was there before."""
    settings: Backups
    """How long what is in it stays, and who may take the role for uploads."""
    service: str
    """Whose backups the role may upload."""
    region: str
    """Where it is."""
    key: pulumi.Input[str] | None = None
    """ARN of the KMS key that encrypts it; None for S3's own."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(
        cls, settings: Settings, *, stack: Stack, encryption: EncryptionKey | None = None
    ) -> BackupBucketArgs | None:
        """None where the settings ask for none. Raises as `Stack.admit` does."""
        if not settings.backups:
            return None
        return cls(
            bucket=stack.admit(settings).storage.backups,
            settings=settings.backups,
            service=settings.service,
            region=stack.region,
            key=encryption.of_buckets if encryption else None,
            tags={**settings.tags, **stack.owner("").tags},
        )


class BackupBucket(pulumi.ComponentResource):
    """One per stack. Backups stay as long as the settings say, and what is overwritten stays besides."""

    bucket: aws.s3.Bucket
    role: aws.iam.Role | None = None
    """For uploads, where the settings name who may take it."""

    def __init__(self, name: str, args: BackupBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:BackupBucket", name, None, opts)
        self._name, self._args = f"{name}-backups", args
        settings = args.settings
        self.bucket = make_bucket(
            self._name,
            args.bucket,
            retention=Retention(prefix="backups/", days=settings.days, old_version_days=settings.old_version_days),
            key=args.key,
            keep_on_destroy=settings.keep_on_destroy,
            tags=args.tags,
            parent=self,
        )
        if settings.uploaders:
            self.role = self._make_role()
        self.register_outputs({"bucket": self.bucket.bucket})

    @property
    def outputs(self) -> dict[str, pulumi.Output[Any]]:
        """What a program may want to export."""
        return {
            "backupBucket": self.bucket.bucket,
            **({"backupRole": self.role.arn} if self.role is not None else {}),
        }

    def _make_role(self) -> aws.iam.Role:
        child, tags = pulumi.ResourceOptions(parent=self), {**self._args.tags, "Name": self._name}
        trusted = {
            "Effect": "Allow",
            "Principal": {"AWS": list(self._args.settings.uploaders)},
            "Action": "sts:AssumeRole",
        }
        role = aws.iam.Role(
            self._name,
            description="Uploads backups, and may neither read nor delete them",
            assume_role_policy=_document(trusted),
            tags=tags,
            opts=child,
        )

        def rights(known: Mapping[str, str]) -> str:
            upload = upload_statement(known["bucket"], self._args.service)
            key = known.get("key")
            uses = [use_in_buckets(key, self._args.region, ["Decrypt", "GenerateDataKey"])] if key else []
            return _document(upload, *uses)

        known: dict[str, pulumi.Input[str]] = {"bucket": self.bucket.arn}
        if self._args.key is not None:
            known["key"] = self._args.key
        aws.iam.RolePolicy(self._name, role=role.name, policy=pulumi.Output.all(**known).apply(rights), opts=child)
        return role


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
