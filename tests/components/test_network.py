"""The network that the program declares: what is in it, and what each of its settings changes."""

from __future__ import annotations

from typing import Any

from tests.components.conftest import Declared


def names(declared: Declared) -> set[tuple[str, str]]:
    return {(each.typ.rsplit(":", 1)[-1], each.name) for each in declared.resources}


def test_the_vpc_s_own_security_group_lets_nothing_through(declare: Any) -> None:
    group = declare().one("DefaultSecurityGroup")
    assert group["vpcId"] == "Vpc-web"
    assert not {"ingress", "egress"} & set(group)


def test_s3_is_reached_from_every_subnet_by_a_route_of_its_own(declare: Any) -> None:
    declared = declare(zones="3", nat="none")
    endpoint = declared.one("VpcEndpoint", "web-s3")
    assert (endpoint["serviceName"], endpoint["vpcEndpointType"]) == ("com.amazonaws.us-east-1.s3", "Gateway")
    tables = ["web-public", *(f"web-private-{zone}" for zone in range(3))]
    assert endpoint["routeTableIds"] == [f"RouteTable-{name}" for name in tables]
    (request,) = [each for name, each in declared.requests.items() if name.startswith("Group web-")]
    assert any(urn.endswith("VpcEndpoint::web-s3") for urn in request.dependencies), "machines start with their way out"
