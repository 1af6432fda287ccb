"""The yardstick: the calls of a change of release as a straight boto3 script, polling every 0.2 s.

It takes what the program deployed (release 1) and moves its production listener to a new server group, as a person's
script would: no checks, no state, no way back.
"""

from __future__ import annotations

import time
from typing import Any

import boto3

POLL_SECONDS = 0.2


def change_release(ami: str, group: dict[str, Any]) -> None:
    """Make a server group of `ami` beside `group` (an entry of the output serverGroups) and move the traffic to it."""
    ec2, elbv2, autoscaling = boto3.client("ec2"), boto3.client("elbv2"), boto3.client("autoscaling")
    old = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group["autoScalingGroup"]])
    active = old["AutoScalingGroups"][0]
    target = elbv2.describe_target_groups(TargetGroupArns=[group["targetGroup"]])["TargetGroups"][0]
    listeners = elbv2.describe_listeners(LoadBalancerArn=target["LoadBalancerArns"][0])["Listeners"]
    production, preview = sorted(listeners, key=lambda listener: int(listener["Port"]))
    template = ec2.describe_launch_template_versions(
        LaunchTemplateId=active["LaunchTemplate"]["LaunchTemplateId"], Versions=["$Latest"]
    )["LaunchTemplateVersions"][0]["LaunchTemplateData"]

    made = ec2.create_launch_template(LaunchTemplateName="script", LaunchTemplateData={**template, "ImageId": ami})
    copied = ("Protocol", "Port", "VpcId", "HealthCheckPath", "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds")
    target_group = elbv2.create_target_group(
        Name="script",
        HealthyThresholdCount=target["HealthyThresholdCount"],
        UnhealthyThresholdCount=target["UnhealthyThresholdCount"],
        **{key: target[key] for key in copied},
    )["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": target_group}]
    elbv2.modify_listener(ListenerArn=preview["ListenerArn"], DefaultActions=forward)
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="script",
        MinSize=active["MinSize"],
        MaxSize=active["MaxSize"],
        DesiredCapacity=active["DesiredCapacity"],
        VPCZoneIdentifier=active["VPCZoneIdentifier"],
        TargetGroupARNs=[target_group],
        HealthCheckType="ELB",
        HealthCheckGracePeriod=600,
        LaunchTemplate={"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Latest"},
        Tags=[{**tag, "ResourceId": "script"} for tag in active["Tags"]],
    )
    while True:
        health = elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
        if sum(each["TargetHealth"]["State"] == "healthy" for each in health) >= active["DesiredCapacity"]:
            break
        time.sleep(POLL_SECONDS)
    elbv2.modify_listener(ListenerArn=production["ListenerArn"], DefaultActions=forward)


if __name__ == "__main__":
    import json
    import sys

    change_release(sys.argv[1], json.loads(sys.argv[2]))
