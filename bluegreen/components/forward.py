"""The action that sends requests to target groups, of a listener or of a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi


def forward(groups: Sequence[tuple[pulumi.Input[str], int]], sticky_seconds: int) -> Any:
    """To target groups (ARN, weight); a client stays so long with the first that answered it, 0: not at all."""
    if len(groups) == 1:
        return {"type": "forward", "target_group_arn": groups[0][0]}
    stickiness = {"stickiness": {"enabled": True, "duration": sticky_seconds}} if sticky_seconds else {}
    target_groups = [{"arn": arn, "weight": weight} for arn, weight in groups]
    return {"type": "forward", "forward": {"target_groups": target_groups, **stickiness}}
