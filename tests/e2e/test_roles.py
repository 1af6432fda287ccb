"""A day's work under the roles of docs/roles.md: each verb has its own, and IAM is asked at every call."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from sandbox.host import REPOSITORY, Sandbox
from sandbox.rehearsal import obstacle_to_baking
from sandbox.roles import Roles
from tests.e2e.project import STACK, STAND_IN, Project
from tests.e2e.roles import RECORD, keep_recording, recorded

pytestmark = pytest.mark.rollout
OBSTACLE = obstacle_to_baking()
ACCOUNT_STACK = "account"
OPTIONS: dict[str, Any] = {
    "tags": {"team": "shop"},
    "scaling": {
        "cpuPercent": 50,
        "requestsPerTarget": 600,
        "steps": [{"name": "queue", "namespace": "Shop", "metric": "Waiting", "above": 100, "changes": [{"by": 1}]}],
        "schedules": [{"name": "morning", "recurrence": "0 8 * * mon-fri", "zone": "Europe/Berlin", "minSize": 3}],
    },
    "dashboard": True,
    "warm_pool": {"minimum": 1},
    "artifacts": {"oldVersionDays": 90},
    "backups": {"days": 35},
    "publish": False,
}
"""Of a running group: made and taken away in place."""


def roles_of(project: Project, **settings: Any) -> dict[str, str]:
    """ARNs of the stack's roles, by verb, as the program in `roles/` makes them."""
    there = replace(project, directory=project.directory / "roles", roles=None)
    if not there.directory.exists():
        shutil.copytree(REPOSITORY / "roles", there.directory, ignore=shutil.ignore_patterns("__pycache__"))
        assert there.pulumi("stack", "init", ACCOUNT_STACK).code == 0
    wanted = {"stacks": [STACK], "repository": "acme/shop", **settings}
    config = {"aws:region": "us-east-1", **{f"bluegreen-roles:{key}": value for key, value in wanted.items()}}
    (there.directory / f"Pulumi.{ACCOUNT_STACK}.yaml").write_text(yaml.safe_dump({"config": config}))
    made = there.pulumi("up", "--skip-preview", "--stack", ACCOUNT_STACK)
    assert made.code == 0, made.output
    file = project.sandbox.dir / f"state/.pulumi/stacks/bluegreen-roles/{ACCOUNT_STACK}.json"
    resources = json.loads(file.read_text())["checkpoint"]["latest"]["resources"]
    (stack,) = [each for each in resources if each["type"] == "pulumi:pulumi:Stack"]
    return dict(stack["outputs"][STACK])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with Sandbox.start(boot_seconds=0.5) as sandbox:
        made = Project.make(sandbox, tmp_path_factory.mktemp("project") / "project", STAND_IN)
        made.configure(strategy="redBlack", scale_down_delay_seconds=0, max_remaining_groups=2)
        made.configure(instance_role={"parameters": True, "sessions": True})
        assert made.bluegreen("init", STACK).code == 0
        made.roles = recorded(sandbox) or Roles(sandbox, roles_of(made))
        yield made
        made.end_processes()
        keep_recording(sandbox, made.stack)


@pytest.fixture(scope="module")
def first(project: Project) -> str:
    """The image of the first release: baked, where that can be done."""
    if OBSTACLE:
        return project.image("1")
    baked = project.bluegreen("bake", STACK)
    assert baked.code == 0, baked.output
    return (project.directory / "packer/ami.txt").read_text().strip()


