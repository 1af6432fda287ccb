"""The images of an account: which one to start from, which one there is already, and what a bake made or left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bluegreen.aws.session import Session, as_aws_error, in_our_words, is_fault
from bluegreen.errors import ImageError
from bluegreen.images.packer_output import Temporaries
from bluegreen.images.variables import BaseImageQuery
from bluegreen.model.tags import CONTENT_DIGEST, REVOKED, SERVICE

AVAILABLE = "available"
NO_SUCH_IMAGE = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed")
NO_SUCH_SNAPSHOT = "InvalidSnapshot.NotFound"
IMDS_V2 = "v2.0"


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """The image that a bake starts from."""

    id: str
    name: str
    architecture: str
    root_device: str


class Catalog:
    """Asks EC2 about images, and finishes those that were baked. Raises AwsError where it can't be asked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _ec2(self) -> Any:
        return self._session.client("ec2")

    @in_our_words
    def base_image(self, query: BaseImageQuery) -> BaseImage:
        """The one that is asked for by id, else the newest that fits. One call. Raises ImageError."""
        if query.id:
            asked, found = f"base_image_id: {query.id}", self._images([query.id])
        else:
            asked = f"base_image_name: {query.name!r} of the owner {query.owner}"
            found = self._describe(Owners=[query.owner], Filters=[_having("name", query.name), _IS_AVAILABLE])
        usable = [image for image in found if image["State"] == AVAILABLE]
        if not usable:
            raise ImageError(
                f"{asked}: there is no such image that is available in {self._session.region}",
                "Correct it in the variables file, and check the region. Nothing was launched.",
            )
        newest = max(usable, key=_age)
        return BaseImage(
            id=newest["ImageId"],
            name=newest.get("Name", ""),
            architecture=newest.get("Architecture", ""),
            root_device=newest.get("RootDeviceName", ""),
        )

    @in_our_words
    def find(self, *, service: str, content_digest: str) -> str | None:
        """The newest available image of a content that is not revoked; None where there is none yet. One call."""
        tags = {SERVICE: service, CONTENT_DIGEST: content_digest}
        filters = [_having(f"tag:{key}", value) for key, value in tags.items()]
        images = self._describe(Owners=["self"], Filters=[*filters, _IS_AVAILABLE])
        found = [image for image in images if not any(tag["Key"] == REVOKED for tag in image.get("Tags", []))]
        return max(found, key=_age)["ImageId"] if found else None

    @in_our_words
    def finish(self, image: str, tags: Mapping[str, str]) -> None:
        """See that a baked image is available, has all its tags, and has its machines use IMDSv2 alone.

        What is missing is added, and read back. Raises ImageError.
        """
        made = self._baked(image)
        if made.get("ImdsSupport") != IMDS_V2:
            # Packer before 1.7 can't ask for it.
            self._ec2.modify_image_attribute(ImageId=image, ImdsSupport={"Value": IMDS_V2})
        if missing := _missing(tags, made):
            disks = [device.get("Ebs", {}).get("SnapshotId") for device in made.get("BlockDeviceMappings", [])]
            self._ec2.create_tags(
                Resources=[image, *(disk for disk in disks if disk)],
                Tags=[{"Key": key, "Value": value} for key, value in missing.items()],
            )
            if still := _missing(tags, self._baked(image)):
                raise ImageError(f"{image} was baked, but AWS does not show its tags {', '.join(sorted(still))}")

    @in_our_words
    def discard(self, name: str) -> tuple[list[str], list[str]]:
        """Remove the image that a failed bake made under its name, and its snapshots. Nothing else has that name.

        Returns what went, and what AWS refused to remove, with its reason.
        """
        gone: list[str] = []
        refused: list[str] = []

        def remove(words: str, call: Any, **request: str) -> None:
            try:
                call(**request)
                gone.append(words)
            except ClientError as error:
                if not is_fault(error, *NO_SUCH_IMAGE, NO_SUCH_SNAPSHOT):
                    refused.append(f"{words} ({as_aws_error(error).what})")

        for image in self._named(name):
            # Asked for before and after: those of a pending image come one by one, those of one that is gone by nothing
            # but their description.
            disks = self._snapshots(image)
            remove(f"image {image['ImageId']}", self._ec2.deregister_image, ImageId=image["ImageId"])
            for disk in sorted(disks | self._snapshots(image)):
                remove(f"snapshot {disk}", self._ec2.delete_snapshot, SnapshotId=disk)
        return gone, refused

    @in_our_words
    def still_there(self, made: Temporaries, *, image_name: str, builder: str) -> list[str]:
        """Which of the things that a failed bake made exist yet, each as words to act on.

        Found by what Packer printed, and by what it was told to call them: it may have died before it printed more.
        """
        left = []
        machines = self._machines(made, builder)
        left += [f"machine {machine} ({state})" for machine, state in machines.items() if state not in _ENDED]
        for volume in self._ec2.describe_volumes(Filters=[_having("tag:Name", builder)])["Volumes"]:
            users = {each["InstanceId"] for each in volume.get("Attachments", [])}
            goes_with_its_machine = users and all(machines.get(user) in _ENDED for user in users)
            if volume["State"] not in ("deleting", "deleted") and not goes_with_its_machine:
                left.append(f"volume {volume['VolumeId']} ({volume['State']})")
        found = {each["ImageId"]: each for each in self._named(image_name)}
        if made.image:
            found |= {each["ImageId"]: each for each in self._images([made.image])}
        for image in found.values():
            left.append(f"image {image['ImageId']} ({image['State']})")
        disks = {disk for image in found.values() for disk in self._snapshots(image)}
        if made.image:
            disks |= self._snapshots({"ImageId": made.image})
        left += [f"snapshot {disk}" for disk in sorted(disks)]
        if made.security_group:
            filters = [_having("group-name", made.security_group)]
            if self._ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
                left.append(f"security group {made.security_group}")
        if made.key_pair and self._ec2.describe_key_pairs(Filters=[_having("key-name", made.key_pair)])["KeyPairs"]:
            left.append(f"key pair {made.key_pair}")
        return left

    def _machines(self, made: Temporaries, builder: str) -> dict[str, str]:
        """The states of the machines of a bake."""
        # By filter, not by id: what is no longer there is an empty answer then, not a refusal.
        filters = [_having("tag:Name", builder)]
        filters += [_having("instance-id", made.instance)] if made.instance else []
        # A region may not take tags with the launch; the key pair's name is this bake's alone, too.
        filters += [_having("key-name", made.key_pair)] if made.key_pair else []
        answers = [self._ec2.describe_instances(Filters=[each])["Reservations"] for each in filters]
        return {
            each["InstanceId"]: each["State"]["Name"]
            for answer in answers
            for reservation in answer
            for each in reservation["Instances"]
        }

    def _named(self, name: str) -> list[dict[str, Any]]:
        """This account's image of a name: pending, failed or whole."""
        return self._describe(Owners=["self"], Filters=[_having("name", name)])

    def _snapshots(self, image: Mapping[str, Any]) -> set[str]:
        """Those that exist of an image of this account, be it registered yet, or still."""
        filters = [_having("description", f"Created by CreateImage(*) for {image['ImageId']}*")]
        disks = [device.get("Ebs", {}).get("SnapshotId") for device in image.get("BlockDeviceMappings", [])]
        ask = self._ec2.get_paginator("describe_snapshots").paginate
        answers = list(ask(OwnerIds=["self"], Filters=filters))
        if of_it := [disk for disk in disks if disk]:
            # By filter: one that is gone is no refusal.
            filters = [{"Name": "snapshot-id", "Values": of_it}]
            answers += ask(OwnerIds=["self"], Filters=filters)
        return {each["SnapshotId"] for answer in answers for each in answer["Snapshots"]}

    def _baked(self, image: str) -> dict[str, Any]:
        found = self._images([image])
        if not found:
            raise ImageError(f"Packer says that it baked {image}, but there is no such image in {self._session.region}")
        if found[0]["State"] != AVAILABLE:
            raise ImageError(f"{image} was baked, but it is {found[0]['State']}, not {AVAILABLE}")
        return found[0]

    def _images(self, ids: list[str]) -> list[dict[str, Any]]:
        try:
            return self._describe(ImageIds=ids)
        except ClientError as error:
            if is_fault(error, *NO_SUCH_IMAGE):
                return []
            raise

    def _describe(self, **request: Any) -> list[dict[str, Any]]:
        pages = self._ec2.get_paginator("describe_images").paginate(**request)
        return [image for page in pages for image in page["Images"]]


def _having(name: str, value: str) -> dict[str, Any]:
    """A filter, as EC2 takes them."""
    return {"Name": name, "Values": [value]}


_IS_AVAILABLE = _having("state", AVAILABLE)
_ENDED = ("shutting-down", "terminated")


def _age(image: Mapping[str, Any]) -> tuple[str, str]:
    return image.get("CreationDate", ""), image["ImageId"]


def _missing(tags: Mapping[str, str], image: Mapping[str, Any]) -> dict[str, str]:
    shown = {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}
    return {key: value for key, value in tags.items() if shown.get(key) != value}
