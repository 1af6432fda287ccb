"""What is known of one image: whose it is and where, what it was made of, and how its disks are encrypted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from bluegreen.aws.session import Session, in_our_words, is_fault
from bluegreen.errors import ImageError
from bluegreen.images.catalog import AVAILABLE, NO_SUCH_IMAGE
from bluegreen.model import tags as names
from bluegreen.model.place import Place

NOT_ALLOWED = ("AccessDeniedException", "UnauthorizedOperation")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A disk of an image. `kms_key_id` is the ARN of the key that encrypts it, None where none does or nobody asked.

    `is_aws_managed`: whether that is AWS's own key of the account (`alias/aws/ebs`), which no other account can use
    (EBS User Guide, "Share an Amazon EBS snapshot"). None: not known, since this caller may not ask, or nobody did.
    """

    id: str
    is_encrypted: bool
    kms_key_id: str | None = None
    is_aws_managed: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """`account` is the owner's. `tags` are the user's, without AWS's own."""

    image: str
    name: str
    account: str
    region: str
    architecture: str
    root_device: str
    imds_support: str
    snapshots: tuple[Snapshot, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return Place(account=self.account, region=self.region)

    @property
    def service(self) -> str:
        return self.tags.get(names.SERVICE, "")

    @property
    def content_digest(self) -> str:
        """Empty for an image that `bluegreen bake` did not make."""
        return self.tags.get(names.CONTENT_DIGEST, "")

    @property
    def version(self) -> str:
        return self.tags.get(names.VERSION, "")

    @property
    def commit(self) -> str:
        return self.tags.get(names.COMMIT, "")

    @property
    def artifact_sha256(self) -> str:
        return self.tags.get(names.ARTIFACT_SHA256, "")

    @property
    def playbook_digest(self) -> str:
        return self.tags.get(names.PLAYBOOK_DIGEST, "")

    @property
    def base_image(self) -> str:
        return self.tags.get(names.BASE_IMAGE, "")

    @property
    def template_digest(self) -> str:
        return self.tags.get(names.TEMPLATE_DIGEST, "")


@in_our_words
def facts(session: Session, image: str) -> ImageFacts:
    """One call. Raises ImageError where the image is not there or not available, AwsError."""
    ec2 = session.client("ec2")
    try:
        images = ec2.describe_images(ImageIds=[image])["Images"]
    except ClientError as error:
        if not is_fault(error, *NO_SUCH_IMAGE):
            raise
        images = []
    if not images:
        raise ImageError(
            f"there is no image {image} in {session.region} that this account can see",
            "It may have been deregistered, or no longer be shared with this account. Bake and prove another.",
        )
    (found,) = images
    if found["State"] != AVAILABLE:
        raise ImageError(f"{image} in {session.region} is {found['State']}, not {AVAILABLE}")
    return ImageFacts(
        image=image,
        name=found.get("Name", ""),
        account=found.get("OwnerId", ""),
        region=session.region,
        architecture=found.get("Architecture", ""),
        root_device=found.get("RootDeviceName", ""),
        imds_support=found.get("ImdsSupport") or "",
        snapshots=tuple(_snapshots(found)),
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", []) if not tag["Key"].startswith("aws:")},
    )


@in_our_words
def with_keys(session: Session, known: ImageFacts) -> ImageFacts:
    """The same, with the keys of its encrypted snapshots; for their owner. No call where none is encrypted."""
    encrypted = [each.id for each in known.snapshots if each.is_encrypted]
    if not encrypted:
        return known
    described = session.client("ec2").describe_snapshots(SnapshotIds=encrypted)["Snapshots"]
    key_of = {each["SnapshotId"]: each.get("KmsKeyId") for each in described}
    managed = {key: _is_aws_managed(session, key) for key in sorted({key for key in key_of.values() if key})}
    snapshots = tuple(
        replace(each, kms_key_id=key_of.get(each.id), is_aws_managed=managed.get(key_of.get(each.id) or ""))
        for each in known.snapshots
    )
    return replace(known, snapshots=snapshots)


def _snapshots(image: Mapping[str, Any]) -> Iterator[Snapshot]:
    for device in image.get("BlockDeviceMappings", []):
        disk = device.get("Ebs", {})
        if "SnapshotId" in disk:
            yield Snapshot(id=disk["SnapshotId"], is_encrypted=bool(disk.get("Encrypted")))


def _is_aws_managed(session: Session, key: str) -> bool | None:
    """KMS API, DescribeKey: KeyManager. Many may deploy who may not ask KMS; EC2 refuses to share then, a bit later."""
    try:
        return bool(session.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyManager"] == "AWS")
    except ClientError as error:
        if is_fault(error, "NotFoundException", *NOT_ALLOWED):
            return None
        raise
