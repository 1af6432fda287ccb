"""A Consul cluster, as the program declares it, and what is refused beforehand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.consul import KEYS
from bluegreen.model.observation import Image, InstanceType
from bluegreen.model.policies import violations
from bluegreen.model.settings import Settings
from tests.components.conftest import FakeHooks, FakeObserver
from tests.components.test_stack_files import resources

IMAGE = "ami-00000000000c0950a"
CONSUL = {"image": IMAGE}
PATH = "/bluegreen/bluegreen/dev/consul"


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The parameters below the cluster's path."""
    parameters = {f"{PATH}/{name}": "" for name in KEYS}
    image = Image(id=IMAGE, state="available", architecture="x86_64", root_device="/dev/xvda")
    machine = InstanceType(name="t3.small", architectures=("x86_64",))
    more = {
        "parameters": lambda self, path: parameters,
        "image": lambda self, wanted: image if wanted == IMAGE else None,
        "instance_type": lambda self, name: machine if name == "t3.small" else None,
    }
    for name, answer in more.items():
        monkeypatch.setattr(FakeObserver, name, answer, raising=False)
    return parameters


def consul(**more: Any) -> str:
    return json.dumps(CONSUL | more)


def test_without_the_setting_there_is_no_cluster(declare: Any) -> None:
    assert not [each for each in declare().resources if "consul" in each.name]


@pytest.mark.parametrize(("servers", "most"), [(3, 134), (5, 120)])
def test_servers_are_replaced_one_at_a_time_and_only_by_one_that_has_joined(
    declare: Any, servers: int, most: int
) -> None:
    group = declare(consul=consul(servers=servers)).one("Group", "consul-servers")
    assert (group["minSize"], group["maxSize"], group["desiredCapacity"]) == (servers, servers, servers)
    preferences = group["instanceRefresh"]["preferences"]
    assert (preferences["minHealthyPercentage"], preferences["maxHealthyPercentage"]) == (100, most)
    assert servers * most // 100 == servers + 1
    (hook,) = group["initialLifecycleHooks"]
    assert (hook["name"], hook["defaultResult"]) == ("joined", "ABANDON")


def test_servers_find_each_other_by_a_tag_that_only_they_have(declare: Any) -> None:
    declared = declare(consul=consul())
    config = json.loads(declared.one("Parameter", "consul-config")["insecureValue"])
    assert "tag_key=bluegreen:consul tag_value=bluegreen/dev " in config["retry_join"][0]
    assert config["services"] == ["web"]
    for group in declared.of("Group"):
        tags = {tag["key"]: tag["value"] for tag in group.inputs["tags"] if tag["propagateAtLaunch"]}
        assert tags.get("bluegreen:consul") == ("bluegreen/dev" if group.name == "consul-servers" else None)


def test_nothing_but_machines_and_named_networks_reaches_the_servers(declare: Any) -> None:
    declared = declare(consul=consul(apiCidrs=["203.0.113.0/24"]))
    servers = "SecurityGroup-consul-servers"
    rules = [each.inputs for each in declared.of("SecurityGroupIngressRule")]
    into = [each for each in rules if each["securityGroupId"] == servers]
    open_to = {each.get("cidrIpv4"): each["fromPort"] for each in into if "cidrIpv4" in each}
    assert open_to == {"203.0.113.0/24": 8501}
    from_machines = {
        (each["ipProtocol"], each["fromPort"])
        for each in into
        if each.get("referencedSecurityGroupId") == "SecurityGroup-web-machines"
    }
    assert from_machines == {("tcp", 8300), ("tcp", 8301), ("udp", 8301), ("tcp", 8501)}
    to_machines = {each["fromPort"] for each in rules if each.get("referencedSecurityGroupId") == servers} - {8300}
    assert to_machines == {8301}


