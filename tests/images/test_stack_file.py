"""A stack's config without the engine: what its files say, and what the program would make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.errors import SettingsError
from bluegreen.images.stack_file import StackFileError, read_project, read_stack
from tests.images.conftest import Project


def write_stack(project: Project, text: str, stack: str = "dev") -> None:
    project.write(f"stacks/Pulumi.{stack}.yaml", text)


def test_settings_and_session_are_read(project: Project) -> None:
    write_stack(
        project,
        """config:
  aws:region: eu-west-1
  aws:profile: work
  aws:assumeRoles: [{roleArn: "arn:aws:iam::111111111111:role/x"}]
  bluegreen:service: shop
  bluegreen:healthCheck: {path: /up}
  bluegreen:minSize: "1"
  other:key: value
""",
    )
    config = read_stack("dev", project.directory)
    assert (config.project, config.stack) == ("bluegreen", "dev")
    assert (config.settings.service, config.settings.health_check.path, config.settings.min_size) == ("shop", "/up", 1)
    assert (config.session.region, config.session.profile) == ("eu-west-1", "work")
    assert config.session.assume_roles[0]["roleArn"].endswith("role/x")


def test_what_the_project_sets_for_every_stack_counts_and_the_stack_wins(project: Project) -> None:
    project.write(
        "Pulumi.yaml",
        """name: shop
config:
  aws:region: eu-west-1
  aws:profile: {value: work}
  service: {type: string, default: shop}
  port: {value: 9090}
  rootDevice: {type: string}
""",
    )
    project.write("Pulumi.dev.yaml", "config:\n  bluegreen:port: 8081\n")
    config = read_stack("organization/shop/dev", project.directory)
    assert (config.stack, config.settings.service, config.settings.port) == ("dev", "shop", 8081)
    assert (config.session.region, config.session.profile) == ("eu-west-1", "work")
    assert config.settings.root_device == "/dev/xvda"
    assert read_project(project.directory).port == 9090


def test_a_stack_without_a_file_is_named_with_those_that_have_one(project: Project) -> None:
    write_stack(project, "config: {}", stack="production")
    with pytest.raises(StackFileError, match=r"stacks/Pulumi.producton.yaml does not exist") as caught:
        read_stack("producton", project.directory)
    assert caught.value.next_step == "Did you mean production? There are: dev, production."
    with pytest.raises(StackFileError) as caught:
        read_stack("qa", project.directory)
    assert "There are: dev, production." in caught.value.next_step
    assert "bluegreen init qa" in caught.value.next_step


def test_a_directory_without_a_project_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match=r"Pulumi\.yaml does not exist"):
        read_stack("dev", tmp_path)


@pytest.mark.parametrize("text", ["config: [1]", "- 1", "config: {", "\x00"])
def test_a_file_that_is_none_of_pulumis_is_named(project: Project, text: str) -> None:
    write_stack(project, text)
    with pytest.raises(StackFileError, match=r"stacks/Pulumi\.dev\.yaml"):
        read_stack("dev", project.directory)


def test_an_empty_file_means_the_defaults(project: Project) -> None:
    write_stack(project, "")
    assert read_stack("dev", project.directory).settings.service == "web"


def test_faults_of_the_config_are_those_of_the_program(project: Project) -> None:
    write_stack(project, "config: {bluegreen:servce: x, bluegreen:port: 0}")
    with pytest.raises(SettingsError, match="2 faults"):
        read_stack("dev", project.directory)


def test_a_secret_that_an_image_does_not_need_is_no_fault(project: Project) -> None:
    write_stack(project, "config: {bluegreen:userData: {secure: AAAB}, other:token: {secure: AAAB}}")
    assert read_stack("dev", project.directory).settings.user_data == ""


@pytest.mark.parametrize(
    "line", ["aws:region: {secure: AAAB}", "aws:assumeRoles: [{roleArn: x, externalId: {secure: AAAB}}]"]
)
def test_a_secret_that_is_needed_is_a_fault(project: Project, line: str) -> None:
    write_stack(project, f"config:\n  {line}\n  bluegreen:service: {{secure: AAAB}}\n")
    with pytest.raises(SettingsError, match="2 faults") as caught:
        read_stack("dev", project.directory)
    assert "bluegreen:service: is a secret" in caught.value.what
