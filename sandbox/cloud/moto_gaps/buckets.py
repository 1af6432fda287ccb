"""Buckets of S3, and keys of KMS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.kms.models import Key, KmsBackend
from moto.s3.models import FakeBucket

from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("bucket-conditions", "judges a statement of a bucket's policy without looking at its condition"),
    Gap("key-usage", "says nothing of what a key is for that is made without saying so"),
)


def fill(_cloud: Cloud) -> None:
    permission, create = FakeBucket.get_permission, KmsBackend.create_key

    @replace(FakeBucket, "get_permission")
    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        """A request to the sandbox counts as one over TLS, and as one that meets no other condition."""
        if self.policy is None:
            return permission(self, action, resource)
        policy, document = self.policy, json.loads(self.policy)
        statements = [each for each in document["Statement"] if not each.get("Condition")]
        try:
            self.policy = json.dumps(document | {"Statement": statements}).encode() if statements else None
            return permission(self, action, resource)
        finally:
            self.policy = policy

    @replace(KmsBackend, "create_key")
    def create_key(self: KmsBackend, policy: str | None, key_usage: str, *more: Any, **named: Any) -> Key:
        return create(self, policy, key_usage or "ENCRYPT_DECRYPT", *more, **named)
