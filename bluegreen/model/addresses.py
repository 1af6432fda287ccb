"""The subnets of a VPC, computed from its one CIDR: `AddressPlan`. Pure.

The layout depends on the VPC's size alone and never on the number of zones, so that a stack that gains a zone keeps
the subnets that it has.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from bluegreen.errors import BluegreenError

ANYWHERE, ANYWHERE_IPV6 = "0.0.0.0/0", "::/0"

LARGEST_VPC_PREFIX = 16
"""AWS: a VPC is a /16 at the most."""
SMALLEST_BALANCER_PREFIX = 27
"""AWS: each subnet of an Application Load Balancer is a /27 at the least, with 8 free addresses."""
RESERVED_ADDRESSES = 5
"""AWS keeps the first four addresses and the last one of each subnet."""

NO_HOSTS = tuple(
    ipaddress.IPv4Network(each) for each in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
)
"""No machine can have an address of these (RFC 6890: this network, loopback, link local, reserved; RFC 5771:
multicast), so AWS makes no VPC of them."""


class AddressPlanError(BluegreenError):
    """The CIDR has no room for the zones, or AWS takes no VPC of its size."""


@dataclass(frozen=True)
class AddressPlan:
    """Public and private subnets, one of each per zone.

    The lower half of the VPC is public, the upper one private. Each half has room for eight zones, or for four in a
    /24, the smallest VPC that two zones fit in. Raises AddressPlanError.
    """

    vpc_cidr: str
    zones: int

    def __post_init__(self) -> None:
        prefix = self._vpc.prefixlen
        if prefix < LARGEST_VPC_PREFIX:
            raise AddressPlanError(
                f"{self.vpc_cidr} is too large: AWS takes a VPC of /{LARGEST_VPC_PREFIX} at the most"
            )
        if taken := [each for each in NO_HOSTS if each.overlaps(self._vpc)]:
            raise AddressPlanError(
                f"{self.vpc_cidr} is in {taken[0]}, whose addresses no machine can have; take one of 10.0.0.0/8, "
                "172.16.0.0/12 or 192.168.0.0/16"
            )
        if self._subnet_prefix > SMALLEST_BALANCER_PREFIX:
            raise AddressPlanError(
                f"{self.vpc_cidr} is too small: a load balancer's subnets are /{SMALLEST_BALANCER_PREFIX} at the "
                "least, so the VPC is a /24 or larger"
            )
        if self.zones > self._zones_at_most:
            raise AddressPlanError(
                f"{self.vpc_cidr} is too small for {self.zones} zones: a /{prefix} has room for {self._zones_at_most}, "
                "a /23 for 8"
            )

    @property
    def public(self) -> tuple[str, ...]:
        """CIDRs of the public subnets, one per zone."""
        return self._subnets(0)

    @property
    def private(self) -> tuple[str, ...]:
        """CIDRs of the private subnets, one per zone."""
        return self._subnets(self._zones_at_most)

    @property
    def private_addresses(self) -> int:
        """How many machines the private subnets can hold."""
        return sum(self.addresses_of(cidr) for cidr in self.private)

    @staticmethod
    def addresses_of(subnet: str) -> int:
        """How many of a subnet's (CIDR) are for use."""
        return ipaddress.IPv4Network(subnet).num_addresses - RESERVED_ADDRESSES

    @property
    def _vpc(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.vpc_cidr)

    @property
    def _zones_at_most(self) -> int:
        return 8 if self._vpc.prefixlen <= 23 else 4

    @property
    def _subnet_prefix(self) -> int:
        return self._vpc.prefixlen + (2 * self._zones_at_most).bit_length() - 1

    def _subnets(self, first: int) -> tuple[str, ...]:
        blocks = list(self._vpc.subnets(new_prefix=self._subnet_prefix))
        return tuple(str(block) for block in blocks[first : first + self.zones])


def ipv6_subnet(block: str, number: int) -> str:
    """One of the networks of /64, the only size that AWS takes for a subnet, in the /56 that a VPC has."""
    return str(list(ipaddress.IPv6Network(block).subnets(new_prefix=64))[number])
