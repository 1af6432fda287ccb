"""Machines that can be logged into: what is done on one stays on it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncssh
import pytest

from sandbox.cloud import cell
from sandbox.host import REPOSITORY, Sandbox
from tests.sandbox.cloud.builder import Builder
from tests.sandbox.cloud.world import Aws, commands_with, eventually, get, get_json

OBSTACLE = cell.obstacle()
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=f"no machines to log into here: {OBSTACLE}")

UNIT = """[Unit]
Description=An app
[Service]
ExecStart=/usr/bin/python3 /opt/thing/server.py
Environment=PORT=8080 APP_VERSION=7
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module")
def builder(sandbox: Sandbox, ec2: Any, elb: Any, autoscaling: Any) -> Iterator[Builder]:
    made = Builder.launch(Aws(sandbox, ec2, elb, autoscaling))
    yield made
    made.terminate()


def answers(address: str) -> bool:
    with suppress(OSError):
        return get(address, "/health")[0] == 200
    return False


def processes_of(builder: Builder) -> list[str]:
    return commands_with(f"/_imds/{builder.instance}\0")


def test_a_login_has_a_home_and_an_environment_of_its_own(builder: Builder) -> None:
    assert builder.says("pwd; echo $HOME $USER; hostname") == f"/home/admin\n/home/admin admin\n{builder.instance}"
    assert "ANSIBLE_SKIP_TAGS=host" in builder.says("env")
    assert not [name for name in os.environ if name.startswith("PULUMI") and name in builder.says("env")]


def test_another_key_than_the_launchs_is_not_let_in(builder: Builder, aws: Aws) -> None:
    other = aws.ec2.create_key_pair(KeyName="other")["KeyMaterial"]
    with pytest.raises(asyncssh.PermissionDenied):
        builder.connected(lambda connection: connection.run("true"), key=other)


@pytest.mark.parametrize("folder", ["/etc", "/usr/bin", "/usr/local/share", "/opt", "/root", "/var/lib", "/srv", "/"])
def test_what_is_written_anywhere_is_in_the_machines_tree_and_nowhere_else(builder: Builder, folder: str) -> None:
    path = f"{folder.rstrip('/')}/{uuid4()}"
    builder.says(f"echo written > {path}")
    assert (builder.tree / path.lstrip("/")).read_text() == "written\n"
    assert not os.path.lexists(path)


def test_changing_and_deleting_the_systems_files_leaves_the_hosts_alone(builder: Builder) -> None:
    before = Path("/etc/passwd").read_bytes(), sorted(os.listdir("/etc"))
    builder.says("echo app:x:999:999::/:/bin/false >> /etc/passwd && rm /etc/hosts && mkdir /etc/made")
    assert (Path("/etc/passwd").read_bytes(), sorted(os.listdir("/etc"))) == before
    assert "app:x:999" in builder.says("cat /etc/passwd")


def test_temporary_files_are_the_machines_own(builder: Builder) -> None:
    path = f"/tmp/{uuid4()}"
    Path(path).touch()
    try:
        builder.says(f"test ! -e {path} && touch {path}-inside")
        assert not Path(f"{path}-inside").exists()
    finally:
        Path(path).unlink()


@pytest.mark.parametrize(
    "deed",
    [
        "echo 1 > /proc/sys/vm/drop_caches",
        "mount -o remount,rw /proc/sys",
        "mknod /tmp/disk b 8 0",
        "kill -0 {pid}",
        "ls /sys/class",
        "hostname other",
    ],
)
def test_the_hosts_kernel_devices_and_processes_are_out_of_reach(builder: Builder, deed: str) -> None:
    assert builder.run(deed.format(pid=os.getpid())).exit_status != 0


def test_this_project_and_its_interpreter_can_be_read_and_not_written(builder: Builder) -> None:
    here = Path(__file__)
    assert builder.says(f"head -1 {here}") == here.read_text().splitlines()[0]
    assert builder.run(f"touch {here}").exit_status != 0


