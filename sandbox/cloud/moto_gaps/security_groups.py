"""Security groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.ec2.models.security_groups import SecurityGroupRule

from sandbox.cloud.moto_gaps.gap import Gap

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (Gap("rule-description", "drops the description of a rule whose source is a group"),)


def fill(cloud: Cloud) -> None:
    def description(self: SecurityGroupRule) -> str | None:
        text: str | None = self.ip_range.get("Description") or self.source_group.get("Description")
        return text

    setattr(SecurityGroupRule, "description", property(description))  # noqa: B010 - mypy takes it for a method
