"""What can't be deleted while something still hangs on it: subnets, security groups, an internet gateway's attachment.

Sources: EC2's API reference, "Error codes" (DependencyViolation), and its user guides for security groups and internet
gateways. AWS's words as users quote them: hashicorp/terraform-provider-aws#265, #1671.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models.instances import Instance
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.elbv2.models import FakeLoadBalancer, elbv2_backends

from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.volumes import on_their_own

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("subnets-in-use", "deletes a subnet with load balancers, instances or network interfaces in it"),
    Gap("security-groups-in-use", "deletes a security group that load balancers, instances or other groups' rules use"),
    Gap("gateways-in-use", "detaches an internet gateway from a network that still has public addresses"),
)


def fill(cloud: Cloud) -> None:
    delete_subnet, detach = SubnetBackend.delete_subnet, InternetGatewayBackend.detach_internet_gateway
    delete_group: Any = SecurityGroupBackend._delete_security_group

    @replace(SubnetBackend, "delete_subnet")
    def delete_empty_subnet(self: Any, subnet_id: str) -> Any:
        used: set[str | None] = {subnet.id for balancer in _balancers(self) for subnet in balancer.subnets}
        used |= {instance.subnet_id for instance in _instances(self)}
        used |= {gateway.subnet_id for gateway in _nat_gateways(self)}
        used |= {interface.subnet.id for interface in on_their_own(self)}
        if subnet_id in used:
            raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
        return delete_subnet(self, subnet_id)

    @replace(SecurityGroupBackend, "_delete_security_group")
    def delete_unused_group(self: Any, vpc_id: str | None, group_id: str) -> None:
        used = {each for balancer in _balancers(self) for each in balancer.security_groups or []}
        used |= {group.id for instance in _instances(self) for group in instance.security_groups}
        used |= {group.id for interface in on_their_own(self) for group in interface._group_set}
        for groups in self.groups.values():
            for group in groups.values():
                if group.id != group_id:
                    rules = (*group.ingress_rules, *group.egress_rules)
                    used |= {rule.source_group.get("GroupId") for rule in rules if rule.source_group}
        if group_id in used:
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
        delete_group(self, vpc_id, group_id)

    @replace(InternetGatewayBackend, "detach_internet_gateway")
    def detach_unused_gateway(self: Any, internet_gateway_id: str, vpc_id: str) -> None:
        mapped = any(it.vpc_id == vpc_id and it.scheme != "internal" for it in _balancers(self))
        mapped |= any(it.vpc_id == vpc_id and it.public_ip for it in _instances(self))
        mapped |= any(
            it.connectivity_type == "public" and self.get_subnet(it.subnet_id).vpc_id == vpc_id
            for it in _nat_gateways(self)
        )
        if mapped:
            raise DependencyViolationError(
                f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
                "detaching the gateway."
            )
        detach(self, internet_gateway_id, vpc_id)


def _balancers(backend: Any) -> Iterator[FakeLoadBalancer]:
    yield from elbv2_backends[backend.account_id][backend.region_name].load_balancers.values()


def _instances(backend: Any) -> Iterator[Instance]:
    return (instance for instance in backend.all_instances() if instance.state != "terminated")


def _nat_gateways(backend: Any) -> Iterator[Any]:
    return (gateway for gateway in backend.nat_gateways.values() if gateway.state != "deleted")
