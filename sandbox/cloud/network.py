"""What moto lacks or gets wrong of networks. All seen in moto 5.2.5; an upgrade can drop what it fills.

`fill` replaces methods of moto's classes, so it is called once per process.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ssm.models import Parameter, SimpleSystemManagerBackend

from sandbox.cloud.moto_gaps import replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

_LATEST = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"


def fill(cloud: Cloud) -> None:
    _endpoints()
    _ipv6()
    _public_parameters(cloud)


def _endpoints() -> None:
    """moto forgets the routes of a gateway that gets another table or loses one, and the interfaces of the others."""
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
    """moto wraps the state of a subnet's block in itself."""

    def held(self: Subnet) -> list[dict[str, Any]]:
        blocks = self.ipv6_cidr_block_associations.values()
        return [it for it in blocks if it["ipv6CidrBlockState"]["State"] == "associated"]

    setattr(Subnet, "ipv6_cidr_block_association_set", property(held))  # noqa: B010 - mypy takes it for a method


def _public_parameters(cloud: Cloud) -> None:
    """moto's name images that it does not have."""
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
