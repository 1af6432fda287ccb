"""An instance refresh: every instance of a group that was not launched from what the group launches now is replaced.

Only the way that keeps the group whole: one more is launched, and when it is in service an old one goes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

UNDER_WAY = "InProgress"


@dataclass
class Refresh:
    """`old`: ids of the instances to replace."""

    group: str
    old: set[str]
    preferences: dict[str, Any]
    total: int = 0
    status: str = UNDER_WAY
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None

    def __post_init__(self) -> None:
        self.total = len(self.old)

    @property
    def is_under_way(self) -> bool:
        return self.ended is None

    def end(self, status: str) -> None:
        self.status, self.ended = status, datetime.now(UTC)

    def as_answer(self) -> dict[str, Any]:
        done = self.total - len(self.old)
        answer = {
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": self.group,
            "Status": self.status,
            "StartTime": self.began,
            "EndTime": self.ended,
            "PercentageComplete": 100 * done // self.total if self.total else 100,
            "InstancesToUpdate": len(self.old),
            "Preferences": self.preferences,
            "Strategy": "Rolling",
        }
        return {key: value for key, value in answer.items() if value is not None}
