"""A bake, step by step: what is refused before Packer starts, what Packer is given, and what stays when it fails."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bluegreen.aws.session import Session
from bluegreen.errors import (
    ArtifactError,
    AwsError,
    BakeInterrupted,
    BluegreenError,
    ContentError,
    ImageError,
    PackerError,
    SettingsError,
    VariablesError,
)
from bluegreen.images import bake as baking
from bluegreen.images.artifact import Artifact
from bluegreen.images.bake import Baked, image_name
from bluegreen.images.catalog import Catalog
from bluegreen.images.packer_output import Phase
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.tags import CONTENT_DIGEST
from tests.images.conftest import FakePacker, Project, manifest, register_image, set_image

FAILED = (Path(__file__).parent / "output/packer-1.6-provisioner-failed.txt").read_text()


@dataclasses.dataclass
class World:
    """A project, a base image, and the image that the fake Packer says it made."""

    project: Project
    packer: FakePacker
    session: Session
    base: str
    image: str
    lines: list[str]
    phases: list[Phase]

    def bake(self, **kwargs: Any) -> Baked:
        return baking.bake(
            "dev",
            directory=self.project.directory,
            on_line=kwargs.pop("on_line", self.lines.append),
            on_phase=self.phases.append,
            **kwargs,
        )

    def tags(self, image: str) -> dict[str, str]:
        (found,) = self.session.client("ec2").describe_images(ImageIds=[image])["Images"]
        return {tag["Key"]: tag["Value"] for tag in found["Tags"]}


@pytest.fixture
def world(project: Project, packer: FakePacker, session: Session, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(baking, "Session", lambda _: session)
    monkeypatch.setattr(baking, "SETTLE_SECONDS", 0)
    image = register_image(session, "made-by-packer")
    packer.makes(image)
    return World(project, packer, session, register_image(session, "debian-12"), image, [], [])


def test_an_image_is_baked_tagged_and_written_down(world: World) -> None:
    baked = world.bake()
    assert (baked.image, baked.was_there) == (world.image, False)
    assert world.project.ami == f"{world.image}\n"
    tags = world.tags(world.image)
    assert tags.pop("Name").startswith("web-1-20")
    assert tags.pop("bluegreen:template-digest")
    assert tags.pop("bluegreen:playbook-digest")
    assert tags == {
        "bluegreen:project": "bluegreen",
        "bluegreen:service": "web",
        "bluegreen:version": "1",
        "bluegreen:commit": "unknown",
        "bluegreen:artifact-sha256": baked.artifact.sha256,
        "bluegreen:base-image": world.base,
        "bluegreen:content-digest": baked.content_digest,
    }
    assert baked.artifact.url.startswith("s3://bluegreen-dev-artifacts-")


def test_a_consul_server_is_baked_by_its_own_playbook_and_no_deploy_takes_it(world: World) -> None:
    world.project.set_variables(
        consul_url="https://releases.hashicorp.com/consul/1.20.6/consul_1.20.6_linux_amd64.zip", consul_sha256="0" * 64
    )
    own = world.bake().image
    other = register_image(world.session, "second")
    world.packer.makes(other)
    assert world.bake(consul=True).image == other
    assert world.bake(consul=True).was_there
    tags = world.tags(other)
    assert (tags["bluegreen:service"], tags["bluegreen:version"]) == ("consul", "1.20.6")
    assert world.project.ami == f"{own}\n"


def test_a_consul_server_needs_a_release_of_consul(world: World) -> None:
    with pytest.raises(VariablesError, match="consul_url: is empty"):
        world.bake(consul=True)


def test_the_same_content_is_not_baked_twice(world: World, calls: list[str]) -> None:
    world.bake()
    world.packer.does("echo baked again; exit 1")
    (world.project.directory / "packer/ami.txt").unlink()
    calls.clear()
    baked = world.bake()
    assert (baked.image, baked.was_there) == (world.image, True)
    assert world.project.ami == f"{world.image}\n"
    assert calls == ["DescribeImages", "DescribeImages"]


def test_without_packer_an_image_that_is_there_is_found_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bake()
    monkeypatch.setenv("PATH", str(world.project.directory))
    assert world.bake().image == world.image


def test_what_is_taken_at_once_does_not_ask_for_the_history(world: World) -> None:
    world.bake()
    assert world.bake(history=lambda: pytest.fail("it was asked")).was_there


def test_force_bakes_again(world: World) -> None:
    world.bake()
    other = register_image(world.session, "second")
    world.packer.makes(other)
    assert world.bake(force=True).image == other
    assert world.project.ami == f"{other}\n"


def test_in_place_of_a_revoked_image_another_is_baked_of_a_content_that_is_not_revoked(world: World) -> None:
    first = world.bake()
    tags = [{"Key": "bluegreen:revoked", "Value": "CVE"}]
    world.session.client("ec2").create_tags(Resources=[first.image], Tags=tags)
    evidence = {"image": first.image, "contentDigest": first.content_digest, "why": "CVE", "operator": "ann"}
    history = History((Event(at=datetime.now(UTC), run="run", kind=Kind.REVOKED, evidence=evidence),))
    other = register_image(world.session, "second")
    world.packer.makes(other)
    second = world.bake(history=lambda: history)
    assert (second.image, second.was_there) == (other, False)
    assert not history.revocation(second.image, second.content_digest)
    assert world.bake(history=lambda: history).was_there


@pytest.mark.parametrize(
    "change", ["app", "playbook", "template", "script", "variable", "base image", "port", "version", "service"]
)
def test_whatever_shapes_the_image_makes_another(world: World, change: str) -> None:
    world.bake()
    other = register_image(world.session, "second")
    world.packer.makes(other)
    version = None
    match change:
        case "app":
            world.project.write("app/server.py", "print('better')\n")
        case "playbook":
            world.project.write("ansible/roles/app/tasks/main.yml", "[]\n")
        case "template":
            world.project.write("packer/linux/image.pkr.hcl", "build { }\n")
        case "script":
            world.project.write("packer/scripts/provision.sh", "false\n")
        case "variable":
            world.project.set_variables(volume_gb=20)
        case "base image":
            world.project.set_variables(base_image_id=register_image(world.session, "debian-13"))
        case "port":
            world.project.set_config(port=9090)
        case "service":
            world.project.set_config(service="shop")
        case "version":
            version = "1.0"
    assert world.bake(version=version).image == other


@pytest.mark.parametrize("change", ["where", "who", "commit", "junk", "base by id", "deployment"])
def test_what_does_not_shape_the_image_makes_no_other(world: World, change: str) -> None:
    first = world.bake()
    artifact = None
    match change:
        case "where":
            world.project.set_variables(builder_instance_type="c7i.large", builder_subnet_id="subnet-1")
        case "who":
            world.project.set_variables(builder_source_cidrs=["198.51.100.0/24"], ssh_port=2222)
        case "commit":
            artifact = dataclasses.replace(first.artifact, commit="c" * 40)
        case "junk":
            world.project.write("ansible/.deploy.yml.swp", "x")
            world.project.write("app/__pycache__/server.pyc", "x")
        case "base by id":
            world.project.set_variables(base_image_id=world.base)
        case "deployment":
            world.project.set_config(minSize=3, ami=first.image, drainSeconds=1)
    again = world.bake(artifact=artifact)
    assert (again.image, again.was_there) == (first.image, True)


def test_packer_is_given_what_the_template_needs(world: World) -> None:
    world.project.set_config(port=9090, healthCheck={"path": "/up"}, tags={"team": "shop"})
    baked = world.bake()
    given = world.packer.given
    directory = world.project.directory
    assert given.pop("artifact_url").startswith("https://bluegreen-dev-artifacts-")
    assert Path(given.pop("manifest")).is_absolute()
    name = given.pop("image_name")
    tags = given.pop("tags")
    assert tags.items() >= {"Name": name, CONTENT_DIGEST: baked.content_digest, "team": "shop"}.items()
    assert given == {
        "region": "us-east-1",
        "service": "web",
        "app_version": "1",
        "app_port": 9090,
        "app_health_path": "/up",
        "commit": "unknown",
        "artifact_sha256": baked.artifact.sha256,
        "base_image_id": world.base,
        "root_device": "/dev/xvda",
        "run_tags": {
            "Name": f"{name}-builder",
            "team": "shop",
            "bluegreen:project": "bluegreen",
            "bluegreen:service": "web",
        },
        "ansible_directory": str(directory / "ansible"),
        "scripts_directory": str(directory / "packer/scripts"),
    }
    (build,) = world.packer.commands
    assert build[:2] == ["build", "-color=false"]
    assert build[2] == f"-var-file={directory}/packer/dev.pkrvars.json", "bake's own come later, and win"
    assert {file.name for file in (world.packer.log / "template").iterdir()} == {"image.pkr.hcl", "source.pkr.hcl"}


def test_bake_lets_in_this_machine_where_the_file_names_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        baking, "own_cidr", lambda endpoint, ssh_interface: f"198.51.100.4/32 {endpoint} {ssh_interface}"
    )
    world.project.set_variables(builder_source_cidrs=[], builder_ssh_interface="private_ip")
    world.bake()
    endpoint = world.session.client("ec2").meta.endpoint_url
    assert world.packer.given["builder_source_cidrs"] == [f"198.51.100.4/32 {endpoint} private_ip"]


def test_a_current_packer_installs_plugins_and_builds_the_template_itself(world: World) -> None:
    world.packer.makes(world.image, version="1.15.4")
    world.bake()
    template = str(world.project.directory / "packer/linux")
    assert world.packer.commands[0] == ["init", template]
    assert world.packer.commands[1][-1] == template


def test_packer_is_who_the_stack_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "environment", lambda _: {"AWS_ACCESS_KEY_ID": "assumed"})
    world.bake()
    assert "AWS_ACCESS_KEY_ID=assumed\n" in (world.packer.log / "environment").read_text()


def test_an_artifact_that_is_given_is_taken_as_it_is(world: World) -> None:
    published = world.bake().artifact
    world.project.write("app/server.py", "print('not this')\n")
    baked = world.bake(artifact=published, force=True)
    assert baked.artifact == published


def test_an_app_and_a_template_may_be_elsewhere(world: World) -> None:
    world.project.write("services/shop/VERSION", "7\n")
    (world.project.directory / "packer/linux").rename(world.project.directory / "packer/other")
    baked = world.bake(app=Path("services/shop"), template=Path("packer/other"))
    assert baked.artifact.version == "7"


def refuse(world: World, kind: type[BluegreenError], match: str, **kwargs: Any) -> BluegreenError:
    """The bake fails before anything is launched, and packer/ami.txt stays."""
    world.project.write("packer/ami.txt", "ami-11111111\n")
    with pytest.raises(kind, match=match) as caught:
        world.bake(**kwargs)
    assert not world.packer.was_run
    assert world.project.ami == "ami-11111111\n"
    return caught.value


def test_faults_of_the_config_come_first(world: World) -> None:
    world.project.set_config(port=0)
    refuse(world, SettingsError, "bluegreen:port")


def test_faults_of_the_variables_come_first(world: World) -> None:
    (world.project.directory / "packer/dev.pkrvars.json").unlink()
    refuse(world, VariablesError, "does not exist")


def test_an_app_without_a_version_is_refused(world: World) -> None:
    (world.project.directory / "app/VERSION").unlink()
    refuse(world, ArtifactError, "no file VERSION")


@pytest.mark.parametrize("directory", ["ansible", "packer/linux", "packer/scripts", "app"])
def test_a_part_that_is_not_there_is_named(world: World, directory: str) -> None:
    (world.project.directory / directory).rename(world.project.directory / "gone")
    kind = ArtifactError if directory == "app" else ContentError
    refuse(world, kind, f"{directory} ")


def test_a_base_image_that_is_not_there_is_refused(world: World) -> None:
    world.project.set_variables(base_image_name="ubuntu-*")
    refuse(world, ImageError, "no such image")


def test_a_base_image_with_another_root_device_is_refused(world: World) -> None:
    world.project.set_config(rootDevice="/dev/sda1")
    error = refuse(world, ImageError, "is not the root device of the base image")
    assert "pulumi config set rootDevice /dev/xvda" in error.next_step


def test_a_missing_packer_is_an_error_before_anything_is_published(
    world: World, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(world.project.directory))
    refuse(world, PackerError, "no `packer` on PATH")
    assert set(calls) == {"DescribeImages"}


def test_a_packer_that_is_too_old_is_refused(world: World) -> None:
    world.packer.makes(world.image, version="1.6.5")
    refuse(world, PackerError, "is Packer 1.6.5")


def test_an_artifact_that_is_not_found_is_refused(world: World) -> None:
    gone = Artifact(url="s3://nowhere/a.tar.gz", sha256="a" * 64, version="1", commit="unknown")
    refuse(world, ArtifactError, "not found", artifact=gone)


def test_a_local_artifact_with_another_sha256_is_refused(world: World) -> None:
    artifact = dataclasses.replace(world.bake().artifact, sha256="a" * 64)
    local = dataclasses.replace(artifact, url=(world.project.directory / "dist/web-1.tar.gz").as_uri())
    (world.packer.log / "commands").unlink()
    with pytest.raises(ArtifactError, match="has the sha256"):
        world.bake(artifact=local)
    assert not (world.packer.log / "commands").exists()


def test_an_app_that_is_no_directory_is_refused(world: World) -> None:
    refuse(world, ArtifactError, "nope is not a directory", app=Path("nope"))


def test_an_ami_file_that_can_not_be_written_is_refused_before_anything(world: World, calls: list[str]) -> None:
    (world.project.directory / "packer/ami.txt").mkdir()
    with pytest.raises(ImageError, match=r"packer/ami.txt is a directory"):
        world.bake()
    assert not world.packer.was_run
    assert calls == []


def test_a_full_disk_is_an_error_before_anything_is_launched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", fail)
    refuse(world, PackerError, "what Packer is given can't be written: .*No space left")


def test_an_image_whose_id_can_not_be_written_down_is_named(world: World) -> None:
    file = world.project.directory / "packer/ami.txt"
    world.packer.does(f"cat > $manifest <<<'{manifest(world.image)}'; mkdir {file}")
    with pytest.raises(ImageError, match=f"{world.image} is baked, but packer/ami.txt can't be written"):
        world.bake()
    assert world.tags(world.image)[CONTENT_DIGEST]


def test_of_two_bakes_at_once_the_second_waits_and_takes_the_image_of_the_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def lock(directory: Path, stack: str, on_wait: Callable[[], None]) -> Iterator[None]:
        assert (directory, stack) == (world.project.directory, "dev")
        with monkeypatch.context() as patch:
            patch.setattr(baking, "bake_lock", lambda *_: contextlib.nullcontext())
            first.append(world.bake())
        world.packer.does("echo baked again; exit 1")
        (directory / "packer/ami.txt").unlink()
        on_wait()
        yield

    first: list[Baked] = []
    monkeypatch.setattr(baking, "bake_lock", lock)
    second = world.bake()
    assert (second.image, second.was_there, first[0].was_there) == (first[0].image, True, False)
    assert world.project.ami == f"{second.image}\n"
    assert world.lines[-1] == "another bake of dev runs here; waiting for it"


def fail(world: World, kind: type[BluegreenError], build: str, **kwargs: Any) -> BluegreenError:
    """Packer ends badly; packer/ami.txt stays."""
    world.packer.does(build)
    world.project.write("packer/ami.txt", "ami-11111111\n")
    with pytest.raises(kind) as caught:
        world.bake(**kwargs)
    assert world.packer.was_run
    assert world.project.ami == "ami-11111111\n"
    assert not [path for path in (world.project.directory / "packer").iterdir() if path.name.startswith(".")]
    return caught.value


def test_a_provisioner_that_fails_is_told_by_its_last_lines(world: World) -> None:
    world.project.write("output", FAILED)
    error = fail(world, PackerError, f"cat {world.project.directory}/output; exit 1")
    assert error.what.startswith("a provisioner failed: Script exited with non-zero exit status: 2.")
    assert "\n  TASK [app : verify the artifact]" in error.what
    assert "Terminating" not in error.what
    assert error.next_step == "packer/ami.txt is as it was. Nothing is left in AWS."
    assert world.phases == [Phase.LAUNCH, Phase.PROVISION, Phase.CLEAN_UP]
    assert world.lines == FAILED.splitlines()


def test_what_a_failed_bake_leaves_is_named(world: World) -> None:
    world.session.client("ec2").create_key_pair(KeyName="packer_left")
    said = "==> amazon-ebs.linux: Creating temporary keypair: packer_left"
    error = fail(world, PackerError, f"echo '{said}'; exit 1")
    assert "left behind, for you to delete: key pair packer_left" in error.next_step


def test_a_template_that_is_refused_is_told_with_the_users_own_file(world: World) -> None:
    error = fail(world, PackerError, "echo 'Error: bad'; echo \"  on $template/source.pkr.hcl line 2:\"; exit 1")
    assert error.what.startswith("Packer does not accept packer/linux with ")
    assert "packer-1.6/source.pkr.hcl line 2" in error.what
    assert error.next_step == "packer/ami.txt is as it was. Nothing was launched."


def test_plugins_that_can_not_be_installed_are_told(world: World) -> None:
    world.packer.does("exit 7", version="1.15.4")
    script = world.packer.directory / "packer"
    script.write_text(script.read_text().replace("|| exit 0", "|| { echo no network; exit 1; }"))
    with pytest.raises(PackerError, match="`packer init packer/linux` failed:\n  no network"):
        world.bake()


@pytest.mark.parametrize("text", ["", "{}", manifest(), manifest("")])
def test_a_manifest_without_an_image_is_an_error(world: World, text: str) -> None:
    error = fail(world, PackerError, f"cat > $manifest <<<'{text}'")
    assert "manifest" in error.what
    assert error.next_step.endswith("packer/ami.txt is as it was. Nothing is left in AWS.")


def test_a_missing_manifest_is_an_error(world: World) -> None:
    assert "names no AMI" in fail(world, PackerError, "echo done").what


def test_an_image_that_is_not_there_is_an_error(world: World) -> None:
    error = fail(world, ImageError, f"cat > $manifest <<<'{manifest('ami-0123456789abcdef0')}'")
    assert "there is no such image" in error.what


def test_an_interrupted_bake_says_what_is_left(world: World) -> None:
    def interrupt(line: str) -> None:
        if line.endswith("sleeping"):
            os.kill(os.getpid(), signal.SIGINT)

    build = """
        say() { echo "==> amazon-ebs.linux: $*"; }
        trap 'say "Terminating the source AWS instance..."; exit 1' INT
        say Creating temporary keypair: packer_1
        say Provisioning with shell script: x
        say sleeping
        for i in $(seq 200); do sleep 0.05; done
    """
    error = fail(world, BakeInterrupted, build, on_line=interrupt)
    assert error.what == "the bake was interrupted in its phase `provision`, and made no image"
    assert error.next_step == "packer/ami.txt is as it was. Nothing is left in AWS."


def test_an_image_that_was_made_in_spite_of_an_interrupt_counts(world: World) -> None:
    def interrupt(line: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    world.packer.does(f"trap '' INT; cat > $manifest <<<'{manifest(world.image)}'; echo done")
    assert world.bake(on_line=interrupt).image == world.image


def test_an_interrupt_while_plugins_are_installed_starts_no_build(world: World) -> None:
    world.packer.makes(world.image, version="1.15.4")
    script = world.packer.directory / "packer"
    script.write_text(script.read_text().replace("|| exit 0", "|| { trap '' INT; echo installing; exit 0; }"))
    with pytest.raises(BakeInterrupted):
        world.bake(on_line=lambda _: os.kill(os.getpid(), signal.SIGINT))
    assert [command[0] for command in world.packer.commands] == ["init"]


def test_a_packer_that_crashes_is_told_by_the_signal_and_what_it_said(world: World) -> None:
    error = fail(world, PackerError, "echo 'SIGSEGV: segmentation violation' >&2; kill -SEGV $$")
    assert error.what == "Packer was killed by SIGSEGV\n  SIGSEGV: segmentation violation"
    assert error.next_step == "packer/ami.txt is as it was. Nothing is left in AWS."


def test_a_packer_that_ends_without_a_word_is_told_by_its_exit_code(world: World) -> None:
    assert fail(world, PackerError, "exit 3").what == "Packer ended with exit code 3"


def run_builder(world: World) -> str:
    """A machine as Packer launches it, but for its name: nobody knows that before the bake."""
    ec2 = world.session.client("ec2")
    return str(ec2.run_instances(ImageId=world.base, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"])


def name_it(world: World, machine: str) -> None:
    tags = [{"Key": "Name", "Value": world.packer.given["run_tags"]["Name"]}]
    world.session.client("ec2").create_tags(Resources=[machine], Tags=tags)


def test_the_machine_of_a_packer_that_was_killed_before_it_told_is_named(world: World) -> None:
    machine = run_builder(world)
    error = fail(
        world,
        PackerError,
        "echo '==> amazon-ebs.linux: Launching a source AWS instance...'; kill -KILL $$",
        on_line=lambda _: name_it(world, machine),
    )
    assert error.what.startswith(
        "Packer was killed by SIGKILL in its phase `launch`\n  ==> amazon-ebs.linux: Launching"
    )
    assert f"left behind, for you to delete: machine {machine} (running)" in error.next_step


def test_an_image_that_packer_was_making_when_it_was_interrupted_is_removed(world: World) -> None:
    ec2 = world.session.client("ec2")
    machine = run_builder(world)
    made: list[str] = []

    def hear(line: str) -> None:
        if "Creating AMI" in line:
            made.append(ec2.create_image(InstanceId=machine, Name=world.packer.given["image_name"])["ImageId"])
            os.kill(os.getpid(), signal.SIGINT)

    build = """
        trap 'exit 1' INT
        name=$(grep -o '"image_name": "[^"]*"' "$given" | cut -d'"' -f4)
        echo "==> amazon-ebs.linux: Creating AMI $name from instance i-1"
        for i in $(seq 200); do sleep 0.05; done
    """
    error = fail(world, BakeInterrupted, build, on_line=hear)
    assert f"The bake removed what it had made: image {made[0]}, snapshot snap-" in error.next_step
    assert error.next_step.endswith("Nothing is left in AWS.")
    assert ec2.describe_images(Filters=[{"Name": "image-id", "Values": made}])["Images"] == []


def test_an_image_that_can_not_be_finished_is_removed_so_that_no_bake_takes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AwsError("AWS refused ModifyImageAttribute", "Allow it.")

    monkeypatch.setattr(Catalog, "finish", refuse)
    build = f"""
        name=$(grep -o '"image_name": "[^"]*"' "$given" | cut -d'"' -f4)
        echo "==> amazon-ebs.linux: Creating AMI $name from instance i-1"
        cat > $manifest <<<'{manifest(world.image)}'
    """
    error = fail(world, AwsError, build, on_line=lambda line: set_image(world.image, name=line.split()[4]))
    assert error.next_step.startswith(
        "Allow it. packer/ami.txt is as it was. The bake removed what it had made: image "
    )
    assert world.session.client("ec2").describe_images(Owners=["self"])["Images"][0]["ImageId"] == world.base


def test_an_image_of_the_same_name_that_this_run_did_not_make_stays(world: World) -> None:
    def hear(line: str) -> None:
        if "Prevalidating" in line:
            set_image(world.image, name=world.packer.given["image_name"])

    fail(world, PackerError, "echo '==> amazon-ebs.linux: Prevalidating AMI Name'; exit 1", on_line=hear)
    assert world.session.client("ec2").describe_images(ImageIds=[world.image])["Images"]


def test_an_image_that_a_provisioner_prints_stays(world: World) -> None:
    said = f"==> amazon-ebs.linux: Provisioning with shell script: x\n==> amazon-ebs.linux: AMI: {world.base}"
    error = fail(world, PackerError, f"echo '{said}'; exit 1")
    assert world.session.client("ec2").describe_images(ImageIds=[world.base])["Images"]
    assert f"image {world.base} (available)" in error.next_step


def test_what_can_not_be_looked_for_is_told_by_its_names(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AwsError("AWS can't be asked: no network")

    monkeypatch.setattr(Catalog, "still_there", refuse)
    error = fail(world, PackerError, "echo '==> amazon-ebs.linux: Creating temporary keypair: packer_1'; exit 1")
    assert "can't be looked for (AWS can't be asked: no network); it printed: key pair packer_1." in error.next_step
    name = world.packer.given["image_name"]
    assert f"image would be called {name}, its machine and volumes {name}-builder." in error.next_step


def test_an_interrupt_while_the_image_is_finished_waits_until_it_is_written_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Catalog.finish

    def interrupted(*args: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        finish(*args)

    monkeypatch.setattr(Catalog, "finish", interrupted)
    baked = world.bake()
    assert (baked.was_interrupted, world.project.ami) == (True, f"{world.image}\n")


def test_names_of_images_are_apart_by_a_millisecond() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert image_name("web", "1.2", now) == "web-1.2-20260102-030405-678"


def test_nothing_secret_is_left_on_disk(world: World) -> None:
    world.bake()
    given = next(word for word in world.packer.commands[0] if "bake.pkrvars.json" in word)
    assert not Path(given.removeprefix("-var-file=")).parent.exists()
    assert json.loads((world.project.directory / "packer/dev.pkrvars.json").read_text()) == world.project.variables
