"""Whom a security group's rule is about: a network of either kind of address, as the SDK wants to be told."""

from __future__ import annotations

from typing import Any

from bluegreen.model.addresses import ANYWHERE, ANYWHERE_IPV6

_SUFFIXES = {ANYWHERE: "", ANYWHERE_IPV6: "-ipv6"}


def peer(network: str) -> dict[str, Any]:
    """The arguments of an ingress or egress rule that name the network."""
    return {"cidr_ipv6" if ":" in network else "cidr_ipv4": network}


def suffix(network: str) -> str:
    """What the name of a rule for the network ends with; nothing where it is for everybody."""
    return _SUFFIXES.get(network, "-" + network.replace(".", "-").replace("/", "-"))
