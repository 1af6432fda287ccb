"""Images and their disks across regions and accounts: who sees them, who may copy them, under which key they are.

moto 5.2.5 shows an account its own images only, copies at once, within an account, without disk, key or tags, and
knows no key that AWS manages.

Sources: EC2's API reference (CopyImage, ModifyImageAttribute, ModifySnapshotAttribute), its user guide ("Copy an Amazon
EC2 AMI", "Share an AMI"), the EBS user guide ("Share an Amazon EBS snapshot"). AWS's words are those that users quote:
hashicorp/packer#6737, #7410, #7499, awslabs/amazon-eks-ami#52.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot, Volume
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import random_ami_id
from moto.kms.models import Alias, Key, KmsBackend, kms_backends
from moto.kms.utils import RESERVED_ALIASES

from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

_UNDER_WAY = "pending"


@dataclass
class _Copy:
    image: Ami
    ends_at: float
    fails: bool


class Copies:
    """The copies of images that are under way."""

    def __init__(self) -> None:
        self._under_way: list[_Copy] = []
        self._by_token: dict[tuple[str, str, str], str] = {}

    def begin(self, image: Ami, *, seconds: float, fails: bool) -> None:
        self._under_way.append(_Copy(image, monotonic() + seconds, fails))

    def advance(self) -> None:
        now = monotonic()
        for each in [each for each in self._under_way if each.ends_at <= now]:
            self._under_way.remove(each)
            each.image.state = "failed" if each.fails else "available"
            each.image.ebs_snapshot.status = "error" if each.fails else "completed"
            if each.fails:
                each.image.state_reason = {  # type: ignore[attr-defined]  # DescribeImages shows it
                    "Code": "Client.InternalError",
                    "Message": "Copy image failed with an internal error.",
                }

    def of_token(self, backend: EC2Backend, token: str | None) -> str | None:
        return self._by_token.get((backend.account_id, backend.region_name, token)) if token else None

    def remember(self, backend: EC2Backend, token: str | None, image_id: str) -> None:
        if token:
            self._by_token[backend.account_id, backend.region_name, token] = image_id


GAPS = (
    Gap("foreign-images", "shows an account its own images only, whatever is shared with it"),
    Gap("copy-at-once", "copies images at once, without disk, key or tags"),
    Gap("managed-keys", "says of every key that a customer manages it"),
    Gap("sharing-the-unsharable", "shares a snapshot that is encrypted with the default key"),
)


def fill(cloud: Cloud) -> None:
    _keys()
    _visibility(cloud)
    _sharing()
    _copying(cloud)


def visible(backend: EC2Backend, image_id: str) -> Ami | None:
    """An image that the backend's account may launch."""
    return backend.amis.get(image_id) or next((it for it in _shared_with(backend) if it.id == image_id), None)


def _shared_with(backend: EC2Backend) -> Iterator[Ami]:
    """Images of other accounts in the region, as this account sees them: without their owner's tags."""
    for account in list(ec2_backends.values()):
        for other in list(account.values()):
            if other is backend or other.region_name != backend.region_name:
                continue
            for image in list(other.amis.values()):
                if image.is_public or {"UserId": backend.account_id} in image.launch_permissions:
                    view = copy.copy(image)
                    view.ec2_backend = backend  # its tags are looked up there
                    view.launch_permissions = list(image.launch_permissions)
                    yield view


def _keys() -> None:
    """moto says of every key that a customer manages it, and keeps a volume's key as it was named."""
    create_alias, create_volume = KmsBackend.create_alias, EBSBackend.create_volume

    @replace(KmsBackend, "create_alias")
    def create_alias_of(self: KmsBackend, target_key_id: str, alias_name: str) -> Alias:
        alias = create_alias(self, target_key_id, alias_name)
        if alias_name in RESERVED_ALIASES:
            self.keys[self.get_key_id(target_key_id)].key_manager = "AWS"
        return alias

    @replace(EBSBackend, "create_volume")
    def create_volume_of(self: Any, *args: Any, **kwargs: Any) -> Volume:
        if named := kwargs.get("kms_key_id"):
            key = _key(self, named)
            kwargs["kms_key_id"] = key.arn if key else named
        return create_volume(self, *args, **kwargs)


