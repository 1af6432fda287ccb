"""VPCs."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, doing, first
from sandbox.provider.resources.ec2 import cidr_fault, delete, describe, retag, where
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    boolean,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props


def _create_vpc(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating EC2 VPC"):
        made = aws.ec2.create_vpc(
            CidrBlock=news["cidrBlock"],
            InstanceTenancy=news["instanceTenancy"],
            AmazonProvidedIpv6CidrBlock=bool(news.get("assignGeneratedIpv6CidrBlock")),
            TagSpecifications=aws.tag_specifications("vpc", news),
        )
    return str(made["Vpc"]["VpcId"])


# argument -> (name in ModifyVpcAttribute, value that a new VPC has)
_VPC_ATTRIBUTES: Final = {
    "enableDnsSupport": ("EnableDnsSupport", True),
    "enableDnsHostnames": ("EnableDnsHostnames", False),
    "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", False),
}


def _settle_vpc(aws: Aws, vpc: str, news: Props) -> None:
    if news.get("assignGeneratedIpv6CidrBlock"):
        _wait_for_ipv6(aws, vpc)
    for name, (_, initial) in _VPC_ATTRIBUTES.items():
        if news.get(name, initial) != initial:
            _set_vpc_attribute(aws, "creating EC2 VPC", vpc, name, news[name])


def _set_vpc_attribute(aws: Aws, what: str, vpc: str, name: str, value: bool) -> None:
    attribute = _VPC_ATTRIBUTES[name][0]
    with doing(aws.ec2, f"{what}: modifying {attribute}"):
        aws.ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": value}})


def _ipv6(found: Any) -> Any:
    """The block that AWS gave the VPC, on its way or there."""
    held = [it for it in found.get("Ipv6CidrBlockAssociationSet", []) if it.get("Ipv6Pool", "Amazon") == "Amazon"]
    return first([it for it in held if it["Ipv6CidrBlockState"]["State"] in ("associating", "associated")])


def _wait_for_ipv6(aws: Aws, vpc: str) -> None:
    def state() -> str:
        block = _ipv6(describe(aws.ec2.describe_vpcs, VpcIds=[vpc])[0])
        return str(block["Ipv6CidrBlockState"]["State"]) if block else "disassociated"

    what = f"EC2 VPC ({vpc}) IPv6 CIDR block"
    with doing(aws.ec2, f"waiting for {what}"):
        aws.wait(what, "associated", state, timeout=5 * MINUTE)


def _change_ipv6(aws: Aws, vpc: str, wanted: bool) -> None:
    with doing(aws.ec2, f"updating EC2 VPC ({vpc})"):
        block = _ipv6(describe(aws.ec2.describe_vpcs, VpcIds=[vpc])[0])
        if wanted and block is None:
            aws.ec2.associate_vpc_cidr_block(VpcId=vpc, AmazonProvidedIpv6CidrBlock=True)
        if block and not wanted:
            aws.ec2.disassociate_vpc_cidr_block(AssociationId=block["AssociationId"])
    if wanted:
        _wait_for_ipv6(aws, vpc)


def _read_vpc(aws: Aws, vpc: str, known: Props) -> Props | None:
    ec2 = aws.ec2
    with doing(ec2, f"reading EC2 VPC ({vpc})"):
        found = first(describe(ec2.describe_vpcs, "InvalidVpcID.NotFound", VpcIds=[vpc]))
        if found is None:
            return None
        main = first(
            describe(ec2.describe_route_tables, Filters=where("vpc-id", vpc) + where("association.main", "true"))
        )
        acl = first(describe(ec2.describe_network_acls, Filters=where("vpc-id", vpc) + where("default", "true")))
        group = first(
            describe(ec2.describe_security_groups, Filters=where("vpc-id", vpc) + where("group-name", "default"))
        )
        block = _ipv6(found)
        attributes = {name: known.get(name, initial) for name, (_, initial) in _VPC_ATTRIBUTES.items()}
        if not aws.has_just_written:
            attributes = {name: _vpc_attribute(aws, vpc, asked) for name, (asked, _) in _VPC_ATTRIBUTES.items()}
    return {
        "arn": aws.arn("ec2", found["OwnerId"], f"vpc/{vpc}"),
        "ownerId": found["OwnerId"],
        "cidrBlock": found["CidrBlock"],
        "assignGeneratedIpv6CidrBlock": True if block else None,
        "ipv6CidrBlock": block["Ipv6CidrBlock"] if block else "",
        "ipv6AssociationId": block["AssociationId"] if block else "",
        "instanceTenancy": found["InstanceTenancy"],
        "dhcpOptionsId": found.get("DhcpOptionsId"),
        "mainRouteTableId": main and main["RouteTableId"],
        "defaultRouteTableId": main and main["RouteTableId"],
        "defaultNetworkAclId": acl and acl["NetworkAclId"],
        "defaultSecurityGroupId": group and group["GroupId"],
        **attributes,
        **aws.tag_state(found.get("Tags", [])),
    }


def _vpc_attribute(aws: Aws, vpc: str, attribute: str) -> bool:
    asked = attribute[0].lower() + attribute[1:]
    return bool(aws.ec2.describe_vpc_attribute(VpcId=vpc, Attribute=asked)[attribute]["Value"])


def _update_vpc(aws: Aws, vpc: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    what = f"updating EC2 VPC ({vpc})"
    if "assignGeneratedIpv6CidrBlock" in changed:
        _change_ipv6(aws, vpc, bool(news.get("assignGeneratedIpv6CidrBlock")))
    for name in _VPC_ATTRIBUTES:
        if name in changed:
            _set_vpc_attribute(aws, what, vpc, name, news[name])
    if "instanceTenancy" in changed:
        with doing(aws.ec2, f"{what}: modifying Tenancy"):
            aws.ec2.modify_vpc_tenancy(VpcId=vpc, InstanceTenancy=news["instanceTenancy"])


def _cidr_fault(name: str, value: str) -> str | None:
    if reason := cidr_fault(name, value):
        return reason
    if not 16 <= int(value.partition("/")[2]) <= 28:
        between = "between 16 and 28 significant bits"
        return f'expected "{name}" to contain a network Value with {between}, got: {value.partition("/")[2]}'
    return None


def _tenancy_replaces(state: Props, inputs: Props) -> frozenset[str]:
    """AWS only ever lets dedicated tenancy be given up."""
    is_given_up = (state.get("instanceTenancy"), inputs.get("instanceTenancy")) == ("dedicated", "default")
    return frozenset() if is_given_up else frozenset({"instanceTenancy"})


def _delete_vpc(aws: Aws, vpc: str, olds: Props) -> None:
    call = partial(aws.ec2.delete_vpc, VpcId=vpc)
    delete(aws, f"EC2 VPC ({vpc})", call, "InvalidVpcID.NotFound", timeout=5 * MINUTE)


VPC = ResourceType(
    token="aws:ec2/vpc:Vpc",
    properties={
        "cidrBlock": text(required=True, replaces=True, refuses=_cidr_fault),
        "instanceTenancy": text(default="default", choices=("default", "dedicated")),
        "enableDnsHostnames": boolean(computed=True),
        "enableDnsSupport": boolean(default=True),
        "enableNetworkAddressUsageMetrics": boolean(computed=True),
        "assignGeneratedIpv6CidrBlock": boolean(),
        "ipv6AssociationId": output(),
        "ipv6CidrBlock": output(),
        "arn": output(),
        "ownerId": output(),
        "dhcpOptionsId": output(),
        "mainRouteTableId": output(),
        "defaultRouteTableId": output(),
        "defaultNetworkAclId": output(),
        "defaultSecurityGroupId": output(),
        **TAGS,
    },
    refused=names(
        "ipv4IpamPoolId ipv4NetmaskLength ipv6CidrBlock ipv6CidrBlockNetworkBorderGroup ipv6IpamPoolId "
        "ipv6NetmaskLength"
    ),
    create=_create_vpc,
    settle=_settle_vpc,
    read=_read_vpc,
    update=_update_vpc,
    delete=_delete_vpc,
    also_replaces=_tenancy_replaces,
    recomputes=lambda changed, news: (
        frozenset({"ipv6AssociationId", "ipv6CidrBlock"})
        if "assignGeneratedIpv6CidrBlock" in changed
        else frozenset[str]()
    ),
    retag=retag,
)
