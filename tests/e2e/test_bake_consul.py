"""A Consul server's image and that of a service with an agent, with the real Packer and the real Ansible."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import shutil
import ssl
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud.authority import Authority
from sandbox.host import TRUSTED, Sandbox
from tests.consul.cluster import Cluster, Image, eventually
from tests.e2e.project import STACK, STAND_IN, Finished, Project
from tests.e2e.test_bake import OBSTACLE
from tests.sandbox.cloud.builder import Builder
from tests.sandbox.cloud.world import Aws

pytestmark = [pytest.mark.bake, pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))]

ZIP = "consul_1.20.6_linux_amd64.zip"
ADDRESSES = [f"127.44.9.{number}" for number in range(1, 5)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with Sandbox.start(boot_seconds=0.5) as sandbox:
        made = Project.make(sandbox, tmp_path_factory.mktemp("project") / "project", STAND_IN)
        yield made
        made.end_processes()


@dataclass(frozen=True)
class Mirror:
    """Releases, over TLS, with a certificate of `authority`, which only the company's own base image trusts."""

    url: str
    authority: Path
    directory: Path


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    directory, secret = tmp_path_factory.mktemp("mirror"), tmp_path_factory.mktemp("secret")
    (secret / "server.pem").write_text("".join(Authority(secret).issue("localhost")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secret / "server.pem")
    handler = functools.partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Mirror(f"https://localhost:{server.server_port}/{ZIP}", secret / TRUSTED, directory)
        server.shutdown()


@pytest.fixture(scope="module")
def variables(project: Project, mirror: Mirror) -> Path:
    """The stack's, with a base image that trusts the mirror, and the release there."""
    ec2 = project.aws("ec2")
    machine = Builder.launch(Aws(project.sandbox, ec2, None, None))
    authority = mirror.authority.read_text().partition("-----END CERTIFICATE-----")
    machine.says(f"mkdir -p /etc/ansible && echo '{authority[0]}{authority[1]}' > /etc/ansible/mirror.pem")
    base = ec2.create_image(InstanceId=machine.instance, Name="base")["ImageId"]
    ec2.terminate_instances(InstanceIds=[machine.instance])
    with zipfile.ZipFile(mirror.directory / ZIP, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        if program := shutil.which("consul"):
            archive.write(program, "consul")
        else:
            archive.writestr("consul", "#!/bin/sh\n")  # takes all settings
    sha256 = hashlib.sha256((mirror.directory / ZIP).read_bytes()).hexdigest()
    file = project.directory / f"packer/{STACK}.pkrvars.json"
    found = json.loads(file.read_text())
    for key in ("base_image_name", "base_image_owner"):
        del found[key]
    file.write_text(json.dumps(found | {"base_image_id": base, "consul_url": mirror.url, "consul_sha256": sha256}))
    return file


@pytest.fixture(scope="module")
def server(project: Project, variables: Path) -> Finished:
    baked = project.bluegreen("bake", STACK, "--consul")
    assert baked.code == 0, baked.output
    return baked


@pytest.fixture(scope="module")
def service(project: Project, variables: Path) -> Finished:
    baked = project.bluegreen("bake", STACK)
    assert baked.code == 0, baked.output
    return baked


def tree_of(project: Project, baked: Finished) -> Path:
    return project.sandbox.dir / "images" / baked.output.split()[-1]


def test_a_server_is_baked_once_and_the_service_s_image_stays_what_it_was(project: Project, server: Finished) -> None:
    image = server.output.split()[-1]
    (found,) = project.aws("ec2").describe_images(ImageIds=[image])["Images"]
    tags = {each["Key"]: each["Value"] for each in found["Tags"]}
    assert (tags["bluegreen:service"], tags["bluegreen:version"]) == ("consul", "1.20.6")
    assert found["ImdsSupport"] == "v2.0"
    assert not (project.directory / "packer/ami.txt").exists()
    again = project.bluegreen("bake", STACK, "--consul")
    assert again.output.split()[-1] == image
    assert again.writes == []


def test_a_server_s_image_starts_consul_and_no_app_and_holds_no_key(project: Project, server: Finished) -> None:
    tree = tree_of(project, server)
    wants = {each.name for each in (tree / "etc/systemd/system/multi-user.target.wants").iterdir()}
    assert {"consul.service", "consul-joined.service"} <= wants
    assert "app.service" not in wants
    assert not (tree / "opt/app").exists()
    assert "node.py configure server" in (tree / "etc/systemd/system/consul.service").read_text()
    assert json.loads((tree / "etc/consul.d/consul.json").read_text())["server"] is True
    assert not list(tree.glob("run/*"))
    assert not list(tree.glob("var/lib/consul/*"))
    assert not list(tree.glob("opt/consul*")), "the download"


def test_a_service_s_image_has_an_agent_beside_its_app(project: Project, service: Finished) -> None:
    tree = tree_of(project, service)
    wants = {each.name for each in (tree / "etc/systemd/system/multi-user.target.wants").iterdir()}
    assert {"consul.service", "app.service"} <= wants
    assert "consul-joined.service" not in wants
    assert "node.py configure agent /health" in (tree / "etc/systemd/system/consul.service").read_text()


@pytest.mark.skipif(shutil.which("consul") is None, reason="there is no `consul` on PATH")
def test_what_the_images_hold_becomes_a_cluster(
    project: Project, server: Finished, service: Finished, tmp_path: Path
) -> None:
    images = (Image.of_tree(tree_of(project, each)) for each in (server, service))
    cluster = Cluster(tmp_path, *images, ADDRESSES)
    try:
        for address in ADDRESSES[:3]:
            cluster.start(address, "server")
        for address in ADDRESSES[:3]:
            eventually(lambda address=address: cluster.has_joined(address))
        cluster.start(ADDRESSES[3], "agent")
        (found,) = eventually(lambda: cluster.ask("health/service/web", "agent/token"))
        assert (found["Node"]["Node"], found["Service"]["Tags"]) == ("i-4", ["0123abcd"])
    finally:
        cluster.end()


def test_in_the_sandbox_the_service_runs_and_the_servers_are_up_and_do_nothing(
    project: Project, server: Finished, service: Finished
) -> None:
    image = server.output.split()[-1]
    endpoints = ["ssm", "ec2", "autoscaling"]
    project.configure(consul={"image": image}, instance_role={"consul": True}, endpoints=endpoints)
    assert project.bluegreen("init", STACK, "--ledger", "file").code == 0
    released = project.bluegreen("release", STACK, "--skip-bake")
    assert released.code == 0, released.output
    assert project.ask("/health") == {"status": "ok"}
    machines = eventually(lambda: up if len(up := running(project, image)) == 3 else None)
    consoles = [(Path(each["console"]).read_text()) for each in machines]
    assert all("consul.service not started: nobody has a private address here" in each for each in consoles)


def running(project: Project, image: str) -> list[dict[str, Any]]:
    found = project.aws("ec2").describe_instances(Filters=[{"Name": "image-id", "Values": [image]}])["Reservations"]
    up = {each["InstanceId"] for one in found for each in one["Instances"] if each["State"]["Name"] == "running"}
    return [each for each in project.machines(image) if each["id"] in up]


def test_another_sha256_makes_no_image(project: Project, variables: Path, server: Finished) -> None:
    held = variables.read_text()
    variables.write_text(json.dumps(json.loads(held) | {"consul_sha256": "a" * 64}))
    before = project.aws("ec2").describe_images(Owners=["self"])["Images"]
    failed = project.bluegreen("bake", STACK, "--consul")
    variables.write_text(held)
    assert failed.code == 1
    assert "checksum" in failed.output.partition("error: ")[2]
    assert project.aws("ec2").describe_images(Owners=["self"])["Images"] == before