def _key(backend: EC2Backend, named: str) -> Key | None:
    """A key by id, ARN or alias; only its ARN may lead to another account, and nothing to another region."""
    account, region = backend.account_id, backend.region_name
    if named.startswith("arn:"):
        region, account = named.split(":")[3:5]
    if region != backend.region_name:
        return None
    return _key_of_arn_or_name(account, region, named)


def _key_of_arn_or_name(account: str, region: str, named: str) -> Key | None:
    backend: KmsBackend = kms_backends[account][region]
    with suppress(Exception):  # moto has several ways to find nothing
        return backend.describe_key(named)
    return None


def _key_of(snapshot: Snapshot) -> Key | None:
    if not snapshot.kms_key_id or not snapshot.kms_key_id.startswith("arn:"):
        return None
    region, account = snapshot.kms_key_id.split(":")[3:5]
    return _key_of_arn_or_name(account, region, snapshot.kms_key_id)


def _is_under_default_key(snapshot: Snapshot) -> bool:
    key = _key_of(snapshot)
    return bool(snapshot.encrypted and key and key.key_manager == "AWS")


def _may_use(account: str, key: Key) -> bool:
    """Its own keys, and those whose policy or grants name the account."""
    if key.account_id == account:
        return True
    with suppress(json.JSONDecodeError, TypeError):
        for statement in json.loads(key.policy).get("Statement", []):
            if statement.get("Effect") == "Allow" and account in json.dumps(statement.get("Principal", "")):
                return True
    return any(account in grant.grantee_principal for grant in key.grants.values())


def _visibility(cloud: Cloud) -> None:
    describe = AmiBackend.describe_images

    @replace(AmiBackend, "describe_images")
    def describe_images(
        self: Any, ami_ids: Any = None, filters: Any = None, exec_users: Any = None, owners: Any = None
    ) -> list[Ami]:
        if set(owners or ()) - {"self", self.account_id}:
            cloud.register_base_images(self.region_name)
        own = self.amis
        self.amis = {**{image.id: image for image in _shared_with(self)}, **own}
        try:
            return describe(self, ami_ids, filters, exec_users, owners)
        finally:
            self.amis = own


