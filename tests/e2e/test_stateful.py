"""docs/mongodb, as its README says, and on: members that are renewed, that grow, that leave."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import cell
from sandbox.host import REPOSITORY
from tests.e2e.project import COMMANDS

EXAMPLE = REPOSITORY / "docs/mongodb"
MISSING = [name for name in ("ssh", "openssl") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.rollout,
    pytest.mark.skipif(bool(MISSING), reason=f"not on PATH: {', '.join(MISSING)}"),
    pytest.mark.skipif(cell.obstacle() is not None, reason=f"no machines to log into here: {cell.obstacle()}"),
]

LOOK = """
import boto3, json, sys
ec2 = boto3.client("ec2")
found = {}
running = [{"Name": "instance-state-name", "Values": ["running"]}]
for reservation in ec2.describe_instances(Filters=running)["Reservations"]:
    for each in reservation["Instances"]:
        name = {tag["Key"]: tag["Value"] for tag in each["Tags"]}["bluegreen:member"]
        volumes = [it["Ebs"]["VolumeId"] for it in each["BlockDeviceMappings"] if it["DeviceName"] == "/dev/sdf"]
        found[name] = {
            "machine": each["InstanceId"], "image": each["ImageId"], "type": each["InstanceType"],
            "address": each["PrivateIpAddress"], "volumes": volumes,
        }
volumes = ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": ["bluegreen:member"]}])["Volumes"]
sizes = {each["VolumeId"]: [each["Size"], each["State"], each["Encrypted"]] for each in volumes}
print(json.dumps({"members": found, "volumes": sizes}))
"""
SAY = """say() {
  ansible -i ../../ansible/inventory/aws_ec2.yml --user admin --private-key ops.pem "$1" -m command \\
    -a "env MONGODB_COMMAND='$2' /opt/app/mongosh --port $3"
}"""
UP = "pulumi up --yes --skip-preview"


@dataclass(frozen=True)
class Played:
    """What each command said, and whether the last succeeded."""

    code: int
    said: str
    directory: Path

    def noted(self, name: str) -> str:
        return (self.directory / name).read_text()

    def seen(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.noted(name)))


def commands_of_the_readme() -> list[str]:
    """Those that a person types, without their comments; the shell that they are typed into is the test's own."""
    text = (EXAMPLE / "README.md").read_text()
    typed = [re.sub(r"\s+#.*", "", line[2:]) for line in text.splitlines() if line.startswith("$ ")]
    return [line for line in typed if line != "exit" and " run -- bash" not in line and not line.startswith("cd ")]


def script() -> str:
    """The README's commands, each with a look at what there is after it, and then what else may happen to a tier."""
    look = f"{sys.executable} look.py > {{}}"
    lines, ups, plays = [SAY], 0, 0
    for command in commands_of_the_readme():
        if command.startswith("ansible-playbook"):
            plays += 1
            lines.append(f"{command} > play-{plays}")
            if plays == 1:
                lines.append(f"{command} > play-again")
                lines.append("""say mongodb-config-b '{"insert": "notes", "documents": [{"text": "kept"}]}' 27019""")
        elif command.startswith("pulumi up"):
            ups += 1
            lines += [f"{UP} > up-{ups}", look.format(f"seen-{ups}")]
        else:
            lines.append(command)
    assert (ups, plays) == (3, 2)
    find = """say mongodb-config-b '{"find": "notes"}' 27019"""
    return "\n".join(
        [
            *("set -e", *lines, f"{find} > found"),
            *(f"{UP} > up-unchanged", "pulumi config set instanceType m6i.xlarge", "pulumi config set sizeGb 300"),
            *(f"{UP} > up-grown", look.format("seen-grown"), f"until {find} > found-grown; do sleep 0.2; done"),
            "set +e",
            *("pulumi config set sizeGb 10", f"{UP} > refused-smaller 2>&1", "pulumi config set sizeGb 300"),
            *(
                "pulumi config set --path 'renew[1]' config-a",
                f"{UP} > refused-together 2>&1",
                "pulumi config rm renew",
            ),
            *("pulumi config set --path 'without[0]' config-c", f"{UP} > refused-leaving 2>&1"),
            *("pulumi config rm without", "pulumi destroy --yes > refused-destroy 2>&1", look.format("seen-refused")),
            *("set -e", "pulumi config set --path 'released[0]' config-c", f"{UP} > released"),
            *("pulumi config set --path 'without[0]' config-c", f"{UP} > left", look.format("seen-left")),
        ]
    )


