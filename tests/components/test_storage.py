"""The stack's buckets and its key, as the program declares them, and what is refused beforehand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen.model.encryption import alias_of
from bluegreen.model.observation import Bucket, KmsKey
from bluegreen.model.policies import Resource, violations
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.tags import Owner
from tests.components.conftest import AMI, FakeHooks, FakeObserver

ARTIFACTS = "bluegreen-dev-artifacts-123456789012-us-east-1"
BACKUPS = "bluegreen-dev-backups-123456789012-us-east-1"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
UPLOADER = "arn:aws:iam::123456789012:role/database"
BOTH: dict[str, Any] = {"artifacts": {"oldVersionDays": 90}, "backups": {"days": 35, "uploaders": [UPLOADER]}}
OWN = {"encryption": {"key": "own"}}
OURS = {"bluegreen:project": "bluegreen", "bluegreen:stack": "dev"}


def policy(declared: Any, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(declared.one(kind, name)["policy"])
    return found


def test_each_is_left_out_unless_asked_for(declare: Any) -> None:
    declared = declare()
    assert not [each.typ for each in declared.resources if ":s3/" in each.typ or ":kms/" in each.typ]
    assert FakeObserver.calls == ["groups"], "nor is AWS asked"


def test_a_bucket_breaks_no_policy(declare: Any) -> None:
    declared = declare(**BOTH, **OWN)
    resources = [
        Resource(
            type=each.typ,
            name=each.name,
            properties={**each.inputs, "id": f"{each.typ.rsplit(':', 1)[-1]}-{each.name}"},
        )
        for each in declared.resources
        if ":s3/" in each.typ or ":kms/" in each.typ or ":iam/" in each.typ
    ]
    assert len([each for each in resources if each.type.endswith(":Bucket")]) == 2
    assert violations(resources) == []


@pytest.mark.parametrize("name", ["web-artifacts", "web-backups"])
def test_a_bucket_is_safe_without_being_asked(declare: Any, name: str) -> None:
    declared = declare(**BOTH)
    assert declared.one("BucketVersioning", name)["versioningConfiguration"] == {"status": "Enabled"}
    assert declared.one("BucketOwnershipControls", name)["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    (rule,) = declared.one("BucketServerSideEncryptionConfiguration", name)["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    (statement,) = policy(declared, "BucketPolicy", name)["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    (lifecycle,) = declared.one("BucketLifecycleConfiguration", name)["rules"]
    assert lifecycle["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}


def test_artifacts_never_end_and_backups_do(declare: Any) -> None:
    declared = declare(**BOTH)
    rules = {
        name: declared.one("BucketLifecycleConfiguration", f"web-{name}")["rules"][0]
        for name in ("artifacts", "backups")
    }
    assert "expiration" not in rules["artifacts"]
    assert rules["artifacts"]["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
    assert rules["backups"]["expiration"] == {"days": 35}
    assert rules["backups"]["filter"] == {"prefix": "backups/"}


@pytest.mark.parametrize("keeps", [True, False])
def test_a_destroy_keeps_all_of_a_bucket_or_none(declare: Any, keeps: bool) -> None:
    declared = declare(artifacts={"oldVersionDays": 1, "keepOnDestroy": keeps})
    requests = [each for name, each in declared.requests.items() if name.startswith("Bucket")]
    assert len(requests) == 7
    assert {each.retainOnDelete for each in requests} == {keeps}
    assert declared.one("Bucket")["forceDestroy"] is not keeps


def test_a_bucket_that_is_there_is_taken_over(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert declare(**BOTH).requests["Bucket web-artifacts"].importId == ""
    there = {ARTIFACTS: Bucket(is_of_account=True, region="us-east-1")}
    monkeypatch.setattr(FakeObserver, "buckets", there)
    declared = declare(**BOTH)
    assert declared.requests["Bucket web-artifacts"].importId == ARTIFACTS
    assert declared.requests["Bucket web-backups"].importId == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Bucket(is_of_account=False), "the name mine is taken"),
        (Bucket(is_of_account=True, region="eu-west-1", tags=OURS), "there is a bucket mine in eu-west-1"),
        (Bucket(is_of_account=True, region="us-east-1"), "it is not this stack's. Choose another name, or tag it"),
        (Bucket(is_of_account=True, tags=OURS | {"bluegreen:stack": "qa"}), "tag it bluegreen:stack=dev"),
    ],
)
@pytest.mark.parametrize(
    ("config", "path"),
    [
        (BOTH | {"artifactBucket": "mine"}, "bluegreen:artifactBucket"),
        ({"backups": {"days": 1, "bucket": "mine"}}, "bluegreen:backups.bucket"),
    ],
)
def test_a_name_that_can_not_be_had_is_refused(
    declare: Any, monkeypatch: pytest.MonkeyPatch, found: Bucket, said: str, config: dict[str, Any], path: str
) -> None:
    monkeypatch.setattr(FakeObserver, "buckets", {"mine": found})
    declared = declare(**config)
    assert [each.typ for each in declared.resources] == ["aws:ec2/launchTemplate:LaunchTemplate"]
    (refusal,) = FakeHooks.refused
    assert f"{path}: " in refusal
    assert said in refusal


def test_a_bucket_of_a_name_of_one_s_own_is_taken_over_where_it_is_tagged(
    declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeObserver, "buckets", {"mine": Bucket(is_of_account=True, region="us-east-1", tags=OURS)})
    declared = declare(artifactBucket="mine", artifacts={"oldVersionDays": 1})
    assert declared.one("Bucket")["bucket"] == declared.requests["Bucket web-artifacts"].importId == "mine"


def test_who_uploads_backups_may_put_them_and_nothing_else(declare: Any) -> None:
    declared = declare(**BOTH)
    (statement,) = policy(declared, "RolePolicy", "web-backups")["Statement"]
    assert statement["Action"] == ["s3:PutObject"]
    assert statement["Resource"] == ["arn:Bucket:web-backups/backups/web/*"]
    (trust,) = json.loads(declared.one("Role", "web-backups")["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"AWS": [UPLOADER]}
    assert declared.outputs["backupBucket"] == BACKUPS
    assert "backupRole" in declared.outputs
    alone = declare(backups={"days": 1})
    assert not alone.of("Role")
    assert "backupRole" not in alone.outputs


def test_the_stack_s_own_key_rotates_and_encrypts_volumes_and_buckets(declare: Any) -> None:
    declared = declare(**BOTH, **OWN, instanceRole={"artifacts": True, "backups": True})
    key = "arn:Key:web-key"
    assert declared.one("Key")["enableKeyRotation"] is True
    (statement,) = policy(declared, "Key", "web-key")["Statement"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    (device,) = declared.one("LaunchTemplate")["blockDeviceMappings"]
    assert device["ebs"]["kmsKeyId"] == key
    (rule,) = declared.one("BucketServerSideEncryptionConfiguration", "web-backups")["rules"]
    default = rule["applyServerSideEncryptionByDefault"]
    assert (default, rule["bucketKeyEnabled"]) == ({"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key}, True)
    for name in ("web-backups", next(each.name for each in declared.of("RolePolicy") if "machines" in each.name)):
        use = policy(declared, "RolePolicy", name)["Statement"][-1]
        assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
        assert use["Resource"] == [key]
        assert use["Condition"] == {"StringLike": {"kms:ViaService": "s3.us-east-1.*"}}


def test_auto_scaling_has_the_key_before_it_launches_and_until_the_last_machine_is_gone(declare: Any) -> None:
    declared = declare(**OWN)
    grant = declared.one("Grant")
    role = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    assert grant["granteePrincipal"] == f"arn:aws:iam::123456789012:role/{role}"
    assert grant["keyId"] == "arn:Key:web-key"
    (group,) = declared.of("Group")
    assert any(urn.endswith("Grant::web-key") for urn in declared.requests[f"Group {group.name}"].dependencies)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_destroy_keeps_the_key_unless_told_otherwise(declare: Any, keeps: bool) -> None:
    declared = declare(encryption={"key": "own", "keepOnDestroy": keeps})
    assert declared.requests["Key web-key"].retainOnDelete is keeps


ALIAS = "alias/bluegreen/dev"


def test_a_key_that_a_destroy_has_left_is_taken_over_with_its_alias(
    declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = declare(**OWN)
    assert declared.one("Alias")["name"] == ALIAS
    assert {declared.requests[f"{kind} web-key"].importId for kind in ("Key", "Alias")} == {""}
    assert declared.requests["Alias web-key"].retainOnDelete
    monkeypatch.setattr(FakeObserver, "keys", {ALIAS: KmsKey(arn=KEY, state="Enabled", tags=OURS)})
    declared = declare(**OWN)
    assert declared.requests["Key web-key"].importId == KEY.rpartition("/")[2]
    assert declared.requests["Alias web-key"].importId == ALIAS


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (KmsKey(arn=KEY, state="Enabled"), "tag it bluegreen:project=bluegreen, bluegreen:stack=dev, or"),
        (KmsKey(arn=KEY, state="Enabled", tags=OURS | {"bluegreen:stack": "qa"}), "tag it bluegreen:stack=dev, or"),
        (KmsKey(arn=KEY, state="PendingDeletion", tags=OURS), "is to be deleted: `aws kms cancel-key-deletion`"),
        (KmsKey(arn=KEY, state="Disabled", tags=OURS), "is Disabled: enable it"),
        (KmsKey(arn=KEY, state="Enabled", tags=OURS, spec="RSA_2048"), "need a symmetric"),
    ],
)
def test_a_key_of_the_stack_s_alias_that_is_no_good_is_refused(
    declare: Any, monkeypatch: pytest.MonkeyPatch, found: KmsKey, said: str
) -> None:
    monkeypatch.setattr(FakeObserver, "keys", {ALIAS: found})
    declared = declare(**OWN)
    assert [each.typ for each in declared.resources] == ["aws:ec2/launchTemplate:LaunchTemplate"]
    (refusal,) = FakeHooks.refused
    assert "bluegreen:encryption.key: " in refusal
    assert said in refusal


def test_an_alias_has_no_characters_that_kms_refuses() -> None:
    assert alias_of(Owner(project="my.shop", stack="eu-west_1.prod")) == "alias/my_shop/eu-west_1_prod"


def test_a_release_that_is_still_there_keeps_its_key(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeObserver, "keys", {KEY: KmsKey(arn=KEY, state="Enabled")})
    before = Release.from_settings(Settings.parse({"ami": AMI, **OWN}))
    now = {"encryption": {"key": KEY}}
    version = Release.from_settings(Settings.parse({"ami": AMI, **now})).version
    assert version != before.version
    fleet = {"serial": 1, "basis": version, "standbys": [{"release": before.as_record(), "size": "zero"}]}
    declared = declare(**now, fleet=fleet)
    assert len(declared.of("Key")) == 1
    assert {each.inputs["keyId"] for each in declared.of("Grant")} == {KEY, "arn:Key:web-key"}
    keys = {
        each.name: each.inputs["blockDeviceMappings"][0]["ebs"]["kmsKeyId"] for each in declared.of("LaunchTemplate")
    }
    assert keys == {f"web-{version}": KEY, before.name: "arn:Key:web-key"}


@pytest.mark.parametrize(
    ("key", "found", "said"),
    [
        (KEY.replace("us-east-1", "eu-west-1"), None, "is in eu-west-1, and the stack in us-east-1"),
        (KEY, None, "there is no key"),
        (KEY, KmsKey(arn=KEY, state="Disabled"), "is Disabled: enable it"),
        (KEY, KmsKey(arn=KEY, state="PendingDeletion"), "cancel its deletion first"),
        (KEY, KmsKey(arn=KEY, state="Enabled", is_aws_managed=True), "AWS's own key"),
        (KEY, KmsKey(arn=KEY, state="Enabled", spec="RSA_2048", usage="SIGN_VERIFY"), "is for SIGN_VERIFY"),
        (KEY, KmsKey(arn=KEY, state="Enabled", spec="HMAC_256", usage="GENERATE_VERIFY_MAC"), "need a symmetric"),
    ],
)
def test_a_key_that_is_of_no_use_is_refused(
    declare: Any, monkeypatch: pytest.MonkeyPatch, key: str, found: KmsKey | None, said: str
) -> None:
    monkeypatch.setattr(FakeObserver, "keys", {key: found} if found else {})
    declare(encryption={"key": key})
    (refusal,) = FakeHooks.refused
    assert "bluegreen:encryption.key: " in refusal
    assert said in refusal


def test_an_account_that_never_scaled_has_nobody_to_grant_the_key_to(
    declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeObserver, "scales", False)
    declare(**OWN)
    assert "aws iam create-service-linked-role" in FakeHooks.refused[0]
