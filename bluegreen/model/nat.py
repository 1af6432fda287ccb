"""How machines without public addresses reach the internet."""

from __future__ import annotations

from enum import StrEnum


class Nat(StrEnum):
    """How private subnets reach the internet."""

    NONE = "none"
    SINGLE = "single"
    PER_ZONE = "perZone"
    INSTANCE = "instance"
