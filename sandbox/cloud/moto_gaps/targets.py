"""Targets: their health, and how they leave."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup

from sandbox.cloud.health import DRAINING, NOT_REGISTERED, Health
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud, Drain

GAPS = (
    Gap("target-health", "calls every registered target healthy"),
    Gap("draining", "drops a deregistered target at once"),
    Gap("deregister-a-stranger", "refuses to deregister a target that is not registered"),
)


def fill(cloud: Cloud) -> None:
    register = FakeTargetGroup.register

    @replace(FakeTargetGroup, "register")
    def register_again(self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
        register(self, targets)
        for target in targets:
            drains(self).pop(target["Id"], None)

    @replace(FakeTargetGroup, "deregister")
    def deregister(self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
        from sandbox.cloud.cloud import Drain

        delay = float(str(self.attributes["deregistration_delay.timeout_seconds"]))
        for target in targets:
            if known := self.targets.pop(target["Id"], None):
                drains(self)[target["Id"]] = Drain(known, monotonic() + delay)

    @replace(ELBv2Backend, "describe_target_health")
    def describe_target_health(
        self: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        (group,) = self.describe_target_groups(None, [target_group_arn], None)
        known = healths(cloud, group)
        if targets:
            by_id = {target["Id"]: (target, health) for target, health in known}
            known = [by_id.get(it["Id"], ({"Port": group.port, **it}, NOT_REGISTERED)) for it in targets]
        return [
            FakeHealthStatus(
                target["Id"],
                target["Port"],
                str(target["Port"]) if group.health_check_port == "traffic-port" else group.health_check_port,
                health.state,
                health.reason,
                health.description,
            )
            for target, health in known
        ]


def drains(group: FakeTargetGroup) -> dict[str, Drain]:
    """Targets on their way out; moto forgets them at once."""
    found: dict[str, Drain] = group.__dict__.setdefault("drains", {})
    return found


def healths(cloud: Cloud, group: FakeTargetGroup) -> list[tuple[dict[str, Any], Health]]:
    """Registered targets and draining ones, each with its health."""
    found = [
        (target, cloud.plane.health(group.arn, target["Id"], int(target["Port"]))) for target in group.targets.values()
    ]
    return found + [(drain.target, DRAINING) for drain in drains(group).values()]
