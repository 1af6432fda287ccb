"""Deployments as their events tell them, for the tests of what is shown."""

from __future__ import annotations

from bluegreen.events import (
    Began,
    Ended,
    Event,
    Health,
    Outcome,
    Phase,
    PhaseBegan,
    Shifted,
    StepBegan,
    Wait,
    WaitBegan,
)
from bluegreen.progress import Progress

OLD, NEW = "5e0ec4aa", "3a14e965"
REASON = "2 unhealthy (Target.ResponseCodeMismatch, Health checks failed with these codes: [503]): i-0, i-1"


def began(stack: str = "prod") -> Event:
    return Began(stack=stack, verb="deploy", weights={OLD: 100}, roles={OLD: "active"}, expected_seconds=150)


def step(stack: str = "prod") -> Event:
    weights, roles = {OLD: 50, NEW: 50}, {OLD: "active", NEW: "candidate"}
    return StepBegan(stack=stack, name="canary at 50 %", number=2, count=3, weights=weights, roles=roles)


def phase(name: Phase, stack: str = "prod") -> Event:
    return PhaseBegan(stack=stack, phase=name)


def health(healthy: int, wanted: int = 4, reason: str = REASON, stack: str = "prod") -> Event:
    return Health(stack=stack, group=f"web-{NEW}-1", healthy=healthy, wanted=wanted, reason=reason)


def shifted(stack: str = "prod") -> Event:
    return Shifted(stack=stack, weights={OLD: 50, NEW: 50})


def soak(seconds: float = 60, stack: str = "prod") -> Event:
    return WaitBegan(stack=stack, wait=Wait.SOAK, group=f"web-{NEW}", seconds=seconds)


def ended(outcome: Outcome, stack: str = "prod", text: str = "") -> Event:
    return Ended(stack=stack, outcome=outcome, seconds=70, text=text)


def after(*events: Event) -> Progress:
    """One event a second, from 0."""
    progress = Progress(stack=events[0].stack)
    for at, event in enumerate(events):
        progress = progress.after(event, float(at))
    return progress


IN_THE_GATE = (began(), step(), phase(Phase.CREATING), phase(Phase.GATE), health(2))
SOAKING = (began(), step(), phase(Phase.GATE), shifted(), phase(Phase.WATCHING), soak())
