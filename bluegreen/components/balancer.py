"""The load balancer, its security group, and the listeners that are opened on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.components.alias import lead_to
from bluegreen.components.certificate import issue
from bluegreen.components.certificate_alarm import alarm_on_certificate
from bluegreen.components.forward import forward
from bluegreen.components.network import Network
from bluegreen.components.security_rules import peer, suffix
from bluegreen.components.stack import Stack
from bluegreen.errors import BluegreenError
from bluegreen.model.access_logs import AccessLogs
from bluegreen.model.dns import NO_ZONES, Dns, Zones
from bluegreen.model.network_balancer import LoadBalancer, url_of
from bluegreen.model.settings import HTTP_PORT, HTTPS_PORT, Settings
from bluegreen.model.tags import LISTENER, Purpose
from bluegreen.model.tls import Tls

IDLE_SECONDS = {LoadBalancer.APPLICATION: 60, LoadBalancer.NETWORK: 350}
"""AWS's own. Named, so that what was set goes with its setting."""


@dataclass(frozen=True, kw_only=True)
class BalancerArgs:
    """What to make."""

    network: Network
    """Where it lives: in the public subnets, or in the private ones if it is internal."""
    kind: LoadBalancer = LoadBalancer.APPLICATION
    """What it passes on: requests, or whole connections. Fixed while a service runs behind it."""
    speaks_http: bool = True
    """Whether the machines may be asked by HTTP; those behind a network load balancer may not be."""
    listener_port: int = HTTP_PORT
    """The port that users meet."""
    preview_port: int = 9000
    """The port that shows the release that is being proven."""
    preview_sources: Sequence[str] = ()
    """CIDRs that may reach the preview port."""
    tls: Tls | None = None
    """HTTPS on both ports, of a network load balancer TLS; None for HTTP, or TCP."""
    dns: Dns | None = None
    """Names that lead here."""
    zones: Zones = NO_ZONES
    """Ids of the hosted zones that are meant."""
    access_logs: AccessLogs | None = None
    """Where it writes down its requests."""
    web_acl: str = ""
    """The ARN of the web ACL that stands before it."""
    is_internal: bool = False
    """Whether it has private addresses only. Fixed while a service runs behind it."""
    idle_timeout_seconds: int = 0
    """How long a connection may be silent before it is closed; 0 for AWS's own 60, of a network load balancer 350."""
    certificate_days: int = 0
    """The alarm on the certificate goes off when it has no more left; 0 for none."""
    alarm_actions: Sequence[str] = ()
    """Topics that hear of it."""
    is_protected: bool = False
    """Whether AWS refuses to delete the load balancer."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(cls, settings: Settings, *, stack: Stack, network: Network) -> BalancerArgs:
        """Settings `loadBalancer`, `listenerPort`, `previewPort`, `previewCidrs`, `tls`, `dns`, `accessLogs`, `webAcl`,
        `internal`, `idleTimeoutSeconds`, `alarms`, `alarmTopic`, `deletionProtection`, `tags`.
        Raises as `Stack.admit` does, BluegreenError where the settings name another's `listener`."""
        if settings.listener:
            raise BluegreenError(
                f"the service {settings.service} has a `listener` of a load balancer that is there already",
                "Make it a SharedBalancer, or let `make_balancer` choose.",
            )
        admitted = stack.admit(settings)
        return cls(
            network=network,
            kind=settings.load_balancer,
            speaks_http=settings.speaks_http,
            listener_port=settings.production_port,
            preview_port=settings.preview_port,
            preview_sources=settings.preview_cidrs or (network.cidr,),
            tls=settings.tls,
            dns=settings.dns,
            zones=admitted.zones,
            access_logs=settings.access_logs,
            web_acl=settings.web_acl,
            is_internal=settings.internal,
            idle_timeout_seconds=settings.idle_timeout_seconds,
            certificate_days=settings.alarms.certificate_days,
            alarm_actions=[settings.alarm_topic] if settings.alarm_topic else [],
            is_protected=settings.deletion_protection,
            tags={**settings.tags, **stack.owner(settings.service).tags},
        )


