"""The locks of stacks in an S3 backend: an object for each, as the engine writes them."""

from __future__ import annotations

from bluegreen.aws.session import Session, in_our_words


@in_our_words
def lock_objects(session: Session, bucket: str, prefix: str) -> tuple[str, ...]:
    """What locks there are, in words. One call. Raises AwsError."""
    found = session.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return tuple(f"s3://{bucket}/{each['Key']}, since {each['LastModified']:%Y-%m-%d %H:%M} UTC" for each in found)
