"""VPCs, their subnets with where these lead, and zones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bluegreen.aws.observe.asking import Asking
from bluegreen.aws.session import in_our_words
from bluegreen.model.observation import (
    Subnet,
    Vpc,
    WayOut,
)

MAIN = ""
"""In place of a subnet: the VPC's main route table, which is that of subnets without one of their own."""


class Networks(Asking):
    """Questions about networks."""

    @in_our_words
    def vpcs(self, *, vpc_id: str = "", tags: Mapping[str, str] | None = None) -> tuple[Vpc, ...]:
        """Those with this id, or with all of these tags. One call."""
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in (tags or {}).items()]
        if vpc_id:
            filters.append({"Name": "vpc-id", "Values": [vpc_id]})
        vpcs = self._session.client("ec2").describe_vpcs(Filters=filters)["Vpcs"]
        return tuple(
            Vpc(id=each["VpcId"], cidr=each["CidrBlock"], has_ipv6=_has_ipv6(each)) for each in vpcs if filters
        )

    @in_our_words
    def subnets(self, vpc: str) -> tuple[Subnet, ...]:
        """All subnets of a VPC (id), each with where its routes lead. Two calls, more where there are very many."""
        filters = [{"Name": "vpc-id", "Values": [vpc]}]
        client = self._session.client("ec2")
        pages = client.get_paginator("describe_subnets").paginate(Filters=filters)
        subnets = [each for page in pages for each in page["Subnets"]]
        pages = client.get_paginator("describe_route_tables").paginate(Filters=filters)
        ways = _ways_out([each for page in pages for each in page["RouteTables"]])
        return tuple(
            Subnet(
                id=each["SubnetId"],
                zone=each["AvailabilityZone"],
                cidr=each.get("CidrBlock", ""),
                free_addresses=each["AvailableIpAddressCount"],
                way_out=ways.get(each["SubnetId"], ways[MAIN]),
                tags={tag["Key"]: tag.get("Value", "") for tag in each.get("Tags", [])},
            )
            for each in subnets
        )

    @in_our_words
    def zones(self) -> tuple[str, ...]:
        """The region's availability zones, but for local and wavelength ones. One call."""
        filters = [
            {"Name": "state", "Values": ["available"]},
            {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
        ]
        found = self._session.client("ec2").describe_availability_zones(Filters=filters)["AvailabilityZones"]
        return tuple(each["ZoneName"] for each in found)

    @in_our_words
    def zones_offering(self, instance_type: str) -> tuple[str, ...]:
        """The region's zones that have machines of a type. One call."""
        filters = [{"Name": "instance-type", "Values": [instance_type]}]
        pages = self._session.client("ec2").get_paginator("describe_instance_type_offerings")
        found = pages.paginate(LocationType="availability-zone", Filters=filters)
        return tuple(sorted(each["Location"] for page in found for each in page["InstanceTypeOfferings"]))


def _has_ipv6(vpc: dict[str, Any]) -> bool:
    blocks = vpc.get("Ipv6CidrBlockAssociationSet", [])
    return any(each["Ipv6CidrBlockState"]["State"] in ("associating", "associated") for each in blocks)


def _ways_out(tables: list[dict[str, Any]]) -> dict[str, WayOut]:
    """By subnet, of those with a table of their own; `MAIN` for all others."""
    ways = {MAIN: WayOut.NONE}
    for table in tables:
        way = _way_out(table["Routes"])
        for each in table.get("Associations", []):
            if each.get("Main"):
                ways[MAIN] = way
            elif subnet := each.get("SubnetId"):
                ways[subnet] = way
    return ways


def _way_out(routes: list[dict[str, Any]]) -> WayOut:
    """A route whose target is gone leads nowhere."""
    for route in routes:
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State") != "blackhole":
            is_gateway = route.get("GatewayId", "").startswith("igw-")
            return WayOut.INTERNET_GATEWAY if is_gateway else WayOut.OTHER
    return WayOut.NONE
