"""The tree of expected errors: each says what happened and what to do next.

Expected errors are shown without a traceback, at the edge (the program, the command); anything else is a bug and keeps
its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class BluegreenError(Exception):
    """Something that a user can act on.

    `what` names the place and the fault in a sentence; `next_step` says what to do about it.
    """

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what, next_step)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}\n  {self.next_step}" if self.next_step else self.what


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong with the config: its path (`bluegreen:healthCheck.path`) and what is wrong there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SettingsError(BluegreenError):
    """The stack's config has faults; all of them are in the one message, each with its path."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "".join(f"\n  {fault}" for fault in self.faults)
        super().__init__(
            f"the stack's config has {count}:{lines}",
            "Mend with `pulumi config set`; every key is described in Pulumi.yaml. Nothing was changed.",
        )


class ImageError(BluegreenError):
    """The image can't be used: not there, not available, or not for this instance type."""


class GateFailed(BluegreenError):
    """The candidate was not proven; the traffic stays where it was."""


class GuardRefused(BluegreenError):
    """A server group that still takes traffic was about to be deleted."""


class AwsError(BluegreenError):
    """AWS can't be asked, or its answer can't be used."""


class StackLockedError(BluegreenError):
    """Another update holds the stack."""


class EngineError(BluegreenError):
    """The Pulumi engine is missing, too old, or ended an operation with an error."""
