"""The quota of vCPUs: shown by Service Quotas, and kept by launches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import quotas
from tests.sandbox.cloud.world import Aws, eventually

PASSED = (
    "You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket that "
    "the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an "
    "adjustment to this limit."
)


def vcpus_in_use(aws: Aws) -> int:
    """Other tests of this sandbox may have left something behind."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found = aws.ec2.describe_instances(Filters=running)["Reservations"]
    return sum(quotas.vcpus_of(it["InstanceType"]) for each in found for it in each["Instances"])


@pytest.fixture
def limit(aws: Aws) -> Iterator[int]:
    """Room for one t3.small, of two vCPUs, and not for two."""
    eventually(lambda: not aws.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"], what="earlier ones go")
    vcpus = vcpus_in_use(aws) + 3
    aws.sandbox.ask("PUT", "quota", {"vcpus": vcpus})
    yield vcpus
    aws.sandbox.ask("PUT", "quota", {"vcpus": None})


@pytest.fixture
def service_quotas(client: Callable[[str], Any]) -> Any:
    return client("service-quotas")


def launch(aws: Aws, **options: Any) -> str:
    made = aws.ec2.run_instances(ImageId=aws.image(), MinCount=1, MaxCount=1, InstanceType="t3.small", **options)
    return str(made["Instances"][0]["InstanceId"])


def state(aws: Aws, instance: str) -> str:
    found = aws.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def test_the_quota_is_64_until_it_is_set(aws: Aws, service_quotas: Any) -> None:
    found = service_quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]
    assert found["Value"] == 64.0
    assert found["QuotaName"] == "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
    aws.sandbox.ask("PUT", "quota", {"vcpus": 500})
    assert service_quotas.list_service_quotas(ServiceCode="ec2")["Quotas"] == [found | {"Value": 500.0}]
    assert aws.sandbox.status()["vcpuQuota"] == 500
    aws.sandbox.ask("PUT", "quota", {"vcpus": None})
    assert service_quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"] == found


def test_other_quotas_are_motos_or_there_are_none(service_quotas: Any) -> None:
    assert service_quotas.list_service_quotas(ServiceCode="vpc", QuotaCode="L-7E9ECCDB")["Quotas"][0]["Value"] == 50
    for ask in (
        lambda: service_quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000"),
        lambda: service_quotas.get_service_quota(ServiceCode="ses", QuotaCode="L-1216C47A"),
        lambda: service_quotas.list_service_quotas(ServiceCode="ses"),
    ):
        with pytest.raises(ClientError) as refused:
            ask()
        assert refused.value.response["Error"]["Code"] == "NoSuchResourceException"


@pytest.mark.parametrize("vcpus", [-1, 1.5, "many"])
def test_a_quota_is_a_whole_number(aws: Aws, vcpus: object) -> None:
    with pytest.raises(Exception, match="quota"):
        aws.sandbox.ask("PUT", "quota", {"vcpus": vcpus})


def test_a_group_that_would_pass_the_quota_says_so_in_its_history_and_goes_on_when_it_is_raised(
    aws: Aws, limit: int
) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 2)
    failed = eventually(lambda: [it for it in aws.activities(name) if it["StatusCode"] == "Failed"])[0]
    message = f"{PASSED.format(limit=limit)} Launching EC2 instance failed."
    assert failed["StatusMessage"] == message
    assert failed["Description"] == f"Launching a new EC2 instance.  Status Reason: {message}"
    assert len(aws.instances(name)) == 1
    aws.sandbox.ask("PUT", "quota", {"vcpus": limit + 1})
    eventually(lambda: len(aws.instances(name, "InService")) == 2)


def test_run_instances_past_the_quota_is_refused_and_what_has_stopped_does_not_count(aws: Aws, limit: int) -> None:
    first = launch(aws)
    with pytest.raises(ClientError, match="more vCPU capacity") as refused:
        launch(aws)
    assert refused.value.response["Error"] == {"Code": "VcpuLimitExceeded", "Message": PASSED.format(limit=limit)}
    eventually(lambda: state(aws, first) == "running")
    aws.ec2.stop_instances(InstanceIds=[first])
    second = launch(aws)
    eventually(lambda: state(aws, first) == "stopped")
    with pytest.raises(ClientError, match="VcpuLimitExceeded"):
        aws.ec2.start_instances(InstanceIds=[first])
    assert state(aws, first) == "stopped"
    aws.ec2.terminate_instances(InstanceIds=[first, second])


@pytest.mark.parametrize(
    ("instance_type", "vcpus"),
    [
        ("t3.small", 2),
        ("m5.4xlarge", 16),
        ("im4gn.large", 2),
        ("p3.2xlarge", 0),
        ("inf1.xlarge", 0),
        ("", 0),
        ("t9", 0),
    ],
)
def test_an_instance_takes_the_vcpus_of_its_type_if_that_is_a_standard_one(instance_type: str, vcpus: int) -> None:
    assert quotas.vcpus_of(instance_type) == vcpus
