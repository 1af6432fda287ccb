"""Auto Scaling groups: what is launched, replaced and terminated, and what the history says about it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import cell
from tests.sandbox.cloud.world import Aws, eventually, get, get_json


def test_a_group_comes_up_spread_over_its_zones_and_serves(aws: Aws) -> None:
    address, name, _ = aws.served(2, tags={"version": "7"})
    group = aws.group(name)
    assert group
    assert sorted(it["AvailabilityZone"] for it in group["Instances"]) == ["us-east-1a", "us-east-1b"]
    assert {(it["LifecycleState"], it["HealthStatus"]) for it in group["Instances"]} == {("InService", "Healthy")}
    seen = [get_json(address, "/version") for _ in range(4)]
    assert {it["app"] for it in seen} == {"7"}
    assert {it["release"] for it in seen} == {"r1"}
    assert {it["instance"] for it in seen} == set(aws.instances(name))


def test_creating_a_group_returns_before_its_instances_run(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    assert aws.instances(name, "InService") == []
    eventually(lambda: len(aws.instances(name, "InService")) == 1)


def test_the_history_of_a_launch_reads_as_in_aws(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    (instance,) = eventually(lambda: aws.instances(name, "InService"))
    (activity,) = aws.activities(name)
    assert activity["Description"] == f"Launching a new EC2 instance: {instance}"
    assert activity["StatusCode"] == "Successful"
    assert activity["Progress"] == 100
    assert "a user request created an AutoScalingGroup changing the desired capacity from 0 to 1." in activity["Cause"]
    assert "was started in response to a difference between desired and actual capacity" in activity["Cause"]


def test_scaling_out_launches_and_scaling_in_drains_first(aws: Aws) -> None:
    _, name, target_group = aws.served(1)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    eventually(lambda: aws.states(target_group) == ["healthy", "healthy"])
    aws.drain_seconds(target_group, 2)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    eventually(lambda: aws.states(target_group) == ["draining", "healthy"])
    (leaving,) = aws.instances(name, "Terminating")
    assert aws.machines()[leaving]["state"] == "running"  # it still answers what is in flight
    waiting = aws.activities(name)[0]
    assert waiting["StatusCode"] == "WaitingForELBConnectionDraining"
    eventually(lambda: aws.states(target_group) == ["healthy"])
    eventually(lambda: leaving not in aws.machines())
    eventually(lambda: aws.activities(name)[0]["StatusCode"] == "Successful")


def test_a_terminated_machine_finishes_its_requests_before_it_stops(aws: Aws) -> None:
    address, name, target_group = aws.served(1)
    answers: list[tuple[int, str]] = []
    slow = threading.Thread(target=lambda: answers.append(get(address, "/slow")))
    slow.start()
    aws.drain_seconds(target_group, 5)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    slow.join()
    assert answers[0][0] == 200


def test_a_crashed_machine_is_replaced_grace_period_or_not(aws: Aws) -> None:
    _, name, target_group = aws.served(1)
    (old,) = aws.instances(name)
    os.kill(aws.machines()[old]["pids"][0], signal.SIGKILL)
    eventually(lambda: [it for it in aws.instances(name, "InService") if it != old])
    causes = [it["Cause"] for it in aws.activities(name)]
    assert any("EC2 health check indicating it has been terminated or stopped" in it for it in causes)
    assert any("in response to an unhealthy instance needing to be replaced" in it for it in causes)
    eventually(lambda: "healthy" in aws.states(target_group))


def test_an_unhealthy_machine_is_replaced_only_after_the_grace_period(aws: Aws) -> None:
    target_group = aws.target_group(HealthCheckPath="/nothing-here")
    balancer = aws.balancer()
    aws.listener(balancer, target_group)
    patient = aws.scaling_group(aws.template(aws.image()), 1, target_group=target_group)
    eventually(lambda: aws.states(target_group) == ["unhealthy"])
    (kept,) = aws.instances(patient)
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=patient, HealthCheckGracePeriod=0)
    eventually(lambda: kept not in aws.instances(patient, "InService", "Pending"))
    causes = [it["Cause"] for it in aws.activities(patient)]
    assert any("ELB system health check failure" in it for it in causes)


def test_an_instance_terminated_by_hand_is_replaced(aws: Aws) -> None:
    _, name, _ = aws.served(1)
    (old,) = aws.instances(name)
    aws.ec2.terminate_instances(InstanceIds=[old])
    eventually(lambda: [it for it in aws.instances(name, "InService") if it != old])
    eventually(lambda: old not in aws.machines())


def test_no_capacity_is_a_failed_activity_that_is_tried_again(aws: Aws) -> None:
    aws.sandbox.ask("PUT", "capacity", {"launches": 1})
    try:
        name = aws.scaling_group(aws.template(aws.image()), 2)
        failed = eventually(lambda: [it for it in aws.activities(name) if it["StatusCode"] == "Failed"])[0]
    finally:
        aws.sandbox.ask("PUT", "capacity", {"launches": None})
    assert failed["Description"].startswith(
        "Launching a new EC2 instance.  Status Reason: We currently do not have sufficient t3.small capacity"
    )
    assert failed["StatusMessage"].endswith("Launching EC2 instance failed.")
    eventually(lambda: len(aws.instances(name, "InService")) == 2)


def test_an_image_that_is_gone_is_a_failed_activity(aws: Aws) -> None:
    image = aws.image()
    template = aws.template(image)
    name = aws.scaling_group(template, 0)
    aws.ec2.deregister_image(ImageId=image)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    failed = eventually(lambda: aws.activities(name))[0]
    assert failed["StatusCode"] == "Failed"
    assert f"The image id '[{image}]' does not exist. Launching EC2 instance failed." in failed["StatusMessage"]


@pytest.mark.skipif(cell.obstacle() is not None, reason="no cells here, and no machine has a key pair without")
def test_a_key_pair_that_is_gone_is_a_failed_activity(aws: Aws) -> None:
    aws.ec2.create_key_pair(KeyName="mine")
    name = aws.scaling_group(aws.template(aws.image(), KeyName="mine"), 0)
    aws.ec2.delete_key_pair(KeyName="mine")
    assert failure_of_a_launch(aws, name) == "The key pair 'mine' does not exist. Launching EC2 instance failed."


def test_an_instance_profile_that_is_gone_is_a_failed_activity(aws: Aws, client: Callable[[str], Any]) -> None:
    iam = client("iam")
    arn = iam.create_instance_profile(InstanceProfileName="web")["InstanceProfile"]["Arn"]
    by_name, by_arn = (
        aws.scaling_group(aws.template(aws.image(), IamInstanceProfile=profile), 0)
        for profile in ({"Name": "web"}, {"Arn": arn})
    )
    iam.delete_instance_profile(InstanceProfileName="web")
    assert failure_of_a_launch(aws, by_name) == (
        "Value (web) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name. "
        "Launching EC2 instance failed."
    )
    assert failure_of_a_launch(aws, by_arn).endswith("Invalid IAM Instance Profile ARN. Launching EC2 instance failed.")


def test_an_instance_profile_that_is_there_is_no_obstacle(aws: Aws, client: Callable[[str], Any]) -> None:
    client("iam").create_instance_profile(InstanceProfileName="app")
    name = aws.scaling_group(aws.template(aws.image(), IamInstanceProfile={"Name": "app"}), 1)
    eventually(lambda: len(aws.instances(name, "InService")) == 1)


def failure_of_a_launch(aws: Aws, name: str) -> str:
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    activity = eventually(lambda: aws.activities(name))[0]
    assert activity["StatusCode"] == "Failed"
    assert aws.instances(name) == []
    return str(activity["StatusMessage"])


def test_a_machine_that_dies_while_it_boots_never_gets_in_service(aws: Aws, tmp_path: object) -> None:
    name = aws.scaling_group(aws.template(aws.image(env={"PORT": "none"})), 1)
    cancelled = eventually(lambda: [it for it in aws.activities(name) if it["StatusCode"] == "Cancelled"])[0]
    assert "Instance became unhealthy while waiting for instance to be in InService state" in cancelled["StatusMessage"]


def test_a_group_with_instances_is_not_deleted_without_force(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    (instance,) = eventually(lambda: aws.instances(name, "InService"))
    with pytest.raises(ClientError) as refused:
        aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name)
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    eventually(lambda: aws.group(name) is None)
    eventually(lambda: instance not in aws.machines())


def test_an_emptied_group_is_deleted(aws: Aws) -> None:
    _, name, _ = aws.served(1)
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, MaxSize=0, DesiredCapacity=0)
    eventually(lambda: not aws.instances(name))
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name)
    assert aws.group(name) is None


def test_a_desired_capacity_outside_the_limits_is_refused(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0, MaxSize=3)
    with pytest.raises(ClientError, match="is above max value 3"):
        aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=4)


def test_new_limits_move_the_desired_capacity_along(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0)
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=1)
    group = aws.group(name)
    assert group
    assert group["DesiredCapacity"] == 1


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"ImageId": "ami-00000000000000000"}, "The image id '[ami-00000000000000000]' does not exist"),
        ({"KeyName": "nobodys"}, "The key pair 'nobodys' does not exist"),
        ({"IamInstanceProfile": {"Name": "nobodys"}}, "Invalid IAM Instance Profile name"),
    ],
)
def test_a_group_whose_template_names_what_does_not_exist_is_refused(aws: Aws, named: dict[str, Any], why: str) -> None:
    template = aws.template(aws.image(), **named)
    with pytest.raises(ClientError, match="You must use a valid fully-formed launch template") as refused:
        aws.scaling_group(template, 1)
    assert refused.value.response["Error"]["Message"].endswith(why)
