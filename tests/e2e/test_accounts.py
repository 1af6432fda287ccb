"""The release of one stack goes to another account and region, and is deployed there as the very same content."""

from __future__ import annotations

import json

import pytest

from bluegreen.aws.session import Session, SessionSettings
from bluegreen.model.tags import CONTENT_DIGEST, SERVICE
from tests.e2e.project import Project

pytestmark = pytest.mark.rollout

ACCOUNT, REGION = "222222222222", "eu-west-1"
ROLES = [{"roleArn": f"arn:aws:iam::{ACCOUNT}:role/deployer", "sessionName": "stage"}]


def test_a_release_is_promoted_into_another_account_and_region_once_and_deployed_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in project.environment.items():
        if key.startswith("AWS_"):
            monkeypatch.setenv(key, value)
    image = project.image("1")
    tags = {SERVICE: "web", CONTENT_DIGEST: "d1"}
    project.aws("ec2").create_tags(
        Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    deployed = project.up(ami=image)
    assert deployed.code == 0, deployed.output

    there = project.another("stage", region=REGION, assumeRoles=ROLES)
    beforehand = there.bluegreen("deploy", there.stack, "--from", project.stack, "--dry-run")
    assert beforehand.code == 0, beforehand.output
    assert f"shared with account {ACCOUNT}" in beforehand.output
    assert beforehand.writes == []

    promoted = there.bluegreen("deploy", there.stack, "--from", project.stack)
    assert promoted.code == 0, promoted.output
    assert promoted.writes.count("CopyImage") == 1
    copy = there.outputs["activeRelease"]["image"]
    assert copy != image
    assert there.ask()["app"] == "1"
    assert there.ask()["release"] == there.release != project.release
    assert len(there.healthy(copy)) == 2
    stage = Session(SessionSettings.parse({"region": REGION, "assumeRoles": ROLES}))
    qa = Session(SessionSettings(region="us-east-1"))
    assert {group["instances"] for group in _groups(stage)} == {2}
    assert len(_groups(qa)) == 1, "each account has its own"
    assert project.ask()["app"] == "1"

    record = json.loads(there.bluegreen("history", there.stack, "--json").output.splitlines()[-1])
    assert record["promotedFrom"]["stack"] == project.stack
    assert record["promotedFrom"]["image"] == image
    assert record["contentDigest"] == "d1", "what was proven, under another id"

    again = there.bluegreen("deploy", there.stack, "--from", project.stack)
    assert again.code == 0, again.output
    assert f"{copy} in account {ACCOUNT}, {REGION} is of the same content" in again.output
    assert "CopyImage" not in again.writes

    gone = there.bluegreen("destroy", there.stack, "--yes")
    assert gone.code == 0, gone.output
    assert not _groups(stage)
    assert len(project.healthy(image)) == 2, "the other account's machines are nobody else's to destroy"


def _groups(session: Session) -> list[dict[str, int]]:
    found = session.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return [{"instances": len(group["Instances"])} for group in found]
