"""Whether the stack's buckets and its key can be had, asked before anything is declared.

The rules are in `bluegreen.model.bucket` and `bluegreen.model.encryption`. No Pulumi here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bluegreen.errors import Fault, NotUsable
from bluegreen.model import backups
from bluegreen.model.artifact_bucket import own_bucket_name
from bluegreen.model.bucket import bucket_fault
from bluegreen.model.encryption import AUTO_SCALING_ROLE, Encryption, alias_of, key_fault, own_key_fault
from bluegreen.model.observation import Bucket, KmsKey
from bluegreen.model.settings import NAMESPACE, Settings
from bluegreen.model.tags import Owner


class Sight(Protocol):
    """What the check asks AWS; `bluegreen.aws.observe.Observer` answers."""

    @property
    def region(self) -> str: ...
    def account(self) -> str: ...
    def bucket(self, name: str, account: str) -> Bucket | None: ...
    def kms_key(self, arn: str) -> KmsKey | None: ...
    def kms_key_of(self, alias: str) -> KmsKey | None: ...
    def has_auto_scaling_role(self) -> bool: ...


@dataclass(frozen=True)
class OwnBucket:
    """A bucket of the stack's. `is_there`: it was before this run, in the state or not."""

    name: str = ""
    is_there: bool = False


@dataclass(frozen=True)
class OwnKey:
    """The key that the stack makes. `id`: of one that was there before this run, in the state or not."""

    alias: str = ""
    id: str = ""


NO_KEY = OwnKey()


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The buckets and the key that the settings mean."""

    artifacts: OwnBucket = OwnBucket()
    backups: OwnBucket = OwnBucket()
    key: OwnKey = NO_KEY


NO_STORAGE = Storage()


def check_storage(sight: Sight, settings: Settings, owner: Owner, *, has_own_key: bool) -> Storage:
    """Asks nothing where the settings ask for nothing. Blocks. `owner`: the stack. `has_own_key`: a release that is
    there, or comes, has the key that the stack makes.

    Raises NotUsable with all that is wrong, AwsError.
    """
    faults: list[Fault] = []
    if settings.encryption:
        faults += [_fault("encryption.key", wrong) for wrong in _wrong_with_key(sight, settings.encryption)]
    key = NO_KEY
    if has_own_key:
        alias = alias_of(owner)
        found_key = sight.kms_key_of(alias)
        if wrong := own_key_fault(alias, found_key, owner):
            faults.append(_fault("encryption.key", wrong))
        key = OwnKey(alias, found_key.id if found_key else "")
    account = sight.account() if settings.artifacts or settings.backups else ""

    def find(path: str, name: str, kind: str) -> OwnBucket:
        meant = name or own_bucket_name(owner.project, owner.stack, account, sight.region, kind)
        found = sight.bucket(meant, account)
        if wrong := bucket_fault(meant, found, owner, sight.region, is_made_up=not name):
            faults.append(_fault(path, wrong))
        return OwnBucket(meant, found is not None)

    storage = Storage(
        key=key,
        artifacts=find("artifactBucket", settings.artifact_bucket, "artifacts") if settings.artifacts else OwnBucket(),
        backups=find("backups.bucket", settings.backups.bucket, backups.KIND) if settings.backups else OwnBucket(),
    )
    if faults:
        raise NotUsable(faults)
    return storage


def _wrong_with_key(sight: Sight, wanted: Encryption) -> list[str]:
    wrong = []
    if not wanted.is_own:
        found = sight.kms_key(wanted.key) if wanted.region == sight.region else None
        wrong.append(key_fault(wanted, found, sight.region))
    if not sight.has_auto_scaling_role():
        wrong.append(
            f"the account has no role {AUTO_SCALING_ROLE} yet, which is to have the key for the machines' volumes; run "
            "`aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com`, once"
        )
    return [each for each in wrong if each]


def _fault(path: str, message: str) -> Fault:
    return Fault(f"{NAMESPACE}:{path}", message)
