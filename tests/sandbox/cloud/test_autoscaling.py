"""Auto Scaling groups: what is launched, replaced and terminated, and what the history says about it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import cell
from sandbox.cloud.moto_gaps.refusals import REFUSED
from tests.sandbox.cloud.world import Aws, eventually, get, get_json

GUIDE = "https://docs.aws.amazon.com/autoscaling/ec2/userguide"
REFERENCE = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference"
SUSPENDED = f"{GUIDE}/understand-how-suspending-processes-affects-other-processes.html"


@pytest.mark.documented("instances are launched into the zone with the fewest", f"{GUIDE}/auto-scaling-benefits.html")
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


@pytest.mark.documented(
    "an account's first group brings the service-linked role of Auto Scaling",
    f"{GUIDE}/autoscaling-service-linked-role.html",
)
def test_the_first_group_brings_the_role_that_launches_machines(aws: Aws, client: Callable[[str], Any]) -> None:
    aws.scaling_group(aws.template(aws.image()), 0)
    aws.scaling_group(aws.template(aws.image()), 0)
    (role,) = client("iam").list_roles(PathPrefix="/aws-service-role/autoscaling.amazonaws.com/")["Roles"]
    assert role["RoleName"] == "AWSServiceRoleForAutoScaling"


@pytest.mark.documented(
    "machines beyond the base are of the Spot market as the percentage says, on-demand ones rounded up",
    f"{REFERENCE}/API_InstancesDistribution.html",
)
def test_a_mixed_group_has_its_share_of_spot_machines(aws: Aws) -> None:
    spec = {"LaunchTemplateId": aws.template(aws.image()), "Version": "1"}
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="mixed",
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=4,
        VPCZoneIdentifier=",".join(aws.subnets),
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": spec, "Overrides": [{"InstanceType": "t3.medium"}]},
            "InstancesDistribution": {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 50},
        },
    )
    aws.groups.append("mixed")
    ids = eventually(lambda: len(found := aws.instances("mixed", "InService")) == 4 and found)
    found = [
        each
        for reservation in aws.ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
        for each in reservation["Instances"]
    ]
    assert {each["InstanceType"] for each in found} == {"t3.medium"}
    assert sum(each.get("InstanceLifecycle") == "spot" for each in found) == 1


WEIGHTS = f"{GUIDE}/asg-instance-weighting.html"
OVERRIDES = f"{REFERENCE}/API_LaunchTemplateOverrides.html"


def weighted(aws: Aws, desired: int, *weights: str | None, base: int = 0, percent: int = 100) -> str:
    spec = {"LaunchTemplateId": aws.template(aws.image()), "Version": "1"}
    types = [{"InstanceType": each} for each in ("t3.medium", "t3.small")]
    overrides = [
        each | ({"WeightedCapacity": given} if given else {}) for each, given in zip(types, weights, strict=True)
    ]
    return aws.scaling_group(
        "",
        desired,
        LaunchTemplate=None,
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": spec, "Overrides": overrides},
            "InstancesDistribution": {
                "OnDemandBaseCapacity": base,
                "OnDemandPercentageAboveBaseCapacity": percent,
            },
        },
    )


@pytest.mark.documented(
    "with weights the capacity of a group is in units, and is exceeded by what the last machine has too many", OVERRIDES
)
def test_machines_count_by_their_weight(aws: Aws) -> None:
    name = weighted(aws, 5, "2", "1")
    eventually(lambda: len(aws.instances(name, "InService")) == 3)
    group = aws.group(name)
    assert group
    assert [each["WeightedCapacity"] for each in group["Instances"]] == ["2"] * 3
    assert any("increasing the capacity from 4 to 6." in each["Cause"] for each in aws.activities(name))


@pytest.mark.documented("a group with weights that grows and shrinks never has less than it is to have", WEIGHTS)
def test_a_group_of_weights_is_scaled_by_units(aws: Aws) -> None:
    name = weighted(aws, 6, "2", "1")
    eventually(lambda: len(aws.instances(name, "InService")) == 3)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
    eventually(lambda: len(aws.instances(name)) == 2)
    assert any("shrinking the capacity from 6 to 4." in each["Cause"] for each in aws.activities(name))
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, DesiredCapacity=5)
    eventually(lambda: len(aws.instances(name, "InService")) == 3)
    launches = [each for each in aws.activities(name) if each["Description"].startswith("Launching")]
    assert len(launches) == 4


@pytest.mark.documented(
    "with weights the base of on-demand machines is in units, too", f"{REFERENCE}/API_InstancesDistribution.html"
)
def test_the_base_of_a_weighted_group_is_in_units(aws: Aws) -> None:
    name = weighted(aws, 8, "2", "1", base=4, percent=0)
    ids = eventually(lambda: len(found := aws.instances(name, "InService")) == 4 and found)
    found = [
        each
        for reservation in aws.ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
        for each in reservation["Instances"]
    ]
    assert sum(each.get("InstanceLifecycle") == "spot" for each in found) == 2


@pytest.mark.documented("weights are from 1 to 999, and of all types or of none", OVERRIDES)
@pytest.mark.parametrize(("weights", "why"), [(("1", None), "all instance types"), (("1000", "1"), "1 to 999")])
def test_weights_that_can_not_be_are_refused(aws: Aws, weights: tuple[str | None, ...], why: str) -> None:
    with pytest.raises(ClientError, match=why):
        weighted(aws, 0, *weights)


def test_creating_a_group_returns_before_its_instances_run(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    assert aws.instances(name, "InService") == []
    eventually(lambda: len(aws.instances(name, "InService")) == 1)


@pytest.mark.documented(
    "an activity has a description, a cause, a status, a progress and details", f"{REFERENCE}/API_Activity.html"
)
def test_the_history_of_a_launch_reads_as_in_aws(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    (instance,) = eventually(lambda: aws.instances(name, "InService"))
    (activity,) = aws.activities(name)
    assert activity["Description"] == f"Launching a new EC2 instance: {instance}"
    assert activity["StatusCode"] == "Successful"
    assert activity["Progress"] == 100
    assert "a user request created an AutoScalingGroup changing the desired capacity from 0 to 1." in activity["Cause"]
    assert "was started in response to a difference between desired and actual capacity" in activity["Cause"]
    assert json.loads(activity["Details"]) == {"Subnet ID": aws.subnets[0], "Availability Zone": "us-east-1a"}


@pytest.mark.documented(
    "an instance is terminated when it has been deregistered, and its requests have ended",
    f"{GUIDE}/attach-load-balancer-asg.html",
)
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


@pytest.mark.documented("an instance that does not run is replaced at once", f"{GUIDE}/health-check-grace-period.html")
def test_a_crashed_machine_is_replaced_grace_period_or_not(aws: Aws) -> None:
    _, name, target_group = aws.served(1)
    (old,) = aws.instances(name)
    os.kill(aws.machines()[old]["pids"][0], signal.SIGKILL)
    eventually(lambda: [it for it in aws.instances(name, "InService") if it != old])
    causes = [it["Cause"] for it in aws.activities(name)]
    assert any("EC2 health check indicating it has been terminated or stopped" in it for it in causes)
    assert any("in response to an unhealthy instance needing to be replaced" in it for it in causes)
    eventually(lambda: "healthy" in aws.states(target_group))


@pytest.mark.documented(
    "an instance that its load balancer calls unhealthy is replaced after the grace period",
    f"{GUIDE}/health-check-grace-period.html",
)
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


@pytest.mark.documented(
    "a launch that fails is a failed activity with the reason, and is tried again", f"{GUIDE}/ts-as-capacity.html"
)
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


@pytest.mark.documented("an image that does not exist fails the launch", f"{GUIDE}/ts-as-ami.html")
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


@pytest.mark.documented(
    "a group with instances is deleted only by force", f"{REFERENCE}/API_DeleteAutoScalingGroup.html"
)
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


@pytest.mark.documented("the desired capacity stays within the limits", f"{REFERENCE}/API_SetDesiredCapacity.html")
def test_a_desired_capacity_outside_the_limits_is_refused(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 0, MaxSize=3)
    with pytest.raises(ClientError, match="is above max value 3"):
        aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=4)


@pytest.mark.documented("a new limit moves the desired capacity along", f"{REFERENCE}/API_UpdateAutoScalingGroup.html")
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


def settled(aws: Aws, name: str) -> None:
    """The rounds have looked at it, several times."""
    group = aws.group(name)
    assert group
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=group["DesiredCapacity"] + 1)
    eventually(lambda: len(aws.instances(name, "InService")) > len(group["Instances"]))


def unhealthy_group(aws: Aws, **changes: Any) -> tuple[str, str]:
    """A group of one that its load balancer calls unhealthy, and that instance."""
    target_group = aws.target_group(HealthCheckPath="/nothing-here")
    aws.listener(aws.balancer(), target_group)
    name = aws.scaling_group(aws.template(aws.image()), 1, target_group=target_group, **changes)
    eventually(lambda: aws.states(target_group) == ["unhealthy"])
    return name, aws.instances(name)[0]


@pytest.mark.documented(
    "a group without ELB health checks keeps what its load balancer calls unhealthy",
    f"{GUIDE}/health-checks-overview.html",
)
def test_a_group_of_the_type_ec2_does_not_mind_the_load_balancer(aws: Aws) -> None:
    name, instance = unhealthy_group(aws, HealthCheckType="EC2", HealthCheckGracePeriod=0)
    settled(aws, name)
    assert instance in aws.instances(name, "InService")


@pytest.mark.documented(
    "without a grace period an unhealthy instance is replaced at once", f"{REFERENCE}/API_CreateAutoScalingGroup.html"
)
def test_the_grace_period_is_none_unless_set(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1, HealthCheckGracePeriod=None)
    group = aws.group(name)
    assert group
    assert group["HealthCheckGracePeriod"] == 0


def suspend(aws: Aws, name: str, *processes: str) -> None:
    aws.autoscaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=list(processes))


def resume(aws: Aws, name: str) -> None:
    aws.autoscaling.resume_processes(AutoScalingGroupName=name)


@pytest.mark.parametrize(
    "process",
    [
        pytest.param(
            "HealthCheck", marks=pytest.mark.documented("HealthCheck suspended: none is called unhealthy", SUSPENDED)
        ),
        pytest.param(
            "ReplaceUnhealthy", marks=pytest.mark.documented("ReplaceUnhealthy suspended: none is replaced", SUSPENDED)
        ),
        pytest.param(
            "Terminate",
            marks=pytest.mark.documented("Terminate suspended: no unhealthy instance is replaced", SUSPENDED),
        ),
    ],
)
def test_an_unhealthy_instance_stays_while_a_process_is_suspended(aws: Aws, process: str) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    (instance,) = eventually(lambda: aws.instances(name, "InService"))
    suspend(aws, name, process)
    os.kill(aws.machines()[instance]["pids"][0], signal.SIGKILL)
    eventually(lambda: instance not in aws.machines())
    settled(aws, name)
    group = aws.group(name)
    assert group
    kept = {it["InstanceId"]: it["HealthStatus"] for it in group["Instances"]}
    assert kept[instance] == ("Healthy" if process == "HealthCheck" else "Unhealthy")
    resume(aws, name)
    eventually(lambda: instance not in aws.instances(name))


@pytest.mark.documented("Launch suspended: the unhealthy are terminated, and replaced when it is resumed", SUSPENDED)
def test_nothing_is_launched_while_launches_are_suspended(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    (instance,) = eventually(lambda: aws.instances(name, "InService"))
    suspend(aws, name, "Launch")
    aws.ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: aws.activities(name)[0]["StatusCode"] == "Successful" and aws.instances(name) == [])
    assert aws.activities(name)[0]["Description"] == f"Terminating EC2 instance: {instance}"
    resume(aws, name)
    eventually(lambda: len(aws.instances(name, "InService")) == 1)


@pytest.mark.documented("AddToLoadBalancer suspended: what is launched meanwhile is not registered later", SUSPENDED)
def test_what_is_launched_without_its_load_balancer_stays_without(aws: Aws) -> None:
    _, name, target_group = aws.served(1)
    suspend(aws, name, "AddToLoadBalancer")
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    eventually(lambda: len(aws.instances(name, "InService")) == 2)
    before = set(aws.instances(name))
    resume(aws, name)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
    eventually(lambda: len(aws.health(target_group)) == 2)
    assert len(before & aws.health(target_group).keys()) == 1


@pytest.mark.documented(
    "a group that is out of balance launches first, then terminates", f"{GUIDE}/auto-scaling-benefits.html"
)
def test_a_group_out_of_balance_is_balanced_again_unless_suspended(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 2, VPCZoneIdentifier=aws.subnets[0])
    eventually(lambda: len(aws.instances(name, "InService")) == 2)
    suspend(aws, name, "AZRebalance")
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, VPCZoneIdentifier=",".join(aws.subnets))
    old = set(aws.instances(name))
    resume(aws, name)
    eventually(lambda: len(it := aws.instances(name)) == 2 and set(it) != old)
    removal, launch, *_ = aws.activities(name)
    assert launch["Cause"].endswith(
        "instances were launched to balance instances in zones us-east-1b with other zones resulting in more than "
        "desired number of instances in the group."
    )
    assert launch["EndTime"] <= removal["StartTime"]
    assert removal["Cause"].startswith(launch["Cause"])
    assert "shrinking the capacity from 3 to 2" in removal["Cause"]


@pytest.mark.documented(
    "a group that has left a zone launches elsewhere first, then terminates there",
    f"{GUIDE}/auto-scaling-benefits.html",
)
def test_a_group_leaves_a_zone_without_being_smaller_meanwhile(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 2)
    eventually(lambda: len(aws.instances(name, "InService")) == 2)
    seen: list[int] = []

    def is_in_one_zone() -> bool:
        group = aws.group(name)
        assert group
        serving = [each for each in group["Instances"] if each["LifecycleState"] == "InService"]
        seen.append(len(serving))
        return len(group["Instances"]) == 2 and {each["AvailabilityZone"] for each in serving} == {"us-east-1a"}

    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, VPCZoneIdentifier=aws.subnets[0])
    eventually(is_in_one_zone)
    assert min(seen) >= 2


@pytest.mark.documented(
    "scale-in protection keeps an instance in a shrinking group", f"{GUIDE}/ec2-auto-scaling-instance-protection.html"
)
def test_a_protected_instance_outlives_a_smaller_group(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 2)
    eventually(lambda: len(aws.instances(name, "InService")) == 2)
    kept, other = aws.instances(name)
    aws.autoscaling.set_instance_protection(AutoScalingGroupName=name, InstanceIds=[kept], ProtectedFromScaleIn=True)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    eventually(lambda: aws.instances(name) == [kept])
    assert other not in aws.instances(name)


@pytest.mark.documented(
    "SetInstanceHealth replaces an instance, after the grace period if it respects that",
    f"{REFERENCE}/API_SetInstanceHealth.html",
)
def test_an_instance_that_a_user_calls_unhealthy_is_replaced(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1, HealthCheckType="EC2")
    (instance,) = eventually(lambda: aws.instances(name, "InService"))
    unhealthy = {"InstanceId": instance, "HealthStatus": "Unhealthy"}
    aws.autoscaling.set_instance_health(**unhealthy)  # its grace period is not over
    settled(aws, name)
    assert instance in aws.instances(name, "InService")
    aws.autoscaling.set_instance_health(**unhealthy, ShouldRespectGracePeriod=False)
    eventually(lambda: instance not in aws.instances(name))
    assert any("in response to a user health-check" in it["Cause"] for it in aws.activities(name))


@pytest.mark.documented(
    "an instance that a user terminates is replaced, unless the desired capacity is lowered",
    f"{REFERENCE}/API_TerminateInstanceInAutoScalingGroup.html",
)
def test_an_instance_taken_out_by_hand_is_replaced_or_not(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 2)
    first, second = eventually(lambda: len(it := aws.instances(name, "InService")) == 2 and it)
    terminate = aws.autoscaling.terminate_instance_in_auto_scaling_group
    made = terminate(InstanceId=first, ShouldDecrementDesiredCapacity=True)["Activity"]
    assert made["Description"] == f"Terminating EC2 instance: {first}"
    assert made["Cause"].endswith("in response to a user request, shrinking the capacity from 2 to 1.")
    eventually(lambda: aws.instances(name) == [second])
    terminate(InstanceId=second, ShouldDecrementDesiredCapacity=False)
    eventually(lambda: [it for it in aws.instances(name, "InService") if it != second])


@pytest.mark.documented(
    "the history of a deleted group is shown on request only", f"{REFERENCE}/API_DescribeScalingActivities.html"
)
def test_a_deleted_groups_history_is_shown_on_request(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    eventually(lambda: aws.instances(name, "InService"))
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    eventually(lambda: aws.group(name) is None)
    assert aws.activities(name) == []
    found = aws.autoscaling.describe_scaling_activities(AutoScalingGroupName=name, IncludeDeletedGroups=True)
    assert {it["AutoScalingGroupState"] for it in found["Activities"]} == {"Deleted"}


@pytest.mark.parametrize("action", sorted(REFUSED))
def test_what_auto_scaling_lacks_here_it_refuses_by_name(aws: Aws, action: str) -> None:
    with pytest.raises(ClientError, match=f"The sandbox's Auto Scaling has no {REFUSED[action]}"):
        getattr(aws.autoscaling, action)(AutoScalingGroupName="any")
