"""NAT gateways."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from sandbox.provider.aws import MINUTE, Aws, absent, doing, first, without_none
from sandbox.provider.resources.ec2 import describe, retag
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props


def _create_nat_gateway(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating EC2 NAT Gateway"):
        made = aws.ec2.create_nat_gateway(
            **without_none(
                SubnetId=news["subnetId"],
                AllocationId=news.get("allocationId"),
                ConnectivityType=news["connectivityType"],
                PrivateIpAddress=news.get("privateIp"),
            ),
            TagSpecifications=aws.tag_specifications("natgateway", news),
        )
    return str(made["NatGateway"]["NatGatewayId"])


def _nat_gateway(aws: Aws, gateway: str) -> Any:
    missing = "NatGatewayNotFound"
    found = first(describe(aws.ec2.describe_nat_gateways, missing, NatGatewayIds=[gateway]))
    return None if found is None or found["State"] == "deleted" else found


def _settle_nat_gateway(aws: Aws, gateway: str, news: Props) -> None:
    def state() -> str:
        return str((_nat_gateway(aws, gateway) or {"State": "deleted"})["State"])

    what = f"EC2 NAT Gateway ({gateway}) create"
    with doing(aws.ec2, f"waiting for {what}"):
        aws.wait(what, "available", state, timeout=aws.timeout(10 * MINUTE), failing=("failed", "deleted"))


def _read_nat_gateway(aws: Aws, gateway: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading EC2 NAT Gateway ({gateway})"):
        found = _nat_gateway(aws, gateway)
    if found is None:
        return None
    address = first(found.get("NatGatewayAddresses", [])) or {}
    return {
        "subnetId": found["SubnetId"],
        "connectivityType": found.get("ConnectivityType"),
        "allocationId": address.get("AllocationId"),
        "associationId": address.get("AssociationId"),
        "networkInterfaceId": address.get("NetworkInterfaceId"),
        "privateIp": address.get("PrivateIp"),
        "publicIp": address.get("PublicIp"),
        **aws.tag_state(found.get("Tags", [])),
    }


def _delete_nat_gateway(aws: Aws, gateway: str, olds: Props) -> None:
    with doing(aws.ec2, f"deleting EC2 NAT Gateway ({gateway})"), absent("NatGatewayNotFound"):
        aws.ec2.delete_nat_gateway(NatGatewayId=gateway)
        state = lambda: "deleting" if _nat_gateway(aws, gateway) else "deleted"  # noqa: E731
        what = f"EC2 NAT Gateway ({gateway}) delete"
        aws.wait(what, "deleted", state, timeout=aws.timeout(30 * MINUTE))


def _ip_fault(name: str, value: str) -> str | None:
    try:
        IPv4Address(value)
    except ValueError:
        return f"expected {name} to contain a valid IPv4 address, got: {value}"
    return None


def _address_of_a_public_one(inputs: Props) -> tuple[str, str] | None:
    if inputs.get("connectivityType") == "private" and inputs.get("allocationId"):
        return "allocationId", 'allocation_id is not supported with connectivity_type = "private"'
    return None


NAT_GATEWAY = ResourceType(
    token="aws:ec2/natGateway:NatGateway",
    properties={
        "subnetId": text(required=True, replaces=True),
        "allocationId": text(replaces=True),
        "connectivityType": text(default="public", replaces=True, choices=("private", "public")),
        "privateIp": text(computed=True, replaces=True, refuses=_ip_fault),
        "associationId": output(),
        "networkInterfaceId": output(),
        "publicIp": output(),
        **TAGS,
    },
    refused=names(
        "availabilityMode availabilityZoneAddresses secondaryAllocationIds secondaryPrivateIpAddressCount "
        "secondaryPrivateIpAddresses vpcId"
    ),
    rules=(_address_of_a_public_one,),
    create=_create_nat_gateway,
    settle=_settle_nat_gateway,
    read=_read_nat_gateway,
    delete=_delete_nat_gateway,
    retag=retag,
)
