"""EC2's quota of vCPUs: what counts against it, and what AWS says when a launch would pass it.

Sources: the EC2 user guide, "Amazon EC2 On-Demand Instance quotas", and Service Quotas' API reference (ServiceQuota).
Only the bucket of the standard families is kept; the others (F, G, P, X, ...) have no quota here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance

DEFAULT_VCPUS = 64
STANDARD = "L-1216C47A"

# By the letters that a type begins with: Im4gn and Is4gen are of the I family, Inf1, Mac1 and Trn1 of none of these.
_STANDARD_FAMILIES = frozenset(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"))


def vcpus_of(instance_type: str) -> int:
    """What one instance takes of the standard quota; a type that moto does not know takes nothing."""
    family = re.match("[a-z]*", instance_type)
    if family is None or family[0] not in _STANDARD_FAMILIES:
        return 0
    return int(INSTANCE_TYPES.get(instance_type, {}).get("VCpuInfo", {}).get("DefaultVCpus", 0))


def refusal(limit: int, instances: Iterable[Instance], wanted: int) -> str | None:
    """AWS's words if `wanted` more vCPUs beside those of the instances that run would be too many; else None."""
    taken = sum(
        vcpus_of(it.instance_type) for it in instances if it.state in ("pending", "running") and it.lifecycle != "spot"
    )
    if not wanted or taken + wanted <= limit:
        return None
    return (
        f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket "
        "that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to "
        "request an adjustment to this limit."
    )


def as_answer(limit: int, *, region: str, account: str) -> dict[str, Any]:
    """The standard quota as Service Quotas shows it."""
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:ec2/{STANDARD}",
        "QuotaCode": STANDARD,
        "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        "Value": float(limit),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }
