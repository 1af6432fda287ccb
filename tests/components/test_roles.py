"""The program of an account's roles: one for each verb of each stack, and GitHub's provider where it is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluegreen import iam_policy, roles
from bluegreen.aws.identity import Identity
from bluegreen.errors import SettingsError
from bluegreen.model.permissions import MOST_CHARACTERS, Verb, size_of
from tests.components.conftest import Declared

PROJECT = Path(__file__).parents[2]
ADMINS = "arn:aws:iam::111122223333:role/admins"
PROVIDER = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"


class Config:
    def __init__(self, **values: Any) -> None:
        self._values = {"stacks": ["dev", "prod"], "repository": "acme/shop", **values}

    def get(self, key: str) -> Any:
        return self._values.get(key)

    get_object = get_int = get


@pytest.fixture
def program(declare: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Declared]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(iam_policy, "identity", lambda _: Identity(account="111122223333", arn="arn:aws:iam::1:user/a"))
    return lambda **values: declare(lambda _: roles.declare(PROJECT, Config(**values)))  # type: ignore[arg-type]


def trust_of(found: Declared, name: str) -> list[dict[str, Any]]:
    return list(json.loads(found.one("Role", name)["assumeRolePolicy"])["Statement"])


def test_each_stack_has_four_roles_with_their_policies(program: Any) -> None:
    found = program()
    names = {each.name for each in found.of("Role")}
    assert names == {f"bluegreen-{stack}-{verb}" for stack in ("dev", "prod") for verb in Verb}
    policies = [json.loads(each.inputs["policy"]) for each in found.of("Policy")]
    assert all(size_of(each) <= MOST_CHARACTERS for each in policies)
    assert len(found.of("RolePolicyAttachment")) == len(policies) > 8
    assert "${" not in json.dumps(policies)
    assert set(found.outputs["prod"]) == {verb.value for verb in Verb}


def test_a_role_is_trusted_to_jobs_of_its_stack_s_environment_through_one_provider(program: Any) -> None:
    found = program()
    provider = found.one("OpenIdConnectProvider")
    assert provider["url"] == "https://token.actions.githubusercontent.com"
    assert provider["clientIdLists"] == ["sts.amazonaws.com"]
    (statement,) = trust_of(found, "bluegreen-prod-deploy")
    assert statement["Principal"] == {"Federated": "arn:OpenIdConnectProvider:github"}
    assert "repo:acme/shop:environment:prod" in json.dumps(statement["Condition"])


def test_the_account_s_own_provider_is_used(program: Any) -> None:
    found = program(provider=PROVIDER)
    assert not found.of("OpenIdConnectProvider")
    assert trust_of(found, "bluegreen-dev-bake")[0]["Principal"] == {"Federated": PROVIDER}


def test_without_a_repository_there_is_no_provider_and_people_alone_are_trusted(program: Any) -> None:
    found = program(repository="", people=[ADMINS])
    assert not found.of("OpenIdConnectProvider")
    (statement,) = trust_of(found, "bluegreen-dev-deploy")
    assert statement["Principal"] == {"AWS": [ADMINS]}


def test_no_role_can_be_changed_by_who_deploys_the_stack(program: Any) -> None:
    """The stack's own tags on a role would make it the stack's to change."""
    found = program()
    assert all("bluegreen:stack" not in each.inputs["tags"] for each in found.of("Role"))


def test_all_faults_are_told_together() -> None:
    with pytest.raises(SettingsError) as refused:
        roles.declare(PROJECT, Config(stacks=[], repository="shop", sessionHours=13))  # type: ignore[arg-type]
    assert [fault.path for fault in refused.value.faults] == [
        "bluegreen-roles:repository",
        "bluegreen-roles:sessionHours",
        "bluegreen-roles:stacks",
    ]
    with pytest.raises(SettingsError, match="nobody could have the roles"):
        roles.declare(PROJECT, Config(repository=""))  # type: ignore[arg-type]
