"""From the app's directory to an image and to its users, with the real Packer and the real Ansible."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import cell
from sandbox.host import Sandbox
from sandbox.load import Load
from tests.e2e.project import STACK, STAND_IN, Project

REQUESTS_PER_SECOND = 200
WRONG = "a" * 64
SYSTEM = ("/bin", "/boot", "/etc", "/home", "/lib", "/opt", "/root", "/sbin", "/srv", "/usr", "/var/lib", "/var/spool")
OUR_OWN = (".cache", ".local", ".config", ".pulumi", ".ansible", ".packer.d", ".pulumi-dev")  # of tools on the host


def obstacle() -> str | None:
    if shutil.which("packer") is None:
        return "no `packer` on PATH (Debian: apt install packer)"
    refusal = cell.obstacle()
    return f"no machines to log into here: {refusal}" if refusal else None


OBSTACLE = obstacle()
pytestmark = [pytest.mark.bake, pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with Sandbox.start(boot_seconds=0.5) as sandbox:
        made = Project.make(sandbox, tmp_path_factory.mktemp("project") / "project", STAND_IN)
        set_version(made, "1")
        yield made
        made.end_processes()


def set_version(project: Project, version: str) -> None:
    (project.directory / "app/VERSION").write_text(f"{version}\n")


def baked(project: Project) -> str:
    """The image that packer/ami.txt names; nothing where there is no such file."""
    file = project.directory / "packer/ami.txt"
    return file.read_text().strip() if file.exists() else ""


def left_in_aws(project: Project) -> dict[str, Any]:
    """What a bake makes on its way."""
    ec2 = project.aws("ec2")
    reservations = ec2.describe_instances()["Reservations"]
    instances = [each for reservation in reservations for each in reservation["Instances"]]
    groups = ec2.describe_security_groups()["SecurityGroups"]
    return {
        "images": sorted(each["ImageId"] for each in ec2.describe_images(Owners=["self"])["Images"]),
        "keys": [each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]],
        "groups": sorted(each["GroupId"] for each in groups),
        "machines": [
            each["InstanceId"] for each in instances if each.get("KeyName") and each["State"]["Name"] != "terminated"
        ],
        "directories": sorted(
            each.name
            for each in (project.sandbox.dir / "machines").iterdir()
            if each.name in {one["InstanceId"] for one in instances if one.get("KeyName")}
        ),
    }


def changed_since(moment: float) -> list[str]:
    """Files of this computer's system, not of what runs the tests."""
    found = []
    for top in map(Path, SYSTEM):
        if top.is_symlink() or not top.is_dir():
            continue
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if name not in OUR_OWN and not is_ours(Path(folder, name))]
            for name in [*folders, *files]:
                path = Path(folder, name)
                if path.lstat().st_ctime > moment:
                    found.append(str(path))
    return found


def is_ours(path: Path) -> bool:
    return any(Path(each).resolve() == path for each in (os.environ.get("VIRTUAL_ENV", "/"), Path(__file__).parents[2]))


# -- the way that ends well. The order of the tests is that of a day's work.


def test_a_release_is_baked_deployed_and_answers_and_nothing_else_of_this_computer_changes(project: Project) -> None:
    before, began = left_in_aws(project), time.time()
    released = project.bluegreen("release", STACK)
    assert released.code == 0, released.output
    assert project.ask()["app"] == "1"
    image = baked(project)
    after = left_in_aws(project)
    assert after["images"] == [image]
    assert (after["keys"], after["machines"], after["directories"]) == ([], [], [])
    assert not [each for each in after["groups"] if each not in before["groups"] and "packer" in each]
    assert changed_since(began) == []


def test_the_image_is_encrypted_asks_for_imdsv2_and_says_what_it_is_made_of(project: Project) -> None:
    (image,) = project.aws("ec2").describe_images(ImageIds=[baked(project)])["Images"]
    tags = {each["Key"]: each["Value"] for each in image["Tags"]}
    assert {key for key in tags if key.startswith("bluegreen:")} == {
        "bluegreen:artifact-sha256",
        "bluegreen:base-image",
        "bluegreen:commit",
        "bluegreen:content-digest",
        "bluegreen:playbook-digest",
        "bluegreen:project",
        "bluegreen:service",
        "bluegreen:template-digest",
        "bluegreen:version",
    }
    assert tags["bluegreen:version"] == "1"
    (disk,) = image["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert image["ImdsSupport"] == "v2.0"
    (snapshot,) = project.aws("ec2").describe_snapshots(SnapshotIds=[disk["Ebs"]["SnapshotId"]])["Snapshots"]
    assert {each["Key"]: each["Value"] for each in snapshot["Tags"]} == tags


def test_the_image_holds_no_trace_of_the_bake(project: Project) -> None:
    tree = project.sandbox.dir / "images" / baked(project)
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() and not path.is_symlink()}
    assert "opt/app/server.py" in files
    assert not [path for path in files if ".ansible" in path or "authorized_keys" in path or "playbook" in path]
    for path in files:
        content = (tree / path).read_bytes()
        assert b"X-Amz-Signature" not in content, f"{path} holds the artifact's presigned URL"


