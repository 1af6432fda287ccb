"""Components for any Pulumi program: a network, a load balancer in it, services behind it. docs/library.md."""

from bluegreen.components.balancer import Balancer, BalancerArgs
from bluegreen.components.consul_servers import ConsulServers, ConsulServersArgs
from bluegreen.components.network import Network, NetworkArgs
from bluegreen.components.service import Service, ServiceArgs
from bluegreen.components.stack import Stack

__all__ = [
    "Balancer",
    "BalancerArgs",
    "ConsulServers",
    "ConsulServersArgs",
    "Network",
    "NetworkArgs",
    "Service",
    "ServiceArgs",
    "Stack",
]
