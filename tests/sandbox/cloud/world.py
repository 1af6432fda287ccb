"""A short way to a load balancer with groups behind it, in the sandbox that conftest.py starts."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sandbox.host import REPOSITORY, Sandbox

T = TypeVar("T")
_numbers = itertools.count(1)


def eventually(look: Callable[[], T], *, within: float = 60.0, what: str = "") -> T:
    """The first true answer of `look`."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within} s: {what or look}; last seen: {found!r}")
        time.sleep(0.03)


def commands_with(mark: str) -> list[str]:
    """The command lines of all processes that have this text in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
    return found


@dataclass
class Aws:
    """A VPC with two subnets, and what a test puts into it. `clear` takes it out again."""

    sandbox: Sandbox
    ec2: Any
    elb: Any
    autoscaling: Any
    vpc: str = ""
    subnets: list[str] = field(default_factory=list)
    balancers: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    region: str = "us-east-1"

    def __post_init__(self) -> None:
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        for number, zone in enumerate("ab"):
            subnet = self.ec2.create_subnet(
                VpcId=self.vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{self.region}{zone}"
            )
            self.subnets.append(subnet["Subnet"]["SubnetId"])

    def clear(self) -> None:
        for name in self.groups:
            if self.group(name):
                self.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        for arn in self.balancers:
            self.elb.delete_load_balancer(LoadBalancerArn=arn)

    def image(self, app: Path | None = None, **options: Any) -> str:
        return self.sandbox.image(app or REPOSITORY / "app", **options)

    def target_group(self, **changes: Any) -> str:
        settings = {
            "Name": f"tg-{next(_numbers)}",
            "Protocol": "HTTP",
            "Port": 8080,
            "VpcId": self.vpc,
            "HealthCheckPath": "/health",
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2,
        } | changes
        settings = {key: value for key, value in settings.items() if value is not None}
        arn: str = self.elb.create_target_group(**settings)["TargetGroups"][0]["TargetGroupArn"]
        # Faster than AWS allows, so that tests are.
        self.elb.modify_target_group(TargetGroupArn=arn, HealthCheckIntervalSeconds=1, HealthCheckTimeoutSeconds=1)
        self.drain_seconds(arn, 1)
        return arn

    def drain_seconds(self, group: str, seconds: int) -> None:
        self.elb.modify_target_group_attributes(
            TargetGroupArn=group,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}],
        )

    def balancer(self, **settings: Any) -> str:
        """The ARN; `address` gives its address."""
        given = {"Name": f"lb-{next(_numbers)}", "Subnets": self.subnets} | settings
        made = self.elb.create_load_balancer(**given)["LoadBalancers"][0]
        self.balancers.append(made["LoadBalancerArn"])
        return str(made["LoadBalancerArn"])

    def address(self, balancer: str) -> str:
        return str(self.elb.describe_load_balancers(LoadBalancerArns=[balancer])["LoadBalancers"][0]["DNSName"])

    def listener(
        self, balancer: str, action: str | dict[str, Any], port: int = 8080, protocol: str = "HTTP", **more: Any
    ) -> str:
        action = {"Type": "forward", "TargetGroupArn": action} if isinstance(action, str) else action
        given = {"LoadBalancerArn": balancer, "Protocol": protocol, "Port": port, "DefaultActions": [action]} | more
        made = self.elb.create_listener(**given)
        return str(made["Listeners"][0]["ListenerArn"])

    def template(self, image: str, **data: Any) -> str:
        made = self.ec2.create_launch_template(
            LaunchTemplateName=f"lt-{next(_numbers)}",
            LaunchTemplateData={
                "ImageId": image,
                "InstanceType": "t3.small",
                "MetadataOptions": {"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
                **data,
            },
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def scaling_group(self, template: str, size: int = 2, *, target_group: str | None = None, **changes: Any) -> str:
        name = f"asg-{next(_numbers)}"
        settings = {
            "AutoScalingGroupName": name,
            "MinSize": 0,
            "MaxSize": 10,
            "DesiredCapacity": size,
            "LaunchTemplate": {"LaunchTemplateId": template, "Version": "1"},
            "VPCZoneIdentifier": ",".join(self.subnets),
            "TargetGroupARNs": [target_group] if target_group else [],
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": 60,
            "Tags": [{"Key": "bluegreen:release", "Value": "r1", "PropagateAtLaunch": True}],
        } | changes
        self.autoscaling.create_auto_scaling_group(**{key: it for key, it in settings.items() if it is not None})
        self.groups.append(name)
        return name

    def group(self, name: str) -> dict[str, Any] | None:
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return found[0] if found else None

    def instances(self, name: str, *states: str) -> list[str]:
        group = self.group(name)
        return [
            it["InstanceId"]
            for it in (group["Instances"] if group else [])
            if not states or it["LifecycleState"] in states
        ]

    def activities(self, name: str) -> list[dict[str, Any]]:
        return list(self.autoscaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"])

    def health(self, target_group: str) -> dict[str, tuple[str, str | None]]:
        found = self.elb.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
        return {it["Target"]["Id"]: (it["TargetHealth"]["State"], it["TargetHealth"].get("Reason")) for it in found}

    def states(self, target_group: str) -> list[str]:
        return sorted(state for state, _ in self.health(target_group).values())

    def machines(self) -> dict[str, dict[str, Any]]:
        return {it["id"]: it for it in self.sandbox.status()["machines"]}

    def served(self, size: int = 2, **image: Any) -> tuple[str, str, str]:
        """A group of the app behind a listener, healthy: address, scaling group, target group."""
        target_group = self.target_group()
        balancer = self.balancer()
        self.listener(balancer, target_group)
        name = self.scaling_group(self.template(self.image(**image)), size, target_group=target_group)
        eventually(lambda: self.states(target_group) == ["healthy"] * size, what="all healthy")
        return self.address(balancer), name, target_group


def get(address: str, path: str = "/", *, port: int = 8080, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def get_json(address: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(address, path)[1])
    return found