class Balancer(pulumi.ComponentResource):
    """A load balancer for one service: it has one production and one preview listener. What they forward to is the
    service's matter."""

    security_group_id: pulumi.Output[str]
    security_groups: Mapping[str, pulumi.Input[str]]
    """The same as a service takes it: by what names of rules for it end with."""
    arn_suffix: pulumi.Output[str]
    """The load balancer as CloudWatch names it."""
    address: pulumi.Output[str]
    """Its own name in DNS."""
    url: pulumi.Output[str]
    preview_url: pulumi.Output[str]
    preview_header = ""
    """The port is enough."""
    is_known_by_domain: bool
    """Whether the URLs have a domain of the users' in them, which must lead to `address`."""
    is_alone = True
    """No other service is behind it."""
    is_network: bool
    """Whether it is a Network Load Balancer."""
    group_tags: Mapping[str, str] = {}
    """For what is behind it."""

    def __init__(self, name: str, args: BalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:Balancer", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.is_network = args.kind is LoadBalancer.NETWORK

        group = aws.ec2.SecurityGroup(
            f"{name}-balancer",
            description="Load balancer",  # changing it would replace the group
            vpc_id=args.network.vpc_id,
            tags=self._tags(f"{name}-balancer"),
            opts=self._child,
        )
        self.security_group_id = group.id
        self.security_groups = {"": group.id}
        self._rules = {
            Purpose.PRODUCTION: self._allow(Purpose.PRODUCTION, args.listener_port, args.network.anywhere),
            Purpose.PREVIEW: self._allow(Purpose.PREVIEW, args.preview_port, args.preview_sources),
        }
        if self._redirect_port:
            self._rules[Purpose.REDIRECT] = self._allow(Purpose.REDIRECT, self._redirect_port, args.network.anywhere)
        self._service = ""
        network, logs = args.network, args.access_logs
        # AWS has internal load balancers, of either kind, with IPv4 addresses alone (ELB API, SetIpAddressType).
        is_dualstack = network.has_ipv6 and not args.is_internal
        self._balancer = aws.lb.LoadBalancer(
            name,
            load_balancer_type=args.kind.value,
            ip_address_type="dualstack" if is_dualstack else None,
            internal=args.is_internal or None,
            security_groups=[group.id],
            subnets=network.private_subnet_ids if args.is_internal else network.public_subnet_ids,
            **self._kind_options(),
            access_logs={"bucket": logs.bucket, "prefix": logs.prefix or None, "enabled": True} if logs else None,
            enable_deletion_protection=args.is_protected,
            tags=self._tags(name),
            # A public load balancer can't be made before its VPC has an internet gateway.
            opts=pulumi.ResourceOptions(parent=self, depends_on=network.public_routes),
        )
        self._shield = [self._put_behind(args.web_acl)] if args.web_acl else []
        self._certificate: pulumi.Input[str] | None = None
        if args.tls:
            self._certificate = args.tls.certificate or issue(
                name, args.tls.domain, args.zones.certificate, self._tags(name), self._child
            )
            if args.certificate_days:
                alarm_on_certificate(
                    name,
                    self._certificate,
                    days=args.certificate_days,
                    actions=args.alarm_actions,
                    tags=args.tags,
                    opts=self._child,
                )
        self.arn_suffix = self._balancer.arn_suffix
        self.address = self._balancer.dns_name
        lead_to(
            self._balancer.dns_name,
            self._balancer.zone_id,
            args.dns.names if args.dns else (),
            name=name,
            zone=args.zones.names,
            is_dualstack=is_dualstack,
            opts=self._child,
        )
        self._domain = args.tls.domain if args.tls else args.dns.names[0] if args.dns else ""
        self.is_known_by_domain = bool(self._domain)
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

    def lets_out(self, port: int) -> bool:
        """Whether it may reach a port of the machines without a rule of the service."""
        return False

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
        tls = self._args.tls
        own = pulumi.ResourceOptions(
            # On a destroy the way in outlives the listener, or users would be cut off before anybody is asked.
            depends_on=[*self._rules[purpose], *self._shield]
        )
        if purpose is Purpose.PREVIEW:
            # AWS's provider can't make HTTP of a listener that has a TLS policy; nobody misses this one meanwhile.
            own.replace_on_changes, own.delete_before_replace = ["protocol"], True
        return aws.lb.Listener(
            self._listener_name(purpose),
            load_balancer_arn=self._balancer.arn,
            port=self._args.listener_port if purpose is Purpose.PRODUCTION else self._args.preview_port,
            protocol=self._protocol,
            certificate_arn=self._certificate,
            ssl_policy=tls.policy if tls else None,
            tcp_idle_timeout_seconds=self._idle_seconds if self._protocol == "TCP" else None,
            default_actions=[forward(forward_to, sticky_seconds)],
            tags={**tags, LISTENER: purpose, "Name": self._listener_name(purpose)},
            opts=pulumi.ResourceOptions.merge(opts, own),
        )

    def redirect(self, tags: Mapping[str, str], opts: pulumi.ResourceOptions) -> None:
        """Answer HTTP with the way to HTTPS, where there is HTTPS and a port for that."""
        rules = self._rules.get(Purpose.REDIRECT)
        if not rules:
            return
        redirect = aws.lb.ListenerDefaultActionRedirectArgs(
            protocol="HTTPS", port=str(self._args.listener_port), status_code="HTTP_301"
        )
        name = self._listener_name(Purpose.REDIRECT)
        aws.lb.Listener(
            name,
            load_balancer_arn=self._balancer.arn,
            port=self._redirect_port,
            protocol="HTTP",
            default_actions=[aws.lb.ListenerDefaultActionArgs(type="redirect", redirect=redirect)],
            tags={**tags, LISTENER: Purpose.REDIRECT, "Name": name},
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=rules)),
        )

    @property
    def _protocol(self) -> str:
        if self.is_network:
            return "TLS" if self._args.tls else "TCP"
        return "HTTPS" if self._args.tls else "HTTP"

    @property
    def _idle_seconds(self) -> int:
        return self._args.idle_timeout_seconds or IDLE_SECONDS[self._args.kind]

    @property
    def _redirect_port(self) -> int:
        """Where HTTP is answered with the way to HTTPS; 0 for nowhere."""
        return self._args.tls.redirect_port if self._args.tls and not self.is_network else 0

    def _kind_options(self) -> dict[str, Any]:
        if self.is_network:
            # Off by default, and then a zone without a healthy machine drops what comes in there.
            return {"enable_cross_zone_load_balancing": True}
        return {
            "desync_mitigation_mode": "strictest",
            "drop_invalid_header_fields": True,
            "idle_timeout": self._idle_seconds,
        }

    def _listener_name(self, purpose: Purpose) -> str:
        """With its rules' names.

        What is the production listener with HTTP is the redirect with HTTPS, which has a listener of its own: so users
        of either are served while one becomes the other, in both directions, and no listener must leave its port first.
        """
        match purpose:
            case Purpose.PRODUCTION if self._args.tls:
                return f"{self._name}-production-tls"
            case Purpose.REDIRECT:
                return f"{self._name}-production"
            case _:
                return f"{self._name}-{purpose}"

    def _tags(self, name: str) -> dict[str, str]:
        return {**self._args.tags, "Name": name}

    def _allow(self, purpose: Purpose, port: int, sources: Sequence[str]) -> list[pulumi.Resource]:
        rules: list[pulumi.Resource] = []
        for source in sources:
            name = f"{self._listener_name(purpose)}{suffix(source)}"
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
        scheme, usual = ("https", HTTPS_PORT) if self._args.tls else ("http", HTTP_PORT)
        args, shown = self._args, "" if port == usual and self._args.speaks_http else f":{port}"
        return self.address.apply(
            lambda address: url_of(f"{scheme}://{self._domain or address}{shown}", speaks_http=args.speaks_http)
        )

    def _put_behind(self, web_acl: str) -> pulumi.Resource:
        # The end of an association leaves the load balancer with none, whoever has made the next one by then.
        first = pulumi.ResourceOptions(delete_before_replace=True)
        return aws.wafv2.WebAclAssociation(
            self._name,
            resource_arn=self._balancer.arn,
            web_acl_arn=web_acl,
            opts=pulumi.ResourceOptions.merge(self._child, first),
        )