def test_sudo_resets_the_environment_as_the_real_one_does(builder: Builder) -> None:
    said = builder.says("LEAKED=yes sudo -n PASSED=yes env")
    assert "LEAKED" not in said
    assert "PASSED=yes" in said
    assert "HOME=/root" in said
    assert "LEAKED=yes" in builder.says("LEAKED=yes sudo -E env")


def test_exit_codes_signals_and_both_streams_come_through(builder: Builder) -> None:
    done = builder.run("echo out; echo err >&2; exit 7")
    assert (done.exit_status, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert builder.run("kill -TERM $$").exit_status == 128 + 15
    assert builder.says("cat", input="typed") == "typed"
    assert builder.says("wc -c", input="x" * 3_000_000) == "3000000"


def test_a_client_that_reads_slowly_gets_everything(builder: Builder) -> None:
    async def read(connection: asyncssh.SSHClientConnection) -> int:
        process = await connection.create_process("head -c 20000000 /dev/zero", encoding=None)
        await asyncio.sleep(1)  # the client's slowness, not a wait for something
        return len(await process.stdout.read())

    assert builder.connected(read) == 20_000_000


def test_service_modules_find_a_systemd(builder: Builder) -> None:
    assert builder.says("test -d /run/systemd/system && echo yes") == "yes"


def test_a_terminal_is_one(builder: Builder) -> None:
    assert builder.says("test -t 0 && stty size", term_type="xterm", term_size=(80, 24)).strip() == "24 80"


def test_a_session_that_is_dropped_ends_what_it_started(builder: Builder) -> None:
    async def drop(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process("echo begun; sleep 1000")
        assert await process.stdout.readline() == "begun\n"
        connection.abort()

    builder.connected(drop)
    eventually(lambda: "sleep 1000" not in builder.says("ps -eo args | grep '[s]leep' || true"))


def test_files_arrive_by_sftp_and_by_scp(builder: Builder, tmp_path: Path) -> None:
    source = tmp_path / "folder"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(200_000))

    async def put(connection: asyncssh.SSHClientConnection) -> None:
        async with connection.start_sftp_client() as client:
            await client.put(source, "by-sftp", recurse=True)
            await client.put(source / "file", "/opt/by-sftp")
        await asyncssh.scp(source, (connection, "/home/admin/by-scp"), recurse=True)

    builder.connected(put)
    for path in ("home/admin/by-sftp/file", "opt/by-sftp", "home/admin/by-scp/file"):
        assert (builder.tree / path).read_bytes() == (source / "file").read_bytes()


def test_a_link_that_points_at_the_host_leads_into_the_machine(builder: Builder, tmp_path: Path) -> None:
    async def put(connection: asyncssh.SSHClientConnection) -> None:
        await connection.run(f"mkdir -p {tmp_path} && ln -s {tmp_path} /home/admin/link", check=True)
        async with connection.start_sftp_client() as client, client.open("link/file", "w") as file:
            await file.write("written")

    builder.connected(put)
    assert list(tmp_path.iterdir()) == []
    assert (builder.tree / str(tmp_path).lstrip("/") / "file").read_text() == "written"


def test_systemctl_runs_a_service_and_says_how_it_is(builder: Builder) -> None:
    builder.says(f"printf '{UNIT}' > /etc/systemd/system/thing.service; mkdir -p /opt/thing")
    builder.says("printf 'print(1/0)\\n' > /opt/thing/server.py; systemctl daemon-reload; systemctl start thing")
    eventually(lambda: builder.run("systemctl is-active thing").stdout == "failed\n")
    assert "ZeroDivisionError" in builder.says("journalctl -u thing")
    assert "ZeroDivisionError" in str(builder.run("systemctl status thing").stdout)
    builder.says("printf 'import time\\ntime.sleep(1000)\\n' > /opt/thing/server.py; systemctl restart thing")
    assert builder.says("systemctl is-active thing") == "active"
    assert builder.run("systemctl is-enabled thing").stdout == "disabled\n"
    builder.says("systemctl stop thing")
    assert builder.run("systemctl is-active thing").stdout == "inactive\n"
    assert builder.run("systemctl start nothing").exit_status == 5
    refused = str(builder.run(f"PYTHONPATH={REPOSITORY} {sys.executable} -m sandbox.cloud.systemctl reboot").stderr)
    assert "does not reboot" in refused
    assert "does not know 'isolate'" in str(builder.run("systemctl isolate rescue.target").stderr)


def test_masking_is_for_the_image_and_not_for_the_host(builder: Builder) -> None:
    builder.says("systemctl mask apt-daily.timer")
    assert str((builder.tree / "etc/systemd/system/apt-daily.timer").readlink()) == "/dev/null"
    assert builder.run("systemctl is-enabled apt-daily.timer").stdout == "masked\n"


def test_an_image_is_the_disk_as_it_stands_and_starts_what_is_enabled(aws: Aws) -> None:
    builder = Builder.launch(aws, BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True}}])
    app = (Path(__file__).parents[3] / "app/server.py").read_text()

    async def install(connection: asyncssh.SSHClientConnection) -> None:
        await connection.run("mkdir -p /opt/thing && cat > /opt/thing/server.py", input=app, check=True)
        await connection.run("cat > /etc/systemd/system/thing.service", input=UNIT, check=True)
        await connection.run("touch /tmp/left && systemctl enable thing", check=True)

    builder.connected(install)
    builder.stop()
    tags = [{"Key": "made", "Value": "here"}]
    kinds = [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]
    image = aws.ec2.create_image(InstanceId=builder.instance, Name="thing", TagSpecifications=kinds)["ImageId"]
    builder.terminate()
    (known,) = aws.ec2.describe_images(ImageIds=[image])["Images"]
    assert (known["State"], known["RootDeviceName"], known["Tags"]) == ("available", "/dev/xvda", tags)
    assert known["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert not (aws.sandbox.dir / "images" / image / "tmp/left").exists()
    made = aws.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.small")
    instance = made["Instances"][0]["InstanceId"]
    eventually(lambda: aws.machines().get(instance, {}).get("state") == "running")
    assert get_json(aws.machines()[instance]["address"], "/version")["app"] == "7"
    aws.ec2.terminate_instances(InstanceIds=[instance])
    aws.ec2.deregister_image(ImageId=image)
    assert not (aws.sandbox.dir / "images" / image).exists()


def test_a_stopped_machine_that_starts_again_has_its_disk_and_its_services(aws: Aws) -> None:
    builder = Builder.launch(aws, aws.image(tags={"version": "5"}))
    eventually(lambda: builder.says("systemctl is-active app || true") == "active")
    eventually(lambda: answers(builder.address))
    builder.says("echo kept > /opt/kept")
    builder.stop()
    aws.ec2.start_instances(InstanceIds=[builder.instance])
    eventually(lambda: builder.state == "running")
    assert builder.says("cat /opt/kept; systemctl is-active app") == "kept\nactive"
    builder.terminate()


def test_a_terminated_machine_leaves_no_process_and_no_file(aws: Aws) -> None:
    builder = Builder.launch(aws)
    builder.says("setsid nohup sleep 1000 > /dev/null 2>&1 & trap '' TERM; touch /opt/x")
    assert processes_of(builder)
    began = time.monotonic()
    builder.terminate()
    assert processes_of(builder) == []
    assert not builder.directory.exists()
    assert time.monotonic() - began < 10


def test_killing_the_sandbox_ends_all_that_runs_on_its_machines() -> None:
    with Sandbox.start(boot_seconds=0.1) as other:
        import boto3

        keys = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox", "region_name": "us-east-1"}
        services = [boto3.client(name, endpoint_url=other.endpoint, **keys) for name in ("ec2", "elbv2", "autoscaling")]
        builder = Builder.launch(Aws(other, *services))
        builder.says("setsid nohup sleep 1000 > /dev/null 2>&1 &")
        assert processes_of(builder)
        os.kill(other.pid, 9)
        eventually(lambda: processes_of(builder) == [])
