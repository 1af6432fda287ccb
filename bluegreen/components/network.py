"""The network: a VPC with a public and a private subnet in each zone, and the ways out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from bluegreen.components.stack import Stack
from bluegreen.errors import BluegreenError
from bluegreen.model.addresses import AddressPlan
from bluegreen.model.settings import Nat, Settings

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What to make."""

    plan: AddressPlan
    """The VPC's addresses and its zones. The addresses are fixed while services run in it."""
    nat: Nat = Nat.SINGLE
    """How machines reach the internet: not at all, by one NAT gateway, or by one in each zone."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(cls, settings: Settings, *, stack: Stack) -> NetworkArgs:
        """Settings `vpcCidr`, `zones`, `nat`, `tags`. Raises as `Stack.admit` does."""
        stack.admit(settings)
        tags = {**settings.tags, **stack.owner(settings.service).tags}
        return cls(plan=settings.address_plan, nat=settings.nat, tags=tags)


class Network(pulumi.ComponentResource):
    """A VPC over `plan.zones` zones. Load balancers live in the public subnets, machines in the private ones."""

    vpc_id: pulumi.Output[str]
    cidr: str
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    public_routes: list[pulumi.Resource]
    """What a load balancer needs first: internet gateway, routes and their associations."""
    private_routes: list[pulumi.Resource]
    """What machines need first, and until their end: their way out."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:Network", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)

        self.cidr = args.plan.vpc_cidr
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=self.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags(name),
            opts=self._child,
        )
        self.vpc_id = vpc.id
        gateway = aws.ec2.InternetGateway(name, vpc_id=vpc.id, tags=self._tags(name), opts=self._child)
        zones = self._zone_names()
        public = self._subnets("public", args.plan.public, zones)
        private = self._subnets("private", args.plan.private, zones)
        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]

        self._close_default_group()
        self._tables: list[aws.ec2.RouteTable] = []
        self.public_routes = [gateway, *self._route_public(gateway, public)]
        self.private_routes = self._route_private(private, self._nat_gateways(public, after=self.public_routes))
        self.private_routes.append(self._reach_s3(vpc))
        self.register_outputs({"vpcId": self.vpc_id})

    def _tags(self, name: str) -> dict[str, str]:
        return {**self._args.tags, "Name": name}

    def _zone_names(self) -> list[pulumi.Output[str]]:
        # Local and wavelength zones have neither load balancers nor every instance type.
        found = aws.get_availability_zones_output(
            state="available",
            filters=[aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        wanted = self._args.plan.zones

        def pick(index: int) -> Callable[[Sequence[str]], str]:
            def from_names(names: Sequence[str]) -> str:
                if len(names) < wanted:
                    raise BluegreenError(
                        f"bluegreen:zones: {wanted} are asked for, and the region has {len(names)}: {', '.join(names)}"
                    )
                return sorted(names)[index]

            return from_names

        return [found.names.apply(pick(index)) for index in range(wanted)]

    def _subnets(self, kind: str, cidrs: tuple[str, ...], zones: list[pulumi.Output[str]]) -> list[aws.ec2.Subnet]:
        # A subnet stays in its zone for good: a zone that AWS adds must not move the ones that are there.
        opts = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(ignore_changes=["availabilityZone"]))
        return [
            aws.ec2.Subnet(
                f"{self._name}-{kind}-{number}",
                vpc_id=self.vpc_id,
                cidr_block=cidr,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=self._tags(f"{self._name}-{kind}-{number}"),
                opts=opts,
            )
            for number, (cidr, zone) in enumerate(zip(cidrs, zones, strict=True))
        ]

    def _close_default_group(self) -> None:
        """What names no security group gets the VPC's own, which AWS opens to all that have it and to the world."""
        name = f"{self._name}-default"
        aws.ec2.DefaultSecurityGroup(name, vpc_id=self.vpc_id, tags=self._tags(name), opts=self._child)

    def _reach_s3(self, vpc: aws.ec2.Vpc) -> aws.ec2.VpcEndpoint:
        """S3 by a route of its own: it costs nothing, passes no NAT, and is there without one."""
        name = f"{self._name}-s3"
        return aws.ec2.VpcEndpoint(
            name,
            vpc_id=vpc.id,
            service_name=vpc.region.apply(lambda region: f"com.amazonaws.{region}.s3"),
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in self._tables],
            tags=self._tags(name),
            opts=self._child,
        )

    def _route_public(self, gateway: aws.ec2.InternetGateway, subnets: list[aws.ec2.Subnet]) -> list[pulumi.Resource]:
        name = f"{self._name}-public"
        table = self._table(name)
        route = aws.ec2.Route(
            name,
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        return [route, *(self._associate(f"{name}-{number}", each, table) for number, each in enumerate(subnets))]

    def _route_private(self, subnets: list[aws.ec2.Subnet], nat: list[aws.ec2.NatGateway]) -> list[pulumi.Resource]:
        """A table per zone whatever `nat` says, so that a change of `nat` changes routes and nothing else."""
        made: list[pulumi.Resource] = []
        for number, subnet in enumerate(subnets):
            name = f"{self._name}-private-{number}"
            table = self._table(name)
            made.append(self._associate(name, subnet, table))
            if nat:
                route = aws.ec2.Route(
                    name,
                    route_table_id=table.id,
                    destination_cidr_block=ANYWHERE,
                    nat_gateway_id=nat[number % len(nat)].id,
                    opts=self._child,
                )
                made.append(route)
        return made

    def _table(self, name: str) -> aws.ec2.RouteTable:
        self._tables.append(aws.ec2.RouteTable(name, vpc_id=self.vpc_id, tags=self._tags(name), opts=self._child))
        return self._tables[-1]

    def _associate(self, name: str, subnet: aws.ec2.Subnet, table: aws.ec2.RouteTable) -> pulumi.Resource:
        return aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)

    def _nat_gateways(self, public: list[aws.ec2.Subnet], after: list[pulumi.Resource]) -> list[aws.ec2.NatGateway]:
        match self._args.nat:
            case Nat.NONE:
                subnets = []
            case Nat.SINGLE:
                subnets = public[:1]
            case Nat.PER_ZONE:
                subnets = public
        gateways = []
        for number, subnet in enumerate(subnets):
            name = f"{self._name}-nat-{number}"
            address = aws.ec2.Eip(name, domain="vpc", tags=self._tags(name), opts=self._child)
            # AWS makes a NAT gateway fail whose VPC has no internet gateway yet.
            opts = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=after))
            gateways.append(
                aws.ec2.NatGateway(
                    name, allocation_id=address.id, subnet_id=subnet.id, tags=self._tags(name), opts=opts
                )
            )
        return gateways
