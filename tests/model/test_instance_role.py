"""The rights of the machines' own role."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.instance_role import InstanceRole, Place, policy_of
from bluegreen.model.policies import Resource, violations
from bluegreen.model.settings import Settings
from bluegreen.model.tags import Owner

PLACE = Place(
    owner=Owner(project="shop", stack="dev", service="web"), partition="aws", region="eu-west-1", account="123456789012"
)
OWN: dict[str, Any] = {"actions": ["dynamodb:GetItem"], "resources": ["arn:aws:dynamodb:*:123456789012:table/orders"]}


def statements(place: Place = PLACE, **rights: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = policy_of(InstanceRole.model_validate(rights), place)["Statement"]
    return found


def faults(**config: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ami": "ami-0123456789abcdef0", **config})
    return {fault.path.removeprefix("bluegreen:"): fault.message for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("rights", "actions", "resources"),
    [
        (
            {"artifacts": True},
            ["s3:GetObject"],
            ["arn:aws:s3:::shop-dev-artifacts-123456789012-eu-west-1/artifacts/web/*"],
        ),
        (
            {"parameters": True},
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            [
                "arn:aws:ssm:eu-west-1:123456789012:parameter/bluegreen/shop/dev/web",
                "arn:aws:ssm:eu-west-1:123456789012:parameter/bluegreen/shop/dev/web/*",
            ],
        ),
        ({"metrics": "CWAgent"}, ["cloudwatch:PutMetricData"], ["*"]),
    ],
    ids=["artifacts", "parameters", "metrics"],
)
def test_a_right_is_one_statement_about_the_service_s_own(
    rights: dict[str, Any], actions: list[str], resources: list[str]
) -> None:
    (found,) = statements(**rights)
    assert (found["Action"], found["Resource"]) == (actions, resources)


def test_metrics_go_into_one_namespace_only() -> None:
    (found,) = statements(metrics="CWAgent")
    assert found["Condition"] == {"StringEquals": {"cloudwatch:namespace": "CWAgent"}}


def test_logs_are_written_to_the_service_s_group_only() -> None:
    (found,) = statements(logs=True)
    group = "arn:aws:logs:eu-west-1:123456789012:log-group:/bluegreen/shop/dev/web"
    assert found["Resource"] == [group, f"{group}:*"]


def test_a_session_gives_no_right_to_parameters_or_documents() -> None:
    (found,) = statements(sessions=True)
    assert {action for action in found["Action"] if action.startswith("ssm:")} == {"ssm:UpdateInstanceInformation"}


def test_artifacts_are_read_where_they_are_published() -> None:
    place = Place(owner=PLACE.owner, partition="aws-cn", region="cn-north-1", account="1", bucket="artifacts-of-all")
    (found,) = statements(place, artifacts=True)
    assert found["Resource"] == ["arn:aws-cn:s3:::artifacts-of-all/artifacts/web/*"]


def test_what_the_app_needs_besides_comes_last_with_its_condition() -> None:
    condition = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    *_, found = statements(sessions=True, statements=[OWN | {"condition": condition}])
    assert found["Action"] == ["dynamodb:GetItem"]
    assert found["Condition"] == condition


def test_every_right_together_breaks_no_policy() -> None:
    document = policy_of(
        InstanceRole(artifacts=True, parameters=True, sessions=True, metrics="CWAgent", logs=True), PLACE
    )
    assert (
        violations([Resource(type="aws:iam/rolePolicy:RolePolicy", name="web", properties={"policy": document})]) == []
    )


@pytest.mark.parametrize(
    ("role", "path", "said"),
    [
        ({"session": True}, "instanceRole.session", "did you mean sessions?"),
        ({"sessions": False}, "instanceRole", "allows nothing"),
        ({"metrics": "AWS/EC2"}, "instanceRole.metrics", "not a namespace of your own"),
        ({"statements": [OWN | {"actions": ["*"]}]}, "instanceRole.statements[0].actions[0]", "not an action"),
        ({"statements": [OWN | {"actions": []}]}, "instanceRole.statements[0]", "at least one action"),
        ({"statements": [OWN | {"resources": ["orders"]}]}, "instanceRole.statements[0].resources[0]", "not an ARN"),
        ({"statements": [{"actions": ["s3:GetObject"]}]}, "instanceRole.statements[0].resources", "is missing"),
    ],
    ids=["unknown", "nothing", "namespace", "action", "no actions", "resource", "no resources"],
)
def test_rights_that_are_wrong_are_refused_by_path(role: dict[str, Any], path: str, said: str) -> None:
    assert said in faults(instanceRole=role)[path]


def test_a_profile_and_a_role_are_one_too_many() -> None:
    assert "leave out one of the two" in faults(instanceProfile="web", instanceRole={"sessions": True})["instanceRole"]


def test_an_empty_object_is_no_role() -> None:
    assert Settings.parse({"instanceRole": {}}).instance_role is None
