"""User data: what a machine runs at its first boot."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import cell
from sandbox.cloud.user_data import refusal
from sandbox.host import REPOSITORY
from tests.sandbox.cloud.world import Aws, eventually, get_json

GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"
FINAL = "https://github.com/canonical/cloud-init/blob/main/systemd/cloud-final.service.tmpl"
in_cells = pytest.mark.skipif(cell.obstacle() is not None, reason="no cells here, and no user data runs without")


def launched(aws: Aws, script: str, app: Path | None = None, **options: Any) -> str:
    given = {"ImageId": aws.image(app), "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "UserData": script}
    return str(aws.ec2.run_instances(**given | options)["Instances"][0]["InstanceId"])


def console(aws: Aws, instance: str) -> str:
    return str(aws.ec2.get_console_output(InstanceId=instance).get("Output", ""))


def disk(aws: Aws, instance: str) -> Path:
    return aws.sandbox.dir / "machines" / instance / "root"


def state(aws: Aws, instance: str) -> str:
    found = aws.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def end(aws: Aws, *instances: str) -> None:
    aws.ec2.terminate_instances(InstanceIds=list(instances))


@in_cells
@pytest.mark.documented("a script runs as root at the first boot, and its output goes to the console", GUIDE)
def test_a_script_runs_in_the_machine_and_writes_to_its_console(aws: Aws) -> None:
    written = f"/opt/{aws.vpc}"
    instance = launched(aws, f"#!/bin/sh\nset -e\nid -u > {written}\necho it is $(cat {written})\n")
    eventually(lambda: "it is 0" in console(aws, instance))
    assert (disk(aws, instance) / written.lstrip("/")).read_text() == "0\n"
    assert not Path(written).exists()
    eventually(lambda: state(aws, instance) == "running")
    end(aws, instance)


@in_cells
@pytest.mark.documented("the script runs once: not when the instance is stopped and started again", GUIDE)
def test_a_script_runs_once(aws: Aws) -> None:
    instance = launched(aws, "#!/bin/sh\necho again >> /opt/runs\n")
    eventually(lambda: (disk(aws, instance) / "opt/runs").exists() and state(aws, instance) == "running")
    aws.ec2.stop_instances(InstanceIds=[instance])
    eventually(lambda: state(aws, instance) == "stopped")
    aws.ec2.start_instances(InstanceIds=[instance])
    eventually(lambda: state(aws, instance) == "running")
    image = aws.ec2.create_image(InstanceId=instance, Name=f"of-{instance}")["ImageId"]
    other = launched(aws, "#!/bin/sh\necho other >> /opt/runs\n", ImageId=image)
    eventually(lambda: (disk(aws, other) / "opt/runs").exists())
    eventually(lambda: (disk(aws, other) / "opt/runs").read_text() == "again\nother\n")
    assert (disk(aws, instance) / "opt/runs").read_text() == "again\n"
    end(aws, instance, other)


@in_cells
@pytest.mark.documented("a script that fails does not stop the boot", GUIDE)
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\nexit 3\n", "the user data failed with 3; the boot goes on"),
        ("#!/no/such/interpreter\n", "the user data can't be run: No such file or directory"),
    ],
)
def test_a_script_that_fails_stops_nothing(aws: Aws, script: str, said: str) -> None:
    instance = launched(aws, script)
    eventually(lambda: said in console(aws, instance))
    eventually(lambda: state(aws, instance) == "running")
    assert get_json(aws.machines()[instance]["address"], "/version")["instance"] == instance
    end(aws, instance)


@in_cells
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.documented("services do not wait for the script, unless they say After=cloud-final.service", FINAL)
def test_a_service_waits_for_the_script_only_if_it_says_so(aws: Aws, tmp_path: Path, waits: bool) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "server.py").write_bytes((REPOSITORY / "app/server.py").read_bytes())
    (app / "app.service").write_text(
        f"[Unit]\nAfter={'cloud-final.service' if waits else 'network-online.target'}\n[Service]\n"
        "ExecStartPre=/bin/sh -c 'if [ -e /opt/ready ]; then echo ready; else echo early; fi'\n"
        "ExecStart=/usr/bin/python3 /opt/app/server.py\n"
    )
    # Without one that waits, the script does: until the service has looked.
    script = "sleep 0.3" if waits else "until [ -e /opt/go ]; do sleep 0.05; done"
    instance = launched(aws, f"#!/bin/sh\n{script}\ntouch /opt/ready\n", app)
    eventually(lambda: ("ready" if waits else "early") in console(aws, instance))
    (disk(aws, instance) / "opt/go").touch()
    eventually(lambda: (disk(aws, instance) / "opt/ready").exists())
    end(aws, instance)


@in_cells
def test_a_script_of_a_group_s_template_finds_the_metadata_and_the_api(aws: Aws) -> None:
    script = (
        "#!/usr/bin/env python3\n"
        "import os, urllib.request as u\n"
        "at = os.environ['AWS_EC2_METADATA_SERVICE_ENDPOINT'] + '/latest/'\n"
        "ttl = {'X-aws-ec2-metadata-token-ttl-seconds': '60'}\n"
        "token = u.urlopen(u.Request(at + 'api/token', method='PUT', headers=ttl)).read().decode()\n"
        "ask = u.Request(at + 'meta-data/instance-id', headers={'X-aws-ec2-metadata-token': token})\n"
        "print('I am', u.urlopen(ask).read().decode(), 'at', os.environ['AWS_ENDPOINT_URL'])\n"
    )
    template = aws.template(aws.image(), UserData=base64.b64encode(script.encode()).decode())
    name = aws.scaling_group(template, 1)
    (instance,) = eventually(lambda: aws.instances(name, "InService"))
    eventually(lambda: f"I am {instance} at {aws.sandbox.endpoint}" in console(aws, instance))


def test_what_is_no_script_is_shown_and_not_run(aws: Aws) -> None:
    instance = launched(aws, "key=value\n")
    eventually(lambda: state(aws, instance) == "running")
    assert "user data" not in console(aws, instance)
    end(aws, instance)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (gzip.compress(b"#!/bin/sh\n", mtime=0), "compressed with gzip"),
        (b'Content-Type: multipart/mixed; boundary="//"\nMIME-Version: 1.0\n', "MIME"),
        (b"#cloud-config\npackages: [nginx]\n", "#cloud-config"),
        (b"#include\nhttps://somewhere/else\n", "#include"),
    ],
    ids=["gzip", "mime", "cloud-config", "include"],
)
def test_user_data_that_cloud_init_would_take_is_refused_by_name(raw: bytes, what: str) -> None:
    assert refusal(raw) == f"The sandbox runs user data that is a script (#!), and this is {what}."


@pytest.mark.parametrize("raw", [b"", b"#!/bin/sh\n", b"key=value", b"# a comment"])
def test_user_data_that_is_a_script_or_nothing_to_cloud_init_is_taken(raw: bytes) -> None:
    assert refusal(raw) is None


@pytest.mark.documented(
    "user data is limited to 16 KB, before it is encoded",
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html",
)
def test_user_data_is_refused_before_anything_is_made(aws: Aws) -> None:
    image = aws.image()
    with pytest.raises(ClientError, match="User data is limited to 16384 bytes"):
        aws.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, UserData="x" * 16385)
    with pytest.raises(ClientError, match="and this is #cloud-config"):
        aws.template(image, UserData="I2Nsb3VkLWNvbmZpZwo=")
    template = aws.template(image)
    with pytest.raises(ClientError, match="and this is #cloud-config"):
        aws.ec2.create_launch_template_version(
            LaunchTemplateId=template, LaunchTemplateData={"UserData": "I2Nsb3VkLWNvbmZpZwo="}
        )
