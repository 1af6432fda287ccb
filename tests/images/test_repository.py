"""Where artifacts are kept, against moto in process; and what a builder is given to fetch one."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.config import Config

from bluegreen.aws.session import Session, SessionSettings
from bluegreen.errors import ArtifactError, AwsError
from bluegreen.images.artifact import Artifact
from bluegreen.images.repository import Bucket, bucket_of, download_url, publish
from bluegreen.model.artifact_bucket import own_bucket_name
from tests.images.conftest import REGION

NAMED = Bucket(name="company-artifacts")


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    file = tmp_path / "web-1.tar.gz"
    file.write_bytes(b"packed")
    sha256 = hashlib.sha256(b"packed").hexdigest()
    return Artifact(url=file.as_uri(), sha256=sha256, version="1", commit="unknown")


@pytest.fixture
def own(session: Session) -> Bucket:
    return bucket_of(session, project="bluegreen", stack="dev")


def test_the_stacks_own_bucket_is_named_after_it_and_its_account_and_region(own: Bucket) -> None:
    assert own.name == "bluegreen-dev-artifacts-123456789012-us-east-1"
    assert own.request["ExpectedBucketOwner"] == "123456789012"


def test_a_bucket_that_the_config_names_is_taken_without_asking(session: Session) -> None:
    assert bucket_of(session, project="p", stack="s", configured="company-artifacts") == NAMED


@pytest.mark.parametrize("stack", ["Dev", "team.dev_1", "a" * 60, "-dev-"])
def test_names_of_buckets_are_valid(stack: str) -> None:
    name = own_bucket_name("My Project", stack, "123456789012", "ap-southeast-2")
    assert len(name) <= 63
    assert name == name.lower()
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "--" not in name
    assert not name.startswith("-")


def test_long_names_of_buckets_stay_apart() -> None:
    names = {own_bucket_name("p", "a" * 60 + last, "123456789012", "us-east-1") for last in "xyz"}
    assert len(names) == 3


def test_publishing_puts_it_under_its_version_and_sha256(session: Session, own: Bucket, artifact: Artifact) -> None:
    published = publish(session, own, artifact, service="web")
    key = f"artifacts/web/1/{artifact.sha256}.tar.gz"
    assert published == dataclasses.replace(artifact, url=f"s3://{own.name}/{key}")
    found = session.client("s3").get_object(Bucket=own.name, Key=key)
    assert found["Body"].read() == b"packed"
    assert found["Metadata"] == {"sha256": artifact.sha256, "version": "1", "commit": "unknown"}


@pytest.mark.parametrize("region", [REGION, "eu-central-1"])
def test_a_bucket_of_our_own_is_made_closed(session: Session, artifact: Artifact, region: str) -> None:
    there = Session(SessionSettings(region=region))
    bucket = bucket_of(there, project="bluegreen", stack="dev")
    publish(there, bucket, artifact, service="web")
    s3, name = there.client("s3"), bucket.name
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == (None if region == REGION else region)
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=name)["Policy"]
    ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_what_is_there_is_not_sent_again(session: Session, own: Bucket, artifact: Artifact, calls: list[str]) -> None:
    publish(session, own, artifact, service="web")
    calls.clear()
    publish(session, own, artifact, service="web")
    assert calls == ["HeadObject"]


def test_what_somebody_put_over_it_is_replaced(session: Session, own: Bucket, artifact: Artifact) -> None:
    published = publish(session, own, artifact, service="web")
    at = {"Bucket": own.name, "Key": urlsplit(published.url).path[1:]}
    session.client("s3").put_object(**at, Body=b"other", Metadata={"sha256": "0" * 64})
    publish(session, own, artifact, service="web")
    assert session.client("s3").get_object(**at)["Body"].read() == b"packed"


def test_a_bucket_whose_making_was_cut_off_is_finished(session: Session, own: Bucket, artifact: Artifact) -> None:
    s3 = session.client("s3")
    s3.create_bucket(Bucket=own.name)
    publish(session, own, artifact, service="web")
    assert all(s3.get_public_access_block(Bucket=own.name)["PublicAccessBlockConfiguration"].values())


def test_a_bucket_that_the_user_named_is_left_as_it_is(session: Session, artifact: Artifact, calls: list[str]) -> None:
    session.client("s3").create_bucket(Bucket=NAMED.name)
    calls.clear()
    publish(session, NAMED, artifact, service="web")
    assert calls == ["HeadObject", "HeadBucket", "PutObject"]


def test_a_bucket_that_the_user_named_must_exist(session: Session, artifact: Artifact) -> None:
    with pytest.raises(ArtifactError, match="artifactBucket: there is no bucket company-artifacts"):
        publish(session, NAMED, artifact, service="web")


def test_a_file_that_is_another_than_described_is_not_published(
    session: Session, own: Bucket, artifact: Artifact
) -> None:
    with pytest.raises(ArtifactError, match="has the sha256"):
        publish(session, own, dataclasses.replace(artifact, sha256="0" * 64), service="web")
    assert session.client("s3").list_buckets()["Buckets"] == []


def test_a_file_that_is_gone_is_not_found(session: Session, own: Bucket, artifact: Artifact) -> None:
    assert artifact.file is not None
    artifact.file.unlink()
    with pytest.raises(ArtifactError, match="not found"):
        publish(session, own, artifact, service="web")


def test_an_artifact_that_is_kept_elsewhere_stays_there(session: Session, own: Bucket, calls: list[str]) -> None:
    elsewhere = Artifact(url="https://example.org/a", sha256="a" * 64, version="1", commit="x")
    assert publish(session, own, elsewhere, service="web") == elsewhere
    assert calls == []


def test_a_url_for_a_builder_is_signed_for_an_hour(session: Session, own: Bucket, artifact: Artifact) -> None:
    published = publish(session, own, artifact, service="web")
    parts = urlsplit(download_url(session, published, pytest.fail))
    query = parse_qs(parts.query)
    assert parts.scheme == "https"
    assert parts.path.endswith(f"/artifacts/web/1/{artifact.sha256}.tar.gz")
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["3600"]


@pytest.mark.parametrize("bucket", ["exists", "does-not"])
def test_an_artifact_that_is_not_in_s3_is_not_found(session: Session, artifact: Artifact, bucket: str) -> None:
    session.client("s3").create_bucket(Bucket="exists")
    with pytest.raises(ArtifactError, match=f"not found: there is nothing at s3://{bucket}/a"):
        download_url(session, dataclasses.replace(artifact, url=f"s3://{bucket}/a"), pytest.fail)


def test_an_artifact_in_s3_that_is_another_is_refused(session: Session, own: Bucket, artifact: Artifact) -> None:
    published = publish(session, own, artifact, service="web")
    with pytest.raises(ArtifactError, match=f"has the sha256 {artifact.sha256}"):
        download_url(session, dataclasses.replace(published, sha256="0" * 64), pytest.fail)


def test_aws_that_can_not_be_asked_is_an_aws_error(
    session: Session, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    monkeypatch.setattr("bluegreen.aws.session.CLIENT_CONFIG", once)
    with pytest.raises(AwsError):
        publish(Session(SessionSettings(region=REGION)), NAMED, artifact, service="web")


Site = tuple[str, dict[str, int], list[str]]


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server: its URL, the status by method that it answers with, and what it was asked."""
    statuses: dict[str, int] = {}
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.headers.get('Range', '')}".strip())
            self.send_response(statuses.get(self.command, 200))
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a.tar.gz", statuses, asked
        server.shutdown()


