"""The images of an account, against moto in process: what uses them is found, and they go with their snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bluegreen.aws.session import Session
from bluegreen.images.account_images import AccountImages
from bluegreen.model.tags import PROJECT, REVOKED, SERVICE
from tests.images.conftest import REGION, register_image, set_image

TAGS = [{"Key": PROJECT, "Value": "shop"}, {"Key": SERVICE, "Value": "web"}]


@pytest.fixture(autouse=True)
def clients(session: Session) -> None:
    session.client("autoscaling")


@pytest.fixture
def account(session: Session) -> AccountImages:
    return AccountImages(session)


@pytest.fixture
def ec2(session: Session) -> Any:
    return session.client("ec2")


def bake(ec2: Any, session: Session, name: str = "web-1") -> str:
    """An image with a disk, as a bake makes it."""
    machine = ec2.run_instances(ImageId=register_image(session, f"base-of-{name}"), MinCount=1, MaxCount=1)
    instance = machine["Instances"][0]["InstanceId"]
    image = str(ec2.create_image(InstanceId=instance, Name=name)["ImageId"])
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.create_tags(Resources=[image], Tags=TAGS)
    return image


def test_images_with_a_services_tag_are_found_with_what_they_are(
    account: AccountImages, ec2: Any, session: Session
) -> None:
    image = bake(ec2, session)
    (found,) = account.images()
    assert (found.id, found.name, found.project, found.service) == (image, "web-1", "shop", "web")
    assert (found.place.account, found.place.region) == ("123456789012", REGION)
    assert len(found.snapshots) == 1
    assert found.created.tzinfo


def test_images_are_found_by_id_and_one_that_is_gone_hides_none(account: AccountImages, session: Session) -> None:
    image = register_image(session, "untagged")
    assert [each.id for each in account.named([image, "ami-00000000"])] == [image]


def test_without_ids_nobody_is_asked(account: AccountImages, calls: list[str]) -> None:
    assert account.named([]) == ()
    assert calls == []


def test_pending_images_are_found_before_they_have_tags(account: AccountImages, session: Session) -> None:
    image = register_image(session, "copy")
    set_image(image, state="pending")
    assert [each.id for each in account.pending()] == [image]


def test_an_instance_needs_its_image_until_it_is_terminated(account: AccountImages, ec2: Any, session: Session) -> None:
    image = register_image(session, "one")
    instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.stop_instances(InstanceIds=[instance])
    assert account.uses() == {image: [f"instance {instance}"]}
    ec2.terminate_instances(InstanceIds=[instance])
    assert account.uses() == {}


def template(ec2: Any, *images: str) -> str:
    first, *others = images
    made = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": first})
    for each in others:
        ec2.create_launch_template_version(LaunchTemplateName="web", LaunchTemplateData={"ImageId": each})
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def test_launch_templates_need_the_images_of_their_latest_and_default_versions(
    account: AccountImages, ec2: Any, session: Session
) -> None:
    images = [register_image(session, f"web-{number}") for number in range(3)]
    template(ec2, *images)
    assert set(account.uses()) == {images[0], images[2]}


@pytest.mark.parametrize("is_mixed", [False, True])
def test_a_group_needs_the_image_of_the_version_that_it_names(
    account: AccountImages, ec2: Any, session: Session, is_mixed: bool
) -> None:
    images = [register_image(session, f"web-{number}") for number in range(3)]
    named = {"LaunchTemplateId": template(ec2, *images), "Version": "2"}
    how: dict[str, Any] = {"LaunchTemplate": named}
    if is_mixed:
        how = {"MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": named}}}
    session.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="g", MinSize=0, MaxSize=0, AvailabilityZones=[f"{REGION}a"], **how
    )
    assert account.uses()[images[1]] == ["launch template web, version 2"]


def test_a_launch_configuration_needs_its_image(account: AccountImages, session: Session) -> None:
    image = register_image(session, "old")
    session.client("autoscaling").create_launch_configuration(
        LaunchConfigurationName="c", ImageId=image, InstanceType="t3.small"
    )
    assert account.uses() == {image: ["launch configuration c"]}


def test_whom_an_image_is_shared_with_is_told(account: AccountImages, ec2: Any, session: Session) -> None:
    image = register_image(session, "web-1")
    assert account.shared_with(image) == frozenset()
    for target in ({"UserId": "222222222222"}, {"Group": "all"}):
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [target]})
    assert account.shared_with(image) == {"222222222222", "everybody"}


def test_an_image_goes_with_its_snapshots_and_the_snapshots_last(
    account: AccountImages, ec2: Any, session: Session, calls: list[str]
) -> None:
    bake(ec2, session)
    (image,) = account.images()
    calls.clear()
    removal = account.remove(image)
    assert removal.gone == (f"image {image.id}", f"snapshot {image.snapshots[0]}")
    assert removal.left == ()
    assert account.images() == ()
    assert [call for call in calls if "Describe" not in call] == ["DeregisterImage", "DeleteSnapshot"]


def test_removing_again_what_is_gone_is_no_failure(account: AccountImages, ec2: Any, session: Session) -> None:
    bake(ec2, session)
    (image,) = account.images()
    account.remove(image)
    assert account.remove(image).left == ()


@contextmanager
def refused(session: Session, operation: str, code: str) -> Iterator[None]:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    events, name = session.client("ec2").meta.events, f"before-call.ec2.{operation}"
    events.register(name, refuse)
    try:
        yield
    finally:
        events.unregister(name, refuse)


def test_a_snapshot_that_is_in_use_elsewhere_is_told_and_the_image_is_gone(
    account: AccountImages, ec2: Any, session: Session
) -> None:
    bake(ec2, session)
    (image,) = account.images()
    with refused(session, "DeleteSnapshot", "InvalidSnapshot.InUse"):
        removal = account.remove(image)
    assert removal.gone == (f"image {image.id}",)
    assert "InvalidSnapshot.InUse" in removal.left[0]


def test_the_snapshots_of_an_image_that_may_not_be_deregistered_stay(
    account: AccountImages, ec2: Any, session: Session
) -> None:
    bake(ec2, session)
    (image,) = account.images()
    with refused(session, "DeregisterImage", "OperationNotPermitted"):
        removal = account.remove(image)
    assert removal.gone == ()
    assert removal.left[0].startswith(f"image {image.id} (AWS refused DeregisterImage")
    assert ec2.describe_snapshots(SnapshotIds=list(image.snapshots))["Snapshots"]


def test_the_mark_of_a_revoked_image_is_set_and_taken_away(account: AccountImages, ec2: Any, session: Session) -> None:
    image = bake(ec2, session)
    account.mark_revoked([image], "x" * 300)
    assert account.images()[0].revoked_tag == "x" * 256
    account.unmark_revoked([image])
    assert REVOKED not in account.images()[0].tags
