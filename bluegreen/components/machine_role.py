"""The role that machines have, with nothing but the rights that the settings name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.model.instance_role import InstanceRole, Place, digest_of, policy_of, trust
from bluegreen.model.tags import Owner


def make_instance_profile(
    rights: str,
    *,
    owner: Owner,
    region: str,
    bucket: str,
    backup_bucket: str,
    key: pulumi.Input[str] | None,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.iam.InstanceProfile:
    """A role of these rights (as a release has them), in a profile that is there only once the role has them. `key`:
    ARN of the KMS key of the buckets, None for S3's own."""
    name = f"{owner.service}-machines-{digest_of(rights)}"
    tags = {**tags, "Name": name}
    role = aws.iam.Role(name, assume_role_policy=json.dumps(trust()), tags=tags, opts=opts)

    def document(known: Sequence[Any]) -> str:
        caller, key = known
        place = Place(
            owner=owner,
            partition=caller.arn.split(":")[1],
            region=region,
            account=caller.account_id,
            bucket=bucket,
            backup_bucket=backup_bucket,
            key=key,
        )
        return json.dumps(policy_of(InstanceRole.model_validate_json(rights), place))

    known = pulumi.Output.all(aws.get_caller_identity_output(), key or "")
    policy = aws.iam.RolePolicy(name, role=role.name, policy=known.apply(document), opts=opts)
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[policy]))
    return aws.iam.InstanceProfile(name, role=role.name, tags=tags, opts=after)
