"""A place on a load balancer that was there before the stack and serves others too: three rules of one listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.components.alias import lead_to
from bluegreen.components.forward import forward
from bluegreen.components.network import Network
from bluegreen.components.stack import Stack
from bluegreen.errors import BluegreenError
from bluegreen.model.dns import NO_ZONES, Dns, Zones
from bluegreen.model.observation import Front
from bluegreen.model.settings import HTTP_PORT, HTTPS_PORT, Settings
from bluegreen.model.shared_listener import PREVIEW_HEADER, SharedListener, lets_out
from bluegreen.model.tags import BALANCER, LISTENER, SHARED, Owner, Purpose


@dataclass(frozen=True, kw_only=True)
class SharedBalancerArgs:
    """What to make."""

    owner: Owner
    """Whose the rules are."""
    network: Network
    """Where the machines live."""
    listener: SharedListener
    """Which listener, what of its requests, and which of its priorities."""
    front: Front
    """The same listener as AWS has it."""
    preview_sources: Sequence[str] = ()
    """CIDRs that may see the release that is being proven."""
    dns: Dns | None = None
    """Names that lead here."""
    zones: Zones = NO_ZONES
    """Ids of the hosted zones that are meant."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(cls, settings: Settings, *, stack: Stack, network: Network) -> SharedBalancerArgs:
        """Settings `listener`, `previewCidrs`, `dns`, `tags`. Raises as `Stack.admit` does, BluegreenError without a
        listener."""
        admitted = stack.admit(settings)
        if not settings.listener or not admitted.front:
            raise BluegreenError(f"the service {settings.service} has no `listener`: make it a Balancer of its own")
        owner = stack.owner(settings.service)
        return cls(
            owner=owner,
            network=network,
            listener=settings.listener,
            front=admitted.front,
            preview_sources=settings.preview_cidrs or (network.cidr,),
            dns=settings.dns,
            zones=admitted.zones,
            tags={**settings.tags, **owner.tags},
        )


class SharedBalancer(pulumi.ComponentResource):
    """Rules of a listener of somebody else's, for one service. Load balancer and listener stay as they are.

    A request is for the service if it matches `listener`. With the header `X-Bluegreen-Preview: SERVICE` it sees the
    release that is being proven, if it comes from `preview_sources`, and is refused if not, so that nobody takes the
    release that serves for the other one.
    """

    arn_suffix: pulumi.Output[str]
    """The load balancer as CloudWatch names it."""
    address: pulumi.Output[str]
    """Its own name in DNS."""
    url: pulumi.Output[str]
    preview_url: pulumi.Output[str]
    """The same: `preview_header` makes the difference."""
    preview_header: str
    is_known_by_domain: bool
    """Whether the URLs have a domain of the users' in them, which must lead to `address`."""
    is_alone = False
    """Other services are behind the load balancer."""
    is_network = False
    """Only an Application Load Balancer has rules."""
    group_tags: Mapping[str, str] = {BALANCER: SHARED}
    """For what is behind it."""

    def __init__(self, name: str, args: SharedBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:SharedBalancer", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._service = ""
        balancer = args.front.balancer
        self.security_groups: Mapping[str, pulumi.Input[str]] = {
            f"-{group}" if at else "": group for at, group in enumerate(balancer.security_groups)
        }
        self.arn_suffix = pulumi.Output.from_input(balancer.arn_suffix)
        self.address = pulumi.Output.from_input(balancer.address)
        self.preview_header = f"{PREVIEW_HEADER}: {args.owner.service}"
        self.is_known_by_domain = bool(args.listener.hosts)
        self.url = self.preview_url = pulumi.Output.from_input(self._url())
        lead_to(
            balancer.address,
            balancer.address_zone,
            args.dns.names if args.dns else (),
            name=name,
            zone=args.zones.names,
            is_dualstack=balancer.is_dualstack,
            opts=self._child,
        )
        self._closed = self._rule(Purpose.CLOSED, [self._no_entry()], [self._header()], self._child)
        self.register_outputs({"url": self.url})

    def claim(self, service: str) -> None:
        """Before a service declares anything. Raises BluegreenError where another has the rules."""
        if self._service or service != self._args.owner.service:
            raise BluegreenError(
                f"the rules {self._name} are the service {self._service or self._args.owner.service}'s, and can't be "
                f"{service}'s too",
                "Rules serve one service: make a second SharedBalancer, with priorities of its own, for the second.",
            )
        self._service = service

    def lets_out(self, port: int) -> bool:
        """Whether the load balancer may reach a port of the machines without a rule of ours."""
        args = self._args
        return lets_out(args.front.egress, port, args.network.private_cidrs, args.owner)

    def listen(
        self,
        purpose: Purpose,
        forward_to: Sequence[tuple[pulumi.Input[str], int]],
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions,
        sticky_seconds: int = 0,
    ) -> aws.lb.ListenerRule:
        """Let the production requests in, or those for the preview, forwarding to target groups (ARN, weight).

        `sticky_seconds`: how long a client stays with the group that first answered it, 0 for not at all.
        """
        own = pulumi.ResourceOptions(depends_on=[self._closed])
        more: list[Any] = []
        if purpose is Purpose.PREVIEW:
            more = [self._header(), {"source_ip": {"values": list(self._args.preview_sources)}}]
        action = forward(forward_to, sticky_seconds)
        return self._rule(purpose, [action], more, pulumi.ResourceOptions.merge(opts, own), tags)

    def redirect(self, tags: Mapping[str, str], opts: pulumi.ResourceOptions) -> None:
        """HTTP is the listener's owner's matter."""

    def _rule(
        self,
        purpose: Purpose,
        actions: list[Any],
        more: list[Any],
        opts: pulumi.ResourceOptions,
        tags: Mapping[str, str] | None = None,
    ) -> aws.lb.ListenerRule:
        listener, name = self._args.listener, f"{self._name}-{purpose}"
        conditions: list[Any] = []
        if listener.hosts:
            conditions.append({"host_header": {"values": list(listener.hosts)}})
        if listener.paths:
            conditions.append({"path_pattern": {"values": list(listener.paths)}})
        return aws.lb.ListenerRule(
            name,
            listener_arn=listener.arn,
            priority=listener.priorities[purpose],
            conditions=[*conditions, *more],
            actions=actions,
            tags={**self._args.tags, **(tags or {}), LISTENER: purpose, "Name": name},
            opts=opts,
        )

    def _header(self) -> dict[str, Any]:
        return {"http_header": {"http_header_name": PREVIEW_HEADER, "values": [self._args.owner.service]}}

    def _no_entry(self) -> dict[str, Any]:
        networks = ", ".join(self._args.preview_sources)
        said = f"The preview of {self._args.owner.service} is open to {networks} alone (previewCidrs).\n"
        answer = {"content_type": "text/plain", "status_code": "403", "message_body": said}
        return {"type": "fixed-response", "fixed_response": answer}

    def _url(self) -> str:
        front, hosts = self._args.front, self._args.listener.hosts
        scheme, usual = ("https", HTTPS_PORT) if front.protocol == "HTTPS" else ("http", HTTP_PORT)
        shown = "" if front.port == usual else f":{front.port}"
        return f"{scheme}://{hosts[0] if hosts else front.balancer.address}{shown}"
