"""Network interfaces that outlive instances, with addresses of IPv4."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, absent, doing, first, without_none
from sandbox.provider.resources.ec2 import describe, retag
from sandbox.provider.table import TAGS, ResourceType, boolean, names, output, text, text_set
from sandbox.provider.wire import Props

_GONE: Final = "InvalidNetworkInterfaceID.NotFound"


def _create(aws: Aws, news: Props) -> str:
    addresses = [
        {"PrivateIpAddress": address, "Primary": number == 0}
        for number, address in enumerate(news.get("privateIps") or [])
    ]
    with doing(aws.ec2, "creating EC2 Network Interface"):
        made = aws.ec2.create_network_interface(
            SubnetId=news["subnetId"],
            **without_none(
                Description=news.get("description"),
                Groups=news.get("securityGroups"),
                PrivateIpAddresses=addresses or None,
            ),
            TagSpecifications=aws.tag_specifications("network-interface", news),
        )
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def _interface(aws: Aws, interface: str) -> Any:
    return first(describe(aws.ec2.describe_network_interfaces, _GONE, NetworkInterfaceIds=[interface]))


def _settle(aws: Aws, interface: str, news: Props) -> None:
    def state() -> str:
        return str((_interface(aws, interface) or {"Status": "pending"})["Status"])

    what = f"EC2 Network Interface ({interface}) create"
    with doing(aws.ec2, f"waiting for {what}"):
        aws.wait(what, "available", state, timeout=aws.timeout(10 * MINUTE))
    if not news["sourceDestCheck"]:
        _modify(aws, interface, SourceDestCheck={"Value": False})


def _modify(aws: Aws, interface: str, **attribute: Any) -> None:
    with doing(aws.ec2, f"modifying EC2 Network Interface ({interface}) {', '.join(attribute)}"):
        aws.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, **attribute)


def _read(aws: Aws, interface: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading EC2 Network Interface ({interface})"):
        found = _interface(aws, interface)
    if found is None:
        return None
    return {
        "arn": aws.arn("ec2", found["OwnerId"], f"network-interface/{interface}"),
        "description": found.get("Description"),
        "macAddress": found["MacAddress"],
        "ownerId": found["OwnerId"],
        "privateDnsName": found.get("PrivateDnsName"),
        "privateIp": found["PrivateIpAddress"],
        "privateIps": [each["PrivateIpAddress"] for each in found["PrivateIpAddresses"]],
        "securityGroups": [each["GroupId"] for each in found["Groups"]],
        "sourceDestCheck": found["SourceDestCheck"],
        "subnetId": found["SubnetId"],
        **aws.tag_state(found.get("TagSet", [])),
    }


def _update(aws: Aws, interface: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "privateIps" in changed:
        before, after = set(olds.get("privateIps") or ()), set(news.get("privateIps") or ())
        with doing(aws.ec2, f"changing EC2 Network Interface ({interface}) private IPv4 addresses"):
            for call, addresses in (
                (aws.ec2.unassign_private_ip_addresses, before - after),
                (aws.ec2.assign_private_ip_addresses, after - before),
            ):
                if addresses:
                    call(NetworkInterfaceId=interface, PrivateIpAddresses=sorted(addresses))
    if "securityGroups" in changed:
        _modify(aws, interface, Groups=news["securityGroups"])
    if "sourceDestCheck" in changed:
        _modify(aws, interface, SourceDestCheck={"Value": news["sourceDestCheck"]})
    if "description" in changed:
        _modify(aws, interface, Description={"Value": news.get("description", "")})


def _delete(aws: Aws, interface: str, olds: Props) -> None:
    with doing(aws.ec2, f"deleting EC2 Network Interface ({interface})"), absent(_GONE):
        aws.ec2.delete_network_interface(NetworkInterfaceId=interface)


def _another_primary_address(state: Props, inputs: Props) -> frozenset[str]:
    keeps = state.get("privateIp") in list(inputs.get("privateIps") or ())
    return frozenset() if keeps else frozenset({"privateIps"})


NETWORK_INTERFACE = ResourceType(
    token="aws:ec2/networkInterface:NetworkInterface",
    properties={
        "subnetId": text(required=True, replaces=True),
        "description": text(),
        "privateIps": text_set(computed=True),
        "securityGroups": text_set(computed=True),
        "sourceDestCheck": boolean(default=True),
        "arn": output(),
        "macAddress": output(),
        "ownerId": output(),
        "privateDnsName": output(),
        "privateIp": output(),
        **TAGS,
    },
    refused=names(
        "attachments connectionTrackingSpecification enaSrdSpecification enablePrimaryIpv6 interfaceType "
        "ipv4PrefixCount ipv4Prefixes ipv6AddressCount ipv6AddressListEnabled ipv6AddressLists ipv6Addresses "
        "ipv6PrefixCount ipv6Prefixes privateIp privateIpListEnabled privateIpLists privateIpsCount"
    ),
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
    retag=retag,
    also_replaces=_another_primary_address,
)
