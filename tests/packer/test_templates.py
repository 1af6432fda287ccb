"""The templates: accepted by the Packer at hand, alike for old ones and new, closed where nobody said who may enter."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from bluegreen.errors import PackerError
from bluegreen.images.packer import Packer
from bluegreen.images.variables import SET_BY_BAKE, Variables

REPOSITORY = Path(__file__).parent.parent.parent
PACKER = REPOSITORY / "packer"
TEMPLATES = ("linux", "windows")
NOT_IN_1_6 = ("metadata_options", "imds_support")

GIVEN = {
    "region": "us-east-1",
    "service": "web",
    "app_version": "1.2.3",
    "commit": "0123abc",
    "artifact_url": "https://example.com/app.tar.gz?X-Amz-Signature=0123&X-Amz-Expires=900",
    "artifact_sha256": "0" * 64,
    "app_port": 8080,
    "app_health_path": "/health",
    "root_device": "/dev/xvda",
    "image_name": "web-1.2.3",
    "tags": {"Name": "web-1.2.3"},
    "run_tags": {"Name": "web-1.2.3-builder"},
    "ansible_directory": "ansible",
    "scripts_directory": "packer/scripts",
    "manifest": "manifest.json",
}
"""What bake gives."""


def source_without_imds(text: str) -> str:
    """A source without its comments and without what Packer 1.6 can't do."""
    text = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^  metadata_options \{\n(?:    .*\n)*  \}\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^  imds_support = .*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{2,}", "\n", text)


def declared(template: str) -> set[str]:
    return set(re.findall(r'^variable "(\w+)"', (PACKER / template / "image.pkr.hcl").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_source_for_packer_1_6_differs_only_in_what_that_can_not_do(template: str) -> None:
    new = (PACKER / template / "source.pkr.hcl").read_text()
    old = (PACKER / template / "packer-1.6" / "source.pkr.hcl").read_text()
    assert all(setting in new and setting not in old for setting in NOT_IN_1_6)
    assert source_without_imds(new) == source_without_imds(old)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_takes_all_that_bake_gives_and_finds_nothing_by_its_own_path(template: str) -> None:
    assert declared(template) >= SET_BY_BAKE | {"builder_source_cidrs", "base_image_id"}
    assert GIVEN.keys() == SET_BY_BAKE
    for file in (PACKER / template).rglob("*.pkr.hcl"):
        assert "path.root" not in file.read_text(), f"{file}: an old Packer builds a copy elsewhere"


@pytest.mark.parametrize("file", sorted(PACKER.glob("*.pkrvars.json")), ids=lambda file: file.name)
def test_a_shipped_variables_file_sets_what_there_is(file: Path) -> None:
    assert Variables.read(file).values.keys() <= declared("linux")


@pytest.mark.parametrize("template", TEMPLATES)
def test_with_no_address_given_nobody_may_connect_to_the_machine(template: str) -> None:
    text = (PACKER / template / "image.pkr.hcl").read_text()
    assert 'length(var.builder_source_cidrs) > 0 ? var.builder_source_cidrs : ["127.0.0.1/32"]' in text
    for file in (PACKER / template).rglob("source.pkr.hcl"):
        assert "temporary_security_group_source_cidrs = local.source_cidrs" in file.read_text()


@pytest.fixture(scope="module")
def packer() -> Packer:
    try:
        return Packer.find()
    except PackerError as none:
        pytest.skip(str(none))


class TestWithPacker:
    """What the Packer on PATH says."""

    @pytest.mark.parametrize("base", ["by id", "by name"])
    @pytest.mark.parametrize("template", TEMPLATES)
    def test_the_template_is_valid(self, packer: Packer, template: str, base: str, tmp_path: Path) -> None:
        deployment = {"base_image_name": "debian-12-amd64-*", "base_image_owner": "136693071363"}
        given = {**GIVEN, "manifest": str(tmp_path / "manifest.json")}
        given |= {"base_image_id": "ami-0123456789abcdef0"} if base == "by id" else {}
        deployment |= {"ssh_username": "admin"} if template == "linux" else {}
        files = []
        for name, values in (("deployment", deployment), ("given", given)):
            files.append(tmp_path / f"{name}.pkrvars.json")
            files[-1].write_text(json.dumps(values))
        directory = packer.template(PACKER / template, tmp_path).directory
        done = subprocess.run(
            [packer.executable, "validate", *(f"-var-file={file}" for file in files), str(directory)],
            cwd=REPOSITORY,
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if "Missing plugins" in done.stdout + done.stderr:
            pytest.skip(f"the plugins are not installed: `packer init packer/{template}` does it")
        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_files_are_formatted(self, packer: Packer) -> None:
        directories = [PACKER / template / part for template in TEMPLATES for part in (".", "packer-1.6")]
        for directory in directories:
            done = subprocess.run(
                [packer.executable, "fmt", "-check", "-diff", str(directory)],
                env={**os.environ, "CHECKPOINT_DISABLE": "1"},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
