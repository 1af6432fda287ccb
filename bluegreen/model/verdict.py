"""What a check says: ready, wait, or hopeless. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ready:
    """What must hold does hold."""

    summary: str


@dataclass(frozen=True)
class Wait:
    """It does not hold yet, and may come to."""

    summary: str


@dataclass(frozen=True)
class Hopeless:
    """It does not hold, and waiting can't cure it."""

    summary: str
    next_step: str = ""


Verdict = Ready | Wait | Hopeless
