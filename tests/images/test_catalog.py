"""The images of an account, against moto in process."""

from __future__ import annotations

from datetime import datetime

import pytest
from botocore.exceptions import ClientError
from moto.ec2 import ec2_backends

from bluegreen.aws.session import Session
from bluegreen.errors import ImageError
from bluegreen.images.catalog import Catalog
from bluegreen.images.packer_output import Temporaries
from bluegreen.images.variables import BaseImageQuery
from bluegreen.model.tags import CONTENT_DIGEST, REVOKED, SERVICE
from tests.images.conftest import REGION, register_image, set_image

TAGS = {"Name": "web-1", SERVICE: "web", CONTENT_DIGEST: "d1"}


@pytest.fixture
def catalog(session: Session) -> Catalog:
    return Catalog(session)


def tags_of(session: Session, resource: str) -> dict[str, str]:
    filters = [{"Name": "resource-id", "Values": [resource]}]
    found = session.client("ec2").describe_tags(Filters=filters)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


def test_a_base_image_by_id(session: Session, catalog: Catalog) -> None:
    image = register_image(session, "debian-1", root_device="/dev/sda1")
    base = catalog.base_image(BaseImageQuery(id=image))
    assert (base.id, base.name, base.root_device) == (image, "debian-1", "/dev/sda1")


def test_of_the_base_images_that_fit_the_newest_is_taken(session: Session, catalog: Catalog) -> None:
    images = [register_image(session, f"debian-{number}") for number in range(3)]
    other = register_image(session, "ubuntu-1")
    for image, day in zip([*images, other], (2, 3, 1, 4), strict=True):
        set_image(image, creation_date=datetime(2030, 1, day))
    assert catalog.base_image(BaseImageQuery(name="debian-*", owner="self")).id == images[1]


@pytest.mark.parametrize(
    "query",
    [
        BaseImageQuery(id="ami-0123456789abcdef0"),
        BaseImageQuery(name="debian-*", owner="self"),
        BaseImageQuery(name="ubuntu-*", owner="111111111111"),
    ],
)
def test_a_base_image_that_is_not_there_is_an_error_before_anything_is_launched(
    session: Session, catalog: Catalog, query: BaseImageQuery
) -> None:
    register_image(session, "ubuntu-1")
    with pytest.raises(ImageError, match="no such image that is available in us-east-1") as caught:
        catalog.base_image(query)
    assert "Nothing was launched" in caught.value.next_step


def test_a_base_image_that_is_not_available_is_no_base(session: Session, catalog: Catalog) -> None:
    image = register_image(session, "debian-1")
    set_image(image, state="pending")
    with pytest.raises(ImageError, match="available"):
        catalog.base_image(BaseImageQuery(id=image))


def test_the_newest_available_image_of_a_content_is_found(session: Session, catalog: Catalog) -> None:
    images = [register_image(session, f"web-{number}") for number in range(4)]
    for image in images[:3]:
        catalog.finish(image, TAGS)
    catalog.finish(images[3], {**TAGS, CONTENT_DIGEST: "d2"})
    for image, day in zip(images, (1, 3, 2, 4), strict=True):
        set_image(image, creation_date=datetime(2030, 1, day))
    assert catalog.find(service="web", content_digest="d1") == images[1]
    set_image(images[1], state="failed")
    assert catalog.find(service="web", content_digest="d1") == images[2]


def test_a_revoked_image_is_not_found_again(session: Session, catalog: Catalog) -> None:
    image = register_image(session, "web-1")
    catalog.finish(image, {**TAGS, REVOKED: "CVE-2026-1"})
    assert catalog.find(service="web", content_digest="d1") is None
    assert catalog.find(service="shop", content_digest="d1") is None
    assert catalog.find(service="web", content_digest="d3") is None


def test_an_image_of_another_account_is_not_ours(session: Session, catalog: Catalog) -> None:
    image = register_image(session, "web-1")
    catalog.finish(image, TAGS)
    set_image(image, owner_id="111111111111")
    assert catalog.find(service="web", content_digest="d1") is None


def test_tags_that_packer_did_not_set_are_added_to_the_image_and_its_snapshot(
    session: Session, catalog: Catalog
) -> None:
    ec2 = session.client("ec2")
    base = register_image(session, "base")
    machine = ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    image = ec2.create_image(InstanceId=machine, Name="web-1")["ImageId"]
    ec2.create_tags(Resources=[image], Tags=[{"Key": "Name", "Value": "other"}, {"Key": "kept", "Value": "1"}])
    catalog.finish(image, TAGS)
    assert tags_of(session, image) == {**TAGS, "kept": "1"}
    device = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]
    assert tags_of(session, device["Ebs"]["SnapshotId"]) == TAGS


def test_finishing_a_finished_image_writes_nothing_but_imds(
    session: Session, catalog: Catalog, calls: list[str]
) -> None:
    image = register_image(session, "web-1")
    catalog.finish(image, TAGS)
    calls.clear()
    catalog.finish(image, TAGS)
    assert calls == ["DescribeImages", "ModifyImageAttribute"], "moto does not show ImdsSupport"


@pytest.mark.parametrize(("state", "fault"), [("failed", "is failed"), (None, "no such image")])
def test_an_image_that_did_not_come_to_be_is_an_error(
    session: Session, catalog: Catalog, state: str | None, fault: str
) -> None:
    image = "ami-0123456789abcdef0"
    if state:
        image = register_image(session, "web-1")
        set_image(image, state=state)
    with pytest.raises(ImageError, match=fault):
        catalog.finish(image, TAGS)