@pytest.fixture(scope="module")
def played(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    directory = tmp_path_factory.mktemp("repository")
    shutil.copytree(EXAMPLE, directory / "docs/mongodb")
    shutil.copytree(REPOSITORY / "ansible", directory / "ansible")
    (directory / ".venv").symlink_to(sys.prefix)
    at = directory / "docs/mongodb"
    (at / "look.py").write_text(LOOK)
    done = subprocess.run(
        [str(COMMANDS / "bluegreen-sandbox"), "run", "--boot-seconds", "0.3", "--", "bash", "-c", script()],
        cwd=at,
        env={**os.environ, "PATH": f"{engine}{os.pathsep}{os.environ['PATH']}", "HOME": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    last = max((each for each in at.iterdir() if each.is_file()), key=lambda each: each.stat().st_mtime)
    return Played(done.returncode, f"{done.stdout}{done.stderr}\n{last.name}: {last.read_text()}", at)


def changed(play: str) -> set[str]:
    """The hosts that something was changed on."""
    assert not re.search(r"(failed|unreachable)=[1-9]", play), play
    return set(re.findall(r"^(\S+) +: .*changed=[1-9]", play, flags=re.MULTILINE))


def test_its_readme_and_all_the_rest_can_be_done(played: Played) -> None:
    assert played.code == 0, played.said
    members = played.seen("seen-1")["members"]
    assert len(members) == 8
    assert members["config-b"]["address"] == "10.20.144.10"
    sizes = list(played.seen("seen-1")["volumes"].values())
    assert {(state, encrypted) for _, state, encrypted in sizes} == {("in-use", True)}


def test_ansible_finds_the_members_by_their_tags_and_sets_them_up_once(played: Played) -> None:
    members = {f"mongodb-{name}" for name in played.seen("seen-1")["members"]}
    assert changed(played.noted("play-1")) == members
    assert changed(played.noted("play-again")) == set()


def test_another_image_touches_no_machine(played: Played) -> None:
    assert played.seen("seen-1") == played.seen("seen-2")


def test_a_member_that_is_renewed_is_another_machine_with_its_data_volume_and_address(played: Played) -> None:
    before, after = (played.seen(name)["members"] for name in ("seen-2", "seen-3"))
    assert {name for name in before if before[name] != after[name]} == {"config-b"}
    old, new = before["config-b"], after["config-b"]
    assert old["machine"] != new["machine"]
    assert old["image"] != new["image"]
    assert (old["address"], old["volumes"]) == (new["address"], new["volumes"])
    assert changed(played.noted("play-2")) == {"mongodb-config-b"}
    assert "kept" in played.noted("found")


def test_a_member_grows_where_it_is(played: Played) -> None:
    assert "created" not in played.noted("up-unchanged")
    before, after = played.seen("seen-3"), played.seen("seen-grown")
    old, new = before["members"]["config-b"], after["members"]["config-b"]
    assert (old["machine"], old["volumes"]) == (new["machine"], new["volumes"])
    assert (old["type"], new["type"]) == ("m6i.large", "m6i.xlarge")
    assert after["members"]["config-a"]["type"] == "m6i.large", "it is not to be renewed"
    assert after["volumes"][new["volumes"][0]][0] == 300
    assert "kept" in played.noted("found-grown")


def test_what_would_lose_data_is_refused_before_anything_changes(played: Played) -> None:
    assert "10 is less than the 300 GiB of vol-" in played.noted("refused-smaller")
    assert "config-a, config-b hold the same data (config)" in played.noted("refused-together")
    assert "config-c is not among them, and its volume vol-" in played.noted("refused-leaving")
    assert "it is protected" in played.noted("refused-destroy")
    assert played.seen("seen-grown") == played.seen("seen-refused")


def test_a_member_that_leaves_leaves_its_volume(played: Played) -> None:
    before, after = played.seen("seen-refused"), played.seen("seen-left")
    assert before["members"].keys() - after["members"].keys() == {"config-c"}
    (volume,) = before["members"]["config-c"]["volumes"]
    assert after["volumes"][volume] == [300, "available", True]
