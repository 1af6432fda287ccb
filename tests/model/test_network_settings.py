"""Settings of the network that are objects of their own: what they take, and what comes of them."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.addresses import ipv6_subnet
from bluegreen.model.endpoints import full_name, services_of
from bluegreen.model.nat_instance import NatInstance, routing_script
from bluegreen.model.settings import Settings


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"flowLogs": {"days": 31}}, r"flowLogs\.days: 31 is not a time .* 30 days is the nearest"),
        ({"flowLogs": {"days": 30, "bucket": "arn:aws:s3:::logs"}}, "flowLogs: has both days and bucket"),
        ({"flowLogs": {"bucket": "logs"}}, r"flowLogs\.bucket: 'logs' is not the ARN of a bucket"),
        ({"endpoints": ["SSM"]}, r"endpoints: 'SSM' is not the name of a service"),
        ({"endpoints": ["ssm", "management"]}, "endpoints: names ssm twice"),
        ({"endpoints": ["s3"]}, "endpoints: s3 needs none"),
        ({"natInstance": {"type": "small"}}, r"natInstance\.type: 'small' is not an instance type"),
        ({"natInstance": {"image": "x"}}, r"natInstance\.image: 'x' is not the id of an AMI"),
        ({"natInstance": {"typ": "t4g.nano"}}, r"natInstance\.typ: unknown key; did you mean type\?"),
        ({"nat": "gateway"}, "nat: "),
    ],
)
def test_what_can_not_be_is_refused_with_its_path(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=f"bluegreen:{fault}"):
        Settings.parse(config)


def test_flow_logs_are_kept_in_a_folder_of_a_bucket_too() -> None:
    assert Settings.parse({"flowLogs": {"bucket": "arn:aws:s3:::logs/vpc"}}).flow_logs.is_on
    assert not Settings.parse({}).flow_logs.is_on


def test_a_shorthand_stands_for_what_session_manager_needs() -> None:
    assert services_of(("management", "logs")) == ("ssm", "ssmmessages", "ec2messages", "logs")


def test_a_service_has_the_name_of_its_region_unless_it_is_given_whole() -> None:
    assert full_name("ecr.api", "eu-west-1") == "com.amazonaws.eu-west-1.ecr.api"
    assert full_name("cn.com.amazonaws.cn-north-1.ecr.api", "cn-north-1") == "cn.com.amazonaws.cn-north-1.ecr.api"


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [
        ("t4g.nano", "arm64"),
        ("a1.medium", "arm64"),
        ("c7gn.large", "arm64"),
        ("t3.nano", "x86_64"),
        ("g4dn.xlarge", "x86_64"),
    ],
)
def test_a_nat_instance_has_an_image_of_its_architecture(kind: str, architecture: str) -> None:
    assert NatInstance(type=kind).image_parameter.endswith(f"/al2023-ami-kernel-default-{architecture}")


def test_what_a_nat_instance_runs_is_a_script_that_a_shell_can_read() -> None:
    script = routing_script("10.0.0.0/16")
    assert "ip saddr 10.0.0.0/16 ip daddr != 10.0.0.0/16 masquerade" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_networks_of_ipv6_are_those_of_the_vpc_one_after_the_other() -> None:
    assert ipv6_subnet("2600:1f18::/56", 0) == "2600:1f18::/64"
    assert ipv6_subnet("2600:1f18::/56", 16) == "2600:1f18:0:10::/64"
