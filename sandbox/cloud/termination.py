"""Which instance an Auto Scaling group takes out when it shrinks. Pure.

Source: the Amazon EC2 Auto Scaling user guide, "Configure termination policies for Amazon EC2 Auto Scaling".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """`template`: how old what it was launched from is; the least is the oldest. `is_astray`: where the group launches
    no more."""

    id: str
    zone: str
    template: tuple[float, int]
    launched_at: float
    is_protected: bool = False
    is_astray: bool = False


_ORDERS: dict[str, Callable[[Candidate], Any]] = {
    "Default": lambda it: (it.template, it.launched_at),
    "OldestInstance": lambda it: it.launched_at,
    "NewestInstance": lambda it: -it.launched_at,
    "OldestLaunchTemplate": lambda it: it.template,
}
POLICIES = frozenset(_ORDERS)


def choose(candidates: Sequence[Candidate], policies: Sequence[str] = ()) -> Candidate | None:
    """Balance between the zones comes before the policies, and a zone that the group has left before all; the first
    policy that tells two apart decides."""
    zones = Counter(it.zone for it in candidates)
    unprotected = [it for it in candidates if not it.is_protected]
    if not unprotected:
        return None
    unprotected = [it for it in unprotected if it.is_astray] or unprotected
    most = max(zones[it.zone] for it in unprotected)
    orders = [_ORDERS[policy] for policy in (*policies, "Default")]
    return min((it for it in unprotected if zones[it.zone] == most), key=lambda it: tuple(key(it) for key in orders))
