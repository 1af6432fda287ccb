"""Volumes and network interfaces that outlive machines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import cell
from tests.sandbox.cloud.builder import Builder
from tests.sandbox.cloud.test_dependencies import code, refusal
from tests.sandbox.cloud.world import Aws, eventually

EC2 = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
EBS = "https://docs.aws.amazon.com/ebs/latest/userguide"
DATA = [{"Key": "bluegreen:mount", "Value": "/data"}]

needs_cells = pytest.mark.skipif(cell.obstacle() is not None, reason=f"no machines to log into: {cell.obstacle()}")


def volume(aws: Aws, zone: str = "us-east-1a", tags: list[dict[str, str]] | None = None) -> str:
    tagged = [{"ResourceType": "volume", "Tags": tags}] if tags else []
    made = aws.ec2.create_volume(AvailabilityZone=zone, Size=10, VolumeType="gp3", TagSpecifications=tagged)
    return str(made["VolumeId"])


def interface(aws: Aws, address: str, **more: Any) -> str:
    made = aws.ec2.create_network_interface(SubnetId=aws.subnets[0], PrivateIpAddress=address, **more)
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def attach(aws: Aws, volume: str, instance: str, device: str = "/dev/sdf") -> dict[str, Any]:
    return {"VolumeId": volume, "InstanceId": instance, "Device": device}


def launch(aws: Aws, interface: str) -> Builder:
    return Builder.launch(aws, NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface}])


def loopback_of(machine: Builder) -> str:
    (found,) = [it for it in machine.aws.sandbox.status()["machines"] if it["id"] == machine.instance]
    return str(found["address"])


@needs_cells
@pytest.mark.documented(
    "a volume and a network interface stay when their instance is terminated, and another has them",
    f"{GUIDE}/using-eni.html",
)
def test_what_was_written_to_a_volume_is_on_the_next_machine_which_has_the_address(aws: Aws) -> None:
    eni, data = interface(aws, "10.0.0.20"), volume(aws, tags=DATA)
    first = launch(aws, eni)
    where = loopback_of(first)
    assert first.known["PrivateIpAddress"] == "10.0.0.20"
    assert first.known["Placement"]["AvailabilityZone"] == "us-east-1a"
    aws.ec2.attach_volume(**attach(aws, data, first.instance))
    (first.tree / "data/written").write_text("before")
    first.terminate()
    (found,) = aws.ec2.describe_volumes(VolumeIds=[data])["Volumes"]
    assert (found["State"], found["Attachments"]) == ("available", [])
    second = launch(aws, eni)
    assert (second.known["PrivateIpAddress"], loopback_of(second)) == ("10.0.0.20", where)
    assert not (second.tree / "data").exists()
    aws.ec2.attach_volume(**attach(aws, data, second.instance))
    assert (second.tree / "data/written").read_text() == "before"
    second.stop()
    aws.ec2.detach_volume(VolumeId=data)
    assert not (second.tree / "data").exists()
    aws.ec2.delete_volume(VolumeId=data)
    assert not (aws.sandbox.dir / "volumes" / data).exists()
    second.terminate()
    aws.ec2.delete_network_interface(NetworkInterfaceId=eni)


def reach(aws: Aws, host: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [Path(sys.executable).with_name("bluegreen-sandbox"), "reach", host, str(aws.sandbox.ssh_port)],
        input=b"nonsense\r\n",
        env=aws.sandbox.full_env,
        capture_output=True,
        timeout=60,
        check=False,
    )


@needs_cells
def test_a_machine_without_a_public_address_is_reached_by_its_private_one(aws: Aws) -> None:
    eni = interface(aws, "10.0.0.22")
    machine = launch(aws, eni)
    assert "PublicIpAddress" not in machine.known
    for name in ("10.0.0.22", machine.instance):
        assert reach(aws, name).stdout.startswith(b"SSH-2.0-")
    machine.terminate()
    aws.ec2.delete_network_interface(NetworkInterfaceId=eni)
    gone = reach(aws, "127.0.0.254")
    assert gone.returncode == 2
    assert b"can't be reached" in gone.stderr


@needs_cells
@pytest.mark.documented("a volume is attached once, as a free device, in its zone", f"{EC2}/API_AttachVolume.html")
def test_a_volume_goes_where_it_can(aws: Aws) -> None:
    eni = interface(aws, "10.0.0.21")
    machine = launch(aws, eni)
    ours, second, elsewhere = volume(aws), volume(aws), volume(aws, "us-east-1b")
    assert refusal(aws.ec2.attach_volume, **attach(aws, elsewhere, machine.instance)) == (
        "InvalidVolume.ZoneMismatch",
        f"The volume '{elsewhere}' is not in the same availability zone as instance '{machine.instance}'",
    )
    aws.ec2.attach_volume(**attach(aws, ours, machine.instance))
    assert (machine.tree / "mnt/sdf").is_dir()
    assert code(aws.ec2.attach_volume, **attach(aws, ours, machine.instance, "/dev/sdg")) == "VolumeInUse"
    assert code(aws.ec2.attach_volume, **attach(aws, second, machine.instance)) == "InvalidParameterValue"
    assert code(aws.ec2.delete_volume, VolumeId=ours) == "VolumeInUse"
    assert code(aws.ec2.delete_network_interface, NetworkInterfaceId=eni) == "InvalidParameterValue"
    taken = {"DeviceIndex": 0, "NetworkInterfaceId": eni}
    image = machine.known["ImageId"]
    assert (
        code(aws.ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1, NetworkInterfaces=[taken])
        == "InvalidNetworkInterface.InUse"
    )
    machine.terminate()
    for each in (ours, second, elsewhere):
        aws.ec2.delete_volume(VolumeId=each)
    aws.ec2.delete_network_interface(NetworkInterfaceId=eni)


@needs_cells
def test_a_volume_hides_no_files_of_the_machine(aws: Aws) -> None:
    machine = Builder.launch(aws)
    (machine.tree / "data").mkdir()
    (machine.tree / "data/there").touch()
    data, system = volume(aws, tags=DATA), volume(aws, tags=[{"Key": "bluegreen:mount", "Value": "/etc/data"}])
    assert "has files at /data" in refusal(aws.ec2.attach_volume, **attach(aws, data, machine.instance))[1]
    assert (
        "can't show a volume at /etc/data" in refusal(aws.ec2.attach_volume, **attach(aws, system, machine.instance))[1]
    )
    machine.terminate()


@pytest.mark.documented("a volume grows and never shrinks", f"{EBS}/ebs-modify-volume.html")
def test_a_volume_grows_and_never_shrinks(aws: Aws) -> None:
    made = volume(aws)
    aws.ec2.modify_volume(VolumeId=made, Size=20)
    assert aws.ec2.describe_volumes(VolumeIds=[made])["Volumes"][0]["Size"] == 20
    assert code(aws.ec2.modify_volume, VolumeId=made, Size=19) == "InvalidParameterValue"


@pytest.mark.documented(
    "an address of a network interface is its subnet's, and free", f"{EC2}/API_CreateNetworkInterface.html"
)
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("10.0.1.20", "InvalidParameterValue"),
        ("10.0.0.3", "InvalidParameterValue"),
        ("10.0.0.255", "InvalidParameterValue"),
        ("10.0.0.30", "InvalidIPAddress.InUse"),
    ],
)
def test_an_address_that_can_not_be_had_is_refused(aws: Aws, address: str, said: str) -> None:
    made = interface(aws, "10.0.0.30")
    arguments = {"SubnetId": aws.subnets[0], "PrivateIpAddress": address}
    assert code(aws.ec2.create_network_interface, **arguments) == said
    aws.ec2.delete_network_interface(NetworkInterfaceId=made)


def test_what_a_network_interface_is_in_stays(aws: Aws) -> None:
    group = aws.ec2.create_security_group(GroupName="of-an-interface", Description="d", VpcId=aws.vpc)["GroupId"]
    made = interface(aws, "10.0.0.31", Groups=[group])
    assert code(aws.ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    assert code(aws.ec2.delete_subnet, SubnetId=aws.subnets[0]) == "DependencyViolation"
    aws.ec2.delete_network_interface(NetworkInterfaceId=made)
    aws.ec2.delete_security_group(GroupId=group)


def test_the_interface_that_a_launch_made_goes_with_its_instance(aws: Aws) -> None:
    made = aws.ec2.run_instances(ImageId=aws.image(), MinCount=1, MaxCount=1, SubnetId=aws.subnets[0])["Instances"][0]
    which = {"Filters": [{"Name": "subnet-id", "Values": [aws.subnets[0]]}]}
    assert made["NetworkInterfaces"][0]["NetworkInterfaceId"] in str(aws.ec2.describe_network_interfaces(**which))
    aws.ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    eventually(lambda: not aws.ec2.describe_network_interfaces(**which)["NetworkInterfaces"])


def test_paths(tmp_path: Path) -> None:
    from sandbox.cloud.volumes import VolumeError, Volumes

    volumes = Volumes(tmp_path / "volumes")
    for path in ("/", "/usr/lib/x", "/a/../../b"):
        with pytest.raises(VolumeError):
            volumes.attach("vol-1", tmp_path / "tree", "/dev/sdf", {"bluegreen:mount": path})
