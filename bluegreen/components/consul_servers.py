"""The servers of a stack's Consul cluster. Not blue/green: they keep its state, and are replaced one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from bluegreen.components.network import Network
from bluegreen.components.security_rules import peer, suffix
from bluegreen.components.stack import Stack
from bluegreen.model.consul import (
    GOSSIP,
    HTTPS,
    JOIN,
    READY_HOOK,
    READY_SECONDS,
    RPC,
    SERVICE,
    Consul,
    config_of,
    joined_by,
    path_of,
)
from bluegreen.model.instance_role import Place, consul_policy_of, trust
from bluegreen.model.settings import Settings
from bluegreen.model.tags import Owner


@dataclass(frozen=True, kw_only=True)
class ConsulServersArgs:
    """What to make."""

    consul: Consul
    """How many servers, of which image, and the like."""
    network: Network
    """Where they live, in the private subnets."""
    services: Sequence[str]
    """Names that agents may register services under."""
    region: str
    """Where they run."""
    root_device: str = "/dev/xvda"
    """Of the image, so that its volume is encrypted."""
    is_protected: bool = False
    """Whether Pulumi refuses to delete the servers: their state goes with them."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(cls, settings: Settings, *, stack: Stack, network: Network) -> ConsulServersArgs | None:
        """None where the settings have no Consul. Raises as `Stack.admit` does."""
        stack.admit(settings)
        if settings.consul is None:
            return None
        return cls(
            consul=settings.consul,
            network=network,
            services=(settings.service,),
            region=stack.region,
            root_device=settings.root_device,
            is_protected=settings.deletion_protection,
            tags=settings.tags,
        )


