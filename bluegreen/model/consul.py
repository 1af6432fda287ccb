"""The Consul cluster of a stack: `Consul`, what its servers are allowed, and what its machines are told. Pure.

Servers and agents find all they need by their own tags, in SSM: `config`, which the program writes, and the keys, which
`bluegreen init` makes. Nothing of it is in an image, nor in user data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from bluegreen.model.observation import ConsulServer
from bluegreen.model.schema import ConfigModel, decoded, ipv4_network, machine_type, refusal
from bluegreen.model.tags import Owner

SERVICE = "consul"
"""Whose the servers and their image are, in their tags."""
JOIN = "bluegreen:consul"
"""The tag by which servers and agents find the servers."""
RPC, GOSSIP, HTTPS = 8300, 8301, 8501
ASKED = ("autoscaling", "ec2", "ssm")
"""Services of AWS that its machines ask: to tell that they have joined, to find the servers, and for their keys."""
READY_HOOK = "joined"
READY_SECONDS = 900
"""How long a new server has to become one that the others count on."""

OF_AGENTS = ("agent/gossip-key", "agent/ca", "agent/token")
OF_SERVERS = ("server/certificate", "server/key", "server/management-token", "server/ledger-token")
OF_OPERATORS = ("operator/ca-key",)
"""Names of the keys, below the cluster's path: what comes before the slash says who may read it."""
KEYS = (*OF_AGENTS, *OF_SERVERS, *OF_OPERATORS)


def _image(value: str) -> str:
    if not re.fullmatch(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", value):
        raise refusal(f"{value!r} is not the id of an AMI; ids look like ami-0123456789abcdef0")
    return value


def _datacenter(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise refusal(f"{value!r} should be lower-case letters, digits and hyphens, at most 63")
    return value


class Consul(ConfigModel):
    """`image`: one of `bluegreen bake STACK --consul`. `api_cidrs`: who may ask its API, besides the machines."""

    image: Annotated[str, AfterValidator(_image)]
    servers: Literal[3, 5] = 3
    instance_type: Annotated[str, AfterValidator(machine_type)] = "t3.small"
    datacenter: Annotated[str, AfterValidator(_datacenter)] = "dc1"
    api_cidrs: Annotated[tuple[Annotated[str, AfterValidator(ipv4_network)], ...], BeforeValidator(decoded)] = ()

    @property
    def most(self) -> int:
        """Servers at once: one more than there should be, while they are replaced."""
        return self.servers + 1

    @property
    def max_healthy_percentage(self) -> int:
        """So that one server more is launched while they are replaced, and no two: rounded down by AWS."""
        return 100 + -(-100 // self.servers)


def servers_at_peak(consul: Consul, owner: Owner, tags: Mapping[str, str], running: Sequence[ConsulServer]) -> int:
    """How many run while most do, after an `up` with these settings. `tags`: those of every resource.

    Another image, another type and other tags are another launch template, and each begins an instance refresh.
    """
    wanted = {**tags, **replace(owner, service=SERVICE).tags, JOIN: joined_by(owner)}
    are_replaced = any(
        (each.image, each.instance_type) != (consul.image, consul.instance_type)
        or {key: value for key, value in each.tags.items() if key != "Name"} != wanted
        for each in running
    )
    return max(len(running), consul.most if are_replaced else consul.servers)


def path_of(owner: Owner) -> str:
    """Of the cluster's parameters in SSM."""
    return f"/bluegreen/{owner.project}/{owner.stack}/consul"


def joined_by(owner: Owner) -> str:
    """The value of the servers' tag."""
    return f"{owner.project}/{owner.stack}"


def join_of(owner: Owner, region: str) -> str:
    """What Consul looks for its servers by (go-discover, provider aws)."""
    return f"provider=aws region={region} tag_key={JOIN} tag_value={joined_by(owner)} addr_type=private_v4"


def config_of(consul: Consul, owner: Owner, region: str, services: Iterable[str]) -> dict[str, Any]:
    """What every machine of the cluster is told, as its parameter `config` says it."""
    return {
        "datacenter": consul.datacenter,
        "servers": consul.servers,
        "retry_join": [join_of(owner, region)],
        "services": sorted(services),
        "ledger": f"bluegreen/{owner.project}/{owner.stack}/",
    }


def agent_rights(path: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Of machines with an agent: name, actions, resources. `path`: the ARN of the cluster's parameters."""
    yield "ConsulServers", ["ec2:DescribeInstances"], ["*"]  # has no permissions by resource
    yield "ConsulKeys", ["ssm:GetParameters"], [f"{path}/config", f"{path}/agent/*"]


def server_rights(path: str, groups: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Of the servers. `groups`: the ARN of their Auto Scaling group, whatever its suffix."""
    yield "ConsulServers", ["ec2:DescribeInstances", "autoscaling:DescribeAutoScalingInstances"], ["*"]
    yield "ConsulKeys", ["ssm:GetParameters"], [f"{path}/{part}" for part in ("config", "agent/*", "server/*")]
    yield "Joined", ["autoscaling:CompleteLifecycleAction"], [groups]


def not_reached(endpoints: Iterable[str]) -> list[str]:
    """The services that the cluster's machines ask, but for those which these interface endpoints lead to."""
    return sorted(set(ASKED) - {each.rpartition(".")[2] for each in endpoints})


def missing_keys(there: Sequence[str], path: str) -> list[str]:
    """Which keys of the cluster nobody has made, of the parameters that are there."""
    return [name for name in KEYS if f"{path}/{name}" not in there]
