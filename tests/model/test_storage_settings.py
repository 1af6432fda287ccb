"""What a config may say of buckets and of the key."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.artifact_bucket import own_bucket_name
from bluegreen.model.settings import Settings

KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def faults(**config: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ami": "ami-0123456789abcdef0", **config})
    return {fault.path.removeprefix("bluegreen:"): fault.message for fault in caught.value.faults}


def test_an_empty_object_asks_for_nothing() -> None:
    settings = Settings.parse({"artifacts": {}, "backups": "{}", "encryption": {}})
    assert (settings.artifacts, settings.backups, settings.encryption) == (None, None, None)


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ({"artifacts": {"keepOnDestroy": True}}, "artifacts.oldVersionDays", "is missing"),
        ({"artifacts": {"oldVersionDays": 0}}, "artifacts.oldVersionDays", "greater than or equal to 1"),
        ({"artifacts": {"oldVersionsDays": 1}}, "artifacts.oldVersionsDays", "did you mean oldVersionDays?"),
        ({"backups": {"oldVersionDays": 1}}, "backups.days", "is missing"),
        ({"backups": {"days": 1, "uploaders": ["arn:aws:iam::1:user/x"]}}, "backups.uploaders[0]", "not the ARN of a"),
        ({"backups": {"days": 1, "bucket": "a" * 64}}, "backups.bucket", "is not the name of a bucket"),
        ({"backups": {"days": 1, "bucket": "10.0.0.1"}}, "backups.bucket", "looks like an address"),
        ({"artifactBucket": "xn--mine"}, "artifactBucket", "AWS keeps its first or last letters"),
        ({"artifactBucket": "mine-s3alias"}, "artifactBucket", "AWS keeps its first or last letters"),
        ({"encryption": {"key": "alias/mine"}}, "encryption.key", "neither own nor the ARN of a KMS key"),
        ({"encryption": {"key": KEY.replace("key/", "alias/")}}, "encryption.key", "the key's, not an alias's"),
        ({"encryption": {"keepOnDestroy": True}}, "encryption.key", "is missing"),
        ({"instanceRole": {"backups": True}}, "instanceRole.backups", "there is no bucket for them; set backups"),
        (
            {"artifactBucket": "mine", "backups": {"days": 1, "bucket": "mine"}},
            "backups.bucket",
            "mine is artifactBucket too",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(config: dict[str, Any], path: str, said: str) -> None:
    assert said in faults(**config)[path]


def test_the_buckets_of_a_stack_have_different_names() -> None:
    names = [
        own_bucket_name("shop", "dev" * 20, "123456789012", "ap-southeast-2", kind) for kind in ("artifacts", "backups")
    ]
    assert len(set(names)) == 2
    assert all(len(name) <= 63 for name in names)
