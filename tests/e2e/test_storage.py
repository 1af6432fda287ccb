"""The stack's buckets and its key: made, changed, left behind with what is in them, taken over again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.project import Project

pytestmark = pytest.mark.rollout

ACCOUNT = "123456789012"
ARTIFACTS = f"bluegreen-sandbox-artifacts-{ACCOUNT}-us-east-1"
BACKUPS = f"bluegreen-sandbox-backups-{ACCOUNT}-us-east-1"
ALIAS = "alias/bluegreen/sandbox"
SCALER = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
UPLOADER = f"arn:aws:iam::{ACCOUNT}:role/database"
SMALL = {"min_size": 1, "desired_capacity": 1, "max_size": 2}
IN_PLACE: dict[str, Any] = {
    "artifacts": {"oldVersionDays": 90},
    "backups": {"days": 35, "uploaders": [UPLOADER]},
}
OF_THE_RELEASE: dict[str, Any] = {
    "encryption": {"key": "own"},
    "instance_role": {"artifacts": True, "backups": True},
}


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """A stack without any, in an account that never had a group before."""
    refused = project.up(ami=project.image("1"), encryption={"key": "own"})
    assert "aws iam create-service-linked-role" in refused.output, refused.output
    assert not refused.writes
    project.configure(encryption=None)
    first = project.up(ami=project.image("1"), **SMALL)
    assert first.code == 0, first.output
    return project


def settings_of(project: Project, bucket: str) -> dict[str, Any]:
    s3 = project.aws("s3")
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    (owner,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    (denied,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    return {
        "versioning": s3.get_bucket_versioning(Bucket=bucket)["Status"],
        "blocked": set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()),
        "owner": owner["ObjectOwnership"],
        "denied": denied["Condition"],
        "algorithm": rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
        "key": rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID", ""),
        "days": lifecycle.get("Expiration", {}).get("Days"),
        "old_days": lifecycle["NoncurrentVersionExpiration"]["NoncurrentDays"],
    }


SAFE = {
    "versioning": "Enabled",
    "blocked": {True},
    "owner": "BucketOwnerEnforced",
    "denied": {"Bool": {"aws:SecureTransport": "false"}},
}


def own_key(project: Project) -> dict[str, Any]:
    (made,) = [each["outputs"] for each in project.resources if each["type"] == "aws:kms/key:Key"]
    return dict(made)


def volume_keys(project: Project) -> set[str]:
    """Of what launches machines now."""
    ec2, found = project.aws("ec2"), set()
    for each in ec2.describe_launch_templates()["LaunchTemplates"]:
        versions = ec2.describe_launch_template_versions(LaunchTemplateId=each["LaunchTemplateId"])
        for version in versions["LaunchTemplateVersions"]:
            devices = version["LaunchTemplateData"]["BlockDeviceMappings"]
            found |= {device["Ebs"].get("KmsKeyId", "") for device in devices}
    return found


def test_a_stack_has_no_buckets_unasked(served: Project) -> None:
    assert served.aws("s3").list_buckets()["Buckets"] == []
    assert not {"Bucket", "Key", "Grant"} & {each["type"].rpartition(":")[2] for each in served.resources}


def test_buckets_are_made_beside_machines_that_serve(served: Project) -> None:
    before = served.release
    made = served.up(**IN_PLACE)
    assert made.code == 0, made.output
    assert served.release == before
    own = {"algorithm": "AES256", "key": ""}
    assert settings_of(served, ARTIFACTS) == SAFE | own | {"days": None, "old_days": 90}
    assert settings_of(served, BACKUPS) == SAFE | own | {"days": 35, "old_days": 30}
    role = served.aws("iam").get_role(RoleName=served.outputs["backupRole"].rpartition("/")[2])["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": [UPLOADER]}


def test_a_key_of_the_stack_s_own_encrypts_buckets_and_the_volumes_of_the_next_release(served: Project) -> None:
    before = served.release
    changed = served.up(**OF_THE_RELEASE)
    assert changed.code == 0, changed.output
    assert served.release != before
    key = own_key(served)
    assert volume_keys(served) == {key["arn"]}
    assert settings_of(served, BACKUPS)["key"] == settings_of(served, ARTIFACTS)["key"] == key["arn"]
    kms = served.aws("kms")
    assert kms.get_key_rotation_status(KeyId=key["arn"])["KeyRotationEnabled"]
    (grant,) = kms.list_grants(KeyId=key["arn"])["Grants"]
    assert grant["GranteePrincipal"] == SCALER
    assert "CreateGrant" in grant["Operations"]
    iam = served.aws("iam")
    (role,) = [each["RoleName"] for each in iam.list_roles()["Roles"] if "-machines-" in each["RoleName"]]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]["Statement"]
    rights = {each["Sid"]: each for each in statements}
    assert rights["Backups"]["Action"] == ["s3:PutObject"]
    assert rights["Backups"]["Resource"] == [f"arn:aws:s3:::{BACKUPS}/backups/web/*"]
    assert rights["Key"]["Resource"] == [key["arn"]]


def test_nothing_changes_where_nothing_was_changed(served: Project) -> None:
    again = served.up()
    assert again.code == 0, again.output
    assert (again.changes, again.writes) == ({}, [])
    assert "none changes" in served.bluegreen("plan", served.stack).output


def test_what_can_not_be_had_is_refused_before_anything_changes(served: Project) -> None:
    served.aws("s3").create_bucket(Bucket="somebody-elses")
    kms = served.aws("kms")
    disabled = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=disabled.rpartition("/")[2])
    for settings, said in (
        ({"encryption": {"key": disabled}}, "is Disabled: enable it"),
        ({"encryption": {"key": disabled.replace("us-east-1", "eu-west-1")}}, "is in eu-west-1, and the stack in"),
        ({"encryption": {"key": disabled[:-4] + "0000"}}, "there is no key"),
        ({"artifact_bucket": "somebody-elses"}, "and it is not this stack's"),
        ({"backups": {"days": 1, "bucket": "Somebody"}}, "is not the name of a bucket"),
    ):
        refused = served.up(**settings)
        served.configure(**{name: {**IN_PLACE, **OF_THE_RELEASE}.get(name) for name in settings})
        assert refused.code != 0
        assert said in refused.output, refused.output
        assert not refused.writes
        assert refused.has_no_traceback, refused.output


def test_another_key_comes_with_a_release_and_retention_changes_in_place(served: Project) -> None:
    other = served.aws("kms").create_key()["KeyMetadata"]["Arn"]
    first = own_key(served)["arn"]
    changed = served.up(encryption={"key": other}, backups=IN_PLACE["backups"] | {"days": 7})
    assert changed.code == 0, changed.output
    assert volume_keys(served) == {other}
    assert settings_of(served, BACKUPS) | {"days": 7, "key": other} == settings_of(served, BACKUPS)
    kms = served.aws("kms")
    assert [each["GranteePrincipal"] for each in kms.list_grants(KeyId=other)["Grants"]] == [SCALER]
    assert kms.describe_key(KeyId=first)["KeyMetadata"]["KeyState"] == "Enabled", "what it encrypts is still there"
    assert kms.list_grants(KeyId=first)["Grants"] == []


def test_buckets_that_are_asked_for_no_more_stay_as_they_are_and_are_taken_over_again(served: Project) -> None:
    s3 = served.aws("s3")
    s3.put_object(Bucket=BACKUPS, Key="backups/web/1", Body=b"1")
    before = settings_of(served, BACKUPS)
    gone = served.up(backups=None, artifacts=None, instance_role=None)
    assert gone.code == 0, gone.output
    assert not [each for each in served.resources if each["type"].startswith("aws:s3/")]
    assert settings_of(served, BACKUPS) == before
    back = served.up(**IN_PLACE)
    assert back.code == 0, back.output
    assert back.done("import") == {("import", "Bucket"): 2}
    assert s3.get_object(Bucket=BACKUPS, Key="backups/web/1")["Body"].read() == b"1"
    assert settings_of(served, BACKUPS)["days"] == 35
    again = served.up()
    assert (again.code, again.changes) == (0, {})


def test_a_key_that_was_given_up_is_taken_over_again_unless_it_is_about_to_be_deleted(served: Project) -> None:
    kms = served.aws("kms")
    given_up = kms.describe_key(KeyId=ALIAS)["KeyMetadata"]["Arn"]
    identifier = given_up.rpartition("/")[2]
    assert not [each for each in served.resources if each["type"] in ("aws:kms/key:Key", "aws:kms/alias:Alias")]
    kms.schedule_key_deletion(KeyId=identifier)
    refused = served.up(encryption={"key": "own"})
    assert "is to be deleted: `aws kms cancel-key-deletion`" in refused.output, refused.output
    assert not refused.writes
    kms.cancel_key_deletion(KeyId=identifier)
    kms.enable_key(KeyId=identifier)
    back = served.up(tags={"team": "a"})
    assert back.code == 0, back.output
    assert back.done("import") == {("import", "Key"): 1, ("import", "Alias"): 1}
    assert own_key(served)["arn"] == given_up
    assert volume_keys(served) == {given_up}
    tags = {each["TagKey"]: each["TagValue"] for each in kms.list_resource_tags(KeyId=given_up)["Tags"]}
    assert tags["team"] == "a", "what has changed meanwhile is changed then"
    again = served.up()
    assert (again.code, again.changes, again.writes) == (0, {}, [])


def test_a_destroy_leaves_what_is_to_be_kept_and_nothing_else(served: Project) -> None:
    s3 = served.aws("s3")
    s3.put_object(Bucket=ARTIFACTS, Key="artifacts/web/1", Body=b"1")
    ready = served.up(backups=IN_PLACE["backups"] | {"keepOnDestroy": False})
    assert ready.code == 0, ready.output
    ended = served.begin("destroy", "--yes", "--skip-preview", "--run-program", "--stack", served.stack).finish()
    assert ended.code == 0, ended.output
    assert s3.get_object(Bucket=ARTIFACTS, Key="artifacts/web/1")["Body"].read() == b"1"
    assert settings_of(served, ARTIFACTS)["blocked"] == {True}
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=BACKUPS)
    assert served.aws("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyState"] == "Enabled"
