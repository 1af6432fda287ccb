"""Elastic IP addresses."""

from __future__ import annotations

from sandbox.provider.aws import Aws, absent, doing, first, without_none
from sandbox.provider.resources.ec2 import describe, retag
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props


def _create_eip(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating EC2 EIP"):
        made = aws.ec2.allocate_address(
            **without_none(Domain="vpc", NetworkBorderGroup=news.get("networkBorderGroup")),
            TagSpecifications=aws.tag_specifications("elastic-ip", news),
        )
    return str(made["AllocationId"])


def _read_eip(aws: Aws, allocation: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading EC2 EIP ({allocation})"):
        missing = "InvalidAllocationID.NotFound"
        found = first(describe(aws.ec2.describe_addresses, missing, AllocationIds=[allocation]))
        if found is None:
            return None
        account = known["arn"].split(":")[4] if "arn" in known else aws.clients.account()
    address = found["PublicIp"]
    zone = "compute-1" if aws.region == "us-east-1" else f"{aws.region}.compute"
    return {
        "allocationId": allocation,
        "arn": aws.arn("ec2", account, f"elastic-ip/{allocation}"),
        "associationId": found.get("AssociationId"),
        "domain": found["Domain"],
        "instance": found.get("InstanceId"),
        "networkInterface": found.get("NetworkInterfaceId"),
        "networkBorderGroup": found.get("NetworkBorderGroup"),
        "privateIp": found.get("PrivateIpAddress"),
        "publicDns": f"ec2-{address.replace('.', '-')}.{zone}.amazonaws.com",
        "publicIp": address,
        "publicIpv4Pool": found.get("PublicIpv4Pool"),
        **aws.tag_state(found.get("Tags", [])),
    }


def _delete_eip(aws: Aws, allocation: str, olds: Props) -> None:
    if association := olds.get("associationId"):
        with doing(aws.ec2, f"disassociating EC2 EIP ({association})"), absent("InvalidAssociationID.NotFound"):
            aws.ec2.disassociate_address(AssociationId=association)
    with doing(aws.ec2, f"deleting EC2 EIP ({allocation})"), absent("InvalidAllocationID.NotFound"):
        aws.ec2.release_address(AllocationId=allocation)


EIP = ResourceType(
    token="aws:ec2/eip:Eip",
    properties={
        "domain": text(computed=True, replaces=True, choices=("vpc", "standard"), only=("vpc",)),
        "networkBorderGroup": text(computed=True, replaces=True),
        "allocationId": output(),
        "arn": output(),
        "associationId": output(),
        "privateIp": output(),
        "publicDns": output(),
        "publicIp": output(),
        **TAGS,
    },
    refused=names(
        "address associateWithPrivateIp customerOwnedIpv4Pool instance ipamPoolId networkInterface publicIpv4Pool"
    ),
    create=_create_eip,
    read=_read_eip,
    delete=_delete_eip,
    retag=retag,
)
