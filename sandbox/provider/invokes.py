"""The data sources that the program asks: region, caller, availability zones, parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.provider.aws import Aws, doing
from sandbox.provider.table import Kind, Property, block, boolean, names, text, text_set
from sandbox.provider.wire import Props


@dataclass(frozen=True)
class Invoke:
    token: str
    arguments: Mapping[str, Property]
    refused: frozenset[str]
    ask: Callable[[Aws, Props], Props]


def _zones(aws: Aws, arguments: Props) -> Props:
    asked: dict[str, Any] = {"AllAvailabilityZones": arguments.get("allAvailabilityZones", False)}
    filters = [{"Name": line["name"], "Values": line["values"]} for line in arguments.get("filters", [])]
    if state := arguments.get("state"):
        filters.append({"Name": "state", "Values": [state]})
    if filters:
        asked["Filters"] = filters
    with doing(aws.ec2, "fetching Availability Zones"):
        zones = aws.ec2.describe_availability_zones(**asked)["AvailabilityZones"]
    kept = sorted(
        (
            zone
            for zone in zones
            if zone["ZoneName"] not in arguments.get("excludeNames", [])
            and zone["ZoneId"] not in arguments.get("excludeZoneIds", [])
        ),
        key=lambda zone: zone["ZoneName"],
    )
    return {
        **arguments,
        "id": aws.region,
        "region": aws.region,
        "names": [zone["ZoneName"] for zone in kept],
        "zoneIds": [zone["ZoneId"] for zone in kept],
        "groupNames": sorted({zone["GroupName"] for zone in kept if "GroupName" in zone}),
    }


def _region(aws: Aws, arguments: Props) -> Props:
    return {
        "id": aws.region,
        "name": aws.region,
        "region": aws.region,
        "endpoint": f"ec2.{aws.region}.amazonaws.com",
        "description": aws.clients.region_description(),
    }


def _caller(aws: Aws, arguments: Props) -> Props:
    with doing(aws.sts, "reading STS Caller Identity"):
        caller = aws.sts.get_caller_identity()
    return {"id": caller["Account"], "accountId": caller["Account"], "arn": caller["Arn"], "userId": caller["UserId"]}


def _parameter(aws: Aws, arguments: Props) -> Props:
    name = arguments["name"]
    with doing(aws.ssm, f"reading SSM Parameter ({name})"):
        found = aws.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    return {
        "arn": found["ARN"],
        "id": name,
        "name": name,
        "region": aws.region,
        "type": found["Type"],
        "value": found["Value"],
        "insecureValue": found["Value"],
        "version": found["Version"],
    }


_FILTER: Final = block({"name": text(required=True), "values": text_set(required=True)})

INVOKES: Final = {
    invoke.token: invoke
    for invoke in (
        Invoke(
            "aws:index/getAvailabilityZones:getAvailabilityZones",
            {
                "allAvailabilityZones": boolean(),
                "excludeNames": text_set(),
                "excludeZoneIds": text_set(),
                "filters": Property(kind=Kind.SET, items=_FILTER),
                "state": text(choices=("available", "information", "impaired", "unavailable", "constrained")),
            },
            frozenset(),
            _zones,
        ),
        Invoke("aws:ssm/getParameter:getParameter", {"name": text(required=True)}, names("withDecryption"), _parameter),
        Invoke("aws:index/getRegion:getRegion", {}, frozenset({"endpoint", "id", "name"}), _region),
        Invoke("aws:index/getCallerIdentity:getCallerIdentity", {}, frozenset({"id"}), _caller),
    )
}
