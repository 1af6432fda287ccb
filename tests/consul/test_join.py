"""The machines that the program declares, as real Consuls: each finds the servers by their tag, in EC2."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluegreen.model.consul import join_of
from bluegreen.model.tags import Owner
from sandbox.host import Sandbox
from tests.consul import network
from tests.consul.cluster import FILES
from tests.consul.network import Network
from tests.e2e.project import STAND_IN, Project, eventually

OBSTACLE = "there is no `consul` on PATH" if shutil.which("consul") is None else network.obstacle()
pytestmark = [pytest.mark.rollout, pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))]

TAG = "bluegreen/sandbox"
_ASK = f"""
import json, sys
sys.path.insert(0, {str(FILES)!r})
import node
print(json.dumps(node.ask_consul("GET", *sys.argv[1:])))
"""


class Machine:
    """What its units run, as systemd would."""

    def __init__(self, place: Path, net: Network, instance: dict[str, Any]) -> None:
        self.id, self.address, self._place, self._net = instance["InstanceId"], instance["PrivateIpAddress"], place, net
        self._environment = {
            **net.add(self.id, self.address),
            "RUNTIME_DIRECTORY": str(place),
            "CONSUL_HTTP_ADDR": f"http://{self.address}:8500",
        }
        self.running: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> str:
        return (self._place / "log").read_text()

    @property
    def discovered(self) -> list[set[str]]:
        """The addresses that Consul found by the tag, each time."""
        found = re.findall(r"Discovered servers: cluster=LAN .*servers=\"(.*)\"", self.log)
        return [set(addresses.split()) for addresses in found]

    @property
    def settings(self) -> dict[str, Any]:
        return dict(json.loads((self._place / "node.json").read_text()))

    def boot(self, role: str) -> None:
        self._place.mkdir()
        configured = self._begin(sys.executable, str(FILES / "node.py"), "configure", role, "/health").wait(60)
        assert configured == 0, self.log
        # The machines share a loopback interface here, and a disk.
        here = {
            "data_dir": str(self._place / "data"),
            "client_addr": self.address,
            "addresses": {"https": self.address},
        }
        (self._place / "here.json").write_text(json.dumps(here))
        files = [FILES / f"{role}.json", self._place / "node.json", self._place / "here.json"]
        self.running.append(self._begin("consul", "agent", *(f"-config-file={file}" for file in files)))
        if role == "server":
            self.running.append(self._begin(sys.executable, str(FILES / "node.py"), "join"))

    def ask(self, path: str, token: str) -> Any:
        """What Consul answers, None where it refuses."""
        asked = self._net.start([sys.executable, "-c", _ASK, path, token], self._environment, stdout=subprocess.PIPE)
        answer, _ = asked.communicate(timeout=60)
        return json.loads(answer)

    def die(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()

    def _begin(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._place / "log").open("ab") as log:
            return self._net.start(command, self._environment, stdout=log, stderr=log)


class Cluster:
    def __init__(self, project: Project, directory: Path) -> None:
        self.project, self._directory = project, directory
        self.network = Network(directory, project.sandbox.endpoint, project.sandbox.region)
        self.machines: dict[str, Machine] = {}

    def servers(self) -> dict[str, str]:
        """State in the group, by id."""
        group = next(each for name, each in self.project.groups().items() if name.startswith("consul-servers-"))
        return {each["InstanceId"]: each["LifecycleState"] for each in group["Instances"]}

    def in_service(self) -> set[str]:
        return {name for name, state in self.servers().items() if state == "InService"}

    def boot(self, role: str, *instances: str) -> list[Machine]:
        described = self.project.aws("ec2").describe_instances(InstanceIds=list(instances))["Reservations"]
        booted = []
        for instance in (each for reservation in described for each in reservation["Instances"]):
            machine = Machine(self._directory / instance["InstanceId"], self.network, instance)
            self.machines[machine.id] = machine
            machine.boot(role)
            booted.append(machine)
        return booted

    def addresses(self) -> set[str]:
        return {self.machines[each].address for each in self.servers()}

    def key(self, name: str) -> str:
        path = f"/bluegreen/{TAG}/consul/{name}"
        found = self.project.aws("ssm").get_parameter(Name=path, WithDecryption=True)
        return str(found["Parameter"]["Value"])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Sandbox.start(boot_seconds=0.2) as sandbox:
        project = Project.make(sandbox, tmp_path / "project", STAND_IN)
        made = Cluster(project, tmp_path)
        try:
            yield made
        finally:
            for machine in made.machines.values():
                machine.die()
            made.network.close()
            project.end_processes()


def test_servers_and_agents_find_the_servers_by_their_tag_and_a_server_that_is_lost_is_replaced(
    cluster: Cluster,
) -> None:
    project = cluster.project
    project.configure(
        consul={"image": project.image("consul")},
        instance_role={"consul": True},
        endpoints=["ssm", "ec2", "autoscaling"],
    )
    assert project.bluegreen("init", project.stack, "--ledger", "file").code == 0
    made = project.up(ami=project.image("1"))
    assert made.code == 0, made.output
    eventually(lambda: list(cluster.servers().values()) == ["Pending:Wait"] * 3)

    servers = cluster.boot("server", *cluster.servers())
    join = join_of(Owner(project="bluegreen", stack="sandbox", service="consul"), project.sandbox.region)
    assert [each.settings["retry_join"] for each in servers] == [[join]] * 3
    eventually(lambda: len(cluster.in_service()) == 3, within=90)
    assert all(cluster.addresses() in each.discovered for each in servers)

    (release,) = (group for name, group in project.groups().items() if name.startswith("web-"))
    agents = cluster.boot("agent", *(each["InstanceId"] for each in release["Instances"]))
    token = cluster.key("agent/token")

    def registered() -> bool:
        found = agents[0].ask("catalog/service/web", token) or ()
        return {each["Node"] for each in found} == {each.id for each in agents}

    eventually(registered)
    assert all(each.discovered == [cluster.addresses()] for each in agents)

    lost, left, _ = servers
    lost.die()
    project.aws("ec2").terminate_instances(InstanceIds=[lost.id])
    (new,) = eventually(lambda: [name for name, state in cluster.servers().items() if state == "Pending:Wait"])
    cluster.boot("server", new)
    eventually(lambda: new in cluster.in_service(), within=120)
    management = cluster.key("server/management-token")
    raft = left.ask("operator/raft/configuration", management)
    assert {each["Node"] for each in raft["Servers"] if each["Voter"]} == set(cluster.servers())
    assert lost.address not in cluster.machines[new].discovered[-1]

    # EC2 was asked where it is on AWS, by the machines' own roles, and these may look for no more than instances.
    assert set(cluster.network.tunnels) == {f"ec2.{project.sandbox.region}.amazonaws.com:443"}
    asked = [json.loads(line) for line in (project.sandbox.dir / "iam.jsonl").read_text().splitlines()]
    looked = [each for each in asked if each["action"].startswith("ec2:")]
    assert {(each["action"], each["isAllowed"]) for each in looked} == {("ec2:DescribeInstances", True)}
    assert len({each["role"] for each in looked}) == 2
