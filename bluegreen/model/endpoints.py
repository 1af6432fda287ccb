"""Interface endpoints: services of AWS that the network reaches without a way to the internet. Pure."""

from __future__ import annotations

import re

from bluegreen.model.schema import refusal

MANAGEMENT = "management"
SHORTHANDS = {MANAGEMENT: ("ssm", "ssmmessages", "ec2messages")}
"""What Session Manager and Run Command need (Systems Manager User Guide, "Improve the security of EC2 instances by
using VPC endpoints")."""


def checked_services(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same names, each right by itself and none of them twice."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
            raise refusal(f"{name!r} is not the name of a service; one looks like ssm or ecr.api")
        if name == "s3":
            raise refusal("s3 needs none: the network has a gateway endpoint for it, which costs nothing")
    services = services_of(names)
    if twice := sorted({name for name in services if services.count(name) > 1}):
        raise refusal(f"names {', '.join(twice)} twice")
    return names


def services_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """With shorthands spelled out."""
    return tuple(service for name in names for service in SHORTHANDS.get(name, (name,)))


def full_name(service: str, region: str) -> str:
    """As AWS has it: `com.amazonaws.us-east-1.ssm`. A name that is whole already stays."""
    return service if service.startswith(("com.", "cn.", "aws.")) else f"com.amazonaws.{region}.{service}"
