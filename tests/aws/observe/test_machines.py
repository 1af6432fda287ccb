"""What is read of images, types and machines, and at what cost in calls."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from bluegreen.model.observation import ConsulServer, Machine
from bluegreen.model.tags import Owner
from tests.aws.world import World


def test_an_image_is_read_in_one_call(world: World) -> None:
    image = world.observer.image(world.register_image())
    assert image is not None
    assert (image.state, image.root_device) == ("available", "/dev/sda1")
    assert world.calls == ["DescribeImages"]


@pytest.mark.parametrize("image", ["ami-00000000", "ami-0123456789abcdef0"])
def test_an_image_that_does_not_exist_is_none(world: World, image: str) -> None:
    assert world.observer.image(image) is None


def test_an_instance_type_says_its_architectures(world: World) -> None:
    small = world.observer.instance_type("t3.small")
    assert small is not None
    assert "x86_64" in small.architectures
    arm = world.observer.instance_type("t4g.small")
    assert arm is not None
    assert "arm64" in arm.architectures


def test_an_instance_type_says_how_many_vcpus_it_has(world: World) -> None:
    small = world.observer.instance_type("t3.small")
    assert small is not None
    assert small.vcpus == 2


def test_an_instance_type_that_does_not_exist_is_none(world: World) -> None:
    assert world.observer.instance_type("t3.gigantic") is None


def test_a_key_pair_is_known_by_its_name_in_one_call(world: World) -> None:
    world.session.client("ec2").create_key_pair(KeyName="ops team")
    world.calls.clear()
    assert world.observer.has_key_pair("ops team")
    assert world.calls == ["DescribeKeyPairs"]
    assert not world.observer.has_key_pair("ops")


def test_an_instance_profile_is_known_by_its_name_in_one_call(world: World) -> None:
    world.session.client("iam").create_instance_profile(InstanceProfileName="web", Path="/team/")
    world.calls.clear()
    assert world.observer.has_instance_profile("web")
    assert world.calls == ["GetInstanceProfile"]
    assert not world.observer.has_instance_profile("api")


def test_a_quota_is_read_by_its_code(world: World) -> None:
    with Stubber(world.session.client("service-quotas")) as stub:
        asked = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
        stub.add_response("get_service_quota", {"Quota": {"Value": 32.0}}, asked)
        assert world.observer.vcpu_quota("L-1216C47A") == 32


def test_a_quota_that_service_quotas_does_not_know_is_none(world: World) -> None:
    assert world.observer.vcpu_quota("L-00000000") is None
    assert world.calls == ["GetServiceQuota"]


def test_a_region_without_service_quotas_has_no_answer_and_is_no_error(world: World) -> None:
    def nobody_there(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://servicequotas.nowhere.amazonaws.com")

    events = world.session.client("service-quotas").meta.events
    events.register("before-call", nobody_there)
    try:
        assert world.observer.vcpu_quota("L-1216C47A") is None
    finally:
        events.unregister("before-call", nobody_there)


def test_machines_that_run_count_and_those_that_stopped_do_not(world: World) -> None:
    ec2 = world.session.client("ec2")
    image = world.register_image()
    ran = ec2.run_instances(ImageId=image, MinCount=3, MaxCount=3, InstanceType="m5.large")["Instances"]
    ec2.stop_instances(InstanceIds=[ran[0]["InstanceId"]])
    ec2.terminate_instances(InstanceIds=[ran[1]["InstanceId"]])
    world.calls.clear()
    assert world.observer.on_demand_machines() == (Machine(instance_type="m5.large", vcpus=None),)
    assert world.calls == ["DescribeInstances"]


def test_machines_of_every_page_count_with_the_vcpus_that_they_were_given_and_spot_ones_do_not(world: World) -> None:
    def page(*instances: dict[str, Any], more: str = "") -> dict[str, Any]:
        return {"Reservations": [{"Instances": list(instances)}], **({"NextToken": more} if more else {})}

    given = {"InstanceType": "m5.large", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 1}}
    with Stubber(world.session.client("ec2")) as stub:
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        spot = {"InstanceType": "m5.large", "InstanceLifecycle": "spot"}
        stub.add_response("describe_instances", page(given, spot, more="next"), {"Filters": filters})
        metal = {"InstanceType": "c5.metal", "CpuOptions": {}}
        stub.add_response("describe_instances", page(metal), {"Filters": filters, "NextToken": "next"})
        assert world.observer.on_demand_machines() == (
            Machine(instance_type="m5.large", vcpus=2),
            Machine(instance_type="c5.metal", vcpus=None),
        )


def test_the_console_of_a_machine_is_read_as_text_in_one_call(world: World) -> None:
    ec2 = world.session.client("ec2")
    image = world.register_image()
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.small")["Instances"]
    world.calls.clear()
    assert "Linux version" in world.observer.console_output(made[0]["InstanceId"])
    assert world.calls == ["GetConsoleOutput"]


def test_a_machine_that_is_gone_or_has_said_nothing_has_an_empty_console(world: World) -> None:
    assert world.observer.console_output("i-0123456789abcdef0") == ""
    with Stubber(world.session.client("ec2")) as stub:
        stub.add_response("get_console_output", {"InstanceId": "i-1"}, {"InstanceId": "i-1", "Latest": True})
        assert world.observer.console_output("i-1") == ""


def test_the_latest_console_is_asked_for_first_and_what_booted_where_there_is_no_latest(world: World) -> None:
    latest = {"InstanceId": "i-1", "Latest": True}
    with Stubber(world.session.client("ec2")) as stub:
        stub.add_response("get_console_output", {"Output": "latest"}, latest)
        assert world.observer.console_output("i-1") == "latest"
        stub.add_client_error("get_console_output", "UnsupportedOperation", expected_params=latest)
        stub.add_response("get_console_output", {"Output": "booted"}, {"InstanceId": "i-1"})
        assert world.observer.console_output("i-1") == "booted"
        stub.assert_no_pending_responses()


def test_a_machine_without_a_latest_console_may_be_gone_when_it_is_asked_again(world: World) -> None:
    with Stubber(world.session.client("ec2")) as stub:
        stub.add_client_error("get_console_output", "UnsupportedOperation")
        stub.add_client_error("get_console_output", "InvalidInstanceID.NotFound")
        assert world.observer.console_output("i-1") == ""


def test_consul_s_servers_are_those_with_the_stack_s_tag_that_run(world: World) -> None:
    ec2, owner = world.session.client("ec2"), Owner(project="shop", stack="prod")
    image = world.register_image()

    def run(count: int, stack: str) -> list[str]:
        tags = [{"Key": "bluegreen:consul", "Value": f"shop/{stack}"}, {"Key": "Name", "Value": "consul"}]
        made = ec2.run_instances(
            ImageId=image,
            MinCount=count,
            MaxCount=count,
            InstanceType="t3.small",
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
        return [each["InstanceId"] for each in made["Instances"]]

    run(1, "qa")
    gone, _, _ = run(3, "prod")
    ec2.terminate_instances(InstanceIds=[gone])
    world.calls.clear()
    tags = {"bluegreen:consul": "shop/prod", "Name": "consul"}
    assert world.observer.consul_servers(owner) == (ConsulServer(image=image, instance_type="t3.small", tags=tags),) * 2
    assert world.calls == ["DescribeInstances"]
