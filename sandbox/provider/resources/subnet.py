"""Subnets."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, doing, first, without_none
from sandbox.provider.resources.ec2 import cidr_fault, delete, describe, retag
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    boolean,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props

_OFF: Final = {"default": False, "only": (False,)}  # a switch that the sandbox knows only in its default position


def _create_subnet(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating EC2 Subnet"):
        made = aws.ec2.create_subnet(
            **without_none(
                VpcId=news["vpcId"],
                CidrBlock=news.get("cidrBlock"),
                Ipv6CidrBlock=news.get("ipv6CidrBlock"),
                AvailabilityZone=news.get("availabilityZone"),
                AvailabilityZoneId=news.get("availabilityZoneId"),
            ),
            TagSpecifications=aws.tag_specifications("subnet", news),
        )
    return str(made["Subnet"]["SubnetId"])


def _settle_subnet(aws: Aws, subnet: str, news: Props) -> None:
    if news["mapPublicIpOnLaunch"]:
        _map_public_ip(aws, subnet, True)
    if news["assignIpv6AddressOnCreation"]:
        _assign_ipv6(aws, subnet, True)


def _map_public_ip(aws: Aws, subnet: str, value: bool) -> None:
    with doing(aws.ec2, f"setting EC2 Subnet ({subnet}) MapPublicIpOnLaunch"):
        aws.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": value})


def _assign_ipv6(aws: Aws, subnet: str, value: bool) -> None:
    with doing(aws.ec2, f"setting EC2 Subnet ({subnet}) AssignIpv6AddressOnCreation"):
        aws.ec2.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": value})


def _ipv6(found: Any) -> Any:
    held = found.get("Ipv6CidrBlockAssociationSet", [])
    return first([it for it in held if it["Ipv6CidrBlockState"]["State"] in ("associating", "associated")])


def _change_ipv6(aws: Aws, subnet: str, wanted: str | None) -> None:
    """A subnet has one block at the most: the old one goes first."""
    with doing(aws.ec2, f"updating EC2 Subnet ({subnet}) IPv6 CIDR block"):
        if block := _ipv6(describe(aws.ec2.describe_subnets, SubnetIds=[subnet])[0]):
            aws.ec2.disassociate_subnet_cidr_block(AssociationId=block["AssociationId"])
        if wanted:
            aws.ec2.associate_subnet_cidr_block(SubnetId=subnet, Ipv6CidrBlock=wanted)


def _read_subnet(aws: Aws, subnet: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading EC2 Subnet ({subnet})"):
        found = first(describe(aws.ec2.describe_subnets, "InvalidSubnetID.NotFound", SubnetIds=[subnet]))
    if found is None:
        return None
    block = _ipv6(found)
    return {
        "arn": found["SubnetArn"],
        "ownerId": found["OwnerId"],
        "vpcId": found["VpcId"],
        "cidrBlock": found["CidrBlock"],
        "ipv6CidrBlock": block["Ipv6CidrBlock"] if block else "",
        "ipv6CidrBlockAssociationId": block["AssociationId"] if block else "",
        "assignIpv6AddressOnCreation": found.get("AssignIpv6AddressOnCreation", False),
        "availabilityZone": found["AvailabilityZone"],
        "availabilityZoneId": found["AvailabilityZoneId"],
        "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
        **aws.tag_state(found.get("Tags", [])),
    }


def _update_subnet(aws: Aws, subnet: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "assignIpv6AddressOnCreation" in changed and not news["assignIpv6AddressOnCreation"]:
        _assign_ipv6(aws, subnet, False)
    if olds.get("ipv6CidrBlock", "") != news.get("ipv6CidrBlock", ""):
        _change_ipv6(aws, subnet, news.get("ipv6CidrBlock"))
    if "assignIpv6AddressOnCreation" in changed and news["assignIpv6AddressOnCreation"]:
        _assign_ipv6(aws, subnet, True)
    if "mapPublicIpOnLaunch" in changed:
        _map_public_ip(aws, subnet, news["mapPublicIpOnLaunch"])


def _delete_subnet(aws: Aws, subnet: str, olds: Props) -> None:
    call = partial(aws.ec2.delete_subnet, SubnetId=subnet)
    delete(aws, f"EC2 Subnet ({subnet})", call, "InvalidSubnetID.NotFound", timeout=20 * MINUTE)


def _ipv6_replaces(state: Props, inputs: Props) -> frozenset[str]:
    """Of a subnet that gives addresses of its block to what is in it, the block stays."""
    return frozenset({"ipv6CidrBlock"}) if state.get("assignIpv6AddressOnCreation", True) else frozenset()


SUBNET = ResourceType(
    token="aws:ec2/subnet:Subnet",
    properties={
        "vpcId": text(required=True, replaces=True),
        "cidrBlock": text(required=True, replaces=True, refuses=cidr_fault),
        "availabilityZone": text(computed=True, replaces=True, conflicts_with=("availabilityZoneId",)),
        "availabilityZoneId": text(computed=True, replaces=True, conflicts_with=("availabilityZone",)),
        "mapPublicIpOnLaunch": boolean(default=False),
        "ipv6CidrBlock": text(computed=True, refuses=partial(cidr_fault, version=6)),
        "ipv6CidrBlockAssociationId": output(),
        "assignIpv6AddressOnCreation": boolean(default=False),
        "enableDns64": boolean(**_OFF),
        "enableResourceNameDnsARecordOnLaunch": boolean(**_OFF),
        "enableResourceNameDnsAaaaRecordOnLaunch": boolean(**_OFF),
        "ipv6Native": boolean(replaces=True, **_OFF),
        "arn": output(),
        "ownerId": output(),
        **TAGS,
    },
    refused=names(
        "ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6NetmaskLength "
        "customerOwnedIpv4Pool enableLniAtDeviceIndex mapCustomerOwnedIpOnLaunch outpostArn "
        "privateDnsHostnameTypeOnLaunch"
    ),
    create=_create_subnet,
    settle=_settle_subnet,
    read=_read_subnet,
    update=_update_subnet,
    delete=_delete_subnet,
    also_replaces=_ipv6_replaces,
    retag=retag,
)