class ConsulServers(pulumi.ComponentResource):
    """An Auto Scaling group of three or five, and what they are told. Their keys are there before (`bluegreen init`).

    With another image or type each server is replaced by a new one, which has to join before the next one goes; an
    `up` does not wait for that. `name`: a part of the resources' names.
    """

    security_group_id: pulumi.Output[str]
    group_name: pulumi.Output[str]

    def __init__(self, name: str, args: ConsulServersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:ConsulServers", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._owner = Owner(project=pulumi.get_project(), stack=pulumi.get_stack(), service=SERVICE)
        self._tags = {**args.tags, **self._owner.tags}
        self._rules: list[pulumi.Resource] = []
        self.security_group_id = self._make_security_group()
        config = self._make_config()
        template = self._make_template()
        self.group_name = self._make_group(template, after=[config, *self._rules, *args.network.private_routes]).name
        self.register_outputs({"autoScalingGroup": self.group_name})

    def admit(self, service: str, machines: pulumi.Input[str]) -> None:
        """Let a service's machines and the servers talk. `machines`: id of the machines' security group."""
        servers = self.security_group_id
        # Agents gossip with each other, too; only servers are asked.
        self._open(f"{service}-gossip", servers, machines, GOSSIP, "From agents", protocols=("tcp", "udp"))
        self._open(f"{service}-rpc", servers, machines, RPC, "From agents")
        self._open(f"{service}-api", servers, machines, HTTPS, "From machines")
        self._open(f"{service}-from-servers", machines, servers, GOSSIP, "From Consul", protocols=("tcp", "udp"))
        self._open(f"{service}-from-agents", machines, machines, GOSSIP, "From agents", protocols=("tcp", "udp"))

    def _make_security_group(self) -> pulumi.Output[str]:
        args, name = self._args, f"{self._name}-servers"
        group = aws.ec2.SecurityGroup(
            name,
            description="Consul servers",  # changing it would replace the group
            vpc_id=args.network.vpc_id,
            tags=self._named(name),
            opts=self._child,
        )
        self._rules += [
            aws.vpc.SecurityGroupEgressRule(
                f"{name}{suffix(network)}",
                security_group_id=group.id,
                description="Anywhere",
                ip_protocol="-1",
                **peer(network),
                tags=self._named(name),
                opts=self._child,
            )
            for network in args.network.anywhere
        ]
        self._open("gossip", group.id, group.id, GOSSIP, "From each other", protocols=("tcp", "udp"))
        self._open("rpc", group.id, group.id, RPC, "From each other")
        for network in args.consul.api_cidrs:
            rule = f"{self._name}-api{suffix(network)}"
            aws.vpc.SecurityGroupIngressRule(
                rule,
                security_group_id=group.id,
                description="Who may ask the API",
                ip_protocol="tcp",
                from_port=HTTPS,
                to_port=HTTPS,
                **peer(network),
                tags=self._named(rule),
                opts=self._child,
            )
        return group.id

    def _open(
        self,
        name: str,
        group: pulumi.Input[str],
        source: pulumi.Input[str],
        port: int,
        what: str,
        protocols: Sequence[str] = ("tcp",),
    ) -> None:
        for protocol in protocols:
            rule = f"{self._name}-{name}" + (f"-{protocol}" if len(protocols) > 1 else "")
            made = aws.vpc.SecurityGroupIngressRule(
                rule,
                security_group_id=group,
                referenced_security_group_id=source,
                description=what,
                ip_protocol=protocol,
                from_port=port,
                to_port=port,
                tags=self._named(rule),
                opts=self._child,
            )
            self._rules.append(made)

    def _make_config(self) -> aws.ssm.Parameter:
        args, name = self._args, f"{self._name}-config"
        return aws.ssm.Parameter(
            name,
            name=f"{path_of(self._owner)}/config",
            type="String",
            insecure_value=json.dumps(config_of(args.consul, self._owner, args.region, args.services), sort_keys=True),
            overwrite=True,  # the name is ours alone
            tags=self._named(name),
            opts=self._child,
        )

    def _make_profile(self) -> aws.iam.InstanceProfile:
        name = f"{self._name}-servers"
        role = aws.iam.Role(name, assume_role_policy=json.dumps(trust()), tags=self._named(name), opts=self._child)

        def document(caller: aws.GetCallerIdentityResult) -> str:
            partition = caller.arn.split(":")[1]
            place = Place(owner=self._owner, partition=partition, region=self._args.region, account=caller.account_id)
            return json.dumps(consul_policy_of(place, name))

        policy = aws.iam.RolePolicy(
            name, role=role.name, policy=aws.get_caller_identity_output().apply(document), opts=self._child
        )
        opts = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[policy]))
        return aws.iam.InstanceProfile(name, role=role.name, tags=self._named(name), opts=opts)

    def _make_template(self) -> aws.ec2.LaunchTemplate:
        args, name = self._args, f"{self._name}-servers"
        return aws.ec2.LaunchTemplate(
            name,
            image_id=args.consul.image,
            instance_type=args.consul.instance_type,
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(name=self._make_profile().name),
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,
                instance_metadata_tags="enabled",  # a server learns from them whose it is
            ),
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=args.root_device,
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_type="gp3", encrypted="true", delete_on_termination="true"
                    ),
                )
            ],
            vpc_security_group_ids=[self.security_group_id],
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type="volume", tags=self._named(name))
            ],
            tags=self._named(name),
            opts=self._child,
        )

    def _make_group(self, template: aws.ec2.LaunchTemplate, after: Sequence[pulumi.Resource]) -> aws.autoscaling.Group:
        consul, name = self._args.consul, f"{self._name}-servers"
        tags = {**self._named(name), JOIN: joined_by(self._owner)}
        return aws.autoscaling.Group(
            name,
            min_size=consul.servers,
            max_size=consul.servers,
            desired_capacity=consul.servers,
            vpc_zone_identifiers=list(self._args.network.private_subnet_ids),
            launch_template=aws.autoscaling.GroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            health_check_type="EC2",
            wait_for_capacity_timeout="0",  # a server is in service once it has joined, which may take minutes
            initial_lifecycle_hooks=[
                aws.autoscaling.GroupInitialLifecycleHookArgs(
                    name=READY_HOOK,
                    lifecycle_transition="autoscaling:EC2_INSTANCE_LAUNCHING",
                    heartbeat_timeout=READY_SECONDS,
                    default_result="ABANDON",
                )
            ],
            # One more at a time, in service, which is to say joined, before one goes: there is always a majority.
            instance_refresh=aws.autoscaling.GroupInstanceRefreshArgs(
                strategy="Rolling",
                preferences=aws.autoscaling.GroupInstanceRefreshPreferencesArgs(
                    min_healthy_percentage=100,
                    max_healthy_percentage=consul.max_healthy_percentage,
                    instance_warmup="60",
                ),
            ),
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in sorted(tags.items())
            ],
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=after, protect=self._args.is_protected)
            ),
        )

    def _named(self, name: str) -> dict[str, str]:
        return {**self._tags, "Name": name}
