"""An image goes where the next environment can launch it: the same account and region, another region, another account.

An image is launched in its own region only, and by an account that it is shared with. So another region gets a copy,
and so does another account: a copy that it owns can't be taken from it by whoever clears up in the account before, and
needs no key of that account at run time. A copy has another id; what stays is its content digest, and its tags, which
come from here since an account does not see the tags of an image that is shared with it.

Rules of AWS's that this goes by: CopyImage is asked for in the target region by the account that will own the copy,
which needs permission for the image's snapshots too, not the image alone (EC2 User Guide, "Copy an Amazon EC2 AMI"); a
snapshot under the account's default key for EBS can't be shared, one under a customer managed key only together with
the key (EBS User Guide, "Share an Amazon EBS snapshot"). docs/promotion.md has the permissions.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bluegreen.aws.identity import identity
from bluegreen.aws.session import Session, in_our_words, is_fault
from bluegreen.errors import AwsError, ImageError, Interrupted
from bluegreen.images.catalog import AVAILABLE, IMDS_V2, NO_SUCH_IMAGE, Catalog
from bluegreen.images.facts import ImageFacts, Snapshot, facts, with_keys
from bluegreen.model.place import Place
from bluegreen.model.tags import CONTENT_DIGEST, SERVICE, SOURCE_IMAGE, SOURCE_REGION

PENDING = "pending"
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 1.0, 15.0
SAY_EVERY_SECONDS = 30.0
DEADLINE_SECONDS = 2 * 60 * 60.0
"""A copy takes minutes; of a large image into a far region, an hour has been seen."""
APPEARS_WITHIN_SECONDS = 60.0
"""EC2 may not show at once what it has just made."""

NAME_IS_TAKEN = "InvalidAMIName.Duplicate"
NO_SHARING = "OperationNotPermitted"

OnLine = Callable[[str], None]
Clock = Callable[[], float]
Sleep = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What has to happen so that `target` can launch the image.

    `known_copy`: an image of the same content that is there already, or is on its way there.
    """

    facts: ImageFacts
    target: Place
    known_copy: str | None = None
    shares: bool = False
    copies: bool = False

    @property
    def steps(self) -> tuple[str, ...]:
        """In words, for those who are asked whether to go on."""
        it = self.facts
        if self.known_copy:
            return (f"{self.known_copy} in {self.target} is of the same content as {it.image}: it is taken",)
        steps = [f"{it.image} and its snapshots are shared with account {self.target.account}"] if self.shares else []
        steps += [f"{it.image} is copied from {it.region} to {self.target}"] if self.copies else []
        return tuple(steps) or (f"{it.image} is in {self.target} already",)


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """The image that the target launches. `was_there`: nothing was copied for it now."""

    image: str
    was_there: bool
    content_digest: str
    source_image: str
    target: Place


def plan_promotion(facts: ImageFacts, source: Place, target: Place, known_copy: str | None = None) -> Transfer:
    """Pure. `source` is where the environment before runs; an image may belong to yet another account.

    Only its owner can share an image. One that a third account shares with both is launched, or copied, as it is.
    Raises ImageError where it would have to be shared and can't be.
    """
    if known_copy:
        return Transfer(facts=facts, target=target, known_copy=known_copy)
    is_foreign = facts.account not in (source.account, target.account)
    shares = facts.account != target.account and not is_foreign
    if shares:
        for snapshot in facts.snapshots:
            if snapshot.is_aws_managed:
                raise cannot_be_shared(facts, snapshot, target)
    return Transfer(facts=facts, target=target, shares=shares, copies=shares or facts.region != target.region)


def look(source: Session, target: Session, image: str, *, content_digest: str = "") -> Transfer:
    """What has to happen so that `target`, the session of the next environment, can launch what `source`'s runs.

    Reads only. `content_digest`: of what was proven; an image of another content is refused. Raises ImageError,
    AwsError.
    """
    here = Place(account=identity(source).account, region=source.region)
    there = Place(account=identity(target).account, region=target.region)
    known = facts(source, image)
    if content_digest and known.content_digest != content_digest:
        raise ImageError(
            f"{image} in {here} is not what was proven: its tag {CONTENT_DIGEST} is {known.content_digest or 'missing'}"
            f", and the content that was proven is {content_digest}",
            "Somebody changed its tags. Nothing was changed; deploy and prove an image whose tags are whole.",
        )
    copy = None if known.place == there else _known_copy(target, known)
    if not copy and known.account == here.account != there.account:
        known = with_keys(source, known)
    return plan_promotion(known, here, there, copy)


