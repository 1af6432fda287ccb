"""A sharded cluster of MongoDB: three config servers, two shards of three, and two routers. docs/stateful.md."""

import pulumi

from bluegreen.components import Network, NetworkArgs, Stack, StatefulTier, StatefulTierArgs
from bluegreen.model.addresses import AddressPlan
from bluegreen.model.nat import Nat
from bluegreen.model.stateful import Member
from bluegreen.program import run

config = pulumi.Config()
SETS = {"config": ("mongodb_config", 20), "shard-1": ("mongodb_shard", 200), "shard-2": ("mongodb_shard", 200)}
PLAN = AddressPlan(vpc_cidr="10.20.0.0/16", zones=3)
PREFIXES = [subnet.rpartition(".")[0] for subnet in PLAN.private]


def members() -> list[Member]:
    """One of each set in each zone, always at the same address."""
    sets = config.get_object("sets") or list(SETS)
    released = config.get_object("released") or []
    of_sets = [
        Member(
            name=f"{name}-{zone}",
            role=SETS[name][0],
            set=name,
            address=f"{PREFIXES[number]}.{10 + list(SETS).index(name)}",
            size_gb=config.get_int("sizeGb") or SETS[name][1],
            is_protected=f"{name}-{zone}" not in released,
        )
        for name in sets
        for number, zone in enumerate("abc")
    ]
    routers = [
        Member(
            name=f"router-{zone}",
            role="mongodb_router",
            address=f"{PREFIXES[number]}.20",
            size_gb=1,
            is_protected=False,
        )
        for number, zone in enumerate("ab")
    ]
    return [each for each in (*of_sets, *routers) if each.name not in (config.get_object("without") or [])]


def declare(stack: Stack) -> None:
    nat = Nat(config.get("nat") or Nat.SINGLE)  # packages come from the internet
    network = Network("mongodb", NetworkArgs(plan=PLAN, nat=nat, endpoints=config.get_object("endpoints") or []))
    tier = StatefulTier(
        "mongodb",
        StatefulTierArgs(
            stack=stack,
            network=network,
            members=members(),
            image=config.require("image"),
            instance_type=config.get("instanceType") or "m6i.large",
            key_pair=config.get("keyPair") or "",
            renew=config.get_object("renew") or [],
            ports=[27017, 27018, 27019],
            clients=[network.cidr],
            client_ports=[27017],  # the routers; members of sets listen elsewhere
            control=[network.cidr],
        ),
    )
    pulumi.export("hosts", pulumi.Output.from_input(tier.hosts))
    pulumi.export("volumes", pulumi.Output.from_input(tier.volume_ids))
    pulumi.export("machines", pulumi.Output.from_input(tier.machine_ids))


run(declare)
