"""The load balancer, its security group, and the listeners that are opened on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from bluegreen.components.network import ANYWHERE, Network
from bluegreen.model.tags import LISTENER, Purpose

HTTP_PORT = 80


@dataclass(frozen=True, kw_only=True)
class BalancerArgs:
    """What to make. `preview_sources` are the CIDRs that may reach the preview listener."""

    network: Network
    listener_port: int = HTTP_PORT
    preview_port: int = 9000
    preview_sources: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


class Balancer(pulumi.ComponentResource):
    """A public Application Load Balancer. What its listeners forward to is the service's matter."""

    security_group_id: pulumi.Output[str]
    arn_suffix: pulumi.Output[str]
    """The load balancer as CloudWatch names it."""
    url: pulumi.Output[str]
    preview_url: pulumi.Output[str]

    def __init__(self, name: str, args: BalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:Balancer", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)

        group = aws.ec2.SecurityGroup(
            f"{name}-balancer",
            description="Load balancer",  # changing it would replace the group
            vpc_id=args.network.vpc_id,
            tags=self._tags(f"{name}-balancer"),
            opts=self._child,
        )
        self.security_group_id = group.id
        self._allow(Purpose.PRODUCTION, args.listener_port, [ANYWHERE])
        self._allow(Purpose.PREVIEW, args.preview_port, args.preview_sources)
        self._balancer = aws.lb.LoadBalancer(
            name,
            load_balancer_type="application",
            security_groups=[group.id],
            subnets=args.network.public_subnet_ids,
            drop_invalid_header_fields=True,
            tags=self._tags(name),
            # A public load balancer can't be made before its VPC has an internet gateway.
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.network.public_routes),
        )
        self.arn_suffix = self._balancer.arn_suffix
        self.url = self._url(args.listener_port)
        self.preview_url = self._url(args.preview_port)
        self.register_outputs({"url": self.url, "previewUrl": self.preview_url})

    def listen(
        self,
        purpose: Purpose,
        forward_to: Sequence[tuple[pulumi.Input[str], int]],
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions,
        sticky_seconds: int = 0,
    ) -> aws.lb.Listener:
        """Open the production or the preview port, forwarding to target groups (ARN, weight).

        `sticky_seconds`: how long a client stays with the group that first answered it, 0 for not at all.
        """
        port = self._args.listener_port if purpose is Purpose.PRODUCTION else self._args.preview_port
        return aws.lb.Listener(
            f"{self._name}-{purpose}",
            load_balancer_arn=self._balancer.arn,
            port=port,
            protocol="HTTP",
            default_actions=[_forward(forward_to, sticky_seconds)],
            tags={**tags, LISTENER: purpose, "Name": f"{self._name}-{purpose}"},
            opts=opts,
        )

    def _tags(self, name: str) -> dict[str, str]:
        return {**self._args.tags, "Name": name}

    def _allow(self, purpose: Purpose, port: int, sources: Sequence[str]) -> None:
        for source in sources:
            suffix = "" if source == ANYWHERE else "-" + source.replace(".", "-").replace("/", "-")
            name = f"{self._name}-{purpose}{suffix}"
            aws.vpc.SecurityGroupIngressRule(
                name,
                security_group_id=self.security_group_id,
                description=f"To the {purpose} listener",
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                cidr_ipv4=source,
                tags=self._tags(name),
                opts=self._child,
            )

    def _url(self, port: int) -> pulumi.Output[str]:
        suffix = "" if port == HTTP_PORT else f":{port}"
        return self._balancer.dns_name.apply(lambda name: f"http://{name}{suffix}")


def _forward(groups: Sequence[tuple[pulumi.Input[str], int]], sticky_seconds: int) -> aws.lb.ListenerDefaultActionArgs:
    if len(groups) == 1:
        return aws.lb.ListenerDefaultActionArgs(type="forward", target_group_arn=groups[0][0])
    return aws.lb.ListenerDefaultActionArgs(
        type="forward",
        forward=aws.lb.ListenerDefaultActionForwardArgs(
            target_groups=[
                aws.lb.ListenerDefaultActionForwardTargetGroupArgs(arn=arn, weight=weight) for arn, weight in groups
            ],
            stickiness=aws.lb.ListenerDefaultActionForwardStickinessArgs(enabled=True, duration=sticky_seconds)
            if sticky_seconds
            else None,
        ),
    )