@in_our_words
def carry_out(
    transfer: Transfer,
    source: Session,
    target: Session,
    *,
    kms_key_id: str = "",
    on_line: OnLine,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> Transferred:
    """Share, copy, wait, and look at what came of it.

    `kms_key_id`: the key of the copy, one of the target's region; empty for the target account's default. `on_line`
    hears what is done. Nothing is done twice: a copy that is there is taken, one on its way is waited for. Raises
    ImageError, AwsError, and Interrupted on Ctrl-C.
    """
    image = transfer.known_copy or transfer.facts.image
    is_new = False
    for step in transfer.steps:
        on_line(step)
    if transfer.shares:
        share(source, transfer.facts, transfer.target)
    if transfer.copies:
        image, is_new = _copy(target, transfer, kms_key_id)
    if transfer.copies or transfer.known_copy:
        made = _Copy(target, transfer, image, kms_key_id)
        made.wait(on_line, clock, sleep)
        made.finish()
    return Transferred(
        image=image,
        was_there=not is_new,
        content_digest=transfer.facts.content_digest,
        source_image=transfer.facts.image,
        target=transfer.target,
    )


@in_our_words
def share(source: Session, it: ImageFacts, target: Place) -> None:
    """Let the target's account read the image's snapshots and launch the image; read back. Raises ImageError."""
    ec2 = source.client("ec2")
    for snapshot in it.snapshots:
        # First: AWS's refusal of a default key then comes before anything is changed.
        try:
            ec2.modify_snapshot_attribute(
                SnapshotId=snapshot.id,
                Attribute="createVolumePermission",
                OperationType="add",
                UserIds=[target.account],
            )
        except ClientError as error:
            if snapshot.is_encrypted and is_fault(error, NO_SHARING):
                raise cannot_be_shared(it, snapshot, target) from error
            raise
    user = {"UserId": target.account}
    ec2.modify_image_attribute(ImageId=it.image, LaunchPermission={"Add": [user]})

    unshared = [
        snapshot.id
        for snapshot in it.snapshots
        if user
        not in ec2.describe_snapshot_attribute(SnapshotId=snapshot.id, Attribute="createVolumePermission")[
            "CreateVolumePermissions"
        ]
    ]
    if user not in ec2.describe_image_attribute(ImageId=it.image, Attribute="launchPermission")["LaunchPermissions"]:
        unshared.append(it.image)
    if unshared:
        raise ImageError(
            f"AWS was told to share {', '.join(unshared)} with account {target.account}, but does not show it so",
            "Run again; it goes on from here.",
        )


def cannot_be_shared(it: ImageFacts, snapshot: Snapshot, target: Place) -> ImageError:
    key = f" ({snapshot.kms_key_id})" if snapshot.kms_key_id else ""
    return ImageError(
        f"{it.image} can't be shared with account {target.account}: its snapshot {snapshot.id} is encrypted with the "
        f"default key for EBS of account {it.account}{key}, which AWS manages, and which no other account can use",
        "Bake it with a customer managed key: `kms_key_id` in packer/<stack>.pkrvars.json. Or copy it once under such "
        "a key, and deploy the copy where this one was proven: "
        f"aws ec2 copy-image --region {it.region} --source-region {it.region} --source-image-id {it.image} "
        f"--name {it.name or it.image}-shareable --encrypted --kms-key-id KEY --copy-image-tags. Nothing was changed.",
    )


@in_our_words
def _known_copy(target: Session, it: ImageFacts) -> str | None:
    """An image in the target of this content, or a copy of this very image; the best is available, then the newest."""
    ways = [{SOURCE_IMAGE: it.image, SOURCE_REGION: it.region}]
    if it.content_digest:
        ways.insert(0, {SERVICE: it.service, CONTENT_DIGEST: it.content_digest})
    for wanted in ways:
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in wanted.items()]
        filters.append({"Name": "state", "Values": [AVAILABLE, PENDING]})
        pages = target.client("ec2").get_paginator("describe_images").paginate(Owners=["self"], Filters=filters)
        if found := [image for page in pages for image in page["Images"]]:
            return str(max(found, key=_rank)["ImageId"])
    return None


def _rank(image: Mapping[str, Any]) -> tuple[bool, str, str]:
    return image["State"] == AVAILABLE, image.get("CreationDate", ""), image["ImageId"]


def _copy(target: Session, transfer: Transfer, kms_key_id: str) -> tuple[str, bool]:
    """The copy's id, and whether it was begun now.

    It is called as its source: an account has each name once in a region, so of two that copy at once one is refused,
    and takes the other's.
    """
    it = transfer.facts
    tags = [{"Key": key, "Value": value} for key, value in tags_of_copy(it).items()]
    request = {
        "Name": it.name or it.image,
        "Description": f"copy of {it.image} in {it.region}",
        "SourceImageId": it.image,
        "SourceRegion": it.region,
        "Encrypted": True,
        # For a request whose answer was lost and that is sent again.
        "ClientToken": str(uuid.uuid4()),
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
    }
    try:
        made = target.client("ec2").copy_image(**request, **({"KmsKeyId": kms_key_id} if kms_key_id else {}))
    except ClientError as error:
        if not is_fault(error, NAME_IS_TAKEN):
            raise
        if other := _known_copy(target, it):
            return other, False
        raise ImageError(
            f"{it.image} can't be copied to {transfer.target}: another image there is called {request['Name']!r}, and "
            "is no copy of it",
            f"Look at it, and deregister it if it is of no use: aws ec2 describe-images --region "
            f"{transfer.target.region} --owners self --filters Name=name,Values={request['Name']}",
        ) from error
    return str(made["ImageId"]), True


