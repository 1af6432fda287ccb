"""Whether a service may be destroyed: not while AWS refuses to delete its load balancer.

It would refuse late, with the listeners gone already and users cut off (ELB API, DeleteLoadBalancer:
OperationNotPermitted). No Pulumi here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from bluegreen.errors import Protected
from bluegreen.model.observation import Group
from bluegreen.model.tags import Owner


class Sight(Protocol):
    """What the check asks AWS; `bluegreen.aws.observe.Observer` answers."""

    def groups(self, owner: Owner) -> tuple[Group, ...]: ...
    def protected_balancers(self, target_groups: Iterable[str], owner: Owner) -> tuple[str, ...]: ...


def check_unprotected(sight: Sight, owner: Owner) -> None:
    """Return if nothing of a service, or of a whole stack, is protected. Raises Protected, AwsError.

    What the load balancer says counts, and not the config: that may have changed since the last update. One that was
    there before stays, and is nobody's matter here.
    """
    target_groups = [arn for group in sight.groups(owner) for arn in group.target_groups]
    if protected := sight.protected_balancers(target_groups, owner):
        names = ", ".join(arn.split("/")[2] for arn in protected)
        raise Protected(
            f"the load balancer {names} is protected against deletion",
            "If it is to go, set `deletionProtection` to false and deploy; then destroy.",
        )
