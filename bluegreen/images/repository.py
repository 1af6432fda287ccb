"""Where artifacts are kept: published to the stack's S3 bucket, and had from there, or from anybody's, by a builder."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from bluegreen.aws.session import Session, in_our_words, is_fault
from bluegreen.errors import ArtifactError
from bluegreen.images.artifact import Artifact, sha256_of
from bluegreen.model.artifact_bucket import own_bucket_name, prefix_of
from bluegreen.model.bucket import only_over_tls

URL_SECONDS = 3600
"""How long a builder may take until it has fetched the artifact."""
PROBE_SECONDS = 5.0

PUBLIC_ACCESS_BLOCK = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket for artifacts. `owner`: the account of one that is ours to make; empty for one that the user named."""

    name: str
    owner: str = ""

    @property
    def is_ours(self) -> bool:
        return bool(self.owner)

    @property
    def request(self) -> dict[str, str]:
        """Names the bucket in a call. A stranger may have taken a name that can be guessed: S3 checks the owner."""
        return {"Bucket": self.name, **({"ExpectedBucketOwner": self.owner} if self.owner else {})}


@in_our_words
def bucket_of(session: Session, *, project: str, stack: str, configured: str = "") -> Bucket:
    """The bucket that the stack's config names, else the stack's own. Raises AwsError."""
    if configured:
        return Bucket(name=configured)
    account = str(session.client("sts").get_caller_identity()["Account"])
    return Bucket(name=own_bucket_name(project, stack, account, session.region), owner=account)


@in_our_words
def publish(session: Session, bucket: Bucket, artifact: Artifact, *, service: str) -> Artifact:
    """Put an artifact that is on this machine into the bucket; what is there already is not sent again.

    Returns it with its URL there. Raises ArtifactError where the file is missing or another than its sha256 says, or
    the bucket that the user named does not exist; AwsError.
    """
    if artifact.file is None:
        return artifact
    if (found := sha256_of(artifact.file)) != artifact.sha256:
        raise ArtifactError(
            f"{artifact.file} has the sha256 {found}, and the artifact should have {artifact.sha256}",
            "Build it again with `bluegreen artifact build`. Nothing was published.",
        )
    s3 = session.client("s3")
    key = f"{prefix_of(service)}{artifact.version}/{artifact.sha256}.tar.gz"
    if _sha256_at(s3, bucket.request, key) != artifact.sha256:
        _ensure(s3, bucket, session.region)
        with artifact.file.open("rb") as file:
            s3.put_object(
                **bucket.request,
                Key=key,
                Body=file,
                ContentType="application/gzip",
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(bytes.fromhex(artifact.sha256)).decode(),
                Metadata={"sha256": artifact.sha256, "version": artifact.version, "commit": artifact.commit},
            )
    return replace(artifact, url=f"s3://{bucket.name}/{key}")


@in_our_words
def download_url(session: Session, artifact: Artifact, notice: Callable[[str], None]) -> str:
    """A URL at which a builder, which has no credentials, gets the artifact: one that is signed for an hour for S3.

    It is asked for first. `notice` hears where that proves nothing. Raises ArtifactError where the artifact is not
    there, or is another; AwsError.
    """
    parts = urlsplit(artifact.url)
    if parts.scheme != "s3":
        _probe(artifact.url, notice)
        return artifact.url
    s3, at = session.client("s3"), {"Bucket": parts.netloc, "Key": parts.path.removeprefix("/")}
    try:
        found = s3.head_object(**at)
    except ClientError as error:
        if is_fault(error, "404", "NoSuchKey", "NoSuchBucket"):
            raise _not_found(artifact.url) from error
        raise
    if (sha256 := found.get("Metadata", {}).get("sha256", artifact.sha256)) != artifact.sha256:
        raise ArtifactError(
            f"{artifact.url} has the sha256 {sha256}, and the artifact should have {artifact.sha256}",
            "Publish it again with `bluegreen artifact publish`. Nothing was launched.",
        )
    return str(s3.generate_presigned_url("get_object", Params=at, ExpiresIn=URL_SECONDS))


def _not_found(url: str) -> ArtifactError:
    return ArtifactError(
        f"the artifact is not found: there is nothing at {url}",
        "Publish it with `bluegreen artifact publish`, or correct its url. Nothing was launched.",
    )


def _probe(url: str, notice: Callable[[str], None]) -> None:
    """Only 404 and 410 prove that nothing is there. A builder in another network may have what we are refused."""
    status: int | str = ""
    # What answers GET may refuse HEAD: a signed URL is good for one method.
    for request in (
        urllib.request.Request(url, method="HEAD"),
        urllib.request.Request(url, headers={"Range": "bytes=0-0"}),
    ):
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
                return
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
            if status in (404, 410):
                raise _not_found(url) from error
        except OSError as error:
            status = str(getattr(error, "reason", error))
            break
    notice(
        f"whether the artifact is at {urlsplit(url).hostname} can't be told from here ({status}); the builder will see"
    )


def _sha256_at(s3: Any, bucket: dict[str, str], key: str) -> str | None:
    """The sha256 of what is there. None where nothing is, or where this caller may not know: it may still write."""
    try:
        return str(s3.head_object(**bucket, Key=key).get("Metadata", {}).get("sha256", ""))
    except ClientError as error:
        if is_fault(error, "404", "NoSuchKey", "NoSuchBucket", "403"):
            return None
        raise


def _ensure(s3: Any, bucket: Bucket, region: str) -> None:
    """See that the bucket exists: one of ours is made. Versioning is turned on last, so it tells a finished one."""
    try:
        s3.head_bucket(**bucket.request)
    except ClientError as error:
        if not is_fault(error, "404", "NoSuchBucket"):
            raise
        if not bucket.is_ours:
            raise ArtifactError(
                f"bluegreen:artifactBucket: there is no bucket {bucket.name}",
                "Make it, correct its name, or unset it: then the stack gets one of its own. Nothing was published.",
            ) from error
        # S3 refuses the name of this one region, and wants that of every other (API Reference, CreateBucket).
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket.name, ObjectOwnership="BucketOwnerEnforced", **where)
    if bucket.is_ours and s3.get_bucket_versioning(**bucket.request).get("Status") != "Enabled":
        _secure(s3, bucket)


def _secure(s3: Any, bucket: Bucket) -> None:
    s3.put_public_access_block(**bucket.request, PublicAccessBlockConfiguration=PUBLIC_ACCESS_BLOCK)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(**bucket.request, ServerSideEncryptionConfiguration={"Rules": [rule]})
    if s3.meta.endpoint_url.startswith("https:"):  # an endpoint without TLS would shut everybody out by it
        arn = f"arn:{s3.meta.partition}:s3:::{bucket.name}"
        s3.put_bucket_policy(**bucket.request, Policy=json.dumps(only_over_tls(arn)))
    s3.put_bucket_versioning(**bucket.request, VersioningConfiguration={"Status": "Enabled"})
