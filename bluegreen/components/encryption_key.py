"""The KMS keys of a stack's volumes and buckets: one of its own, and the right of Auto Scaling to use each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from bluegreen.checks.storage import NO_KEY, OwnKey
from bluegreen.components.stack import Stack
from bluegreen.model.encryption import LAUNCHING, OWN, auto_scaling_role, key_policy
from bluegreen.model.instance_role import digest_of
from bluegreen.model.settings import Settings


@dataclass(frozen=True, kw_only=True)
class EncryptionKeyArgs:
    """What to make."""

    keys: Collection[str]
    """ARNs of those that volumes are encrypted with, or `own` for one that is made."""
    of_buckets: str = ""
    """The one of them for buckets; empty for S3's own."""
    own: OwnKey = NO_KEY
    """Alias of the one that is made, and its id where it was there before."""
    keep_on_destroy: bool = True
    """Whether a destroy leaves the one that is made."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(cls, settings: Settings, *, stack: Stack) -> EncryptionKeyArgs | None:
        """None where neither the settings nor any release that is there asks for a key. Raises as `Stack.admit`
        does."""
        wanted = settings.encryption.key if settings.encryption else ""
        admitted = stack.admit(settings)
        releases = {group.release.launch.volume_key for group in admitted.fleet.groups}
        keys = {wanted, *releases} - {""}
        if not keys:
            return None
        return cls(
            keys=keys,
            of_buckets=wanted,
            own=admitted.storage.key,
            keep_on_destroy=settings.encryption.keep_on_destroy if settings.encryption else True,
            tags={**settings.tags, **stack.owner("").tags},
        )


class EncryptionKey(pulumi.ComponentResource):
    """A key of a release stays as long as the release does, whatever the settings say meanwhile."""

    of_buckets: pulumi.Input[str] | None
    """The ARN of the one for buckets."""
    grants: Sequence[pulumi.Resource]
    """By which Auto Scaling has the keys: machines are launched after them."""

    def __init__(self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:EncryptionKey", name, None, opts)
        self._name, self._args = f"{name}-key", args
        caller = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self))
        own = self._make(caller) if OWN in args.keys else None
        self._arns: dict[str, pulumi.Input[str]] = {key: own.arn if key == OWN and own else key for key in args.keys}
        self.grants = [self._grant(key, caller) for key in sorted(args.keys)]
        self.of_buckets = self._arns[args.of_buckets] if args.of_buckets else None
        self.register_outputs({})

    def arn_of(self, key: str) -> pulumi.Input[str]:
        """Of a key as a release names it."""
        return self._arns[key]

    def _make(self, caller: pulumi.Output[aws.GetCallerIdentityResult]) -> aws.kms.Key:
        def policy(known: aws.GetCallerIdentityResult) -> str:
            return json.dumps(key_policy(known.arn.split(":")[1], known.account_id))

        own = self._args.own
        # What a key encrypts is lost with it.
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=self._args.keep_on_destroy)

        def found(identifier: str) -> pulumi.ResourceOptions:
            # One that is in the state already is not imported again.
            there = pulumi.ResourceOptions(import_=identifier if own.id else None)
            return pulumi.ResourceOptions.merge(kept, there)

        key = aws.kms.Key(
            self._name,
            description="Volumes and buckets",
            enable_key_rotation=True,
            policy=caller.apply(policy),
            tags={**self._args.tags, "Name": self._name},
            opts=found(own.id),
        )
        if own.alias:
            aws.kms.Alias(self._name, name=own.alias, target_key_id=key.key_id, opts=found(own.alias))
        return key

    def _grant(self, key: str, caller: pulumi.Output[aws.GetCallerIdentityResult]) -> aws.kms.Grant:
        return aws.kms.Grant(
            self._name if key == OWN else f"{self._name}-{digest_of(key)}",
            key_id=self._arns[key],
            grantee_principal=caller.apply(lambda known: auto_scaling_role(known.arn.split(":")[1], known.account_id)),
            operations=list(LAUNCHING),
            opts=pulumi.ResourceOptions(parent=self),
        )
