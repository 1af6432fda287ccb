"""VPC endpoints: gateways, which are routes to a service, and interfaces, which are addresses of it."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, doing, first, without_none
from sandbox.provider.resources.ec2 import describe, retag, where
from sandbox.provider.table import TAGS, Kind, ResourceType, boolean, names, output, text, text_set
from sandbox.provider.wire import Props

_GONE: Final = "InvalidVpcEndpointId.NotFound"
_MEMBERS: Final = {
    "routeTableIds": "RouteTableIds",
    "subnetIds": "SubnetIds",
    "securityGroupIds": "SecurityGroupIds",
}


def _create(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, f"creating EC2 VPC Endpoint ({news.get('serviceName')})"):
        made = aws.ec2.create_vpc_endpoint(
            VpcId=news["vpcId"],
            VpcEndpointType=news["vpcEndpointType"],
            PrivateDnsEnabled=bool(news.get("privateDnsEnabled")),
            **without_none(ServiceName=news.get("serviceName")),
            **{asked: news[name] for name, asked in _MEMBERS.items() if news.get(name)},
            TagSpecifications=aws.tag_specifications("vpc-endpoint", news),
        )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def _endpoint(aws: Aws, endpoint: str) -> Any:
    found = first(describe(aws.ec2.describe_vpc_endpoints, _GONE, VpcEndpointIds=[endpoint]))
    return None if found is None or found["State"].lower() == "deleted" else found


def _settle(aws: Aws, endpoint: str, news: Props) -> None:
    def state() -> str:
        return str((_endpoint(aws, endpoint) or {"State": "deleted"})["State"]).lower()

    what = f"EC2 VPC Endpoint ({news.get('serviceName')}) create"
    with doing(aws.ec2, f"waiting for {what}"):
        aws.wait(what, "available", state, timeout=aws.timeout(10 * MINUTE), failing=("failed", "rejected", "deleted"))


def _read(aws: Aws, endpoint: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading VPC Endpoint ({endpoint})"):
        found = _endpoint(aws, endpoint)
        if found is None:
            return None
        service = found["ServiceName"]
        prefixes = first(aws.ec2.describe_prefix_lists(Filters=where("prefix-list-name", service))["PrefixLists"])
        account = found.get("OwnerId") or aws.clients.account()
    return {
        "arn": aws.arn("ec2", account, f"vpc-endpoint/{endpoint}"),
        "ownerId": account,
        "vpcId": found["VpcId"],
        "serviceName": service,
        "vpcEndpointType": found["VpcEndpointType"],
        "state": found["State"].lower(),
        "privateDnsEnabled": found.get("PrivateDnsEnabled", False),
        "requesterManaged": found.get("RequesterManaged", False),
        "routeTableIds": found.get("RouteTableIds", []),
        "subnetIds": found.get("SubnetIds", []),
        "securityGroupIds": [group["GroupId"] for group in found.get("Groups", [])],
        "networkInterfaceIds": found.get("NetworkInterfaceIds", []),
        "dnsEntries": [
            {"dnsName": line["DnsName"], "hostedZoneId": line["HostedZoneId"]} for line in found.get("DnsEntries", [])
        ],
        "cidrBlocks": prefixes.get("Cidrs", []) if prefixes else [],
        "prefixListId": prefixes["PrefixListId"] if prefixes else "",
        **aws.tag_state(found.get("Tags", [])),
    }


def _update(aws: Aws, endpoint: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    asked: dict[str, Any] = {}
    for name, member in _MEMBERS.items():
        if name in changed:
            before, after = set(olds.get(name) or ()), set(news.get(name) or ())
            asked |= {f"Add{member}": sorted(after - before), f"Remove{member}": sorted(before - after)}
    if "privateDnsEnabled" in changed:
        asked["PrivateDnsEnabled"] = bool(news.get("privateDnsEnabled"))
    asked = {name: value for name, value in asked.items() if value != []}
    if asked:
        with doing(aws.ec2, f"updating EC2 VPC Endpoint ({endpoint})"):
            aws.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, **asked)


def _delete(aws: Aws, endpoint: str, olds: Props) -> None:
    what = f"EC2 VPC Endpoint ({endpoint}) delete"
    with doing(aws.ec2, f"deleting EC2 VPC Endpoint ({endpoint})"):
        if _endpoint(aws, endpoint) is None:
            return
        aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        state = lambda: "deleting" if _endpoint(aws, endpoint) else "deleted"  # noqa: E731
        aws.wait(what, "deleted", state, timeout=aws.timeout(10 * MINUTE))


def _dns_replaces(state: Props, inputs: Props) -> frozenset[str]:
    """Only an interface can change its mind about private DNS."""
    is_interface = state.get("vpcEndpointType") == "Interface"
    return frozenset() if is_interface else frozenset({"privateDnsEnabled"})


VPC_ENDPOINT = ResourceType(
    token="aws:ec2/vpcEndpoint:VpcEndpoint",
    properties={
        "vpcId": text(required=True, replaces=True),
        "serviceName": text(required=True, replaces=True),
        "vpcEndpointType": text(
            default="Gateway",
            replaces=True,
            choices=("Gateway", "GatewayLoadBalancer", "Interface", "Resource", "ServiceNetwork"),
            only=("Gateway", "Interface"),
        ),
        "privateDnsEnabled": boolean(computed=True),
        "routeTableIds": text_set(computed=True),
        "subnetIds": text_set(computed=True),
        "securityGroupIds": text_set(computed=True),
        "arn": output(),
        "cidrBlocks": output(Kind.LIST),
        "dnsEntries": output(Kind.LIST),
        "networkInterfaceIds": output(Kind.SET),
        "ownerId": output(),
        "prefixListId": output(),
        "requesterManaged": output(Kind.BOOLEAN),
        "state": output(),
        **TAGS,
    },
    refused=names(
        "autoAccept dnsOptions ipAddressType policy resourceConfigurationArn serviceNetworkArn serviceRegion "
        "subnetConfigurations"
    ),
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
    retag=retag,
    also_replaces=_dns_replaces,
    recomputes=lambda changed, news: (
        frozenset({"networkInterfaceIds"}) if changed & {"subnetIds"} else frozenset[str]()
    ),
)
