"""The customer managed KMS key that volumes and buckets are encrypted with: which it is, who may use it. Pure.

Without one, AWS's own keys encrypt them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from bluegreen.model.observation import KmsKey
from bluegreen.model.schema import ConfigModel, refusal
from bluegreen.model.tags import Owner

OWN = "own"
"""In place of an ARN: the key that the stack makes."""

AUTO_SCALING_ROLE = "AWSServiceRoleForAutoScaling"
"""Launches the machines of every group, so it needs the key of their volumes (EC2 Auto Scaling User Guide, "Required
AWS KMS key policy for use with encrypted volumes")."""

LAUNCHING = (
    "Encrypt",
    "Decrypt",
    "ReEncryptFrom",
    "ReEncryptTo",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "DescribeKey",
    "CreateGrant",
)
"""What that role does with it; the same page."""


def _key(value: str) -> str:
    if value != OWN and not re.fullmatch(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+", value, re.ASCII):
        raise refusal(f"{value!r} is neither {OWN} nor the ARN of a KMS key (the key's, not an alias's)")
    return value


class Encryption(ConfigModel):
    """`key`: `own` for one that the stack makes, or the ARN of one that is there. `keep_on_destroy`: a destroy leaves
    the stack's own key as it is; otherwise it is deleted after a month, and what it encrypts is lost."""

    key: Annotated[str, AfterValidator(_key)]
    keep_on_destroy: bool = True

    @property
    def is_own(self) -> bool:
        return self.key == OWN

    @property
    def region(self) -> str:
        """Of a key that is there."""
        return "" if self.is_own else self.key.split(":")[3]


def auto_scaling_role(partition: str, account: str) -> str:
    """Its ARN."""
    return f"arn:{partition}:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/{AUTO_SCALING_ROLE}"


def key_policy(partition: str, account: str) -> dict[str, Any]:
    """That of a key of ours: the account's IAM policies say who may use it (KMS Developer Guide, "Default key
    policy")."""
    everybody_here = {"AWS": f"arn:{partition}:iam::{account}:root"}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Account", "Effect": "Allow", "Principal": everybody_here, "Action": "kms:*", "Resource": "*"}
        ],
    }


def use_in_buckets(key: str, region: str, actions: Sequence[str]) -> Mapping[str, Any]:
    """The right to a key (ARN) for whoever reads or writes objects that it encrypts, through S3 alone."""
    return {
        "Sid": "Key",
        "Effect": "Allow",
        "Action": [f"kms:{action}" for action in actions],
        "Resource": [key],
        "Condition": {"StringLike": {"kms:ViaService": f"s3.{region}.*"}},
    }


def alias_of(owner: Owner) -> str:
    """By which a stack finds its own key again. KMS: letters, digits and / _ - make an alias."""
    return "alias/" + "/".join(re.sub(r"[^\w-]", "_", part, flags=re.ASCII) for part in (owner.project, owner.stack))


def own_key_fault(alias: str, found: KmsKey | None, owner: Owner) -> str:
    """Why the stack can't have the key of its alias for its own; empty if it can, or there is none yet."""
    if found is None:
        return ""
    missing = ", ".join(f"{key}={value}" for key, value in owner.tags.items() if found.tags.get(key) != value)
    another = f"`aws kms delete-alias --alias-name {alias}` has the stack make another"
    if missing:
        whose = f"{alias} is of {found.arn}, which is not this stack's by what can be read of its tags"
        return f"{whose}: tag it {missing}, or {another}"
    if found.state == "PendingDeletion":
        return (
            f"the stack's key {found.arn} is to be deleted: `aws kms cancel-key-deletion` and `aws kms enable-key` "
            f"bring it back, {another}"
        )
    return _unfit(found)


def key_fault(wanted: Encryption, found: KmsKey | None, region: str) -> str:
    """What is wrong with a key that is there; empty if nothing."""
    if wanted.region != region:
        return f"{wanted.key} is in {wanted.region}, and the stack in {region}; a key encrypts in its own region alone"
    if found is None:
        return f"there is no key {wanted.key}, or this account may not see it"
    return _unfit(found)


def _unfit(found: KmsKey) -> str:
    if found.is_aws_managed:
        return f"{found.arn} is AWS's own key for a service; nobody can be let use it. Name a customer managed one"
    if found.spec != "SYMMETRIC_DEFAULT" or found.usage != "ENCRYPT_DECRYPT":
        return f"{found.arn} is for {found.usage} ({found.spec}); volumes and buckets need a symmetric encryption key"
    if found.state != "Enabled":
        return f"{found.arn} is {found.state}: enable it (cancel its deletion first, where that is pending)"
    return ""