class TestADay:
    def test_what_was_baked_is_deployed(self, project: Project, first: str) -> None:
        looked = project.bluegreen("plan", STACK, "--ami", first)
        assert looked.code == 0, looked.output
        deployed = project.bluegreen("deploy", STACK, "--ami", first)
        assert deployed.code == 0, deployed.output

    def test_so_is_the_next_release(self, project: Project) -> None:
        deployed = project.bluegreen("deploy", STACK, "--ami", project.image("2"))
        assert deployed.code == 0, deployed.output
        assert project.ask()["app"] == "2"

    def test_what_a_stack_has_changes_in_place_and_goes_again(self, project: Project) -> None:
        for settings in (OPTIONS, dict.fromkeys(OPTIONS)):
            changed = project.up(**settings)
            assert changed.code == 0, changed.output

    def test_everybody_may_look(self, project: Project) -> None:
        for words in (("status", STACK), ("history", STACK), ("plan", STACK), ("rollback", STACK, "--check")):
            looked = project.bluegreen(*words)
            assert looked.code == 0, looked.output
            assert not [each for each in looked.writes if each != "PutItem"]
        assert "not authorized" not in project.bluegreen("doctor", STACK).output

    def test_a_rollback_goes_back_to_a_standby(self, project: Project) -> None:
        back = project.bluegreen("rollback", STACK)
        assert back.code == 0, back.output
        assert project.ask()["app"] != "2"

    def test_a_broken_release_is_refused_by_the_gate_and_given_up(self, project: Project) -> None:
        project.configure(progress_deadline_seconds=5)
        broken = project.sandbox.image(project.directory / "app", tags={"version": "3"}, env={"BROKEN": "1"})
        refused = project.bluegreen("deploy", STACK, "--ami", broken)
        assert "not authorized" not in refused.output
        assert refused.code == 1, refused.output
        assert project.bluegreen("abort", STACK).code == 0

    def test_a_rollback_makes_a_release_anew_that_is_gone(self, project: Project) -> None:
        project.configure(max_remaining_groups=1, progress_deadline_seconds=60)
        for image in (project.image("2"), project.image("4")):
            deployed = project.bluegreen("deploy", STACK, "--ami", image)
            assert deployed.code == 0, deployed.output
        back = project.bluegreen("rollback", STACK)
        assert back.code == 0, back.output
        assert project.ask()["app"] == "2"


@pytest.mark.skipif(RECORD in os.environ, reason="while it is recorded, everything is allowed")
class TestLimits:
    def test_who_may_only_look_changes_nothing_and_is_told_what_is_missing(self, project: Project) -> None:
        before = project.groups()
        project.configure(ami=project.image("5"))
        with project.acting_as("read-only"):
            refused = project.bluegreen("deploy", STACK)
        assert refused.code != 0
        assert "is not authorized to perform" in refused.output
        assert "bluegreen iam-policy" in refused.output
        assert refused.has_no_traceback, refused.output
        assert project.groups().keys() == before.keys()

    def test_who_may_roll_back_makes_no_network(self, project: Project) -> None:
        with project.acting_as("rollback"):
            refused = project.up(nat="single")
        project.configure(nat="none")
        assert refused.code != 0
        assert "is not authorized to perform: ec2:" in refused.output


@pytest.mark.skipif(RECORD in os.environ, reason="roles are made otherwise while it is recorded")
class TestProgram:
    """The roles themselves, made before the day by the program in `roles/`."""

    def test_jobs_of_the_environment_are_trusted_through_one_provider(self, project: Project) -> None:
        iam = project.aws("iam")
        (provider,) = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        role = iam.get_role(RoleName=f"bluegreen-{STACK}-deploy")["Role"]
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Federated": provider["Arn"]}
        assert f"repo:acme/shop:environment:{STACK}" in str(statement["Condition"])
        assert role["MaxSessionDuration"] == 4 * 3600

    def test_what_is_set_otherwise_changes_in_place_and_can_be_taken_away(self, project: Project) -> None:
        person = "arn:aws:iam::123456789012:role/admins"
        before = roles_of(project)
        assert roles_of(project, people=[person], sessionHours=2) == before
        iam = project.aws("iam")
        role = iam.get_role(RoleName=f"bluegreen-{STACK}-deploy")["Role"]
        assert role["MaxSessionDuration"] == 2 * 3600
        assert person in str(role["AssumeRolePolicyDocument"])
        assert roles_of(project, repository="", people=[person]) == before
        assert not iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]

    def test_what_can_not_be_is_refused_with_all_that_is_wrong(self, project: Project) -> None:
        with pytest.raises(AssertionError) as refused:
            roles_of(project, repository="shop", sessionHours=13)
        assert "'shop' should look like acme/shop" in str(refused.value)
        assert "13 is not 1 to 12" in str(refused.value)
