"""Machines that stay, each with a volume and an address that a replacement takes over. docs/stateful.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.components.network import Network
from bluegreen.components.security_rules import peer, suffix
from bluegreen.components.stack import Stack
from bluegreen.model.addresses import ANYWHERE
from bluegreen.model.stateful import DEVICE, Member, subnet_of
from bluegreen.model.tags import ADDRESS, HOST, MEMBER, MOUNT, PROTECTED, ROLE, SET, TIER

SSH_PORT = 22
LAUNCHED_WITH = ("ami", "instanceType", "keyName", "rootBlockDevice", "userData")
"""What a change of would replace a machine, or stop it."""


@dataclass(frozen=True, kw_only=True)
class StatefulTierArgs:
    """What to make."""

    stack: Stack
    """The program's."""
    network: Network
    """Where the members live, in the private subnets."""
    members: Sequence[Member]
    """The machines, in the order in which they are made, and renewed."""
    image: str
    """The AMI that machines are made of. Another one is for those that are made, or renewed, from then on."""
    instance_type: str = "t3.medium"
    """Of members that have none of their own; a change is for those that are renewed, as with `image`."""
    renew: Sequence[str] = ()
    """Names of the members whose machine may be stopped or replaced for what has changed: one of a set at a time."""
    ports: Sequence[int] = ()
    """The ports that members reach each other at."""
    clients: Sequence[str] = ()
    """Networks (CIDRs) that reach the members at `client_ports`."""
    client_ports: Sequence[int] = ()
    """The ports that clients reach."""
    control: Sequence[str] = ()
    """Networks (CIDRs) that Ansible comes from by SSH; none where it comes by Session Manager."""
    key_pair: str = ""
    """Name of the EC2 key pair that the machines are made with."""
    instance_profile: str = ""
    """Name of the IAM instance profile that gives them a role."""
    user_data: str = ""
    """User data of the machines, as text. For those that are renewed, as with `image`."""
    mount: str = "/data"
    """Where the files of a member's volume are on its machine."""
    kms_key: str = ""
    """ARN of the KMS key that volumes are encrypted with; the account's default key by default."""
    hosted_zone: str = ""
    """Id of the private hosted zone in which the members have names."""
    domain: str = ""
    """What follows a member's name there: `config-a.db.example.com`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""


class StatefulTier(pulumi.ComponentResource):
    """A volume, a network interface and a machine for each member. A deployment of a service's image touches none.

    Volumes are encrypted, protected, and stay in AWS whatever becomes of the stack. A machine is replaced, the old one
    first, only where `renew` names its member; it gets the same volume, address and name.
    Raises TierError where members can't be as they are said to be, AwsError.
    """

    security_group_id: pulumi.Output[str]
    volume_ids: dict[str, pulumi.Output[str]]
    """By member, as the next ones."""
    machine_ids: dict[str, pulumi.Output[str]]
    hosts: dict[str, str]
    """What a member is called: its name in DNS, or its address."""

    def __init__(self, name: str, args: StatefulTierArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args.stack.check_tier(name, args.members, network=args.network, renew=args.renew)
        super().__init__("bluegreen:index:StatefulTier", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._own = {**args.tags, **args.stack.owner("").tags, TIER: name}
        self.volume_ids, self.machine_ids, self.hosts = {}, {}, {}
        self._rules: list[pulumi.Resource] = []
        self.security_group_id = self._security_group()
        before: pulumi.Resource | None = None
        for member in args.members:
            before = self._member(member, before)
        self.register_outputs({"hosts": self.hosts, "volumeIds": self.volume_ids})

    def _tags(self, name: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**self._own, **(more or {}), "Name": name}

    def _security_group(self) -> pulumi.Output[str]:
        name = self._name
        group = aws.ec2.SecurityGroup(
            name,
            description="Stateful tier",  # changing it would replace the group
            vpc_id=self._args.network.vpc_id,
            tags=self._tags(name),
            opts=self._child,
        )
        for port in self._args.ports:
            self._let_in(f"{name}-members-{port}", group, port, {"referenced_security_group_id": group.id})
        for network in self._args.clients:
            for port in self._args.client_ports:
                self._let_in(f"{name}-clients-{port}{suffix(network)}", group, port, peer(network))
        for network in self._args.control:
            self._let_in(f"{name}-ssh{suffix(network)}", group, SSH_PORT, peer(network))
        out = aws.vpc.SecurityGroupEgressRule(
            name,
            security_group_id=group.id,
            description="Anywhere",
            ip_protocol="-1",
            cidr_ipv4=ANYWHERE,
            tags=self._tags(name),
            opts=self._child,
        )
        self._rules.append(out)
        return group.id

    def _let_in(self, name: str, group: aws.ec2.SecurityGroup, port: int, source: Mapping[str, Any]) -> None:
        rule = aws.vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            tags=self._tags(name),
            opts=self._child,
            **source,
        )
        self._rules.append(rule)

    def _member(self, member: Member, before: pulumi.Resource | None) -> pulumi.Resource:
        """All of one, after the one before it: machines are replaced one by one."""
        args, name = self._args, f"{self._name}-{member.name}"
        at = subnet_of(member.address, args.network.private_cidrs)
        assert at is not None  # checked
        host = f"{member.name}.{args.domain}" if args.hosted_zone else member.address
        is_what = {MEMBER: member.name, ROLE: member.role, SET: member.set, MOUNT: args.mount, ADDRESS: member.address}
        tags = self._tags(name, {key: value for key, value in is_what.items() if value})
        volume = self._volume(name, member, args.network.private_zones[at], tags)
        interface = aws.ec2.NetworkInterface(
            name,
            subnet_id=args.network.private_subnet_ids[at],
            private_ips=[member.address],
            security_groups=[self.security_group_id],
            description=name,
            tags=tags,
            opts=self._child,
        )
        machine = self._machine(name, member, interface, {**tags, HOST: host}, before)
        if args.hosted_zone:
            aws.route53.Record(
                name,
                zone_id=args.hosted_zone,
                name=host,
                type="A",
                ttl=60,
                records=[member.address],
                opts=self._child,
            )
        self.volume_ids[member.name], self.machine_ids[member.name] = volume, machine.id
        self.hosts[member.name] = host
        return aws.ec2.VolumeAttachment(
            name,
            device_name=DEVICE,
            instance_id=machine.id,
            volume_id=volume,
            stop_instance_before_detaching=True,  # what is in memory is on the volume then
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(delete_before_replace=True)),
        )

    def _volume(
        self, name: str, member: Member, zone: pulumi.Input[str], tags: Mapping[str, str]
    ) -> pulumi.Output[str]:
        if member.volume:
            return pulumi.Output.from_input(member.volume)
        made = aws.ebs.Volume(
            name,
            availability_zone=zone,
            size=member.size_gb,
            type="gp3",
            iops=member.iops,
            throughput=member.throughput,
            encrypted=True,
            kms_key_id=self._args.kms_key or None,
            tags={**tags, PROTECTED: str(member.is_protected).lower()},
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(
                    protect=member.is_protected, retain_on_delete=True, ignore_changes=["availabilityZone"]
                ),
            ),
        )
        return made.id

    def _machine(
        self,
        name: str,
        member: Member,
        interface: aws.ec2.NetworkInterface,
        tags: Mapping[str, str],
        before: pulumi.Resource | None,
    ) -> aws.ec2.Instance:
        args = self._args
        opts = pulumi.ResourceOptions(
            delete_before_replace=True,  # the old one has the interface
            ignore_changes=[] if member.name in args.renew else list(LAUNCHED_WITH),
            depends_on=[*self._rules, *args.network.private_routes, *([before] if before else [])],
        )
        return aws.ec2.Instance(
            name,
            ami=args.image,
            instance_type=member.instance_type or args.instance_type,
            primary_network_interface=aws.ec2.InstancePrimaryNetworkInterfaceArgs(network_interface_id=interface.id),
            key_name=args.key_pair or None,
            iam_instance_profile=args.instance_profile or None,
            user_data=args.user_data or None,
            user_data_replace_on_change=True,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(encrypted=True, volume_type="gp3"),
            tags=tags,
            opts=pulumi.ResourceOptions.merge(self._child, opts),
        )
