"""The release of one stack goes to another account and region, and is deployed there as the very same image."""

from __future__ import annotations

import pytest

from bluegreen.aws.session import Session, SessionSettings
from bluegreen.images.promotion import prepare
from bluegreen.model.tags import CONTENT_DIGEST, SERVICE
from tests.e2e.project import Project

pytestmark = pytest.mark.rollout

ACCOUNT, REGION = "222222222222", "eu-west-1"
ROLES = [{"roleArn": f"arn:aws:iam::{ACCOUNT}:role/deployer", "sessionName": "stage"}]


def test_a_release_is_transferred_to_another_account_and_region_and_deployed_there(
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

    qa = Session(SessionSettings(region="us-east-1"))
    stage = Session(SessionSettings.parse({"region": REGION, "assumeRoles": ROLES}))
    moved = prepare(qa, stage, image, content_digest="d1")
    assert moved.image != image

    there = project.another("stage", region=REGION, assumeRoles=ROLES)
    promoted = there.up(ami=moved.image)
    assert promoted.code == 0, promoted.output
    assert there.ask()["app"] == "1"
    assert there.ask()["release"] == there.release != project.release
    assert len(there.healthy(moved.image)) == 2
    assert {group["instances"] for group in _groups(stage)} == {2}
    assert len(_groups(qa)) == 1, "each account has its own"
    assert project.ask()["app"] == "1"

    again = there.up()
    assert again.code == 0, again.output
    assert again.writes == []

    gone = there.pulumi("destroy", "--yes", "--skip-preview", "--stack", there.stack)
    assert gone.code == 0, gone.output
    assert not _groups(stage)
    assert len(project.healthy(image)) == 2, "the other account's machines are nobody else's to destroy"


def _groups(session: Session) -> list[dict[str, int]]:
    found = session.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return [{"instances": len(group["Instances"])} for group in found]
