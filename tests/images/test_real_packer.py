"""The Packer that is installed, against moto over HTTP: bake reads it right, and a bake that fails leaves nothing.

The template here connects to nothing; the real one is baked with in `tests/e2e`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from bluegreen.aws.session import Session, SessionSettings
from bluegreen.errors import BakeInterrupted, PackerError
from bluegreen.images import bake as baking
from bluegreen.images.bake import Baked, bake
from bluegreen.images.packer import Packer
from bluegreen.images.packer_output import Phase
from tests.images.conftest import REGION, Project, set_image

OURS = (
    "region service app_version app_port app_health_path commit artifact_url artifact_sha256 base_image_id root_device"
    " image_name manifest ansible_directory scripts_directory base_image_name base_image_owner ssh_username command"
)
TEMPLATE = (
    "".join(f'variable "{name}" {{ default = "" }}\n' for name in OURS.split())
    + """
variable "tags" { type = map(string) }
variable "run_tags" { type = map(string) }
variable "builder_source_cidrs" { type = list(string) }

source "amazon-ebs" "linux" {
  region                                = var.region
  custom_endpoint_ec2                   = "ENDPOINT"
  source_ami                            = var.base_image_id
  instance_type                         = "t3.small"
  communicator                          = "none"
  temporary_security_group_source_cidrs = var.builder_source_cidrs
  ami_name                              = var.image_name
  tags                                  = var.tags
}

build {
  sources = ["source.amazon-ebs.linux"]
  provisioner "shell-local" { inline = [var.command] }
  post-processor "manifest" { output = var.manifest }
}
"""
)


def _why_not() -> str:
    if shutil.which("packer") is None:
        return "no `packer` on PATH"
    try:
        packer = Packer.find()
    except PackerError as error:
        return error.what
    # Of the current one this would need a plugin, from the network.
    return "the `packer` on PATH is not of 1.6" if packer.has_plugins else ""


pytestmark = pytest.mark.skipif(bool(_why_not()), reason=_why_not())

Bake = Callable[..., Baked]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture
def ec2(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    # moto has one state for all of a process: what tests elsewhere have left must not be taken for a bake's.
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=10).close()
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_POLL_DELAY_SECONDS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return Session(SessionSettings(region=REGION)).client("ec2")


@pytest.fixture
def run(project: Project, ec2: Any, endpoint: str) -> Bake:
    base = ec2.register_image(Name=f"base of {project.directory.parent.name}")["ImageId"]
    set_image(base, root_device_name="/dev/xvda", root_device_type="ebs")
    (project.directory / "packer/linux/packer-1.6/source.pkr.hcl").unlink()
    project.write("packer/linux/packer-1.6/image.pkr.hcl", TEMPLATE.replace("ENDPOINT", endpoint))
    (project.directory / "packer/linux/source.pkr.hcl").unlink()

    def run_it(command: str, **kwargs: Any) -> Baked:
        project.set_variables(base_image_id=base, command=command)
        return bake("dev", directory=project.directory, **kwargs)

    return run_it


def snapshots(ec2: Any) -> set[str]:
    return {each["SnapshotId"] for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}


def left(ec2: Any) -> list[str]:
    reservations = ec2.describe_instances()["Reservations"]
    states = {each["State"]["Name"] for reservation in reservations for each in reservation["Instances"]}
    groups = [each["GroupName"] for each in ec2.describe_security_groups()["SecurityGroups"]]
    return [
        *(states - {"terminated"}),
        *(name for name in groups if name.startswith("packer")),
        *(each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]),
        *(
            image["Name"]
            for image in ec2.describe_images(Owners=["self"])["Images"]
            if image["Name"].startswith("web-")
        ),
    ]


def test_a_bake_that_fails_leaves_nothing_and_tells_why(run: Bake, ec2: Any, project: Project) -> None:
    with pytest.raises(PackerError, match="a provisioner failed: Script exited with non-zero exit status: 2") as caught:
        run("echo the sha256 differs >&2; exit 2")
    assert "\n  the sha256 differs" in caught.value.what
    assert caught.value.next_step.endswith("Nothing is left in AWS.")
    assert left(ec2) == []
    assert project.ami is None


def test_an_interrupted_bake_leaves_nothing(run: Bake, ec2: Any, project: Project) -> None:
    def interrupt(line: str) -> None:
        if line.endswith("sleeping"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(BakeInterrupted, match="phase `provision`"):
        run("echo sleeping; sleep 30", on_line=interrupt)
    assert left(ec2) == []
    assert project.ami is None


def test_an_interrupt_while_the_image_is_made_leaves_neither_image_nor_snapshot(
    run: Bake, ec2: Any, project: Project
) -> None:
    def interrupt(line: str) -> None:
        if "Creating AMI" in line:
            os.kill(os.getpid(), signal.SIGINT)

    before = snapshots(ec2)
    with pytest.raises(BakeInterrupted, match="phase `image`") as caught:
        run("true", on_line=interrupt)
    assert caught.value.next_step.endswith("Nothing is left in AWS.")
    assert left(ec2) == []
    assert snapshots(ec2) == before
    assert project.ami is None


def test_what_a_packer_that_was_killed_left_is_named(run: Bake, ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baking, "SETTLE_SECONDS", 0)
    with pytest.raises(PackerError, match="Packer was killed by SIGKILL in its phase `provision`") as caught:
        run("kill -KILL 0")  # its process group
    named = re.findall(
        r"(machine|security group|key pair) (\S+?)[,. ]", caught.value.next_step.partition("delete: ")[2]
    )
    things = dict(named)
    ec2.terminate_instances(InstanceIds=[things["machine"]])
    ec2.delete_security_group(GroupName=things["security group"])
    ec2.delete_key_pair(KeyName=things["key pair"])
    assert left(ec2) == []


def test_a_template_that_is_refused_is_told_apart(run: Bake, ec2: Any, project: Project) -> None:
    file = project.directory / "packer/linux/packer-1.6/image.pkr.hcl"
    file.write_text(file.read_text().replace("= var.region", "= var.regio"))
    with pytest.raises(PackerError, match="does not accept packer/linux") as caught:
        run("true")
    assert "packer/linux/packer-1.6/image.pkr.hcl line " in caught.value.what
    assert left(ec2) == []


def test_a_bake_goes_through_its_phases_to_an_image_with_tags(run: Bake, ec2: Any) -> None:
    phases: list[Phase] = []
    baked = run("true", on_phase=phases.append)
    assert phases == [phase for phase in Phase if phase is not Phase.CONNECT]
    (image,) = ec2.describe_images(ImageIds=[baked.image])["Images"]
    assert {"Key": "bluegreen:content-digest", "Value": baked.content_digest} in image["Tags"]
    assert run("true").was_there
    ec2.deregister_image(ImageId=baked.image)
    assert left(ec2) == []


def test_packer_says_its_version_as_we_read_it() -> None:
    said = subprocess.run(["packer", "version"], capture_output=True, text=True, check=True).stdout
    assert f"Packer v{'.'.join(map(str, Packer.find().version))}" in said
