"""The load balancer, its security group, and the listeners that are opened on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from bluegreen.components.network import Network
from bluegreen.components.security_rules import peer, suffix
from bluegreen.components.stack import Stack
from bluegreen.errors import BluegreenError
from bluegreen.model.settings import Settings
from bluegreen.model.tags import LISTENER, Purpose

HTTP_PORT = 80


@dataclass(frozen=True, kw_only=True)
class BalancerArgs:
    """What to make."""

    network: Network
    """Where it lives, in the public subnets."""
    listener_port: int = HTTP_PORT
    """The port that users meet."""
    preview_port: int = 9000
    """The port that shows the release that is being proven."""
    preview_sources: Sequence[str] = ()
    """CIDRs that may reach the preview port."""
    is_protected: bool = False
    """Whether AWS refuses to delete the load balancer."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(cls, settings: Settings, *, stack: Stack, network: Network) -> BalancerArgs:
        """Settings `listenerPort`, `previewPort`, `previewCidrs`, `deletionProtection`, `tags`. Raises as `Stack.admit`
        does."""
        stack.admit(settings)
        return cls(
            network=network,
            listener_port=settings.listener_port,
            preview_port=settings.preview_port,
            preview_sources=settings.preview_cidrs or (network.cidr,),
            is_protected=settings.deletion_protection,
            tags={**settings.tags, **stack.owner(settings.service).tags},
        )


class Balancer(pulumi.ComponentResource):
    """A public Application Load Balancer for one service: it has one production and one preview listener. What they
    forward to is the service's matter."""

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
        self._rules = {
            Purpose.PRODUCTION: self._allow(Purpose.PRODUCTION, args.listener_port, args.network.anywhere),
            Purpose.PREVIEW: self._allow(Purpose.PREVIEW, args.preview_port, args.preview_sources),
        }
        self._service = ""
        self._balancer = aws.lb.LoadBalancer(
            name,
            load_balancer_type="application",
            security_groups=[group.id],
            subnets=args.network.public_subnet_ids,
            drop_invalid_header_fields=True,
            enable_deletion_protection=args.is_protected,
            tags=self._tags(name),
            # A public load balancer can't be made before its VPC has an internet gateway.
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.network.public_routes),
        )
        self.arn_suffix = self._balancer.arn_suffix
        self.url = self._url(args.listener_port)
        self.preview_url = self._url(args.preview_port)
        self.register_outputs({"url": self.url, "previewUrl": self.preview_url})

    def claim(self, service: str) -> None:
        """Before a service declares anything. Raises BluegreenError where another has the listeners."""
        if self._service:
            raise BluegreenError(
                f"the load balancer {self._name} is the service {self._service}'s, and can't be {service}'s too",
                "A load balancer serves one service: make a second Balancer, in the same network, for the second.",
            )
        self._service = service

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
            # On a destroy the way in outlives the listener, or users would be cut off before anybody is asked.
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=self._rules[purpose])),
        )

    def _tags(self, name: str) -> dict[str, str]:
        return {**self._args.tags, "Name": name}

    def _allow(self, purpose: Purpose, port: int, sources: Sequence[str]) -> list[pulumi.Resource]:
        rules: list[pulumi.Resource] = []
        for source in sources:
            name = f"{self._name}-{purpose}{suffix(source)}"
            rule = aws.vpc.SecurityGroupIngressRule(
                name,
                security_group_id=self.security_group_id,
                description=f"To the {purpose} listener",
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                **peer(source),
                tags=self._tags(name),
                opts=self._child,
            )
            rules.append(rule)
        return rules

    def _url(self, port: int) -> pulumi.Output[str]:
        shown = "" if port == HTTP_PORT else f":{port}"
        return self._balancer.dns_name.apply(lambda name: f"http://{name}{shown}")


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
