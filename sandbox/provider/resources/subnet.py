"""Subnets."""

from __future__ import annotations

from functools import partial
from typing import Final

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
                AvailabilityZone=news.get("availabilityZone"),
                AvailabilityZoneId=news.get("availabilityZoneId"),
            ),
            TagSpecifications=aws.tag_specifications("subnet", news),
        )
    return str(made["Subnet"]["SubnetId"])


def _settle_subnet(aws: Aws, subnet: str, news: Props) -> None:
    if news["mapPublicIpOnLaunch"]:
        _map_public_ip(aws, subnet, True)


def _map_public_ip(aws: Aws, subnet: str, value: bool) -> None:
    with doing(aws.ec2, f"setting EC2 Subnet ({subnet}) MapPublicIpOnLaunch"):
        aws.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": value})


def _read_subnet(aws: Aws, subnet: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading EC2 Subnet ({subnet})"):
        found = first(describe(aws.ec2.describe_subnets, "InvalidSubnetID.NotFound", SubnetIds=[subnet]))
    if found is None:
        return None
    return {
        "arn": found["SubnetArn"],
        "ownerId": found["OwnerId"],
        "vpcId": found["VpcId"],
        "cidrBlock": found["CidrBlock"],
        "availabilityZone": found["AvailabilityZone"],
        "availabilityZoneId": found["AvailabilityZoneId"],
        "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
        **aws.tag_state(found.get("Tags", [])),
    }


def _update_subnet(aws: Aws, subnet: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "mapPublicIpOnLaunch" in changed:
        _map_public_ip(aws, subnet, news["mapPublicIpOnLaunch"])


def _delete_subnet(aws: Aws, subnet: str, olds: Props) -> None:
    call = partial(aws.ec2.delete_subnet, SubnetId=subnet)
    delete(aws, f"EC2 Subnet ({subnet})", call, "InvalidSubnetID.NotFound", timeout=20 * MINUTE)


SUBNET = ResourceType(
    token="aws:ec2/subnet:Subnet",
    properties={
        "vpcId": text(required=True, replaces=True),
        "cidrBlock": text(required=True, replaces=True, refuses=cidr_fault),
        "availabilityZone": text(computed=True, replaces=True, conflicts_with=("availabilityZoneId",)),
        "availabilityZoneId": text(computed=True, replaces=True, conflicts_with=("availabilityZone",)),
        "mapPublicIpOnLaunch": boolean(default=False),
        "assignIpv6AddressOnCreation": boolean(**_OFF),
        "enableDns64": boolean(**_OFF),
        "enableResourceNameDnsARecordOnLaunch": boolean(**_OFF),
        "enableResourceNameDnsAaaaRecordOnLaunch": boolean(**_OFF),
        "ipv6Native": boolean(replaces=True, **_OFF),
        "arn": output(),
        "ownerId": output(),
        **TAGS,
    },
    refused=names(
        "ipv4IpamPoolId ipv4NetmaskLength ipv6CidrBlock ipv6IpamPoolId ipv6NetmaskLength "
        "customerOwnedIpv4Pool enableLniAtDeviceIndex mapCustomerOwnedIpOnLaunch outpostArn "
        "privateDnsHostnameTypeOnLaunch"
    ),
    create=_create_subnet,
    settle=_settle_subnet,
    read=_read_subnet,
    update=_update_subnet,
    delete=_delete_subnet,
    retag=retag,
)
