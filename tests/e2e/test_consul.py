"""A Consul cluster beside the service: made, its servers replaced one by one, taken away again."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.consul.cluster import FILES
from tests.consul.cluster import node_of as load_node
from tests.e2e.project import Project, eventually

pytestmark = pytest.mark.rollout

KEYS = "/bluegreen/bluegreen/sandbox/consul"


def servers(project: Project) -> dict[str, Any]:
    """Of the cluster's group, by id."""
    group = next((each for name, each in project.groups().items() if name.startswith("consul-servers-")), None)
    return {each["InstanceId"]: each for each in group["Instances"]} if group else {}


def node_of(project: Project, instance: str) -> ModuleType:
    """What runs on a machine before Consul and after it, as it would there."""
    module = load_node(FILES / "node.py")
    module.METADATA = f"{project.sandbox.endpoint}/_imds/{instance}"
    return module


@pytest.fixture(autouse=True)
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of the sandbox is told where AWS is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", project.sandbox.endpoint)


def join(project: Project) -> list[str]:
    """What a server says once it has joined, for all that wait; the ids of those in service."""
    for instance, each in servers(project).items():
        if each["LifecycleState"] == "Pending:Wait":
            node = node_of(project, instance)
            node.tell_group(node.Metadata(), instance)
    return sorted(each for each, found in servers(project).items() if found["LifecycleState"] == "InService")


def cluster(project: Project, image: str) -> dict[str, Any]:
    return {"image": project.image(image), "apiCidrs": ["203.0.113.0/24"]}


class TestCluster:
    def test_a_cluster_without_keys_is_refused_before_anything_is_made(self, project: Project) -> None:
        endpoints = ["ssm", "ec2", "autoscaling"]
        refused = project.up(ami=project.image("1"), consul=cluster(project, "consul-1"), endpoints=endpoints)
        assert refused.code != 0
        assert "bluegreen:consul: the cluster's keys are not there" in refused.output
        assert not refused.writes
        assert refused.has_no_traceback, refused.output

    def test_init_makes_the_keys_once(self, project: Project) -> None:
        first = project.bluegreen("init", project.stack, "--ledger", "file")
        assert first.code == 0, first.output
        assert "server/management-token" in first.output
        again = project.bluegreen("init", project.stack)
        assert "they are there" in again.output
        assert not again.writes

    def test_the_cluster_comes_with_the_service(self, project: Project) -> None:
        made = project.up(instance_role={"consul": True, "sessions": True})
        assert made.code == 0, made.output
        eventually(lambda: len(join(project)) == 3)
        zones = {each["AvailabilityZone"] for each in servers(project).values()}
        assert len(zones) == 2
        assert project.ask()["release"] == project.release
        secret = project.aws("ssm").get_parameter(Name=f"{KEYS}/agent/token", WithDecryption=True)["Parameter"]["Value"]
        state = project.sandbox.dir / f"state/.pulumi/stacks/bluegreen/{project.stack}.json"
        assert secret not in state.read_text()

    @pytest.mark.parametrize("role", ["server", "agent"])
    def test_machines_find_their_keys_when_they_start(self, project: Project, tmp_path: Path, role: str) -> None:
        (release,) = (group for name, group in project.groups().items() if name.startswith("web-"))
        machines = list(servers(project)) if role == "server" else [each["InstanceId"] for each in release["Instances"]]
        node = node_of(project, machines[0])
        node.RUN = tmp_path
        node.configure(role, "/health")
        found = json.loads((tmp_path / "node.json").read_text())
        assert found["node_name"] == machines[0]
        assert "tag_key=bluegreen:consul tag_value=bluegreen/sandbox" in found["retry_join"][0]
        assert all(file.stat().st_mode & 0o777 == 0o600 for file in tmp_path.iterdir())
        if role == "server":
            assert found["bootstrap_expect"] == 3
            assert "PRIVATE KEY" in (tmp_path / "key.pem").read_text()
        else:
            assert [each["tags"] for each in found["services"]] == [[project.release]]
            assert {each.name for each in tmp_path.iterdir()} == {"ca.pem", "node.json"}

    def test_nothing_changes_where_nothing_was_changed(self, project: Project) -> None:
        again = project.up()
        assert again.code == 0, again.output
        assert again.changes == {}
        assert not again.writes

    def test_doctor_counts_the_server_more_that_a_replacement_takes(self, project: Project) -> None:
        assert "and 1 x t3.small for Consul need" in project.bluegreen("doctor", project.stack).output

    def test_another_image_replaces_one_server_after_the_other(self, project: Project) -> None:
        before, release = set(servers(project)), project.release
        project.configure(consul=cluster(project, "consul-2"))
        planned = project.bluegreen("plan", project.stack)
        assert "of them Consul's servers: 3 now, 4 at the peak" in planned.output
        assert "1 x t3.small for Consul need 2 vCPUs" in planned.output
        changed = project.up()
        assert changed.code == 0, changed.output
        assert project.release == release
        # Nobody goes while the first new one has not joined.
        eventually(lambda: len(servers(project)) == 4)
        waiting = next(each for name, each in servers(project).items() if name not in before)
        eventually(lambda: waiting["LifecycleState"].startswith("Pending"))
        assert before <= {name for name, each in servers(project).items() if each["LifecycleState"] == "InService"}
        seen: list[int] = []

        def all_are_new() -> bool:
            well = join(project)
            seen.append(len(well))
            return len(well) == 3 and not before & set(servers(project))

        eventually(all_are_new, within=60)
        assert min(seen) >= 3
        name = next(name for name in project.groups() if name.startswith("consul-servers-"))
        describe = project.aws("autoscaling").describe_instance_refreshes
        eventually(lambda: describe(AutoScalingGroupName=name)["InstanceRefreshes"][0]["Status"] == "Successful")
        assert "of them Consul's servers: 3 now, 3 at the peak" in project.bluegreen("plan", project.stack).output

    def test_a_change_of_the_service_leaves_the_servers_alone(self, project: Project) -> None:
        before = set(servers(project))
        changed = project.up(ami=project.image("2"))
        assert changed.code == 0, changed.output
        assert project.ask()["release"] == project.release
        assert set(servers(project)) == before

    def test_servers_under_protection_are_not_taken_away(self, project: Project) -> None:
        assert project.up(deletion_protection=True).code == 0
        refused = project.up(consul=None, instance_role=None)
        assert refused.code != 0
        assert "protect" in refused.output
        assert len(servers(project)) == 3

    def test_the_cluster_can_be_taken_away(self, project: Project) -> None:
        assert project.up(deletion_protection=False, consul=cluster(project, "consul-2")).code == 0
        gone = project.up(consul=None)
        assert gone.code == 0, gone.output
        assert not servers(project)
        assert not [each for each in project.resources if "ConsulServers" in each["urn"]]
        assert project.ask()["release"] == project.release