def tags_of_copy(it: ImageFacts) -> dict[str, str]:
    return {**it.tags, SOURCE_IMAGE: it.image, SOURCE_REGION: it.region}


@dataclass(frozen=True)
class _Copy:
    """A copy in the target, from its beginning to its being of use."""

    session: Session
    transfer: Transfer
    image: str
    kms_key_id: str

    def wait(self, on_line: OnLine, clock: Clock, sleep: Sleep) -> None:
        """Until it is available."""
        began, said, pause = clock(), clock(), FIRST_POLL_SECONDS
        try:
            while True:
                found, waited = self._described(), clock() - began
                match found.get("State"):
                    case "available":
                        return
                    case "pending":
                        pass
                    case None if waited < APPEARS_WITHIN_SECONDS:
                        pass
                    case state:
                        raise self._failed(str(state or "gone"), found)
                if waited >= DEADLINE_SECONDS:
                    raise ImageError(
                        f"{self.image}, the copy of {self.transfer.facts.image} in {self.transfer.target}, is still "
                        f"not available after {waited:.0f} s",
                        "AWS goes on with it; run again to go on waiting.",
                    )
                if clock() - said >= SAY_EVERY_SECONDS:
                    on_line(f"{self.image} in {self.transfer.target} is being copied; {waited:.0f} s so far")
                    said = clock()
                sleep(pause)
                pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
        except KeyboardInterrupt:
            region = self.transfer.target.region
            raise Interrupted(
                f"stopped while {self.transfer.facts.image} is being copied to {self.transfer.target} as {self.image}",
                "AWS goes on with the copy, and the next run takes it. To give it up: "
                f"aws ec2 deregister-image --region {region} --image-id {self.image}",
            ) from None

    def finish(self) -> None:
        """See that it has its tags, and that its machines use IMDSv2 alone where its source's do; add, and read back.

        AWS says nowhere that CopyImage keeps ImdsSupport, though it has been seen to.
        """
        ec2, found, it = self.session.client("ec2"), self._described(), self.transfer.facts
        if it.imds_support == IMDS_V2 and found.get("ImdsSupport") != IMDS_V2:
            ec2.modify_image_attribute(ImageId=self.image, ImdsSupport={"Value": IMDS_V2})
        wanted = it.tags if self.transfer.known_copy else tags_of_copy(it)
        if missing := {key: value for key, value in wanted.items() if key not in _tags(found)}:
            disks = [device.get("Ebs", {}).get("SnapshotId") for device in found.get("BlockDeviceMappings", [])]
            ec2.create_tags(
                Resources=[self.image, *(disk for disk in disks if disk)],
                Tags=[{"Key": key, "Value": value} for key, value in missing.items()],
            )
            if still := sorted(missing.keys() - _tags(self._described()).keys()):
                raise ImageError(f"{self.image} is copied, but AWS does not show its tags {', '.join(still)}")

    def _described(self) -> dict[str, Any]:
        """Empty where it is not shown."""
        try:
            images: Sequence[dict[str, Any]] = self.session.client("ec2").describe_images(ImageIds=[self.image])[
                "Images"
            ]
        except ClientError as error:
            if not is_fault(error, *NO_SUCH_IMAGE):
                raise
            images = ()
        return images[0] if images else {}

    def _failed(self, state: str, found: Mapping[str, Any]) -> ImageError:
        it, target = self.transfer.facts, self.transfer.target
        reason = (found.get("StateReason") or {}).get("Message", "")
        fault = ImageError(
            f"{self.image}, the copy of {it.image} in {target}, is {state}{f': {reason}' if reason else ''}",
            self._advice,
        )
        if found:
            try:
                gone, refused = Catalog(self.session).discard(found["Name"])
            except AwsError as error:
                gone, refused = [], [error.what]
            went = f"Removed: {', '.join(gone)}." if gone else ""
            stays = f"Left behind, for you to delete: {'; '.join(refused)}." if refused else ""
            fault.next_step = " ".join(filter(None, (went, stays, fault.next_step)))
        return fault

    @property
    def _advice(self) -> str:
        """AWS looks at keys only after it has taken the request, and says no more than "internal error" (EC2 API)."""
        it, target = self.transfer.facts, self.transfer.target
        advice = []
        if self.kms_key_id:
            advice.append(f"Is {self.kms_key_id} a key of {target.region} that account {target.account} may use?")
        if it.account != target.account and any(each.is_encrypted for each in it.snapshots):
            keys = ", ".join(sorted({each.kms_key_id for each in it.snapshots if each.kms_key_id})) or "its key"
            advice.append(
                f"Does the policy of {keys} let account {target.account} use it (kms:DescribeKey, kms:CreateGrant, "
                "kms:Decrypt, kms:ReEncrypt*, kms:GenerateDataKey*)? docs/promotion.md has the statement."
            )
        return " ".join([*advice, "Then run again."])


def _tags(image: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}


def _unheard(_line: str) -> None:
    pass