def test_the_same_content_is_not_baked_twice_and_comes_at_once(project: Project) -> None:
    again = [project.bluegreen("bake", STACK) for _ in range(3)]
    for each in again:
        assert each.code == 0, each.output
        assert each.output.rstrip().endswith(baked(project))
        assert each.writes == []
        assert len(each.reads) == 2
    assert min(each.seconds for each in again) < 1.0


def test_without_a_bake_the_same_image_is_deployed_again_and_nothing_changes(project: Project) -> None:
    again = project.bluegreen("release", STACK, "--skip-bake")
    assert again.code == 0, again.output
    assert again.writes == []


def test_a_change_of_the_app_is_baked_and_deployed_without_a_failed_request(project: Project) -> None:
    first = baked(project)
    set_version(project, "2")
    with Load(project.outputs["url"], per_second=REQUESTS_PER_SECOND, slow_every=20) as load:
        released = project.bluegreen("release", STACK)
    assert released.code == 0, released.output
    assert project.ask()["app"] == "2"
    assert baked(project) != first
    assert not load.failures, f"{len(load.failures)} of {len(load.answers)} failed, first {load.failures[:3]}"


def test_force_bakes_the_same_content_again(project: Project) -> None:
    before = baked(project)
    forced = project.bluegreen("bake", STACK, "--force")
    assert forced.code == 0, forced.output
    assert baked(project) != before


# -- what goes wrong leaves everything as it was


@pytest.fixture
def broken(project: Project) -> Iterator[Project]:
    """A project to be broken, which is whole again afterwards; what AWS and packer/ami.txt held, they still hold."""
    kept = {name: project.directory / f"kept-{name}" for name in ("ansible", "app", "packer")}
    for name, copy in kept.items():
        shutil.copytree(project.directory / name, copy)
    before, image = left_in_aws(project), baked(project)
    yield project
    assert left_in_aws(project) == before
    assert baked(project) == image
    for name, copy in kept.items():
        shutil.rmtree(project.directory / name)
        copy.rename(project.directory / name)


def test_a_task_that_fails_is_named_with_its_last_lines(broken: Project) -> None:
    role = broken.directory / "ansible/roles/app/tasks/main.yml"
    role.write_text("---\n- name: Go wrong\n  ansible.builtin.command: sh -c 'echo the reason >&2; false'\n")
    failed = broken.bluegreen("bake", STACK)
    assert failed.code == 1
    assert failed.has_no_traceback
    error = failed.output.partition("error: ")[2]
    assert "the reason" in error
    assert "Nothing is left in AWS" in error


def test_an_app_that_is_not_healthy_gets_no_image_and_says_why(broken: Project) -> None:
    (broken.directory / "app/server.py").write_text("raise SystemExit('no database')\n")
    failed = broken.bluegreen("bake", STACK)
    assert failed.code == 1
    assert "no database" in failed.output.partition("error: ")[2]


def test_a_published_artifact_of_another_sha256_is_refused_before_anything_is_launched(broken: Project) -> None:
    published = broken.bluegreen("artifact", "publish", STACK)
    assert published.code == 0, published.output
    wrong = json.dumps({**json.loads(published.output), "sha256": WRONG})
    failed = broken.bluegreen("bake", STACK, "--artifact-json", wrong)
    assert failed.code == 2
    assert WRONG in failed.output.partition("error: ")[2]
    assert failed.writes == []


def test_a_repositorys_artifact_of_another_sha256_is_not_installed(broken: Project, repository: str) -> None:
    (broken.directory / "served").mkdir(exist_ok=True)
    (broken.directory / "served/app.tar.gz").write_bytes(b"something else")
    wrong = {"url": f"{repository}/served/app.tar.gz", "sha256": WRONG, "version": "9", "commit": "unknown"}
    failed = broken.bluegreen("bake", STACK, "--artifact-json", json.dumps(wrong))
    assert failed.code == 1
    assert "checksum" in failed.output.partition("error: ")[2]


@pytest.fixture
def repository(broken: Project) -> Iterator[str]:
    """Any web server will do as one; this one has the project's directory."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(broken.directory))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_artifact_that_is_not_there_is_told_before_anything_is_launched(broken: Project) -> None:
    gone = f'{{"url": "s3://nowhere-at-all/x.tar.gz", "sha256": "{"a" * 64}", "version": "9", "commit": "unknown"}}'
    failed = broken.bluegreen("bake", STACK, "--artifact-json", gone)
    assert failed.code == 2
    assert "nowhere-at-all" in failed.output.partition("error: ")[2]
    assert failed.writes == []


def test_a_template_that_packer_does_not_accept_launches_nothing(broken: Project) -> None:
    for source in broken.directory.glob("packer/linux/**/source.pkr.hcl"):
        source.write_text(source.read_text().replace("ami_name", "ami_nome"))
    failed = broken.bluegreen("bake", STACK)
    assert failed.code == 1
    assert "ami_nome" in failed.output.partition("error: ")[2]
    assert "RunInstances" not in failed.writes


@pytest.mark.parametrize("phase", ["Waiting for SSH", "TASK ["])
def test_an_interrupted_bake_cleans_up_and_says_so(broken: Project, phase: str) -> None:
    set_version(broken, "3")
    bake = broken.begin_bluegreen("bake", STACK)
    bake.wait_for(phase)
    bake.interrupt()
    interrupted = bake.finish()
    assert interrupted.code == 1
    assert interrupted.has_no_traceback
    assert "interrupted" in interrupted.output.partition("error: ")[2]