def test_what_a_failed_bake_left_is_named(session: Session, catalog: Catalog) -> None:
    ec2 = session.client("ec2")
    image = register_image(session, "half")
    machine = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    (disk,) = disks(session, image)
    ec2.create_security_group(GroupName="packer_1", Description="x")
    ec2.create_key_pair(KeyName="packer_2")
    made = Temporaries(key_pair="packer_2", security_group="packer_1", instance=machine, image=image)
    names = {"image_name": "web-1", "builder": "web-1-builder"}
    assert catalog.still_there(made, **names) == [
        f"machine {machine} (running)",
        f"image {image} (available)",
        f"snapshot {disk}",
        "security group packer_1",
        "key pair packer_2",
    ]
    ec2.terminate_instances(InstanceIds=[machine])
    ec2.deregister_image(ImageId=image)
    ec2.delete_security_group(GroupName="packer_1")
    ec2.delete_key_pair(KeyName="packer_2")
    assert catalog.still_there(made, **names) == []
    assert catalog.still_there(Temporaries(), **names) == []


@pytest.mark.parametrize("by", ["tag", "key pair"])
def test_a_machine_that_packer_did_not_tell_of_is_named(session: Session, catalog: Catalog, by: str) -> None:
    ec2 = session.client("ec2")
    tags = [{"Key": "Name", "Value": "web-1-builder"}]
    found = {
        "tag": {"TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]},
        "key pair": {"KeyName": "packer_2"},
    }[by]
    ec2.create_key_pair(KeyName="packer_2")
    base = register_image(session, "base")
    machine = ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1, **found)["Instances"][0]["InstanceId"]
    volume = ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    assert catalog.still_there(Temporaries(key_pair="packer_2"), image_name="web-1", builder="web-1-builder") == [
        f"machine {machine} (running)",
        f"volume {volume} (available)",
        "key pair packer_2",
    ]


def test_a_volume_that_goes_with_its_machine_is_not_left(session: Session, catalog: Catalog) -> None:
    ec2 = session.client("ec2")
    base = register_image(session, "base")
    machine = ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    (device,) = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [machine]}])["Volumes"]
    ec2.create_tags(Resources=[machine, device["VolumeId"]], Tags=[{"Key": "Name", "Value": "web-1-builder"}])
    made = Temporaries(instance=machine)
    assert f"volume {device['VolumeId']} (in-use)" in catalog.still_there(made, image_name="x", builder="web-1-builder")
    ec2_backends["123456789012"][REGION].get_instance(machine)._state.name = "shutting-down"
    assert catalog.still_there(made, image_name="x", builder="web-1-builder") == []


def made_image(session: Session, name: str) -> str:
    ec2 = session.client("ec2")
    base = register_image(session, f"base of {name}")
    machine = ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    return str(ec2.create_image(InstanceId=machine, Name=name)["ImageId"])


def disks(session: Session, image: str) -> list[str]:
    (found,) = session.client("ec2").describe_images(ImageIds=[image])["Images"]
    return [device["Ebs"]["SnapshotId"] for device in found["BlockDeviceMappings"]]


def snapshots(session: Session) -> set[str]:
    return {each["SnapshotId"] for each in session.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]}


def test_an_image_is_discarded_with_its_snapshots_and_no_other(session: Session, catalog: Catalog) -> None:
    others = [made_image(session, name) for name in ("web-1-2", "web", "base")]
    strangers = made_image(session, "web-1")
    set_image(strangers, owner_id="111111111111")
    before = snapshots(session)
    image = made_image(session, "web-1")
    set_image(image, state="pending")
    (disk,) = disks(session, image)
    assert catalog.discard("web-1") == ([f"image {image}", f"snapshot {disk}"], [])
    assert disk not in snapshots(session)
    assert before <= snapshots(session)
    left = {each["ImageId"] for each in session.client("ec2").describe_images()["Images"]}
    assert {*others, strangers} <= left
    assert catalog.discard("web-1") == ([], [])


def test_snapshots_that_a_pending_image_does_not_show_yet_are_found_by_their_description(
    session: Session, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = made_image(session, "web-1")
    (disk,) = disks(session, image)
    named = Catalog._named
    monkeypatch.setattr(
        Catalog, "_named", lambda self, name: [{**each, "BlockDeviceMappings": []} for each in named(self, name)]
    )
    assert catalog.discard("web-1") == ([f"image {image}", f"snapshot {disk}"], [])


def test_what_aws_does_not_let_go_is_named_with_the_reason(session: Session, catalog: Catalog) -> None:
    image = made_image(session, "web-1")
    (disk,) = disks(session, image)
    ec2 = session.client("ec2")

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DeregisterImage")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ec2, "deregister_image", refuse)
        gone, refused = catalog.discard("web-1")
    assert gone == []
    assert refused[0] == f"image {image} (AWS refused DeregisterImage: UnauthorizedOperation: no)"
    assert refused[1].startswith(f"snapshot {disk} (AWS refused DeleteSnapshot: InvalidSnapshot.InUse")
    left = catalog.still_there(Temporaries(), image_name="web-1", builder="x")
    assert left == [f"image {image} (available)", f"snapshot {disk}"]
