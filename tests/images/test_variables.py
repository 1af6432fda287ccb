"""The variables file: what bake needs of it is there, and its faults come together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import VariablesError
from bluegreen.images.variables import BaseImageQuery, Variables
from tests.images.conftest import Project


def read(project: Project) -> Variables:
    return Variables.read(project.directory / "packer/dev.pkrvars.json")


def faults(project: Project, **values: Any) -> dict[str, str]:
    project.set_variables(**values)
    with pytest.raises(VariablesError) as caught:
        read(project)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_a_base_image_is_named_by_a_filter_or_by_its_id(project: Project) -> None:
    assert read(project).base_image == BaseImageQuery(name="debian-*", owner="self")
    project.set_variables(base_image_id="ami-0123456789abcdef0", base_image_name="")
    assert read(project).base_image.id == "ami-0123456789abcdef0"


def test_where_the_image_is_built_does_not_shape_it(project: Project) -> None:
    project.set_variables(ssh_port=2222, builder_instance_type="c7i.large", volume_gb=10)
    assert read(project).of_the_image == {"ssh_username": "admin", "volume_gb": 10}


def test_a_missing_file_says_what_to_copy(project: Project) -> None:
    with pytest.raises(VariablesError, match=r"qa.pkrvars.json has 1 fault.*\n.*copy dev.pkrvars.json there"):
        Variables.read(project.directory / "packer/qa.pkrvars.json")


def test_a_missing_file_among_none_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(VariablesError, match="name a base image in it"):
        Variables.read(tmp_path / "dev.pkrvars.json")


def test_broken_json_is_named_by_line(project: Project) -> None:
    project.write("packer/dev.pkrvars.json", '{\n  "a": 1,\n}\n')
    with pytest.raises(VariablesError, match="line 3, column 1: is not JSON"):
        read(project)


@pytest.mark.parametrize("text", ["[]", "1", "null"])
def test_what_is_no_object_is_refused(project: Project, text: str) -> None:
    project.write("packer/dev.pkrvars.json", text)
    with pytest.raises(VariablesError, match="should be an object"):
        read(project)


def test_a_name_without_an_owner_is_refused_since_anybody_may_take_it(project: Project) -> None:
    assert "account" in faults(project, base_image_owner="")["base_image_owner"]


def test_neither_an_id_nor_a_name_is_refused(project: Project) -> None:
    assert "nothing to start from" in faults(project, base_image_name="")["base_image_id"]


def test_all_faults_come_at_once(project: Project) -> None:
    found = faults(
        project,
        base_image_id="ami-x",
        builder_source_cidrs=["10.0.0.0/8", "10.0.0.1/8", 7],
        builder_ssh_interface=1,
        region="eu-west-1",
        tags={},
    )
    assert set(found) == {
        "base_image_id",
        "builder_source_cidrs[1]",
        "builder_source_cidrs[2]",
        "builder_ssh_interface",
        "region",
        "tags",
    }


@pytest.mark.parametrize("value", [7, None, ["x"]])
def test_a_base_image_that_is_no_text_is_refused(project: Project, value: Any) -> None:
    assert set(faults(project, base_image_name=value)) == {"base_image_name"}


def test_networks_that_are_no_list_are_refused(project: Project) -> None:
    assert "a list" in faults(project, builder_source_cidrs="10.0.0.0/8")["builder_source_cidrs"]


RELEASE = "https://releases.hashicorp.com/consul/1.20.6/consul_1.20.6_linux_arm64.zip"


@pytest.mark.parametrize(
    ("url", "sha256", "wrong"),
    [
        (RELEASE, "", "consul_sha256"),
        (RELEASE, "0" * 63, "consul_sha256"),
        ("", "0" * 64, "consul_url"),
        (RELEASE.replace("https", "http"), "0" * 64, "consul_url"),
        ("https://example.com/consul.zip", "0" * 64, "consul_url"),
    ],
)
def test_a_release_of_consul_is_named_whole(project: Project, url: str, sha256: str, wrong: str) -> None:
    assert set(faults(project, consul_url=url, consul_sha256=sha256)) == {wrong}


def test_the_version_of_a_release_of_consul_is_in_its_name(project: Project) -> None:
    project.set_variables(consul_url=RELEASE, consul_sha256="0" * 64)
    assert read(project).consul.version == "1.20.6"
