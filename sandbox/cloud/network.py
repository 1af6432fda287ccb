"""What moto lacks or gets wrong of networks. All seen in moto 5.2.5; an upgrade can drop what it fills.

`fill` replaces methods of moto's classes, so it is called once per process.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.vpcs import VPCEndPoint

from sandbox.cloud.moto_gaps import replace


def fill() -> None:
    _endpoints()


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
