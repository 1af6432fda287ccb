"""How many servers of Consul there are at most, and what that takes."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.consul import JOIN, SERVICE, Consul, servers_at_peak
from bluegreen.model.observation import ConsulServer
from bluegreen.model.settings import Settings
from bluegreen.model.tags import Owner

OWNER = Owner(project="shop", stack="prod", service="web")
TAGS = {"team": "a"}
OF_SERVERS = {**TAGS, **Owner(project="shop", stack="prod", service=SERVICE).tags, JOIN: "shop/prod"}


def consul(**config: Any) -> Consul:
    return Consul.model_validate({"image": "ami-00000001", **config})


def servers(count: int, **changed: Any) -> tuple[ConsulServer, ...]:
    given = {"image": "ami-00000001", "instance_type": "t3.small", "tags": {**OF_SERVERS, "Name": "consul-servers"}}
    return (ConsulServer(**given | changed),) * count


def test_a_first_cluster_and_one_that_stays_as_it_is_need_no_server_more() -> None:
    assert servers_at_peak(consul(), OWNER, TAGS, ()) == 3
    assert servers_at_peak(consul(), OWNER, TAGS, servers(3)) == 3


@pytest.mark.parametrize(
    "changed", [{"image": "ami-00000002"}, {"instance_type": "t3.large"}, {"tags": OF_SERVERS | {"team": "b"}}]
)
def test_what_begins_an_instance_refresh_needs_one_more(changed: Any) -> None:
    assert servers_at_peak(consul(), OWNER, TAGS, servers(3, **changed)) == 4
    assert servers_at_peak(consul(servers=5), OWNER, TAGS, servers(5, **changed)) == 6


def test_one_more_is_what_the_group_s_instance_refresh_may_launch() -> None:
    for count in (3, 5):
        one = consul(servers=count)
        assert count * one.max_healthy_percentage // 100 == one.most


def test_other_numbers_are_reached_without_a_refresh() -> None:
    assert servers_at_peak(consul(servers=5), OWNER, TAGS, servers(3)) == 5
    assert servers_at_peak(consul(), OWNER, TAGS, servers(5)) == 5


@pytest.mark.parametrize(
    ("endpoints", "lacking"),
    [([], "autoscaling, ec2, ssm"), (["management", "com.amazonaws.us-east-1.ec2"], "autoscaling")],
)
def test_without_a_way_to_what_they_ask_of_aws_they_are_refused(endpoints: list[str], lacking: str) -> None:
    config = {"ami": "ami-00000001", "consul": {"image": "ami-00000001"}, "endpoints": endpoints}
    with pytest.raises(SettingsError, match=f"bluegreen:nat: leaves Consul's machines no way to {lacking}; "):
        Settings.parse({**config, "nat": "none"})
    Settings.parse({**config, "nat": "instance"})
    Settings.parse({**config, "nat": "none", "endpoints": ["management", "ec2", "autoscaling"]})


def test_the_servers_need_addresses_beside_two_fleets() -> None:
    config = {"ami": "ami-00000001", "vpcCidr": "10.0.0.0/24", "zones": 2}
    room = Settings.parse(config).address_plan.private_addresses
    config["maxSize"] = room // 2
    Settings.parse(config).checked()
    with pytest.raises(SettingsError, match=f"and 4 servers of Consul need {2 * (room // 2) + 4}"):
        Settings.parse({**config, "consul": {"image": "ami-00000001"}}).checked()
