"""Images go to other regions and accounts as on AWS: only what is shared, with its disk, under a key that lets them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.host import Sandbox
from tests.sandbox.cloud.world import Aws, eventually, get_json

OTHER_ACCOUNT = "222222222222"
OTHER_REGION = "eu-west-1"
_numbers = itertools.count(1)

Client = Callable[..., Any]


@pytest.fixture(scope="module")
def other(sandbox: Sandbox) -> Client:
    """Clients of another account, in another region unless one is named."""
    given = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox", "endpoint_url": sandbox.endpoint}
    sts = boto3.client("sts", region_name="us-east-1", **given)
    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/deployer"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]

    def make(service: str, region: str = OTHER_REGION) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=sandbox.endpoint,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=Config(retries={"max_attempts": 0}, parameter_validation=False),
        )

    return make


@pytest.fixture
def elsewhere(client: Client) -> Any:
    """EC2 of the same account in another region."""
    return boto3.client(
        "ec2",
        region_name=OTHER_REGION,
        endpoint_url=client("ec2").meta.endpoint_url,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )


def described(ec2: Any, image: str) -> dict[str, Any]:
    return dict(ec2.describe_images(ImageIds=[image])["Images"][0])


def disk_of(ec2: Any, image: str) -> str:
    return str(described(ec2, image)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])


def copied(ec2: Any, image: str, *, source: str = "us-east-1", **options: Any) -> str:
    name = f"copy-{next(_numbers)}"
    return str(ec2.copy_image(Name=name, SourceImageId=image, SourceRegion=source, **options)["ImageId"])


def settled(ec2: Any, image: str) -> dict[str, Any]:
    eventually(lambda: described(ec2, image)["State"] != "pending")
    return described(ec2, image)


def share(ec2: Any, image: str, account: str = OTHER_ACCOUNT) -> None:
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": account}]})
    ec2.modify_snapshot_attribute(
        SnapshotId=disk_of(ec2, image),
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[account],
    )


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def customer_key(kms: Any, *accounts: str) -> str:
    principals = [f"arn:aws:iam::{account}:root" for account in ("123456789012", *accounts)]
    statement = {"Effect": "Allow", "Principal": {"AWS": principals}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return str(kms.create_key(Policy=policy)["KeyMetadata"]["Arn"])


def encrypted(aws: Aws, key: str = "") -> str:
    """An image under a key of the account, the default one unless named."""
    return str(
        settled(aws.ec2, copied(aws.ec2, aws.image(), Encrypted=True, **({"KmsKeyId": key} if key else {})))["ImageId"]
    )


def test_a_copy_in_another_region_is_pending_then_available_and_has_its_tags(aws: Aws, elsewhere: Any) -> None:
    image = aws.image(tags={"version": "7", "own": "x"})
    tags = [{"ResourceType": kind, "Tags": [{"Key": "k", "Value": "v"}]} for kind in ("image", "snapshot")]
    copy = copied(elsewhere, image, TagSpecifications=tags)
    assert described(elsewhere, copy)["State"] == "pending"
    found = settled(elsewhere, copy)
    assert (found["State"], found["SourceImageId"], found["SourceImageRegion"]) == ("available", image, "us-east-1")
    assert found["Tags"] == [{"Key": "k", "Value": "v"}], "the source's own tags are not copied"
    assert found["RootDeviceName"] == "/dev/xvda"
    disk = elsewhere.describe_snapshots(SnapshotIds=[disk_of(elsewhere, copy)])["Snapshots"][0]
    assert (disk["State"], disk["Tags"]) == ("completed", [{"Key": "k", "Value": "v"}])


def test_machines_of_a_copy_run_the_app_in_another_region_and_account(
    aws: Aws, other: Client, sandbox: Sandbox
) -> None:
    image = aws.image(tags={"version": "8"})
    share(aws.ec2, image)
    ec2, elb, autoscaling = other("ec2"), other("elbv2"), other("autoscaling")
    copy = copied(ec2, image)
    settled(ec2, copy)
    aws.ec2.deregister_image(ImageId=image)

    away = Aws(sandbox, ec2, elb, autoscaling, region=OTHER_REGION)
    group, balancer = away.target_group(), away.balancer()
    away.listener(balancer, group)
    name = away.scaling_group(away.template(copy), target_group=group)
    try:
        eventually(lambda: away.states(group) == ["healthy"] * 2, what="all healthy")
        assert get_json(away.address(balancer), "/version")["app"] == "8"
        assert len(away.activities(name)) == 2
        assert not aws.activities(name), "another account's activities are nobody else's"
        machine = away.instances(name)[0]
        assert machine not in str(aws.ec2.describe_instances())
    finally:
        away.clear()


def test_an_account_sees_what_is_shared_with_it_without_its_owners_tags(aws: Aws, other: Client) -> None:
    image, there = aws.image(tags={"version": "1"}), other("ec2", "us-east-1")
    assert refusal(there.describe_images, ImageIds=[image])[0] == "InvalidAMIID.NotFound"
    share(aws.ec2, image)
    assert described(there, image)["OwnerId"] == "123456789012"
    assert not described(there, image).get("Tags")
    assert image not in str(there.describe_images(Owners=["self"]))
    assert refusal(other("ec2").describe_images, ImageIds=[image])[0] == "InvalidAMIID.NotFound", "in its region only"


def test_only_its_owner_shares_an_image(aws: Aws, other: Client) -> None:
    image, there = aws.image(), other("ec2", "us-east-1")
    share(aws.ec2, image)
    found = refusal(there.modify_image_attribute, ImageId=image, LaunchPermission={"Add": [{"UserId": "333333333333"}]})
    assert found == ("AuthFailure", f"Not authorized for image:{image}")


def test_a_shared_image_is_copied_only_with_its_disk(aws: Aws, other: Client) -> None:
    image, there = aws.image(), other("ec2")
    assert refusal(copied, ec2=there, image=image)[0] == "InvalidAMIID.NotFound"
    aws.ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": OTHER_ACCOUNT}]})
    assert refusal(copied, ec2=there, image=image) == (
        "InvalidRequest",
        "You do not have permission to access the storage of this ami",
    )
    share(aws.ec2, image)
    copy = settled(there, copied(there, image))
    assert (copy["State"], copy["OwnerId"]) == ("available", OTHER_ACCOUNT)


def test_an_image_under_the_default_key_is_not_shared(aws: Aws, client: Client) -> None:
    image = encrypted(aws)
    disk = aws.ec2.describe_snapshots(SnapshotIds=[disk_of(aws.ec2, image)])["Snapshots"][0]
    assert client("kms").describe_key(KeyId=disk["KmsKeyId"])["KeyMetadata"]["KeyManager"] == "AWS"
    code, words = refusal(
        aws.ec2.modify_image_attribute, ImageId=image, LaunchPermission={"Add": [{"UserId": OTHER_ACCOUNT}]}
    )
    assert code == "InvalidParameter"
    assert words.startswith("Snapshots encrypted with the AWS Managed CMK can't be shared.")
    assert refusal(
        aws.ec2.modify_snapshot_attribute,
        SnapshotId=disk["SnapshotId"],
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[OTHER_ACCOUNT],
    ) == ("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")


def test_a_copy_under_another_accounts_key_needs_that_keys_leave(aws: Aws, client: Client, other: Client) -> None:
    closed, open_to_it = customer_key(client("kms")), customer_key(client("kms"), OTHER_ACCOUNT)
    there = other("ec2")
    for key, state in ((closed, "failed"), (open_to_it, "available")):
        image = encrypted(aws, key)
        share(aws.ec2, image)
        copy = settled(there, copied(there, image, Encrypted=True))
        assert copy["State"] == state
    assert copy["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]


def test_a_key_that_is_not_there_fails_the_copy_later(aws: Aws, elsewhere: Any, client: Client) -> None:
    key_of_another_region = customer_key(client("kms"))
    copy = settled(elsewhere, copied(elsewhere, aws.image(), Encrypted=True, KmsKeyId=key_of_another_region))
    assert (copy["State"], copy["StateReason"]["Message"]) == ("failed", "Copy image failed with an internal error.")


def test_an_encrypted_image_has_no_open_copy(aws: Aws, elsewhere: Any) -> None:
    image = encrypted(aws)
    assert refusal(copied, ec2=elsewhere, image=image, Encrypted=False)[0] == "InvalidRequest"
    assert settled(elsewhere, copied(elsewhere, image))["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]


def test_a_name_is_taken_once_and_a_request_that_is_sent_again_is_the_same(aws: Aws, elsewhere: Any) -> None:
    request = {"Name": "once", "SourceImageId": aws.image(), "SourceRegion": "us-east-1", "ClientToken": "t"}
    made = elsewhere.copy_image(**request)["ImageId"]
    assert elsewhere.copy_image(**request)["ImageId"] == made
    assert refusal(elsewhere.copy_image, **request | {"ClientToken": "u"})[0] == "InvalidAMIName.Duplicate"


def test_base_images_are_in_every_region_and_seen_by_every_account(other: Client) -> None:
    wanted = {"Owners": ["136693071363"], "Filters": [{"Name": "name", "Values": ["debian-12-amd64-*"]}]}
    for region in ("us-east-1", "ap-southeast-2"):
        assert len(other("ec2", region).describe_images(**wanted)["Images"]) == 1


def test_a_volume_says_its_key_by_arn(aws: Aws, client: Client) -> None:
    kms = client("kms")
    key = customer_key(kms)
    kms.create_alias(AliasName="alias/images", TargetKeyId=key)
    made = aws.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, Encrypted=True, KmsKeyId="alias/images")
    assert made["KmsKeyId"] == key
