"""Lifecycle actions: what an instance of an Auto Scaling group waits for while a hook has it. No moto, no clock.

Sources: the Amazon EC2 Auto Scaling user guide, "How lifecycle hooks work in Amazon EC2 Auto Scaling groups" and
"Amazon EC2 Auto Scaling lifecycle hooks"; its API reference (LifecycleHook).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

LAUNCHING, TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"
CONTINUE, ABANDON = "CONTINUE", "ABANDON"
_LONGEST_SECONDS = 48 * 60 * 60


@dataclass(frozen=True)
class Hook:
    name: str
    heartbeat_seconds: int
    default_result: str

    @property
    def longest_seconds(self) -> int:
        return min(_LONGEST_SECONDS, 100 * self.heartbeat_seconds)


@dataclass(frozen=True)
class Ending:
    is_abandoned: bool
    why: str = ""


@dataclass
class _Action:
    hook: Hook
    began_at: float
    ends_at: float
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    result: str | None = None
    why: str = ""


class Wait:
    """An instance's lifecycle actions at one transition. It goes on when all have continued, or one is abandoned."""

    def __init__(self, hooks: Iterable[Hook], now: float) -> None:
        self._actions = [_Action(hook, now, now + hook.heartbeat_seconds) for hook in hooks]

    def complete(self, hook: str, token: str | None, result: str) -> bool:
        """Whether there was such an action under way."""
        action = self._under_way(hook, token)
        if action:
            action.result = result
            action.why = f"Lifecycle Action Completed with {result} Result"
        return action is not None

    def extend(self, hook: str, token: str | None, now: float) -> bool:
        """A heartbeat: the time starts anew, though not for ever. Whether there was such an action under way."""
        action = self._under_way(hook, token)
        if action:
            action.ends_at = min(now + action.hook.heartbeat_seconds, action.began_at + action.hook.longest_seconds)
        return action is not None

    def ending(self, now: float) -> Ending | None:
        for action in self._actions:
            if action.result is None and now >= action.ends_at:
                action.result, action.why = action.hook.default_result, "Heartbeat Timeout"
        if lost := next((it for it in self._actions if it.result == ABANDON), None):
            return Ending(True, f"Lifecycle Action with token {lost.token} was abandoned: {lost.why}")
        return Ending(False) if all(it.result == CONTINUE for it in self._actions) else None

    def tokens(self) -> dict[str, str]:
        """By the hook's name."""
        return {it.hook.name: it.token for it in self._actions}

    def _under_way(self, hook: str, token: str | None) -> _Action | None:
        return next(
            (it for it in self._actions if it.hook.name == hook and not it.result and token in (None, it.token)), None
        )
