"""A project to bake in, an AWS in process, and a `packer` that does as it is told."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto import mock_aws
from moto.ec2 import ec2_backends
from moto.iam.access_control import PermissionResult

from bluegreen.aws.session import Session, SessionSettings

REGION = "us-east-1"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared_session() -> Session:
    """Clients take long to make, so all tests share them; `session` gives each test an account of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        session = Session(SessionSettings(region=REGION))
        for service in ("ec2", "s3", "sts"):
            session.client(service)
    return session


@pytest.fixture
def session(shared_session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    # moto takes a Deny whose condition does not hold for one that does.
    monkeypatch.setattr("moto.s3.models.FakeBucket.get_permission", _neutral)
    with mock_aws():
        yield shared_session


@pytest.fixture
def calls(session: Session) -> Iterator[list[str]]:
    """The AWS calls that were made, by name."""
    made: list[str] = []

    def record(model: Any, **_: Any) -> None:
        made.append(model.name)

    clients = [session.client(service) for service in ("ec2", "s3", "sts")]
    for client in clients:
        client.meta.events.register("before-call", record)
    yield made
    for client in clients:
        client.meta.events.unregister("before-call", record)


def _neutral(*_: object) -> PermissionResult:
    return PermissionResult.NEUTRAL


def register_image(session: Session, name: str, *, root_device: str = "/dev/xvda") -> str:
    image = str(session.client("ec2").register_image(Name=name, Architecture="x86_64")["ImageId"])
    set_image(image, root_device_name=root_device)
    return image


def set_image(image: str, **values: Any) -> None:
    """What moto has no call for, or ignores in one."""
    for key, value in values.items():
        setattr(ec2_backends["123456789012"][REGION].amis[image], key, value)


@dataclass
class Project:
    """What a user has: Pulumi.yaml, a stack, an app, playbooks, a template and its variables."""

    directory: Path
    variables: dict[str, Any]

    def set_variables(self, **values: Any) -> None:
        self.variables.update(values)
        self.write("packer/dev.pkrvars.json", json.dumps(self.variables))

    def write(self, path: str, text: str) -> Path:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def set_config(self, **config: Any) -> None:
        values = {f"bluegreen:{key}": value for key, value in config.items()}
        self.write("stacks/Pulumi.dev.yaml", yaml.safe_dump({"config": {"aws:region": REGION, **values}}))

    @property
    def ami(self) -> str | None:
        file = self.directory / "packer/ami.txt"
        return file.read_text() if file.exists() else None


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "temporary").mkdir()  # where a bake's lock stays
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    made = Project(tmp_path / "project", {})
    made.directory.mkdir()
    shutil.copy(REPOSITORY / "Pulumi.yaml", made.directory)
    made.set_config()
    made.set_variables(base_image_id="", base_image_name="debian-*", base_image_owner="self")
    made.set_variables(ssh_username="admin", builder_source_cidrs=["203.0.113.7/32"])
    made.write("app/VERSION", "1\n")
    made.write("app/server.py", "print('hello')\n")
    made.write("ansible/deploy.yml", "- hosts: localhost\n")
    made.write("packer/scripts/provision.sh", "true\n")
    made.write("packer/linux/image.pkr.hcl", "build {}\n")
    made.write("packer/linux/source.pkr.hcl", "# current\n")
    made.write("packer/linux/plugins.pkr.hcl", "packer {}\n")
    made.write("packer/linux/packer-1.6/source.pkr.hcl", "# old\n")
    return made


@dataclass
class FakePacker:
    """A `packer` on PATH. What it was given is kept: its arguments, bake's variables, the template's files."""

    directory: Path
    log: Path

    def does(self, build: str, *, version: str = "1.6.6") -> None:
        """`build`: a shell script, with the path of the manifest in `manifest`."""
        script = self.directory / "packer"
        script.write_text(
            f"""#!/bin/bash
            if [ "$1" = version ]; then echo "Packer v{version}"; exit; fi
            mkdir -p {self.log}; echo "$@" >> {self.log}/commands
            [ "$1" = build ] || exit 0
            template="${{@: -1}}"; cp -r "$template" {self.log}/template
            given="${{@: -2:1}}"; given="${{given#-var-file=}}"; cp "$given" {self.log}/given.json
            env > {self.log}/environment
            manifest=$(grep -o '"manifest": "[^"]*"' "$given" | cut -d'"' -f4)
            {build}
            """
        )
        script.chmod(0o755)

    def makes(self, image: str, **kwargs: str) -> None:
        self.does(f"cat > $manifest <<<'{manifest(image)}'", **kwargs)

    @property
    def was_run(self) -> bool:
        return self.log.exists()

    @property
    def commands(self) -> list[list[str]]:
        return [line.split() for line in (self.log / "commands").read_text().splitlines()]

    @property
    def given(self) -> dict[str, Any]:
        return dict(json.loads((self.log / "given.json").read_text()))


def manifest(*images: str, region: str = REGION) -> str:
    builds = [
        {
            "name": "linux",
            "builder_type": "amazon-ebs",
            "artifact_id": f"{region}:{image}" if image else "",
            "packer_run_uuid": "this-run",
        }
        for image in images
    ]
    return json.dumps({"builds": builds, "last_run_uuid": "this-run"})


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a script on PATH, under the name `packer`."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")

    def put(script: str) -> Path:
        file = directory / "packer"
        file.write_text(script)
        file.chmod(0o755)
        return file

    return put


@pytest.fixture
def packer(tmp_path: Path, on_path: Callable[[str], Path]) -> FakePacker:
    return FakePacker(tmp_path / "bin", tmp_path / "packer-log")
