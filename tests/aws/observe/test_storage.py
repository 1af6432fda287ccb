"""What is read of buckets, volumes and keys."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from bluegreen.model.observation import (
    Bucket,
    DataVolume,
    KmsKey,
)
from tests.aws.world import World


def test_a_bucket_is_known_with_its_region(world: World) -> None:
    s3 = world.session.client("s3")
    s3.create_bucket(Bucket="my-bucket")
    s3.create_bucket(Bucket="far-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    world.calls.clear()
    assert world.observer.bucket_region("my-bucket") == "us-east-1"
    assert world.observer.bucket_region("far-bucket") == "eu-west-1"
    assert world.observer.bucket_region("no-bucket") is None
    assert world.calls == ["HeadBucket"] * 3


@pytest.mark.parametrize("code", [301, 400, 403])
def test_a_bucket_of_somebody_else_s_says_its_region_at_most(world: World, code: int) -> None:
    for headers, region in (({"x-amz-bucket-region": "eu-west-1"}, "eu-west-1"), ({}, "")):
        with Stubber(world.session.client("s3")) as stub:
            stub.add_client_error(
                "head_bucket", str(code), http_status_code=code, response_meta={"HTTPHeaders": headers}
            )
            assert world.observer.bucket_region("their-bucket") == region


def test_a_bucket_is_seen_with_its_tags(world: World) -> None:
    s3 = world.session.client("s3")
    for name in ("tagged", "bare"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_tagging(Bucket="tagged", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    world.calls.clear()
    account = "123456789012"
    assert world.observer.bucket("tagged", account) == Bucket(is_of_account=True, region="us-east-1", tags={"a": "b"})
    assert world.observer.bucket("bare", account) == Bucket(is_of_account=True, region="us-east-1")
    assert world.observer.bucket("none", account) is None
    assert world.calls == ["HeadBucket", "GetBucketTagging", "HeadBucket", "GetBucketTagging", "HeadBucket"]


@pytest.mark.parametrize("code", [301, 403])
def test_a_bucket_of_somebody_else_s_is_not_ours_to_look_at(world: World, code: int) -> None:
    with Stubber(world.session.client("s3")) as stub:
        stub.add_client_error(
            "head_bucket",
            str(code),
            http_status_code=code,
            expected_params={"Bucket": "theirs", "ExpectedBucketOwner": "123456789012"},
        )
        assert world.observer.bucket("theirs", "123456789012") == Bucket(is_of_account=False)


def test_a_key_is_known_with_its_state(world: World) -> None:
    kms = world.session.client("kms")
    made = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]
    kms.disable_key(KeyId=made["KeyId"])
    world.calls.clear()
    found = world.observer.kms_key(made["Arn"])
    assert found == KmsKey(arn=made["Arn"], state="Disabled", spec="RSA_2048", usage="SIGN_VERIFY")
    assert world.observer.kms_key(made["Arn"][:-4] + "0000") is None
    assert world.calls == ["DescribeKey"] * 2


def test_volumes_are_found_by_their_tags_and_by_their_ids(world: World) -> None:
    ec2 = world.session.client("ec2")

    def volume(zone: str = "us-east-1a", **tags: str) -> str:
        pairs = [{"Key": f"bluegreen:{key}", "Value": value} for key, value in tags.items()]
        specified = [{"ResourceType": "volume", "Tags": pairs}] if tags else []
        return str(ec2.create_volume(AvailabilityZone=zone, Size=20, TagSpecifications=specified)["VolumeId"])

    ours = volume(tier="db", member="a", address="10.0.0.9", protected="true")
    released = volume(tier="db", member="b", protected="false")
    volume(tier="other", member="a", protected="true")
    plain = volume("us-east-1b")
    found = world.observer.volumes({"bluegreen:tier": "db"}, [plain, "vol-0123456789abcdef0"])
    assert {each.id: each for each in found} == {
        ours: DataVolume(id=ours, zone="us-east-1a", size_gb=20, member="a", address="10.0.0.9", is_protected=True),
        released: DataVolume(id=released, zone="us-east-1a", size_gb=20, member="b"),
        plain: DataVolume(id=plain, zone="us-east-1b", size_gb=20),
    }


def test_a_key_is_found_by_its_alias_with_whose_it_is(world: World) -> None:
    kms = world.session.client("kms")
    made = kms.create_key(KeyUsage="ENCRYPT_DECRYPT", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    kms.create_alias(AliasName="alias/shop/prod", TargetKeyId=made["KeyId"])
    world.calls.clear()
    found = world.observer.kms_key_of("alias/shop/prod")
    assert found == KmsKey(arn=made["Arn"], state="Enabled", tags={"a": "b"})
    assert found.id == made["KeyId"]
    assert world.observer.kms_key_of("alias/shop/qa") is None
    assert world.calls == ["DescribeKey", "ListResourceTags", "DescribeKey"]

    def refuse(model: Any, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, model.name)

    kms.meta.events.register("before-call.kms.ListResourceTags", refuse)
    found = world.observer.kms_key_of("alias/shop/prod")
    kms.meta.events.unregister("before-call.kms.ListResourceTags", refuse)
    assert found == KmsKey(arn=made["Arn"], state="Enabled"), "of another stack, as far as this caller can tell"
