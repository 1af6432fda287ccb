"""Route tables, their routes and their associations with subnets. Routes inside a route table are refused."""

from __future__ import annotations

import zlib
from functools import partial
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, OperationFailed, absent, doing, first
from sandbox.provider.resources.ec2 import cidr_fault, describe, retag, where
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    exactly_one_of,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props


def _create_route_table(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating Route Table"):
        tags = aws.tag_specifications("route-table", news)
        made = aws.ec2.create_route_table(VpcId=news["vpcId"], TagSpecifications=tags)
    return str(made["RouteTable"]["RouteTableId"])


def _route_table(aws: Aws, table: str) -> Any:
    return first(describe(aws.ec2.describe_route_tables, "InvalidRouteTableID.NotFound", RouteTableIds=[table]))


def _read_route_table(aws: Aws, table: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading Route Table ({table})"):
        found = _route_table(aws, table)
    if found is None:
        return None
    return {
        "arn": aws.arn("ec2", found["OwnerId"], f"route-table/{table}"),
        "ownerId": found["OwnerId"],
        "vpcId": found["VpcId"],
        **aws.tag_state(found.get("Tags", [])),
    }


def _delete_route_table(aws: Aws, table: str, olds: Props) -> None:
    """Takes it off its subnets first, whoever put it there."""
    with doing(aws.ec2, f"deleting Route Table ({table})"):
        found = _route_table(aws, table)
        associations = found["Associations"] if found else []
    for association in (line["RouteTableAssociationId"] for line in associations):
        what = f"deleting Route Table ({table}): deleting Route Table Association ({association})"
        with doing(aws.ec2, what), absent("InvalidAssociationID.NotFound"):
            aws.ec2.disassociate_route_table(AssociationId=association)
    with doing(aws.ec2, f"deleting Route Table ({table})"), absent("InvalidRouteTableID.NotFound"):
        aws.ec2.delete_route_table(RouteTableId=table)


ROUTE_TABLE = ResourceType(
    token="aws:ec2/routeTable:RouteTable",
    properties={"vpcId": text(required=True, replaces=True), "arn": output(), "ownerId": output(), **TAGS},
    refused=names("routes propagatingVgws"),
    create=_create_route_table,
    read=_read_route_table,
    delete=_delete_route_table,
    retag=retag,
)


_ROUTE_TARGETS: Final = {
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
}
_DESTINATIONS: Final = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
}


def _destination(route: Props) -> dict[str, Any]:
    return {asked: route[name] for name, asked in _DESTINATIONS.items() if route.get(name)}


def _table_and_destination(route: Props) -> tuple[str, str]:
    (destination,) = _destination(route).values()
    return route["routeTableId"], destination


def _route_arguments(news: Props) -> dict[str, Any]:
    return {
        "RouteTableId": news["routeTableId"],
        **_destination(news),
        **{asked: news[name] for name, asked in _ROUTE_TARGETS.items() if name in news},
    }


def _create_route(aws: Aws, news: Props) -> str:
    table, destination = _table_and_destination(news)
    what = f"Route in Route Table ({table}) with destination ({destination})"
    with doing(aws.ec2, f"creating {what}"):
        # A gateway made a moment ago may not be visible to the routes yet.
        codes = ("InvalidTransitGatewayID.NotFound", "InvalidGatewayID.NotFound", "InvalidNatGatewayID.NotFound")
        call = partial(aws.ec2.create_route, **_route_arguments(news))
        aws.retry(f"{what} create", codes, call, timeout=aws.timeout(5 * MINUTE))
    return _route_id(table, destination)


def _route_id(table: str, destination: str) -> str:
    return f"r-{table}{zlib.crc32(destination.encode())}"


def _locate_route(aws: Aws, given: str) -> tuple[str, Props]:
    table, _, destination = given.partition("_")
    if not table or not destination:
        raise OperationFailed(f'unexpected format of ID ("{given}"), expected ROUTETABLEID_DESTINATION')
    return _route_id(table, destination), {
        "routeTableId": table,
        "destinationIpv6CidrBlock" if ":" in destination else "destinationCidrBlock": destination,
    }


def _read_route(aws: Aws, route: str, known: Props) -> Props | None:
    table, destination = _table_and_destination(known)
    with doing(aws.ec2, f"reading Route in Route Table ({table}) with destination ({destination})"):
        found = _route_table(aws, table)
    routes = found["Routes"] if found else []
    line = first([line for line in routes if _destination(known).items() <= line.items()])
    if line is None:
        return None
    return {
        "routeTableId": table,
        **{name: line.get(asked) or None for name, asked in _DESTINATIONS.items()},
        "origin": line.get("Origin"),
        "state": line.get("State"),
        **{name: line.get(asked) for name, asked in _ROUTE_TARGETS.items()},
    }


def _update_route(aws: Aws, route: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed & set(_ROUTE_TARGETS):
        table, destination = _table_and_destination(news)
        with doing(aws.ec2, f"updating Route in Route Table ({table}) with destination ({destination})"):
            aws.ec2.replace_route(**_route_arguments(news))


def _delete_route(aws: Aws, route: str, olds: Props) -> None:
    table, destination = _table_and_destination(olds)
    with (
        doing(aws.ec2, f"deleting Route in Route Table ({table}) with destination ({destination})"),
        absent("InvalidRoute.NotFound", "InvalidRouteTableID.NotFound"),
    ):
        aws.ec2.delete_route(RouteTableId=table, **_destination(olds))


ROUTE = ResourceType(
    token="aws:ec2/route:Route",
    properties={
        "routeTableId": text(required=True, replaces=True),
        "destinationCidrBlock": text(replaces=True, refuses=cidr_fault),
        "destinationIpv6CidrBlock": text(replaces=True, refuses=partial(cidr_fault, version=6)),
        "egressOnlyGatewayId": text(conflicts_with=("destinationCidrBlock",)),
        "gatewayId": text(),
        "natGatewayId": text(),
        "networkInterfaceId": text(computed=True),
        "origin": output(),
        "state": output(),
    },
    refused=names(
        "carrierGatewayId coreNetworkArn destinationPrefixListId localGatewayId odbNetworkArn transitGatewayId "
        "vpcEndpointId vpcPeeringConnectionId"
    ),
    rules=(exactly_one_of(*_DESTINATIONS), exactly_one_of(*_ROUTE_TARGETS)),
    create=_create_route,
    read=_read_route,
    update=_update_route,
    delete=_delete_route,
    locate=_locate_route,
)


def _create_association(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, f"creating Route Table ({news['routeTableId']}) Association"):
        made = aws.ec2.associate_route_table(RouteTableId=news["routeTableId"], SubnetId=news["subnetId"])
    return str(made["AssociationId"])


def _find_association(aws: Aws, known: Props) -> Any:
    """By subnet, which has at most one: another table gives the association an id that the state doesn't have."""
    tables = describe(aws.ec2.describe_route_tables, Filters=where("association.subnet-id", known["subnetId"]))
    associations = [line for table in tables for line in table["Associations"]]
    return first([line for line in associations if line.get("SubnetId") == known["subnetId"]])


def _locate_association(aws: Aws, given: str) -> tuple[str, Props]:
    subnet, _, table = given.partition("/")
    if not subnet or not table:
        raise OperationFailed(f"Unexpected format for import: {given}. Use 'subnet ID/route table ID'")
    known = {"subnetId": subnet, "routeTableId": table}
    found = _find_association(aws, known)
    if found is None or found["RouteTableId"] != table:
        raise OperationFailed(f"No association found between route table ID {table} and target ID {subnet}")
    return str(found["RouteTableAssociationId"]), known


def _read_association(aws: Aws, association: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading Route Table Association ({association})"):
        found = _find_association(aws, known)
    return found and {"routeTableId": found["RouteTableId"], "subnetId": found["SubnetId"]}


def _update_association(aws: Aws, association: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "routeTableId" in changed:
        with doing(aws.ec2, f"updating Route Table Association ({association})"):
            live = _find_association(aws, olds)["RouteTableAssociationId"]
            aws.ec2.replace_route_table_association(AssociationId=live, RouteTableId=news["routeTableId"])


def _delete_association(aws: Aws, association: str, olds: Props) -> None:
    with (
        doing(aws.ec2, f"deleting Route Table Association ({association})"),
        absent("InvalidAssociationID.NotFound"),
    ):
        if live := _find_association(aws, olds):
            aws.ec2.disassociate_route_table(AssociationId=live["RouteTableAssociationId"])


ROUTE_TABLE_ASSOCIATION = ResourceType(
    token="aws:ec2/routeTableAssociation:RouteTableAssociation",
    properties={"routeTableId": text(required=True), "subnetId": text(required=True, replaces=True)},
    refused=names("gatewayId"),
    create=_create_association,
    read=_read_association,
    update=_update_association,
    delete=_delete_association,
    locate=_locate_association,
)
