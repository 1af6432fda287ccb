"""What is read of VPCs, subnets and zones."""

from __future__ import annotations

from bluegreen.model.observation import (
    Vpc,
    WayOut,
)
from tests.aws.world import WEB, World


def test_the_vpc_of_a_service_is_known_by_its_tags(world: World) -> None:
    ec2 = world.session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": key, "Value": value} for key, value in WEB.tags.items()])
    assert world.observer.vpcs(tags=WEB.tags) == (Vpc(id=vpc, cidr="10.7.0.0/16"),)
    assert world.observer.vpcs(vpc_id=vpc) == world.observer.vpcs(tags=WEB.tags)
    assert world.observer.vpcs(vpc_id="vpc-00000000") == ()
    assert world.observer.vpcs() == (), "not all there are"


def test_where_the_routes_of_a_subnet_lead_is_what_its_table_says_or_the_vpc_s_own(world: World) -> None:
    ec2 = world.session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    public, private, bare = (
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.8.{number}.0/28", AvailabilityZone="us-east-1b")["Subnet"][
            "SubnetId"
        ]
        for number in range(3)
    )
    nat = ec2.create_nat_gateway(SubnetId=public, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    for subnet, target in ((public, {"GatewayId": gateway}), (private, {"NatGatewayId": nat})):
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_tags(Resources=[private], Tags=[{"Key": "tier", "Value": "app"}])

    found = {subnet.id: subnet for subnet in world.observer.subnets(vpc)}
    assert {each: found[each].way_out for each in found} == {
        public: WayOut.INTERNET_GATEWAY,
        private: WayOut.OTHER,
        bare: WayOut.NONE,
    }
    described = found[private]
    assert (described.zone, described.cidr, described.tags) == ("us-east-1b", "10.8.1.0/28", {"tier": "app"})
    assert found[bare].free_addresses == 11

    (main,) = ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    )["RouteTables"]
    ec2.create_route(RouteTableId=main["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    found = {subnet.id: subnet for subnet in world.observer.subnets(vpc)}
    assert found[bare].way_out is WayOut.INTERNET_GATEWAY


def test_zones_are_those_of_the_region_and_those_that_have_machines_of_a_type(world: World) -> None:
    assert {"us-east-1a", "us-east-1f"} <= set(world.observer.zones())
    offering = world.observer.zones_offering("t3.small")
    assert "us-east-1a" in offering
    assert "us-east-1e" not in offering
