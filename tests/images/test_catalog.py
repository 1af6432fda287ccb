"""The images of an account, against moto in process."""

from __future__ import annotations

from datetime import datetime

import pytest

from bluegreen.aws.session import Session
from bluegreen.errors import ImageError
from bluegreen.images.catalog import Catalog
from bluegreen.images.packer_output import Temporaries
from bluegreen.images.variables import BaseImageQuery
from bluegreen.model.tags import CONTENT_DIGEST, SERVICE
from tests.images.conftest import register_image, set_image

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
    ec2.create_security_group(GroupName="packer_1", Description="x")
    ec2.create_key_pair(KeyName="packer_2")
    made = Temporaries(key_pair="packer_2", security_group="packer_1", instance=machine, image=image)
    assert catalog.still_there(made) == [
        f"machine {machine} (running)",
        f"image {image} (available)",
        "security group packer_1",
        "key pair packer_2",
    ]
    ec2.terminate_instances(InstanceIds=[machine])
    ec2.deregister_image(ImageId=image)
    ec2.delete_security_group(GroupName="packer_1")
    ec2.delete_key_pair(KeyName="packer_2")
    assert catalog.still_there(made) == []
    assert catalog.still_there(Temporaries()) == []
