"""docs/example, deployed as its README says: a program of one's own, with two services."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.host import REPOSITORY
from tests.e2e.project import COMMANDS

EXAMPLE = REPOSITORY / "docs/example"
ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1] + '/version').read().decode())"


@dataclass(frozen=True)
class Played:
    """What each command said, and whether the last succeeded."""

    code: int
    said: str
    directory: Path

    def noted(self, name: str) -> str:
        return (self.directory / name).read_text()


def commands_of_the_readme() -> list[str]:
    """Those that a person types, without their comments; the shell that they are typed into is the test's own."""
    text = (EXAMPLE / "README.md").read_text()
    typed = [re.sub(r"\s+#.*", "", line[2:]) for line in text.splitlines() if line.startswith("$ ")]
    return [line for line in typed if line != "exit" and " run -- bash" not in line and not line.startswith("cd ")]


@pytest.fixture(scope="module")
def played(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    directory = tmp_path_factory.mktemp("repository")
    shutil.copytree(EXAMPLE, directory / "docs/example")
    shutil.copytree(REPOSITORY / "app", directory / "app")
    (directory / ".venv").symlink_to(sys.prefix)
    commands = commands_of_the_readme()
    ups = [at for at, command in enumerate(commands) if command.startswith("pulumi up")]
    assert len(ups) == 2
    put_out = "pulumi stack output --json > {}"
    ssm = f"{sys.executable} {directory}/parameters.py > {{}}"
    for number, at in reversed(list(enumerate(ups, 1))):
        commands[at + 1 : at + 1] = [put_out.format(f"{number}.json"), ssm.format(f"{number}.parameters")]
    destroy = next(at for at, command in enumerate(commands) if command.startswith("pulumi destroy"))
    image = f"bluegreen-sandbox image --app {directory}/app --tag version=3"
    commands[destroy:destroy] = [
        "pulumi up --yes --skip-preview > unchanged",
        f'bluegreen deploy sandbox --ami "$({image})" > deployed',
        put_out.format("3.json"),
    ]
    commands.append("bluegreen-sandbox status > status")
    (directory / "parameters.py").write_text(
        "import boto3, json\n"
        "found = boto3.client('ssm').get_parameters_by_path(Path='/bluegreen/shop', Recursive=True)['Parameters']\n"
        "print(json.dumps({each['Name']: each['Value'] for each in found}))\n"
    )
    script = "set -e\n" + "\n".join(commands).replace("curl ", f'{sys.executable} -c "{ASK}" ').replace(
        ")/version", ")"
    )
    done = subprocess.run(
        [str(COMMANDS / "bluegreen-sandbox"), "run", "--boot-seconds", "0.5", "--", "bash", "-c", script],
        cwd=directory / "docs/example",
        env={**os.environ, "PATH": f"{engine}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Played(done.returncode, done.stdout + done.stderr, directory / "docs/example")


def test_the_commands_of_its_readme_succeed(played: Played) -> None:
    assert played.code == 0, played.said
    assert played.said.count('"app": "1"') == 2, "both services answer"


def test_both_services_change_their_release(played: Played) -> None:
    one, two = (json.loads(played.noted(f"{number}.json")) for number in (1, 2))
    assert one["activeRelease"]["service"] == two["activeRelease"]["service"] == "shop"
    assert one["activeRelease"]["version"] != two["activeRelease"]["version"]
    assert one["url"] == two["url"]
    assert one["officeUrl"] == two["officeUrl"] != two["url"]


def test_what_each_serves_is_published(played: Played) -> None:
    one, two = (json.loads(played.noted(f"{number}.parameters")) for number in (1, 2))
    outputs = json.loads(played.noted("2.json"))
    assert one.keys() == two.keys()
    assert len(two) == 8
    assert two["/bluegreen/shop/sandbox/shop/release"] == outputs["activeRelease"]["version"]
    assert two["/bluegreen/shop/sandbox/office/image"] == outputs["activeRelease"]["image"]
    assert two["/bluegreen/shop/sandbox/office/url"] == outputs["officeUrl"]
    changed = {name.rpartition("/")[2] for name in two if one[name] != two[name]}
    assert changed == {"image", "release"}


def test_the_command_deploys_the_service_whose_outputs_are_exported(played: Played) -> None:
    before, after = (json.loads(played.noted(f"{number}.json")) for number in (2, 3))
    assert after["activeRelease"]["version"] != before["activeRelease"]["version"]
    assert f"sandbox runs release {after['activeRelease']['version']}" in played.noted("deployed")


def test_nothing_is_left_of_it(played: Played) -> None:
    assert "i-" not in played.noted("status")
