"""The images of one account and region: what there is, what the account uses, and what is removed or marked.

Which of them may go is decided in `bluegreen.model.image_use`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bluegreen.aws.identity import identity
from bluegreen.aws.session import Session, as_aws_error, in_our_words, is_fault
from bluegreen.images.catalog import AVAILABLE, NO_SUCH_IMAGE, NO_SUCH_SNAPSHOT
from bluegreen.model.image_use import AccountImage
from bluegreen.model.place import Place
from bluegreen.model.tags import REVOKED, SERVICE

LONGEST_TAG = 256
"""Characters in a tag's value (EC2 User Guide, "Tag restrictions")."""

GONE = ("terminated", "shutting-down")
"""States of instances that need their image no more."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What became of an image that was to go: what is gone, and what AWS would not remove, with its reason."""

    image: str
    gone: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class AccountImages:
    """Asks EC2 and Auto Scaling. Raises AwsError where they can't be asked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def place(self) -> Place:
        """Asked once."""
        return Place(account=identity(self._session).account, region=self._session.region)

    @in_our_words
    def images(self) -> tuple[AccountImage, ...]:
        """This account's images with a service's tag, whosever they are, and in whatever state. One call a page."""
        return tuple(self._describe(Owners=["self"], Filters=[{"Name": "tag-key", "Values": [SERVICE]}]))

    @in_our_words
    def named(self, images: Iterable[str]) -> tuple[AccountImage, ...]:
        """Those of these ids that this account sees, another account's too. One call, none without ids."""
        ids = sorted(set(images))
        # By filter, not by id: one that is gone is no refusal of the others.
        return tuple(self._describe(Filters=[{"Name": "image-id", "Values": ids}])) if ids else ()

    @in_our_words
    def pending(self) -> tuple[AccountImage, ...]:
        """This account's images that are being made or copied; tags come last. One call a page."""
        return tuple(self._describe(Owners=["self"], Filters=[{"Name": "state", "Values": ["pending"]}]))

    @in_our_words
    def uses(self) -> dict[str, list[str]]:
        """What of the account uses which image, whosever it is: in words, by image id.

        Instances; launch templates in their latest and default versions, the others where an Auto Scaling group names
        them; launch configurations. One call a page of each, and one for each older version that a group names.
        """
        found: dict[str, list[str]] = defaultdict(list)
        for words, image in (*self._instances(), *self._templates(), *self._configurations()):
            found[image].append(words)
        return dict(found)

    @in_our_words
    def shared_with(self, image: str) -> frozenset[str]:
        """Accounts that may launch an image, besides its own; `everybody` where it is public. One call."""
        answer = self._ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")
        permissions = answer.get("LaunchPermissions", [])
        named = {
            each.get("UserId") or each.get("OrganizationArn") or each.get("OrganizationalUnitArn")
            for each in permissions
        }
        public = {"everybody"} if any(each.get("Group") == "all" for each in permissions) else set()
        return frozenset({str(each) for each in named if each} | public)

    def remove(self, image: AccountImage) -> Removal:
        """Deregister an image, see that it is gone, and delete its snapshots. What AWS refuses is told, not raised."""
        try:
            self._ec2.deregister_image(ImageId=image.id)
            if any(still.state == AVAILABLE for still in self._describe(ImageIds=[image.id])):
                return Removal(image=image.id, left=(f"image {image.id} (AWS still shows it as {AVAILABLE})",))
        except (BotoCoreError, ClientError) as error:
            if not (isinstance(error, ClientError) and is_fault(error, *NO_SUCH_IMAGE)):  # gone, as it should be
                return Removal(image=image.id, left=(f"image {image.id} ({as_aws_error(error).what})",))
        gone, left = [f"image {image.id}"], []
        for snapshot in image.snapshots:
            try:
                self._ec2.delete_snapshot(SnapshotId=snapshot)
                gone.append(f"snapshot {snapshot}")
            except (BotoCoreError, ClientError) as error:
                # AWS refuses a snapshot that another image is made of, too.
                if not (isinstance(error, ClientError) and is_fault(error, NO_SUCH_SNAPSHOT)):
                    left.append(f"snapshot {snapshot} ({as_aws_error(error).what})")
        return Removal(image=image.id, gone=tuple(gone), left=tuple(left))

    @in_our_words
    def mark_revoked(self, images: Iterable[str], why: str) -> None:
        """Tag images as revoked. One call."""
        self._ec2.create_tags(Resources=list(images), Tags=[{"Key": REVOKED, "Value": why[:LONGEST_TAG]}])

    @in_our_words
    def unmark_revoked(self, images: Iterable[str]) -> None:
        """Take that tag away. One call."""
        self._ec2.delete_tags(Resources=list(images), Tags=[{"Key": REVOKED}])

    @property
    def _ec2(self) -> Any:
        return self._session.client("ec2")

    def _describe(self, **request: Any) -> Iterator[AccountImage]:
        for page in self._ec2.get_paginator("describe_images").paginate(**request):
            for each in page["Images"]:
                yield self._image(each)

    def _image(self, each: Mapping[str, Any]) -> AccountImage:
        disks = [device["Ebs"] for device in each.get("BlockDeviceMappings", []) if device.get("Ebs")]
        return AccountImage(
            id=each["ImageId"],
            place=self.place,
            name=each.get("Name", ""),
            created=_moment(each.get("CreationDate", "")),
            state=each["State"],
            size_gib=sum(disk.get("VolumeSize", 0) for disk in disks),
            snapshots=tuple(disk["SnapshotId"] for disk in disks if disk.get("SnapshotId")),
            source=each.get("SourceImageId", ""),
            tags={tag["Key"]: tag["Value"] for tag in each.get("Tags", [])},
        )

    def _instances(self) -> Iterator[tuple[str, str]]:
        for page in self._ec2.get_paginator("describe_instances").paginate():
            for reservation in page["Reservations"]:
                for each in reservation["Instances"]:
                    if each["State"]["Name"] not in GONE and "ImageId" in each:
                        yield f"instance {each['InstanceId']}", each["ImageId"]

    def _templates(self) -> Iterator[tuple[str, str]]:
        told = set()
        pages = self._ec2.get_paginator("describe_launch_template_versions")
        # Without a template these are asked of all of them (EC2 API, DescribeLaunchTemplateVersions).
        for page in pages.paginate(Versions=["$Latest", "$Default"]):
            for each in page["LaunchTemplateVersions"]:
                told.add((each["LaunchTemplateId"], str(each["VersionNumber"])))
                yield from _template_use(each)
        for template, version in sorted(self._named_by_groups() - told):
            try:
                answer = self._ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=[version])
            except ClientError as error:
                if is_fault(error, "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound"):
                    continue  # a group that can launch nothing any more
                raise
            for each in answer["LaunchTemplateVersions"]:
                yield from _template_use(each)

    def _named_by_groups(self) -> set[tuple[str, str]]:
        """Launch templates and their versions by number, as Auto Scaling groups name them."""
        found = set()
        pages = self._session.client("autoscaling").get_paginator("describe_auto_scaling_groups")
        for page in pages.paginate():
            for group in page["AutoScalingGroups"]:
                mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
                named = [
                    group.get("LaunchTemplate"),
                    mixed.get("LaunchTemplateSpecification"),
                    *(each.get("LaunchTemplateSpecification") for each in mixed.get("Overrides", [])),
                    *(each.get("LaunchTemplate") for each in group.get("Instances", [])),
                ]
                for each in named:
                    if each and each.get("LaunchTemplateId") and each.get("Version", "").isdigit():
                        found.add((each["LaunchTemplateId"], each["Version"]))
        return found

    def _configurations(self) -> Iterator[tuple[str, str]]:
        pages = self._session.client("autoscaling").get_paginator("describe_launch_configurations")
        for page in pages.paginate():
            for each in page["LaunchConfigurations"]:
                yield f"launch configuration {each['LaunchConfigurationName']}", each.get("ImageId", "")


def _template_use(version: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if image := version.get("LaunchTemplateData", {}).get("ImageId"):
        yield f"launch template {version['LaunchTemplateName']}, version {version['VersionNumber']}", image


def _moment(text: str) -> datetime:
    """As EC2 writes it: 2026-03-01T12:00:00.000Z. One that is not told is taken for now: nothing young is removed."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
