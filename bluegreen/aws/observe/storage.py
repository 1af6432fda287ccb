"""Buckets, volumes, keys and parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from bluegreen.aws.observe.asking import Asking
from bluegreen.aws.session import in_our_words, is_fault
from bluegreen.model.observation import (
    Bucket,
    DataVolume,
    KmsKey,
)
from bluegreen.model.tags import (
    ADDRESS,
    MEMBER,
    PROTECTED,
)


class Storage(Asking):
    """Questions about what keeps data."""

    @in_our_words
    def bucket_region(self, bucket: str) -> str | None:
        """The region of a bucket, empty where it is somebody's who does not say; None where there is none. One call."""
        try:
            answer = self._session.client("s3").head_bucket(Bucket=bucket)
        except ClientError as error:
            if is_fault(error, "404", "NoSuchBucket"):
                return None
            if is_fault(error, "301", "403", "400"):
                headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
                return str(headers.get("x-amz-bucket-region", ""))
            raise
        return str(answer.get("BucketRegion", ""))

    @in_our_words
    def bucket(self, name: str, account: str) -> Bucket | None:
        """A bucket, as this account sees it; None where there is none of that name. At most two calls."""
        s3 = self._session.client("s3")
        try:
            answer = s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
        except ClientError as error:
            if is_fault(error, "404", "NoSuchBucket"):
                return None
            if is_fault(error, "301", "403", "400"):
                return Bucket(is_of_account=False)
            raise
        tags: dict[str, str] = {}
        try:
            found = s3.get_bucket_tagging(Bucket=name, ExpectedBucketOwner=account)["TagSet"]
            tags = {each["Key"]: each["Value"] for each in found}
        except ClientError as error:
            if not is_fault(error, "NoSuchTagSet"):
                raise
        return Bucket(is_of_account=True, region=str(answer.get("BucketRegion", "")), tags=tags)

    @in_our_words
    def volumes(self, tags: Mapping[str, str], ids: Collection[str] = ()) -> tuple[DataVolume, ...]:
        """Those with all of these tags, and those with these ids, as far as they are there. One call, or two."""
        asked = [[{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]]
        if ids:
            asked.append([{"Name": "volume-id", "Values": list(ids)}])
        found: dict[str, DataVolume] = {}
        for filters in asked:
            for page in self._session.client("ec2").get_paginator("describe_volumes").paginate(Filters=filters):
                found |= {each["VolumeId"]: _data_volume(each) for each in page["Volumes"]}
        return tuple(found.values())

    @in_our_words
    def kms_key(self, arn: str) -> KmsKey | None:
        """A key of this region; None where there is none of that ARN, or alias. One call."""
        try:
            found = self._session.client("kms").describe_key(KeyId=arn)["KeyMetadata"]
        except ClientError as error:
            if is_fault(error, "NotFoundException"):
                return None
            raise
        return KmsKey(
            arn=found["Arn"],
            state=found["KeyState"],
            spec=found.get("KeySpec", ""),
            usage=found.get("KeyUsage", ""),
            is_aws_managed=found.get("KeyManager") == "AWS",
        )

    @in_our_words
    def kms_key_of(self, alias: str) -> KmsKey | None:
        """The key that an alias (`alias/...`) is of, with its tags, as far as this caller may read them: a role that
        deploys may read those of its own stack. One call where there is no such key, else two."""
        found = self.kms_key(alias)
        if found is None:
            return None
        pages = self._session.client("kms").get_paginator("list_resource_tags").paginate(KeyId=found.arn)
        try:
            tags = {each["TagKey"]: each["TagValue"] for page in pages for each in page["Tags"]}
        except ClientError as error:
            if not is_fault(error, "AccessDeniedException"):
                raise
            tags = {}
        return replace(found, tags=tags)

    @in_our_words
    def parameters(self, path: str) -> dict[str, str]:
        """What SSM has below a path, by whole name; secret values as they are kept, encrypted. One call or two."""
        pages = self._session.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
        return {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]}


def _data_volume(described: Mapping[str, Any]) -> DataVolume:
    tags = {tag["Key"]: tag.get("Value", "") for tag in described.get("Tags", [])}
    return DataVolume(
        id=described["VolumeId"],
        zone=described["AvailabilityZone"],
        size_gb=described["Size"],
        member=tags.get(MEMBER, ""),
        address=tags.get(ADDRESS, ""),
        is_protected=tags.get(PROTECTED) == "true",
    )
