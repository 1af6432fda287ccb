"""The network: a VPC with a public and a private subnet in each zone, and the ways out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.components.endpoints import make_endpoints
from bluegreen.components.flow_logs import make_flow_logs
from bluegreen.components.nat_instance import make_nat_instance
from bluegreen.components.stack import Stack
from bluegreen.errors import BluegreenError
from bluegreen.model.addresses import ANYWHERE, ANYWHERE_IPV6, AddressPlan, ipv6_subnet
from bluegreen.model.endpoints import services_of
from bluegreen.model.existing_vpc import ExistingVpc, Needs, Place
from bluegreen.model.flow_logs import OFF, FlowLogs
from bluegreen.model.nat import Nat
from bluegreen.model.nat_instance import DEFAULT, NatInstance
from bluegreen.model.settings import Settings
from bluegreen.model.zones import choose_zones

NEEDS = Needs()
FIRST_PRIVATE_IPV6 = 16
"""Which of the VPC's /64 is that of the first private subnet, however many zones there are."""


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What to make."""

    plan: AddressPlan | None = None
    """The VPC's addresses and its zones. The addresses are fixed while services run in it."""
    place: Place | None = None
    """In place of `plan`, subnets of an existing VPC. Then nothing is made, and what follows means nothing."""
    zone_names: Sequence[str] = ()
    """Which zones; the first ones of the region by default."""
    nat: Nat = Nat.SINGLE
    """How machines reach the internet: not at all, by one NAT gateway, by one in each zone, or by a NAT instance."""
    nat_instance: NatInstance = DEFAULT
    """What the NAT instance is, where there is one."""
    endpoints: Sequence[str] = ()
    """Services of AWS that the private subnets have an address of: `ssm`, `logs`, or `management` for three."""
    flow_logs: FlowLogs = OFF
    """Where it is kept who talked to whom."""
    has_ipv6: bool = False
    """Whether there are IPv6 addresses beside those of IPv4. Once there are, they stay."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """For every resource."""

    @classmethod
    def from_settings(cls, settings: Settings, *, stack: Stack) -> NetworkArgs:
        """Settings of the network, and `tags`. Raises as `Stack.admit` does."""
        stack.admit(settings)
        if place := stack.find_place(settings):
            return cls(place=place)
        tags = {**settings.tags, **stack.owner(settings.service).tags}
        return cls(
            plan=settings.address_plan,
            zone_names=settings.zone_names,
            nat=settings.nat,
            nat_instance=settings.nat_instance,
            endpoints=settings.endpoints,
            flow_logs=settings.flow_logs,
            has_ipv6=settings.ipv6,
            tags=tags,
        )


class Network(pulumi.ComponentResource):
    """A VPC over two to six zones, its own or one that was there before.

    Load balancers live in the public subnets, machines in the private ones.
    """

    vpc_id: pulumi.Output[str]
    cidr: str
    is_own: bool
    """Whether the VPC is made here, and not one that was there before."""
    has_ipv6: bool
    """Whether a load balancer may be reached by IPv6."""
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    private_cidrs: list[str]
    private_zones: list[pulumi.Output[str]]
    place: Place | None
    """Of an existing VPC."""
    public_routes: list[pulumi.Resource]
    """What a load balancer needs first: internet gateway, routes and their associations."""
    private_routes: list[pulumi.Resource]
    """What machines need first, and until their end: their way out."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:Network", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.place, self.is_own = args.place, args.place is None
        if args.place:
            self._live_in(args.place)
        elif args.plan:
            self._make(name, args.plan, args)
        else:
            raise BluegreenError(f"the network {name} has neither a plan of addresses nor a place in an existing VPC")
        self.register_outputs({"vpcId": self.vpc_id})

    @classmethod
    def existing(
        cls,
        name: str,
        vpc: ExistingVpc,
        *,
        stack: Stack,
        needs: Needs = NEEDS,
        opts: pulumi.ResourceOptions | None = None,
    ) -> Network:
        """Subnets of a VPC that was there before, checked against what is asked of them.

        Raises SettingsError where they don't have it, AwsError.
        """
        return cls(name, NetworkArgs(place=stack.find_place_in(vpc, needs)), opts)

    def _live_in(self, place: Place) -> None:
        self.cidr, self.has_ipv6 = place.vpc.cidr, False
        self.vpc_id = pulumi.Output.from_input(place.vpc.id)
        self.public_subnet_ids = [pulumi.Output.from_input(subnet.id) for subnet in place.public]
        self.private_subnet_ids = [pulumi.Output.from_input(subnet.id) for subnet in place.private]
        self.private_cidrs = [subnet.cidr for subnet in place.private if subnet.cidr]
        self.private_zones = [pulumi.Output.from_input(subnet.zone) for subnet in place.private]
        self.public_routes, self.private_routes = [], []

    def _make(self, name: str, plan: AddressPlan, args: NetworkArgs) -> None:
        self.cidr, self.has_ipv6 = plan.vpc_cidr, args.has_ipv6
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=self.cidr,
            assign_generated_ipv6_cidr_block=True if self.has_ipv6 else None,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags(name),
            opts=self._child,
        )
        self.vpc_id = vpc.id
        gateway = aws.ec2.InternetGateway(name, vpc_id=vpc.id, tags=self._tags(name), opts=self._child)
        zones = self._zone_names(plan.zones)
        public = self._subnets("public", plan.public, zones, vpc, first_ipv6=0)
        private = self._subnets("private", plan.private, zones, vpc, first_ipv6=FIRST_PRIVATE_IPV6)
        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.private_cidrs = list(plan.private)
        self.private_zones = [subnet.availability_zone for subnet in private]

        self._close_default_group()
        self._tables: list[aws.ec2.RouteTable] = []
        self.public_routes = [gateway, *self._route_public(gateway, public)]
        self.private_routes = self._route_private(private, self._ways_out(public, after=self.public_routes))
        self.private_routes.append(self._reach_s3(vpc))
        self.private_routes += make_endpoints(
            f"{name}-endpoints",
            services_of(tuple(args.endpoints)),
            vpc=vpc,
            cidr=self.cidr,
            subnet_ids=self.private_subnet_ids,
            tags=args.tags,
            parent=self,
        )
        make_flow_logs(f"{name}-flow-logs", args.flow_logs, vpc=vpc, tags=args.tags, parent=self)

    @property
    def anywhere(self) -> list[str]:
        """Whom a public port is for."""
        return [ANYWHERE, ANYWHERE_IPV6] if self.has_ipv6 else [ANYWHERE]

    def _tags(self, name: str) -> dict[str, str]:
        return {**self._args.tags, "Name": name}

    def _zone_names(self, wanted: int) -> list[pulumi.Output[str]]:
        # Local and wavelength zones have neither load balancers nor every instance type.
        found = aws.get_availability_zones_output(
            state="available",
            filters=[aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
            opts=pulumi.InvokeOutputOptions(parent=self),
        )

        def pick(index: int) -> Callable[[Sequence[str]], str]:
            def from_names(names: Sequence[str]) -> str:
                try:
                    return choose_zones(wanted, self._args.zone_names, names)[index]
                except BluegreenError as error:
                    raise pulumi.RunError(str(error)) from None

            return from_names

        return [found.names.apply(pick(index)) for index in range(wanted)]

    def _subnets(
        self,
        kind: str,
        cidrs: tuple[str, ...],
        zones: list[pulumi.Output[str]],
        vpc: aws.ec2.Vpc,
        first_ipv6: int,
    ) -> list[aws.ec2.Subnet]:
        # A subnet stays in its zone for good: a zone that AWS adds must not move the ones that are there.
        opts = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(ignore_changes=["availabilityZone"]))
        return [
            aws.ec2.Subnet(
                f"{self._name}-{kind}-{number}",
                vpc_id=self.vpc_id,
                cidr_block=cidr,
                ipv6_cidr_block=self._ipv6_of(vpc, first_ipv6 + number),
                # Load balancers get theirs without it.
                assign_ipv6_address_on_creation=(self.has_ipv6 and kind == "private") or None,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=self._tags(f"{self._name}-{kind}-{number}"),
                opts=opts,
            )
            for number, (cidr, zone) in enumerate(zip(cidrs, zones, strict=True))
        ]

    def _ipv6_of(self, vpc: aws.ec2.Vpc, number: int) -> pulumi.Output[str] | None:
        return vpc.ipv6_cidr_block.apply(lambda block: ipv6_subnet(block, number)) if self.has_ipv6 else None

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
        routes = [route]
        if self.has_ipv6:
            routes.append(
                aws.ec2.Route(
                    f"{name}-ipv6",
                    route_table_id=table.id,
                    destination_ipv6_cidr_block=ANYWHERE_IPV6,
                    gateway_id=gateway.id,
                    opts=self._child,
                )
            )
        return [*routes, *(self._associate(f"{name}-{number}", each, table) for number, each in enumerate(subnets))]

    def _route_private(self, subnets: list[aws.ec2.Subnet], nat: list[dict[str, Any]]) -> list[pulumi.Resource]:
        """A table per zone whatever `nat` says, so that a change of `nat` changes routes and nothing else.

        `nat`: what the routes name, for one zone after the other.
        """
        made: list[pulumi.Resource] = []
        egress = self._egress_gateway()
        for number, subnet in enumerate(subnets):
            name = f"{self._name}-private-{number}"
            table = self._table(name)
            made.append(self._associate(name, subnet, table))
            if nat:
                route = aws.ec2.Route(
                    name,
                    route_table_id=table.id,
                    destination_cidr_block=ANYWHERE,
                    **nat[number % len(nat)],
                    opts=self._child,
                )
                made.append(route)
            if egress:
                route = aws.ec2.Route(
                    f"{name}-ipv6",
                    route_table_id=table.id,
                    destination_ipv6_cidr_block=ANYWHERE_IPV6,
                    egress_only_gateway_id=egress.id,
                    opts=self._child,
                )
                made.append(route)
        return made

    def _table(self, name: str) -> aws.ec2.RouteTable:
        self._tables.append(aws.ec2.RouteTable(name, vpc_id=self.vpc_id, tags=self._tags(name), opts=self._child))
        return self._tables[-1]

    def _associate(self, name: str, subnet: aws.ec2.Subnet, table: aws.ec2.RouteTable) -> pulumi.Resource:
        return aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)

    def _egress_gateway(self) -> aws.ec2.EgressOnlyInternetGateway | None:
        """Machines reach out by IPv6, and nobody reaches in."""
        if not self.has_ipv6:
            return None
        return aws.ec2.EgressOnlyInternetGateway(
            self._name, vpc_id=self.vpc_id, tags=self._tags(self._name), opts=self._child
        )

    def _ways_out(self, public: list[aws.ec2.Subnet], after: list[pulumi.Resource]) -> list[dict[str, Any]]:
        match self._args.nat:
            case Nat.NONE:
                return []
            case Nat.INSTANCE:
                machine = make_nat_instance(
                    f"{self._name}-nat",
                    self._args.nat_instance,
                    vpc_id=self.vpc_id,
                    cidr=self.cidr,
                    subnet_id=public[0].id,
                    tags=self._args.tags,
                    parent=self,
                    after=after,
                )
                return [{"network_interface_id": machine.primary_network_interface_id}]
            case Nat.SINGLE:
                return self._nat_gateways(public[:1], after)
            case Nat.PER_ZONE:
                return self._nat_gateways(public, after)

    def _nat_gateways(self, subnets: list[aws.ec2.Subnet], after: list[pulumi.Resource]) -> list[dict[str, Any]]:
        gateways: list[dict[str, Any]] = []
        for number, subnet in enumerate(subnets):
            name = f"{self._name}-nat-{number}"
            address = aws.ec2.Eip(name, domain="vpc", tags=self._tags(name), opts=self._child)
            # AWS makes a NAT gateway fail whose VPC has no internet gateway yet.
            opts = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=after))
            gateway = aws.ec2.NatGateway(
                name, allocation_id=address.id, subnet_id=subnet.id, tags=self._tags(name), opts=opts
            )
            gateways.append({"nat_gateway_id": gateway.id})
        return gateways