def _sharing() -> None:
    """moto shares anything, with anyone, whosever it is."""
    modify, add_permission = AmisResponse.modify_image_attribute, EBSBackend.add_create_volume_permission

    @replace(AmisResponse, "modify_image_attribute")
    def modify_image_attribute(self: AmisResponse) -> ActionResult:
        image_id, backend = self._get_param("ImageId"), self.ec2_backend
        image = backend.amis.get(image_id)
        if image is None and visible(backend, image_id):
            raise EC2ClientError("AuthFailure", f"Not authorized for image:{image_id}")
        if image and self._get_param("ImdsSupport"):
            image.imds_support = self._get_param("ImdsSupport")["Value"]
            return EmptyResult()
        added = [each.get("UserId") for each in self._get_param("LaunchPermission", {}).get("Add", [])]
        added += self._get_param("UserIds", []) if self._get_param("OperationType") == "add" else []
        if image and any(added) and _is_under_default_key(image.ebs_snapshot):
            raise EC2ClientError(
                "InvalidParameter",
                "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.",
            )
        return modify(self)

    @replace(EBSBackend, "add_create_volume_permission")
    def add_create_volume_permission(self: Any, snapshot_id: str, user_ids: list[str], groups: list[str]) -> None:
        if user_ids and _is_under_default_key(self.get_snapshot(snapshot_id)):
            raise EC2ClientError("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
        add_permission(self, snapshot_id, user_ids, groups)


def _copying(cloud: Cloud) -> None:
    @replace(AmisResponse, "copy_image")
    def copy_image(self: AmisResponse) -> ActionResult:
        backend, token = self.ec2_backend, self._get_param("ClientToken")
        if known := cloud.copies.of_token(backend, token):
            return ActionResult({"ImageId": known})
        source = _source(backend, self._get_param("SourceImageId"), self._get_param("SourceRegion"))
        name = self._get_param("Name")
        if taken := next((it for it in backend.amis.values() if it.name == name), None):
            raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {taken.id}")
        asked = self._get_param("Encrypted")
        if asked is False and source.ebs_snapshot.encrypted:
            raise EC2ClientError(
                "InvalidRequest",
                f"Snapshot {source.ebs_snapshot.id} is encrypted. Creating an unencrypted copy from an encrypted "
                "snapshot is not supported.",
            )
        self.error_on_dryrun()
        key, fails = _key_of_copy(backend, source, asked is True, self._get_param("KmsKeyId"))
        made = _made(backend, source, name, self._get_param("Description"))
        made.ebs_snapshot.encrypted, made.ebs_snapshot.kms_key_id = key is not None or fails, key
        tags = {each["ResourceType"]: each["Tags"] for each in self._get_param("TagSpecifications", [])}
        own_tags = source.get_tags() if self._get_param("CopyImageTags") else []
        made.add_tags({tag["key"]: tag["value"] for tag in own_tags})
        for kind, resource in (("image", made), ("snapshot", made.ebs_snapshot)):
            resource.add_tags({tag["Key"]: tag["Value"] for tag in tags.get(kind, [])})
        cloud.images.copy(source.id, cloud.images.tree(made.id))
        backend.amis[made.id] = made
        cloud.copies.begin(made, seconds=cloud.boot_seconds, fails=fails)
        cloud.copies.remember(backend, token, made.id)
        return ActionResult({"ImageId": made.id})


def _source(backend: EC2Backend, image_id: str, region: str) -> Ami:
    """The image to copy, as the copying account sees it."""
    if region not in ec2_backends[backend.account_id]:
        raise EC2ClientError("InvalidParameterValue", f"Invalid source region: {region}")
    source = visible(ec2_backends[backend.account_id][region], image_id)
    if source is None:
        raise EC2ClientError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if source.state != "available":
        raise EC2ClientError("InvalidAMIID.Unavailable", f"The image id '[{image_id}]' is no longer available")
    disk = source.ebs_snapshot
    is_readable = (
        disk.owner_id == backend.account_id
        or backend.account_id in disk.create_volume_permission_userids
        or "all" in disk.create_volume_permission_groups
    )
    if not is_readable:
        raise EC2ClientError("InvalidRequest", "You do not have permission to access the storage of this ami")
    return source


def _key_of_copy(backend: EC2Backend, source: Ami, encrypts: bool, named: str | None) -> tuple[str | None, bool]:
    """The ARN of the copy's key, and whether the copy fails: EC2 looks at keys only when the copy is under way."""
    disk = source.ebs_snapshot
    if not encrypts and not disk.encrypted:
        return None, False
    source_key = _key_of(disk) if disk.encrypted else None
    if disk.encrypted and not (source_key and _may_use(backend.account_id, source_key)):
        return None, True
    if named:
        key = _key(backend, named)
        return (key.arn, not _may_use(backend.account_id, key)) if key else (None, True)
    if not encrypts and source_key and source_key.region == backend.region_name:
        return source_key.arn, False
    return backend.default_kms_key_id or backend._create_default_encryption_key(), False


def _made(backend: EC2Backend, source: Ami, name: str, description: str | None) -> Ami:
    image_id, disk = random_ami_id(), source.ebs_snapshot
    made = Ami(
        backend,
        image_id,
        source_ami=source,
        name=name,
        description=description,
        state=_UNDER_WAY,
        snapshot_description=f"Copied for DestinationAmi {image_id} from SourceAmi {source.id} for SourceSnapshot "
        f"{disk.id}.",
    )
    for attribute in ("root_device_name", "root_device_type", "boot_mode", "imds_support"):
        if hasattr(source, attribute):
            setattr(made, attribute, getattr(source, attribute))
    made.source_image_id, made.source_image_region = source.id, source.ec2_backend.region_name  # type: ignore[attr-defined]
    made.ebs_snapshot.status = _UNDER_WAY
    made.ebs_snapshot.volume.size, made.ebs_snapshot.volume.volume_type = disk.volume.size, disk.volume.volume_type
    return made
