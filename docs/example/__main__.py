"""A shop and its back office: two services in one network, each behind a load balancer of its own."""

import pulumi

from bluegreen.components import Balancer, BalancerArgs, Network, NetworkArgs, Service, ServiceArgs, Stack
from bluegreen.program import run


def declare(stack: Stack) -> None:
    shop = stack.settings  # of the stack's config: bluegreen:ami, bluegreen:minSize, ...
    office = shop.for_service("office", min_size=1, desired_capacity=1)
    network = Network("shop", NetworkArgs.from_settings(shop, stack=stack))
    services = []
    for settings in (shop, office):
        name = settings.service
        balancer = Balancer(name, BalancerArgs.from_settings(settings, stack=stack, network=network))
        args = ServiceArgs.from_settings(settings, stack=stack, network=network, balancer=balancer)
        services.append(Service(name, args))
    stack.export(services[0])  # the one that `bluegreen deploy` is about
    pulumi.export("officeUrl", services[1].url)


run(declare)
