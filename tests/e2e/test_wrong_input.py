"""Wrong input is named before anything is changed, all at once; and whatever it is, a stack can be destroyed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

import pytest

from sandbox.host import REPOSITORY
from tests.e2e.project import COMMANDS, Project


@pytest.mark.parametrize(
    ("image", "settings", "reason"),
    [
        (None, {"ami": "ami-0123456789abcdef0"}, "bluegreen:ami: ami-0123456789abcdef0 does not exist in us-east-1"),
        ({"state": "pending"}, {}, "is pending, not available"),
        ({"architecture": "arm64"}, {}, "is built for arm64, and t3.small runs x86_64"),
        ({}, {"root_device": "/dev/sda1"}, "bluegreen:rootDevice: /dev/sda1 is not the root device of"),
    ],
    ids=["missing", "pending", "architecture", "root-device"],
)
def test_an_image_that_can_not_run_is_refused_by_a_preview(
    project: Project, image: Mapping[str, str] | None, settings: Mapping[str, object], reason: str
) -> None:
    ami = None if image is None else project.sandbox.image(REPOSITORY / "app", **image)
    project.configure(**{"ami": ami, "root_device": None, **settings})
    preview = project.pulumi("preview")
    assert preview.code != 0
    assert preview.has_no_traceback, preview.output
    assert reason in preview.output
    assert preview.writes == []


def test_all_faults_of_the_config_come_in_one_message(project: Project) -> None:
    project.configure(ami="ami-1", min_size=9, vpc_cidr="10.0.0.0/30", preview_port=8080, listner_port=80)
    refused = project.pulumi("up", "--skip-preview")
    assert refused.code != 0
    assert refused.has_no_traceback, refused.output
    assert "the stack's config has 5 faults:" in refused.output
    for fault in (
        "bluegreen:ami: 'ami-1' is not the id of an AMI",
        "bluegreen:listnerPort: unknown key; did you mean listenerPort?",
        "bluegreen:minSize: 9 is more than maxSize (6)",
        "bluegreen:previewPort: 8080 is listenerPort too",
        "bluegreen:vpcCidr: ",
    ):
        assert fault in refused.output
    assert refused.calls == []
    project.configure(ami=None, min_size=None, vpc_cidr=None, preview_port=None, listner_port=None)


def test_a_secret_that_every_machine_would_show_is_refused(project: Project) -> None:
    config = project.directory / project.file
    before = config.read_text()
    assert project.pulumi("config", "set", "--secret", "userData", "TOKEN=hush").code == 0
    try:
        for refused in (project.pulumi("preview"), project.bluegreen("deploy", project.stack, "--ami", "ami-12345678")):
            assert refused.code != 0
            assert "bluegreen:userData: is a secret" in refused.output, refused.output
            assert "hush" not in refused.output
            assert refused.writes == []
    finally:
        config.write_text(before)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (None, "error: there is no stack nowhere\n  There are: sandbox. `bluegreen init nowhere` makes it.\n"),
        ("/nowhere", "error: there is no `pulumi` on PATH\n  Install the Pulumi CLI, or rehearse without it: "),
    ],
    ids=["stack", "pulumi"],
)
def test_what_the_command_misses_is_one_message(project: Project, path: str | None, reason: str) -> None:
    environment = project.environment
    refused = subprocess.run(
        [str(COMMANDS / "bluegreen"), "status", "nowhere"],
        cwd=project.directory,
        env={**environment, "PATH": path or environment["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr


def test_without_an_image_an_up_changes_nothing_and_a_destroy_leaves_nothing(project: Project) -> None:
    image = project.image("1")
    deployed = project.up(ami=image, root_device=None)
    assert deployed.code == 0, deployed.output
    before = project.outputs
    assert set(before) == {"url", "previewUrl", "activeRelease", "serverGroups", "fleet"}

    refused = project.up(ami=None)
    assert refused.code != 0
    assert refused.has_no_traceback, refused.output
    assert "bluegreen:ami: is unset" in refused.output
    assert refused.writes == []
    assert project.outputs == before
    assert project.ask()["app"] == "1"

    project.aws("ec2").deregister_image(ImageId=image)
    destroyed = project.pulumi("destroy", "--yes")
    assert destroyed.code == 0, destroyed.output
    assert destroyed.has_no_traceback
    assert_nothing_is_left(project)


def assert_nothing_is_left(project: Project) -> None:
    ec2, elbv2 = project.aws("ec2"), project.aws("elbv2")
    assert project.resources == []
    assert project.groups() == {}
    assert elbv2.describe_load_balancers()["LoadBalancers"] == elbv2.describe_target_groups()["TargetGroups"] == []
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []
    assert [vpc for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]] == []
    instances = [it for each in ec2.describe_instances()["Reservations"] for it in each["Instances"]]
    assert {instance["State"]["Name"] for instance in instances} <= {"terminated"}
    assert project.sandbox.status()["machines"] == []
    assert project.processes() == []
