"""The stateful tier that a program declares: what each member has, and what a change may touch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from bluegreen.components import Network, NetworkArgs, Stack, StatefulTier, StatefulTierArgs
from bluegreen.components.stateful_tier import LAUNCHED_WITH
from bluegreen.model.addresses import AddressPlan
from bluegreen.model.observation import DataVolume, Subnet, WayOut
from bluegreen.model.policies import Resource, violations
from bluegreen.model.stateful import Member
from tests.components.conftest import Declared, FakeObserver

IMAGE = "ami-0fedcba9876543210"
MEMBERS = [
    Member(name="a", address="10.0.128.10", role="mongodb_shard", set="one", size_gb=20, throughput=250),
    Member(name="b", address="10.0.144.10", role="mongodb_shard", set="one", size_gb=20, instance_type="m6i.large"),
]


@pytest.fixture
def tier(declare: Any) -> Any:
    def declared(members: list[Member] = MEMBERS, **args: Any) -> Declared:
        def program(stack: Stack) -> None:
            network = Network("db", NetworkArgs(plan=AddressPlan("10.0.0.0/16", 2)))
            settings = {"ports": [27018], "control": ["10.9.0.0/16"], **args}
            made = StatefulTier(
                "db", StatefulTierArgs(stack=stack, network=network, members=members, image=IMAGE, **settings)
            )
            pulumi.export("hosts", pulumi.Output.from_input(made.hosts))
            pulumi.export("volumes", pulumi.Output.from_input(made.volume_ids))

        found: Declared = declare(program)
        return found

    return declared


@pytest.fixture
def volumes(monkeypatch: pytest.MonkeyPatch) -> Any:
    def there(*found: DataVolume) -> None:
        monkeypatch.setattr(FakeObserver, "held", found)

    return there


def test_each_member_has_a_volume_that_nothing_takes_away(tier: Any) -> None:
    declared = tier(kms_key="arn:aws:kms:us-east-1:123456789012:key/1")
    volume = declared.one("Volume", "db-a")
    assert (volume["size"], volume["type"], volume["throughput"], volume["encrypted"]) == (20, "gp3", 250, True)
    assert volume["kmsKeyId"].endswith("key/1")
    assert volume["tags"] == {
        "bluegreen:project": "bluegreen",
        "bluegreen:stack": "dev",
        "bluegreen:tier": "db",
        "bluegreen:member": "a",
        "bluegreen:role": "mongodb_shard",
        "bluegreen:set": "one",
        "bluegreen:mount": "/data",
        "bluegreen:address": "10.0.128.10",
        "bluegreen:protected": "true",
        "Name": "db-a",
    }
    request = declared.requests["Volume db-a"]
    assert (request.protect, request.retainOnDelete) == (True, True)
    assert list(request.ignoreChanges) == ["availabilityZone"]
    let_go = tier([MEMBERS[0].model_copy(update={"is_protected": False})]).requests["Volume db-a"]
    assert (let_go.protect, let_go.retainOnDelete) == (False, True), "it stays in AWS all the same"


def test_a_machine_has_the_interface_and_the_volume_of_its_member(tier: Any) -> None:
    declared = tier(key_pair="ops", instance_profile="db")
    interface = declared.one("NetworkInterface", "db-b")
    assert (interface["privateIps"], interface["subnetId"]) == (["10.0.144.10"], "Subnet-db-private-1")
    assert interface["securityGroups"] == ["SecurityGroup-db"]
    machine = declared.one("Instance", "db-b")
    assert machine["primaryNetworkInterface"] == {"networkInterfaceId": "NetworkInterface-db-b"}
    assert (machine["ami"], machine["instanceType"]) == (IMAGE, "m6i.large")
    assert (machine["keyName"], machine["iamInstanceProfile"]) == ("ops", "db")
    assert machine["metadataOptions"]["httpTokens"] == "required"
    assert machine["rootBlockDevice"]["encrypted"] is True
    assert machine["tags"]["bluegreen:host"] == "10.0.144.10"
    attachment = declared.one("VolumeAttachment", "db-b")
    assert (attachment["instanceId"], attachment["volumeId"]) == ("Instance-db-b", "Volume-db-b")
    assert attachment["stopInstanceBeforeDetaching"] is True


def test_a_machine_is_replaced_old_one_first_one_after_the_other_and_only_when_it_is_named(tier: Any) -> None:
    declared = tier(renew=["b"])
    first, second = declared.requests["Instance db-a"], declared.requests["Instance db-b"]
    assert list(first.ignoreChanges) == list(LAUNCHED_WITH)
    assert not second.ignoreChanges
    assert first.deleteBeforeReplace
    assert second.deleteBeforeReplace
    assert declared.requests["VolumeAttachment db-b"].deleteBeforeReplace
    assert any(urn.endswith("VolumeAttachment::db-a") for urn in second.dependencies)
    assert not any("::db-b" in urn for urn in first.dependencies)


def test_members_reach_each_other_and_nobody_else_does_unless_named(tier: Any) -> None:
    declared = tier(control=[])
    (rule,) = [dict(each.inputs) for each in declared.of("SecurityGroupIngressRule")]
    assert (rule["fromPort"], rule["referencedSecurityGroupId"]) == (27018, "SecurityGroup-db")
    declared = tier(clients=["10.0.0.0/16"], client_ports=[27017])
    rules = {each.name: dict(each.inputs) for each in declared.of("SecurityGroupIngressRule")}
    assert rules["db-clients-27017-10-0-0-0-16"]["cidrIpv4"] == "10.0.0.0/16"
    assert (rules["db-ssh-10-9-0-0-16"]["fromPort"], rules["db-ssh-10-9-0-0-16"]["cidrIpv4"]) == (22, "10.9.0.0/16")


def test_a_private_zone_gives_members_names_that_stay(tier: Any) -> None:
    declared = tier(hosted_zone="ZDB", domain="db.example.com")
    record = declared.one("Record", "db-a")
    assert (record["name"], record["records"], record["zoneId"]) == ("a.db.example.com", ["10.0.128.10"], "ZDB")
    assert declared.outputs["hosts"] == {"a": "a.db.example.com", "b": "b.db.example.com"}
    assert declared.one("Instance", "db-a")["tags"]["bluegreen:host"] == "a.db.example.com"


def test_a_volume_that_is_there_is_used_and_not_managed(tier: Any, volumes: Any) -> None:
    adopted = "vol-0123456789abcdef0"
    volumes(DataVolume(id=adopted, zone="us-east-1a", size_gb=20))
    declared = tier([MEMBERS[0].model_copy(update={"volume": adopted})])
    assert not declared.of("Volume")
    assert declared.one("VolumeAttachment")["volumeId"] == adopted
    assert declared.outputs["volumes"] == {"a": adopted}


def test_what_can_not_be_is_refused_before_anything_of_the_tier_is_declared(
    tier: Any, volumes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes(DataVolume(id="vol-1", zone="us-east-1b", size_gb=50, member="a", is_protected=True))
    subnet = Subnet(id="s", zone="us-east-1a", cidr="10.0.128.0/20", free_addresses=9, way_out=WayOut.NONE)
    monkeypatch.setattr(FakeObserver, "in_it", (subnet,))
    with pytest.raises(pulumi.RunError) as refused:
        tier()
    text = str(refused.value)
    assert text.startswith("the stateful tier db has 2 faults:")
    assert "10.0.128.10 is in us-east-1a, and the volume vol-1 in us-east-1b" in text
    assert "20 is less than the 50 GiB of vol-1" in text


def as_resources(declared: Declared) -> list[Resource]:
    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(each) for key, each in value.items()}
        return value

    return [Resource(type=each.typ, name=each.name, properties=plain(each.inputs)) for each in declared.resources]


def test_the_policies_find_nothing_in_it(tier: Any) -> None:
    of_the_network = {"CKV2_AWS_11", "CKV2_AWS_12"}
    found = [each for each in violations(as_resources(tier())) if each.policy not in of_the_network]
    assert found == []