def test_no_secret_is_in_what_is_declared_and_volumes_are_encrypted(declare: Any) -> None:
    template = declare(consul=consul()).one("LaunchTemplate", "consul-servers")
    assert "userData" not in template
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert [each["ebs"]["encrypted"] for each in template["blockDeviceMappings"]] == ["true"]


def test_agents_read_no_key_of_the_servers_and_nobody_that_of_the_authority(declare: Any) -> None:
    declared = declare(consul=consul(), instanceRole={"consul": True})
    policies = {each.name: json.loads(each.inputs["policy"]) for each in declared.of("RolePolicy")}
    keys = {
        name.split("-")[0]: {
            resource.partition(":parameter")[2].removeprefix(PATH)
            for each in policy["Statement"]
            if each.get("Sid") == "ConsulKeys"
            for resource in each["Resource"]
        }
        for name, policy in policies.items()
    }
    assert keys == {"consul": {"/config", "/agent/*", "/server/*"}, "web": {"/config", "/agent/*"}}


def test_a_cluster_breaks_no_policy(declare: Any) -> None:
    declared = declare(consul=consul(apiCidrs=["203.0.113.0/24"]), instanceRole={"consul": True})
    of_cluster = [each for each in violations(resources(declared)) if "consul" in each.resource.name]
    assert [str(each) for each in of_cluster] == []
    assert any("consul" in each.name for each in resources(declared))


@pytest.mark.parametrize("is_protected", [True, False])
def test_what_may_not_be_deleted_by_a_slip_is_not(declare: Any, is_protected: bool) -> None:
    declared = declare(consul=consul(), deletionProtection=is_protected)
    assert declared.requests["Group consul-servers"].protect is is_protected


@pytest.mark.parametrize(
    ("config", "gone", "fault"),
    [
        ({}, "agent/token", "bluegreen:consul: the cluster's keys are not there (agent/token). `bluegreen init dev`"),
        ({"image": "ami-00000000000000bad"}, "", "bluegreen:consul.image"),
        ({"instanceType": "m5.huge"}, "", "bluegreen:consul.instanceType"),
    ],
)
def test_what_aws_has_not_is_refused(
    declare: Any, there: dict[str, str], config: dict[str, str], gone: str, fault: str
) -> None:
    there.pop(f"{PATH}/{gone}", None)
    declared = declare(consul=consul(**config))
    assert [each.typ for each in declared.resources] == ["aws:ec2/launchTemplate:LaunchTemplate"]
    assert fault in FakeHooks.refused[0]


def test_a_cluster_keeps_the_name_of_its_datacenter(declare: Any, there: dict[str, str]) -> None:
    there[f"{PATH}/config"] = json.dumps({"datacenter": "dc1"})
    assert declare(consul=consul()).one("Group", "consul-servers")
    with pytest.raises(Exception, match=r"bluegreen:consul\.datacenter: the cluster is dc1"):
        declare(consul=consul(datacenter="dc2"))


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"consul": {"servers": 3}}, "bluegreen:consul.image: is missing"),
        ({"consul": CONSUL | {"servers": 4}}, "bluegreen:consul.servers: 4 should be 3 or 5"),
        ({"consul": CONSUL | {"image": "x"}}, "bluegreen:consul.image: 'x' is not the id of an AMI"),
        ({"consul": CONSUL | {"datacenter": "DC 1"}}, "bluegreen:consul.datacenter: 'DC 1' should be lower-case"),
        ({"consul": CONSUL | {"apiCidrs": ["10.0.0.1/8"]}}, "bluegreen:consul.apiCidrs[0]"),
        ({"consul": CONSUL | {"server": 3}}, "bluegreen:consul.server: unknown key; did you mean servers?"),
        ({"consul": CONSUL, "service": "consul"}, "bluegreen:service: consul is what the servers"),
        ({"instanceRole": {"consul": True}}, "bluegreen:instanceRole.consul: lets the machines' agents"),
    ],
)
def test_settings_that_can_not_be(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ami": "ami-00000001", **config})
    assert fault in str(caught.value)
