"""Endpoints, IPv6 of subnets, and the images that public parameters name."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ssm.models import Parameter, SimpleSystemManagerBackend

from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

_LATEST = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"

GAPS = (
    Gap("endpoint-routes", "gives a gateway endpoint no route in a table that it gets later, nor takes one away"),
    Gap("endpoint-interfaces", "gives an interface endpoint no interface in a subnet that it gets later"),
    Gap("subnet-ipv6-state", "wraps the state of a subnet's IPv6 block in itself"),
    Gap("public-images", "names images in public parameters that it does not have"),
)


def fill(cloud: Cloud) -> None:
    _endpoints()
    _ipv6()
    _public_parameters(cloud)


def _endpoints() -> None:
    modify = VPCEndPoint.modify

    @replace(VPCEndPoint, "modify")
    def modify_all(self: VPCEndPoint, *args: Any) -> None:
        backend: Any = self.ec2_backend
        tables, subnets = list(self.route_table_ids or []), list(self.subnet_ids or [])
        modify(self, *args)
        prefixes = self.destination_prefix_list_id
        for table in set(self.route_table_ids or []) - set(tables) if prefixes else ():
            backend.create_route(table, None, gateway_id=self.id, destination_prefix_list_id=prefixes)
        for table in set(tables) - set(self.route_table_ids or []) if prefixes else ():
            backend.delete_route(table, prefixes)
        gone = [it for it in self.network_interface_ids if backend.enis[it].subnet.id not in (self.subnet_ids or [])]
        for interface in gone:
            self.network_interface_ids.remove(interface)
            del backend.enis[interface]
        for subnet in set(self.subnet_ids or []) - set(subnets):
            self.network_interface_ids.append(backend.create_network_interface(backend.get_subnet(subnet), None).id)


def _ipv6() -> None:
    def held(self: Subnet) -> list[dict[str, Any]]:
        blocks = self.ipv6_cidr_block_associations.values()
        return [it for it in blocks if it["ipv6CidrBlockState"]["State"] == "associated"]

    setattr(Subnet, "ipv6_cidr_block_association_set", property(held))  # noqa: B010 - mypy takes it for a method


def _public_parameters(cloud: Cloud) -> None:
    get = SimpleSystemManagerBackend.get_parameter

    @replace(SimpleSystemManagerBackend, "get_parameter")
    def get_parameter(self: SimpleSystemManagerBackend, name: str) -> Parameter | None:
        found = get(self, name)
        if found is None or not name.startswith(_LATEST):
            return found
        cloud.register_base_images(self.region_name)
        images: list[Any] = list(ec2_backends[self.account_id][self.region_name].amis.values())
        ours = copy.copy(found)
        ours.value = next(it.id for it in images if it.name.startswith("al2023-") and name.endswith(it.architecture))
        return ours
