"""A little of AWS, in moto in process, which notes every call."""

from __future__ import annotations

from dataclasses import dataclass

from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session
from bluegreen.model.tags import LISTENER, Owner

WEB = Owner(project="bluegreen", stack="dev", service="web")


def tags_of(purpose: str, owner: Owner = WEB) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in {**owner.tags, LISTENER: purpose}.items()]


@dataclass
class World:
    """A load balancer with a production and a preview listener, two target groups, and what the client was asked."""

    session: Session
    calls: list[str]
    balancer: str
    old: str
    new: str
    production: str
    preview: str
    subnet: str

    @property
    def observer(self) -> Observer:
        return Observer(self.session)

    def register_image(self) -> str:
        made = self.session.client("ec2").register_image(
            Name=f"image-{len(self.calls)}", Architecture="x86_64", RootDeviceName="/dev/xvda"
        )
        self.calls.clear()
        return str(made["ImageId"])

    def make_group(self, name: str, target_group: str, stack: str = "dev", service: str = "web") -> None:
        ec2, autoscaling = self.session.client("ec2"), self.session.client("autoscaling")
        image = self.register_image()
        ec2.create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"}
        )
        tags = Owner(project="bluegreen", stack=stack, service=service).tags
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=1,
            MaxSize=4,
            DesiredCapacity=2,
            VPCZoneIdentifier=self.subnet,
            TargetGroupARNs=[target_group],
            LaunchTemplate={"LaunchTemplateName": name},
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
        )
        self.calls.clear()

    def forward(self, listener: str, weights: dict[str, int]) -> None:
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        self.session.client("elbv2").modify_listener(ListenerArn=listener, DefaultActions=[action])
        self.calls.clear()
