"""The playbooks on a machine of the sandbox, run as Packer runs them: by the provisioner's script, or over SSH."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import boto3
import pytest

from sandbox.cloud import cell
from sandbox.host import REPOSITORY, Sandbox
from tests.sandbox.cloud.builder import Builder
from tests.sandbox.cloud.world import Aws

OBSTACLE = cell.obstacle()
pytestmark = [
    pytest.mark.bake,
    pytest.mark.skipif(OBSTACLE is not None, reason=f"no machines to log into here: {OBSTACLE}"),
]

SECRET = "0123secret4567"
APP = REPOSITORY / "app"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Sandbox.start(boot_seconds=0.1) as sandbox:
        ec2 = boto3.client(
            "ec2",
            endpoint_url=sandbox.endpoint,
            region_name="us-east-1",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )
        yield Aws(sandbox, ec2, None, None)


@pytest.fixture(scope="module")
def machine(aws: Aws) -> Builder:
    return Builder.launch(aws)


@dataclass(frozen=True)
class Repository:
    """Artifacts behind presigned URLs, as far as anybody can tell."""

    directory: Path
    address: str

    def put(self, name: str, *files: Path) -> str:
        with tarfile.open(self.directory / name, "w:gz") as archive:
            for file in files:
                archive.add(file, file.name)
        return hashlib.sha256((self.directory / name).read_bytes()).hexdigest()

    def url(self, name: str) -> str:
        return f"{self.address}/{name}?X-Amz-Expires=900&X-Amz-Signature={SECRET}"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    directory = tmp_path_factory.mktemp("artifacts")
    handler = functools.partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Repository(directory, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def provision(machine: Builder, url: str, sha256: str, **more: str) -> tuple[int, str]:
    """Exit code and output of the script that Packer runs."""
    environment = {
        "PLAYBOOKS": "/tmp/ansible",
        "APP_VERSION": "1.2.3",
        "APP_PORT": "8099",
        "APP_HEALTH_SECONDS": "3",
        "ARTIFACT_URL": url,
        "ARTIFACT_SHA256": sha256,
        **more,
    }
    machine.says(f"cp -R {REPOSITORY}/ansible /tmp/ansible")
    assignments = " ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items())
    done = machine.run(f"{assignments} sh {REPOSITORY}/packer/scripts/provision.sh 2>&1")
    return done.exit_status or 0, str(done.stdout)


def changed(output: str) -> list[int]:
    """How many tasks changed something, by play."""
    return [int(count) for count in re.findall(r"^localhost .*changed=(\d+)", output, flags=re.MULTILINE)]


@pytest.fixture(scope="module")
def first(machine: Builder, repository: Repository) -> str:
    """The output of a run on a new machine."""
    sha256 = repository.put("1.tar.gz", *APP.iterdir())
    code, output = provision(machine, repository.url("1.tar.gz"), sha256)
    assert code == 0, output
    return output


def test_the_app_is_installed_enabled_checked_and_stopped(machine: Builder, first: str) -> None:
    assert machine.says("cat /opt/app/server.py") == (APP / "server.py").read_text().strip()
    assert machine.says("systemctl is-enabled app.service") == "enabled"
    assert "listens on" in machine.says("journalctl -u app.service")
    assert machine.run("systemctl is-active app.service").exit_status != 0
    drop_ins = machine.says("cat /etc/systemd/system/app.service.d/*.conf")
    assert 'Environment="APP_VERSION=1.2.3"' in drop_ins
    assert "DynamicUser=yes" in drop_ins
    assert "PORT=" not in drop_ins, "an instance listens where its own tags say"


def test_nothing_of_the_run_stays_on_the_machine(machine: Builder, first: str) -> None:
    left = machine.says("find /tmp /root /home /var /opt /etc /usr/local -newer /run/environment -name '*ansible*'")
    assert left == ""
    assert SECRET not in first
    held = [file for file in machine.tree.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert held == []


def test_a_second_run_changes_nothing(machine: Builder, repository: Repository, first: str) -> None:
    sha256 = hashlib.sha256((repository.directory / "1.tar.gz").read_bytes()).hexdigest()
    code, output = provision(machine, repository.url("no longer there"), sha256)
    assert code == 0, output
    assert sum(changed(first)) > 0
    assert changed(output) == [0, 0]


def test_an_artifact_that_is_not_there_is_named_without_its_url(machine: Builder, repository: Repository) -> None:
    code, output = provision(machine, repository.url("gone.tar.gz"), "0" * 64)
    assert code != 0
    assert "The artifact was not installed: HTTP Error 404" in output
    assert SECRET not in output


def test_an_artifact_of_another_sha256_leaves_the_installed_one(
    machine: Builder, repository: Repository, first: str
) -> None:
    found = repository.put("other.tar.gz", APP / "app.service")
    code, output = provision(machine, repository.url("other.tar.gz"), "0" * 64)
    assert code != 0
    assert f"the SHA-256 checksum should be {'0' * 64}; it was {found}." in " ".join(output.split())
    assert machine.says("ls /opt/app/server.py")


def test_another_artifact_leaves_no_file_of_the_first(machine: Builder, repository: Repository, first: str) -> None:
    sha256 = repository.put("2.tar.gz", APP / "server.py", APP / "app.service")
    code, output = provision(machine, repository.url("2.tar.gz"), sha256)
    assert code == 0, output
    assert machine.says("ls /opt/app").split() == ["app.service", "server.py"]


def test_an_artifact_in_which_nothing_would_start_is_refused(machine: Builder, repository: Repository) -> None:
    sha256 = repository.put("3.tar.gz", APP / "server.py")
    code, output = provision(machine, repository.url("3.tar.gz"), sha256)
    assert code != 0
    assert "The artifact has no unit file (*.service) at its top level" in " ".join(output.split())


def put_consul(repository: Repository) -> dict[str, str]:
    """A release of Consul that takes all settings, as an image is given it."""
    with zipfile.ZipFile(repository.directory / "consul.zip", "w") as archive:
        archive.writestr("consul", "#!/bin/sh\n")
    sha256 = hashlib.sha256((repository.directory / "consul.zip").read_bytes()).hexdigest()
    return {"CONSUL_URL": f"{repository.address}/consul.zip", "CONSUL_SHA256": sha256}


@pytest.mark.parametrize("role", ["server", "agent"])
def test_consul_is_installed_and_starts_with_the_machine_and_holds_no_key(
    aws: Aws, repository: Repository, role: str
) -> None:
    machine = Builder.launch(aws)
    sha256 = repository.put("1.tar.gz", *APP.iterdir())
    more = {**put_consul(repository), **({"PLAYBOOK": "consul.yml"} if role == "server" else {})}
    code, output = provision(machine, repository.url("1.tar.gz"), sha256, **more)
    assert code == 0, output
    units = {"consul.service", *(["consul-joined.service"] if role == "server" else ["app.service"])}
    enabled = machine.says("ls /etc/systemd/system/multi-user.target.wants").split()
    assert units <= set(enabled)
    assert ("app.service" in enabled) is (role == "agent")
    assert machine.says("stat --format=%a /usr/local/bin/consul") == "755"
    assert f"node.py configure {role} /health" in machine.says("cat /etc/systemd/system/consul.service")
    assert "token" not in machine.says("cat /etc/consul.d/consul.json")
    if role == "server":
        joined = machine.says("cat /etc/systemd/system/consul-joined.service").splitlines()
        assert "Wants=consul.service" in joined, "Requires would end it with the first start of Consul that fails"
        *_, rights = (line for line in joined if line.startswith("CapabilityBoundingSet="))
        assert rights == "CapabilityBoundingSet=CAP_DAC_READ_SEARCH", "it reads what is Consul's user's alone"
    assert machine.run("ls /run/consul /opt/consul-release").exit_status != 0
    code, output = provision(machine, repository.url("1.tar.gz"), sha256, **more)
    assert (code, changed(output)) == (0, [0, 0]), output


def test_a_release_of_consul_with_another_sha256_is_not_installed(aws: Aws, repository: Repository) -> None:
    machine = Builder.launch(aws)
    more = {**put_consul(repository), "CONSUL_SHA256": "0" * 64, "PLAYBOOK": "consul.yml"}
    code, output = provision(machine, repository.url("1.tar.gz"), "0" * 64, **more)
    assert code != 0
    assert "The checksum for" in output
    assert machine.run("ls /usr/local/bin/consul").exit_status != 0


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no `ssh` on PATH")
@pytest.mark.skipif(find_spec("ansible_collections.amazon.aws") is None, reason="no collection amazon.aws: `stateful`")
def test_a_machine_that_stays_is_found_by_its_tag_and_set_up_over_ssh(aws: Aws, tmp_path: Path) -> None:
    tags = [{"Key": "Name", "Value": "database-1"}, {"Key": "bluegreen:role", "Value": "database"}]
    machine = Builder.launch(aws, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    key = tmp_path / "key"
    key.write_text(machine.private_key)
    key.chmod(0o600)

    def run() -> str:
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                *(
                    "--inventory",
                    "inventory/aws_ec2.yml",
                    "--tags",
                    "base",
                    "--user",
                    "admin",
                    "--private-key",
                    str(key),
                ),
                "database.yml",
            ],
            cwd=REPOSITORY / "ansible",
            env={
                **aws.sandbox.full_env,
                "HOME": str(tmp_path),
                "ANSIBLE_HOST_KEY_CHECKING": "false",
                "ANSIBLE_SKIP_TAGS": "host",
                "DATABASE_PASSWORD": SECRET,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert re.search(r"^database-1 .*changed=[1-9]", run(), flags=re.MULTILINE)
    assert "Storage=persistent" in machine.says("cat /etc/systemd/journald.conf.d/10-base.conf")
    assert re.search(r"^database-1 .*changed=0", run(), flags=re.MULTILINE)
