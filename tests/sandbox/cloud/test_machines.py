"""Machines: processes, their metadata, and their end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import cell
from sandbox.host import REPOSITORY, Sandbox
from tests.sandbox.cloud.world import Aws, commands_with, eventually, get_json


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def run_instance(aws: Aws, **options: object) -> str:
    template = aws.template(aws.image(tags={"version": "3"}))
    made = aws.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": template}, MinCount=1, MaxCount=1, SubnetId=aws.subnets[0], **options
    )
    return str(made["Instances"][0]["InstanceId"])


def state(aws: Aws, instance: str) -> str:
    found = aws.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def test_an_instance_is_pending_then_runs_its_app_then_is_gone(aws: Aws) -> None:
    instance = run_instance(aws)
    assert state(aws, instance) == "pending"
    eventually(lambda: state(aws, instance) == "running")
    machine = aws.machines()[instance]
    assert get_json(machine["address"], "/version") == {"app": "3", "release": "unknown", "instance": instance}
    assert "listens on" in Path(machine["console"]).read_text()
    aws.ec2.terminate_instances(InstanceIds=[instance])
    assert state(aws, instance) == "shutting-down"
    eventually(lambda: state(aws, instance) == "terminated")
    assert not is_alive(machine["pids"][0])
    assert Path(machine["console"]).read_text().endswith("stopped\n")


def console(aws: Aws, instance: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.ec2.get_console_output(InstanceId=instance)
    return found


def test_the_console_has_what_the_machine_wrote_to_its_end_and_after_it(aws: Aws) -> None:
    instance = run_instance(aws)
    eventually(lambda: "listens on" in console(aws, instance).get("Output", ""))
    aws.ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: state(aws, instance) == "terminated")
    assert console(aws, instance)["Output"].endswith("stopped\n")


def test_the_console_of_a_machine_that_failed_says_why(aws: Aws) -> None:
    made = aws.ec2.run_instances(ImageId=aws.image(env={"PORT": "none"}), MinCount=1, MaxCount=1)
    instance = made["Instances"][0]["InstanceId"]
    eventually(lambda: state(aws, instance) == "terminated")
    assert "ValueError" in console(aws, instance)["Output"]


def test_the_console_is_the_last_64_kb(aws: Aws) -> None:
    instance = run_instance(aws)
    eventually(lambda: state(aws, instance) == "running")
    with Path(aws.machines()[instance]["console"]).open("a") as log:
        log.write("begin" + "\u00e9" * 32 * 1024)
    assert console(aws, instance)["Output"].encode() == ("\u00e9" * 32 * 1024).encode()
    aws.ec2.terminate_instances(InstanceIds=[instance])


def test_an_instance_that_there_never_was_has_no_console(aws: Aws) -> None:
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        console(aws, "i-00000000000000000")


@pytest.mark.parametrize("by_template", [False, True])
@pytest.mark.parametrize(
    ("named", "code", "message"),
    [
        ({}, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."),
        ({"ImageId": "ami-0"}, "InvalidAMIID.NotFound", "The image id '[ami-0]' does not exist"),
        ({"KeyName": "nobodys"}, "InvalidKeyPair.NotFound", "The key pair 'nobodys' does not exist"),
        (
            {"IamInstanceProfile": {"Name": "nobodys"}},
            "InvalidParameterValue",
            "Value (nobodys) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
        ),
    ],
)
def test_a_dry_run_says_what_a_launch_would_and_starts_nothing(
    aws: Aws, by_template: bool, named: dict[str, Any], code: str, message: str
) -> None:
    before = aws.machines().keys()
    reservations = len(aws.ec2.describe_instances()["Reservations"])
    given = {"ImageId": aws.image(), "InstanceType": "t3.small"} | named
    if by_template:
        image = given.pop("ImageId")
        given = {"LaunchTemplate": {"LaunchTemplateId": aws.template(image, **given)}}
    with pytest.raises(ClientError) as refused:
        aws.ec2.run_instances(**given, MinCount=1, MaxCount=1, DryRun=True)
    assert refused.value.response["Error"] == {"Code": code, "Message": message}
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == (412 if code == "DryRunOperation" else 400)
    assert len(aws.ec2.describe_instances()["Reservations"]) == reservations
    assert aws.machines().keys() <= before


def test_a_launch_that_names_what_does_not_exist_is_refused(aws: Aws) -> None:
    for named, code in (
        ({"KeyName": "nobodys"}, "InvalidKeyPair.NotFound"),
        ({"IamInstanceProfile": {"Name": "nobodys"}}, "InvalidParameterValue"),
    ):
        with pytest.raises(ClientError, match=code):
            aws.ec2.run_instances(ImageId=aws.image(), MinCount=1, MaxCount=1, **named)


def test_a_root_device_without_a_size_takes_the_images(aws: Aws) -> None:
    device = {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeType": "gp3"}}
    template = aws.template(aws.image(), BlockDeviceMappings=[device])
    made = aws.ec2.run_instances(LaunchTemplate={"LaunchTemplateId": template}, MinCount=1, MaxCount=1)
    instance = made["Instances"][0]["InstanceId"]
    volumes = aws.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    assert [(it["Encrypted"], it["VolumeType"], it["SnapshotId"][:5]) for it in volumes] == [(True, "gp3", "snap-")]
    aws.ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: state(aws, instance) == "terminated")


def test_a_stopped_instance_starts_again_at_its_address(aws: Aws) -> None:
    instance = run_instance(aws)
    eventually(lambda: state(aws, instance) == "running")
    address = aws.machines()[instance]["address"]
    aws.ec2.stop_instances(InstanceIds=[instance])
    eventually(lambda: state(aws, instance) == "stopped")
    assert instance not in aws.machines()
    aws.ec2.start_instances(InstanceIds=[instance])
    eventually(lambda: state(aws, instance) == "running")
    assert get_json(address, "/version")["instance"] == instance
    aws.ec2.terminate_instances(InstanceIds=[instance])


def test_a_machine_writes_to_its_own_disk_only(aws: Aws) -> None:
    instance = run_instance(aws)
    eventually(lambda: state(aws, instance) == "running")
    disk = aws.sandbox.dir / "machines" / instance / "root"
    image = aws.sandbox.dir / "images" / aws.machines()[instance]["image"]
    (disk / "opt/app/VERSION").write_text("changed")
    assert (image / "opt/app/VERSION").read_text() != "changed"
    aws.ec2.terminate_instances(InstanceIds=[instance])


def test_an_image_says_what_it_was_made_with(aws: Aws) -> None:
    image = aws.image(tags={"version": "9", "team": "x"}, architecture="arm64", state="pending", name="mine")
    (found,) = aws.ec2.describe_images(ImageIds=[image])["Images"]
    assert (found["State"], found["Architecture"], found["Name"]) == ("pending", "arm64", "mine")
    assert found["RootDeviceName"] == "/dev/xvda"
    assert found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"].startswith("snap-")
    assert {"Key": "team", "Value": "x"} in found["Tags"]


def test_every_aws_call_is_logged_as_a_read_or_a_write(aws: Aws) -> None:
    aws.ec2.describe_images()
    aws.ec2.create_tags(Resources=[aws.vpc], Tags=[{"Key": "a", "Value": "b"}])
    calls = [json.loads(line) for line in (aws.sandbox.dir / "calls.jsonl").read_text().splitlines()][-2:]
    assert [(it["service"], it["action"], it["kind"], it["status"]) for it in calls] == [
        ("ec2", "DescribeImages", "read", 200),
        ("ec2", "CreateTags", "write", 200),
    ]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_no_process_outlives_its_sandbox(how: str, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    # Its child ignores SIGTERM, as a worker may.
    (app / "run.sh").write_text("(trap '' TERM; exec sleep 300) & wait")
    (app / "app.service").write_text("[Service]\nExecStart=/bin/sh /opt/app/run.sh\nWorkingDirectory=/opt/app\n")
    sandbox = Sandbox.start(tmp_path / "sandbox", boot_seconds=0)
    ec2 = boto3.client(
        "ec2",
        endpoint_url=sandbox.endpoint,
        region_name="us-east-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )
    made = ec2.run_instances(ImageId=sandbox.image(app), MinCount=1, MaxCount=1, InstanceType="t3.small")
    mark = f"/_imds/{made['Instances'][0]['InstanceId']}"
    eventually(lambda: "sleep 300" in commands_with(mark), what="the app runs, and its child")
    if how == "stop":
        sandbox.stop()
    else:
        os.kill(sandbox.pid, 9)
    eventually(lambda: not commands_with(mark), what="its processes are gone")
    sandbox.stop()


@pytest.mark.skipif(cell.obstacle() is not None, reason="no cells here: paths are rewritten, not real")
def test_a_units_script_finds_its_images_files_at_their_paths_and_writes_to_its_own_disk(
    aws: Aws, tmp_path: Path
) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "server.py").write_bytes((REPOSITORY / "app/server.py").read_bytes())
    written = f"/var/tmp/{uuid4()}"
    (app / "run.sh").write_text(
        f"#!/bin/sh\ntest -d $STATE_DIRECTORY && test -e /run/prepared && echo $1 > {written}\n"
        "exec /usr/bin/python3 /opt/app/server.py\n"
    )
    (app / "run.sh").chmod(0o755)
    (app / "app.service").write_text(
        "[Service]\nExecStartPre=/bin/touch /run/prepared\nExecStart=/opt/app/run.sh ${GREETING}\n"
        'Environment="GREETING=good morning" APP_VERSION=7\nStateDirectory=thing\n'
    )
    made = aws.ec2.run_instances(ImageId=aws.image(app), MinCount=1, MaxCount=1, InstanceType="t3.small")
    instance = made["Instances"][0]["InstanceId"]
    eventually(lambda: state(aws, instance) == "running")
    machine = aws.machines()[instance]
    assert get_json(machine["address"], "/version")["app"] == "7"
    assert not Path(written).exists()
    assert (Path(machine["console"]).parent / "root" / written.lstrip("/")).read_text() == "good morning\n"
    aws.ec2.terminate_instances(InstanceIds=[instance])