def test_another_repository_is_asked_whether_it_is_there(session: Session, artifact: Artifact, site: Site) -> None:
    url, _, asked = site
    assert download_url(session, dataclasses.replace(artifact, url=url), pytest.fail) == url
    assert asked == ["HEAD"]


@pytest.mark.parametrize("status", [404, 410])
def test_what_another_repository_does_not_have_is_not_found(
    session: Session, artifact: Artifact, site: Site, status: int
) -> None:
    url, statuses, _ = site
    statuses["HEAD"] = status
    with pytest.raises(ArtifactError, match="not found"):
        download_url(session, dataclasses.replace(artifact, url=url), pytest.fail)


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_refused_head_is_no_proof(session: Session, artifact: Artifact, site: Site, status: int) -> None:
    url, statuses, asked = site
    statuses["HEAD"] = status
    assert download_url(session, dataclasses.replace(artifact, url=url), pytest.fail) == url
    assert asked == ["HEAD", "GET bytes=0-0"]
    statuses["GET"] = 404
    with pytest.raises(ArtifactError, match="not found"):
        download_url(session, dataclasses.replace(artifact, url=url), pytest.fail)


def test_what_can_not_be_told_from_here_is_left_to_the_builder(
    session: Session, artifact: Artifact, site: Site
) -> None:
    url, statuses, _ = site
    statuses |= {"HEAD": 403, "GET": 403}
    notices: list[str] = []
    download_url(session, dataclasses.replace(artifact, url=url), notices.append)
    download_url(session, dataclasses.replace(artifact, url="http://127.0.0.1:1/a"), notices.append)
    assert ["(403)" in notices[0], "refused" in notices[1]] == [True, True]
