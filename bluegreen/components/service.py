"""A service: a fleet of server groups behind a load balancer, wired so that the order of a deployment follows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.components.balancer import Balancer, BalancerArgs
from bluegreen.components.encryption_key import EncryptionKey
from bluegreen.components.hooks import Hooks, ServicePolicy
from bluegreen.components.machine_role import make_instance_profile
from bluegreen.components.network import Network
from bluegreen.components.parameters import publish
from bluegreen.components.security_rules import peer, suffix
from bluegreen.components.server_group import ServerGroup, ServerGroupArgs
from bluegreen.components.shared_balancer import SharedBalancer, SharedBalancerArgs
from bluegreen.components.stack import Stack
from bluegreen.errors import Fault, SettingsError
from bluegreen.model.dashboard import Line, body_of, name_of
from bluegreen.model.fleet import Fleet, ServerGroupPlan
from bluegreen.model.scaling import DEFAULT as DEFAULT_SCALING
from bluegreen.model.scaling import Scaling
from bluegreen.model.settings import AlarmSettings, Settings
from bluegreen.model.tags import Owner, Purpose
from bluegreen.model.warm_pool import WarmPool

Way = aws.lb.Listener | aws.lb.ListenerRule
"""On which traffic comes to a service."""


def make_balancer(name: str, settings: Settings, *, stack: Stack, network: Network) -> Balancer | SharedBalancer:
    """What the settings put a service behind. Raises as `Stack.admit` does."""
    if settings.listener:
        return SharedBalancer(name, SharedBalancerArgs.from_settings(settings, stack=stack, network=network))
    return Balancer(name, BalancerArgs.from_settings(settings, stack=stack, network=network))


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """What to make."""

    fleet: Fleet
    """The server groups that should exist, each with its release."""
    network: Network
    """Where the machines live, in the private subnets."""
    balancer: Balancer | SharedBalancer
    """What the service is behind: a load balancer of its own, or rules of its own on one that is shared."""
    hooks: Hooks
    """The program's: gate and guard."""
    policy: ServicePolicy
    """What gate and guard ask of this service."""
    alarms: AlarmSettings
    """From where on the alarms of a release go off."""
    alarm_actions: Sequence[str] = ()
    """ARNs of SNS topics that hear of the alarms."""
    has_dashboard: bool = False
    """Whether it has a CloudWatch dashboard."""
    scaling: Scaling = DEFAULT_SCALING
    """How its server groups follow their load."""
    warm_pool: WarmPool | None = None
    """What each of its server groups keeps warm."""
    live_desired: int | None = None
    """What the active group runs at now, None where none runs."""
    is_published: bool = True
    """Whether there are SSM parameters of it."""
    region: str = ""
    """Where it runs."""
    artifact_bucket: str = ""
    """Where its artifacts are, if not in the stack's own bucket."""
    backup_bucket: str = ""
    """Where its backups go, if not to the stack's own bucket."""
    encryption: EncryptionKey | None = None
    """The keys of its releases' volumes, and of its buckets; a release may need one."""
    serial: int = 0
    """Of the config that `fleet` comes from."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        stack: Stack,
        network: Network,
        balancer: Balancer | SharedBalancer,
        encryption: EncryptionKey | None = None,
    ) -> ServiceArgs:
        """All settings of a service. Raises as `Stack.admit` does, and SettingsError where the network has other
        addresses."""
        admitted = stack.admit(settings)
        if network.is_own and settings.vpc_cidr != network.cidr:
            message = f"is {settings.vpc_cidr}, and the network of the service {settings.service} is {network.cidr}"
            raise SettingsError([Fault("bluegreen:vpcCidr", message)])
        return cls(
            fleet=admitted.fleet,
            network=network,
            balancer=balancer,
            hooks=stack.hooks,
            policy=ServicePolicy.from_settings(settings, admitted.fleet),
            alarms=settings.alarms,
            alarm_actions=(settings.alarm_topic,) if settings.alarm_topic else (),
            has_dashboard=settings.dashboard,
            scaling=settings.scaling,
            warm_pool=settings.warm_pool,
            live_desired=admitted.live_desired,
            is_published=settings.publish,
            region=stack.region,
            artifact_bucket=settings.artifact_bucket,
            backup_bucket=settings.backups.bucket if settings.backups else "",
            encryption=encryption,
            serial=settings.fleet.serial,
            tags=settings.tags,
        )


class Service(pulumi.ComponentResource):
    """One `up` with another release in `fleet` brings up its server group, proves it, moves the traffic, and only then
    takes the old group away: Pulumi creates before it deletes, and deletes only when all else has succeeded.

    `name` is the service's, at most 15 characters, and the same in its releases.
    """

    name: str
    url: pulumi.Output[str]
    """Where users meet it."""
    preview_url: pulumi.Output[str]
    """Where the release answers that is being proven."""
    active_release: pulumi.Output[dict[str, Any]]
    """The whole release, as a record. Known only once the production listener forwards to it."""
    server_groups: pulumi.Output[list[dict[str, Any]]]
    """Of each: release, image, role, weight, names."""
    record: pulumi.Output[dict[str, Any]]
    """The whole fleet, as the `bluegreen` command reads it."""
    security_group_id: pulumi.Output[str]
    """Of its machines."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        if name != (meant := args.fleet.active.release.service):
            message = f"is {meant}, and the service is declared as {name}; both should be the same"
            raise SettingsError([Fault("bluegreen:service", message)])
        if args.encryption is None and any(group.release.launch.volume_key for group in args.fleet.groups):
            message = "a release has volumes with a KMS key; make an EncryptionKey, and give it to the service"
            raise SettingsError([Fault("bluegreen:encryption", message)])
        args.balancer.claim(name)
        super().__init__("bluegreen:index:Service", name, None, opts)
        self.name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        owner = Owner(project=pulumi.get_project(), stack=pulumi.get_stack(), service=name)
        self._tags = {**args.tags, **owner.tags}
        self._machines_security_group = self._make_machines_security_group()
        self.security_group_id = self._machines_security_group.id
        fleet = args.fleet
        rights = sorted({plan.release.launch.instance_role for plan in fleet.groups} - {""})
        self._profiles = {each: self._make_profile(owner, each) for each in rights}

        # 1. the target groups
        server_groups = {plan: self._server_group(plan) for plan in fleet.groups}
        # 2. the preview listener names the candidate's: a target group that no listener names is never health-checked
        is_sticky = args.policy.sticky_seconds > 0
        shown = [(server_groups[plan], weight) for plan, weight in fleet.shown(is_sticky=is_sticky)]
        preview = self._listener(Purpose.PREVIEW, shown)
        # 3. the machines
        open_ports = {port: self._open(port) for port in sorted({plan.release.target.port for plan in fleet.groups})}
        for plan, server_group in server_groups.items():
            ways_out = [*args.network.private_routes, *self._egress]
            grants = args.encryption.grants if args.encryption else ()
            server_group.launch(after=[preview, *open_ports[plan.release.target.port], *ways_out, *grants])
        # 4. the gate, then 5. the cutover
        production = self._listener(
            Purpose.PRODUCTION,
            [(server_groups[plan], weight) for plan, weight in fleet.listed(is_sticky=is_sticky)],
            depends_on=[server_group.group for server_group in server_groups.values()],
            hooks=args.hooks.gated(owner, args.policy),
        )
        args.balancer.redirect(self._tags, pulumi.ResourceOptions(parent=self, depends_on=[production]))
        # 6. the policies and alarms; 7. the guard and 8. the deletions follow, of every group that is declared no more
        for plan, server_group in server_groups.items():
            suffix = args.balancer.arn_suffix
            server_group.scale([production], suffix, may_scale_in=plan.may_scale_in, settings=args.scaling)
            server_group.alarm(
                [production],
                suffix,
                args.alarms,
                actions=args.alarm_actions,
                is_alone=args.balancer.is_alone,
                is_network=args.balancer.is_network,
            )
        if args.has_dashboard:
            self._show(owner, server_groups, after=production)

        # Outputs that wait for the production listener are true: a gate that fails leaves the last ones standing.
        self.url, self.preview_url = args.balancer.url, args.balancer.preview_url
        self.active_release = production.arn.apply(lambda _: fleet.active.release.as_record())
        self.server_groups = production.arn.apply(
            lambda _: pulumi.Output.all(*(server_group.outputs for server_group in server_groups.values()))
        )
        self.record = production.arn.apply(lambda _: fleet.as_record(serial=args.serial))
        if args.is_published:
            self._publish(owner, after=production)
        self.register_outputs({"activeRelease": self.active_release, "serverGroups": self.server_groups})

    @property
    def outputs(self) -> dict[str, pulumi.Output[Any]]:
        """What a program may want to export."""
        balancer = self._args.balancer
        return {
            "url": self.url,
            "previewUrl": self.preview_url,
            "activeRelease": self.active_release,
            "serverGroups": self.server_groups,
            **({"address": balancer.address} if balancer.is_known_by_domain else {}),
            **({"previewHeader": pulumi.Output.from_input(header)} if (header := balancer.preview_header) else {}),
        }

    def _show(self, owner: Owner, server_groups: Mapping[ServerGroupPlan, ServerGroup], after: Way) -> None:
        args, roles = self._args, [(plan.release.version, plan.role.value) for plan in server_groups]
        suffixes = [each.target_group.arn_suffix for each in server_groups.values()]

        def body(known: list[str]) -> str:
            balancer, *groups = known
            lines = [
                Line(version=version, role=role, target_group=group)
                for (version, role), group in zip(roles, groups, strict=True)
            ]
            return json.dumps(
                body_of(
                    lines,
                    region=args.region,
                    balancer=balancer,
                    alarms=args.alarms,
                    is_network=args.balancer.is_network,
                )
            )

        aws.cloudwatch.Dashboard(
            self.name,
            dashboard_name=name_of(owner),
            dashboard_body=pulumi.Output.all(args.balancer.arn_suffix, *suffixes).apply(body),
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[after])),
        )

    def _publish(self, owner: Owner, after: Way) -> None:
        """While a candidate is proven, the parameters name the release that serves."""
        release = self._args.fleet.active.release
        values: dict[str, pulumi.Input[str]] = {
            "image": release.image,
            "release": release.version,
            "url": self.url,
            "preview-url": self.preview_url,
        }
        opts = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[after]))
        publish(owner, values, self._tags, opts)

    def _make_profile(self, owner: Owner, rights: str) -> pulumi.Output[str]:
        args = self._args
        return make_instance_profile(
            rights,
            owner=owner,
            region=args.region,
            bucket=args.artifact_bucket,
            backup_bucket=args.backup_bucket,
            key=args.encryption.of_buckets if args.encryption else None,
            tags=self._tags,
            opts=self._child,
        ).name

    def _server_group(self, plan: ServerGroupPlan) -> ServerGroup:
        args, launch = self._args, plan.release.launch
        return ServerGroup(
            ServerGroupArgs(
                plan=plan,
                desired=plan.capacity.starting_at(args.live_desired),
                vpc_id=args.network.vpc_id,
                subnet_ids=args.network.private_subnet_ids,
                security_group_id=self._machines_security_group.id,
                region=args.region,
                warm_pool=args.warm_pool,
                counts_machines=args.alarms.capacity_minutes > 0,
                grace_seconds=args.policy.gate.deadline_seconds,
                instance_profile=self._profiles.get(launch.instance_role, launch.instance_profile or None),
                volume_key=args.encryption.arn_of(launch.volume_key) if args.encryption and launch.volume_key else None,
                hooks=args.hooks,
                # A check that fails while the network still asks for its zones would end that question with a page of
                # traceback (seen in Pulumi 3.260).
                after=args.network.public_routes,
                tags={**self._tags, **args.balancer.group_tags},
            ),
            opts=self._child,
        )

    def _listener(self, purpose: Purpose, groups: list[tuple[ServerGroup, int]], **options: Any) -> Way:
        return self._args.balancer.listen(
            purpose,
            [(server_group.target_group.arn, weight) for server_group, weight in groups],
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, **options),
            sticky_seconds=self._args.policy.sticky_seconds,
        )

    def _make_machines_security_group(self) -> aws.ec2.SecurityGroup:
        name = f"{self.name}-machines"
        tags = {**self._tags, "Name": name}
        group = aws.ec2.SecurityGroup(
            name,
            description="Machines",  # changing it would replace the group
            vpc_id=self._args.network.vpc_id,
            tags=tags,
            opts=self._child,
        )
        self._egress = [
            aws.vpc.SecurityGroupEgressRule(
                f"{name}{suffix(network)}",
                security_group_id=group.id,
                description="Anywhere",
                ip_protocol="-1",
                **peer(network),
                tags=tags,
                opts=self._child,
            )
            for network in self._args.network.anywhere
        ]
        return group

    def _open(self, port: int) -> list[pulumi.Resource]:
        """Let the load balancer reach the machines' port.

        Rules are named by port and the machines depend on them: while a port changes, the old fleet keeps its own.
        """
        machines = self._machines_security_group.id
        return [
            rule
            for suffix, balancer in self._args.balancer.security_groups.items()
            for rule in self._open_to(balancer, machines, port, suffix)
        ]

    def _open_to(
        self, balancer: pulumi.Input[str], machines: pulumi.Input[str], port: int, suffix: str
    ) -> list[pulumi.Resource]:
        """`balancer`, `machines`: security groups (ids). What lets the load balancer out already is enough."""
        inward, outward = f"{self.name}-machines-{port}{suffix}", f"{self.name}-balancer-{port}{suffix}"
        rules: list[pulumi.Resource] = [
            aws.vpc.SecurityGroupIngressRule(
                inward,
                security_group_id=machines,
                referenced_security_group_id=balancer,
                description="From the load balancer",
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                tags={**self._tags, "Name": inward},
                opts=self._child,
            )
        ]
        if not self._args.balancer.lets_out(port):
            rules.append(
                aws.vpc.SecurityGroupEgressRule(
                    outward,
                    security_group_id=balancer,
                    referenced_security_group_id=machines,
                    description="To the machines",
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    tags={**self._tags, "Name": outward},
                    opts=self._child,
                )
            )
        return rules
