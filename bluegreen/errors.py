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
    """One thing wrong with what a user wrote: its path (`bluegreen:healthCheck.path`) and what is wrong there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def _counted(where: str, faults: Sequence[Fault]) -> str:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return f"{where} has {count}:" + "".join(f"\n  {fault}" for fault in faults)


class SettingsError(BluegreenError):
    """The stack's config has faults; all of them are in the one message, each with its path."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__(
            _counted("the stack's config", self.faults),
            "Mend with `pulumi config set`; every key is described in Pulumi.yaml. Nothing was changed.",
        )


class ImageUnset(SettingsError):
    """`ami` is unset, or no id of an AMI: a destroy can do with that, and nothing else. `image`: its value."""

    def __init__(self, faults: Sequence[Fault], image: str = "") -> None:
        super().__init__(faults)
        self.image = image


class VariablesError(BluegreenError):
    """The variables file of an image has faults; all of them are in the one message, each with its variable."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__(_counted(file, self.faults), f"Mend {file}. Nothing was changed.")


class ArtifactError(BluegreenError):
    """The artifact can't be made, published, described or had."""

    @classmethod
    def from_faults(cls, where: str, faults: Sequence[Fault]) -> ArtifactError:
        """Of a description with faults: all in one message."""
        next_step = (
            "It is what `bluegreen artifact publish` prints: {url, sha256, version, commit}. Nothing was changed."
        )
        return cls(_counted(where, sorted(faults)), next_step)


class ContentError(BluegreenError):
    """A directory that should go into an image can't: it is not there, or it holds what no image can."""


class PackerError(BluegreenError):
    """Packer is missing, too old, or could not make the image."""


class BakeInterrupted(BluegreenError):
    """A bake was told to stop, and made no image."""


class ImageError(BluegreenError):
    """The image can't be used: not there, not available, or not for this instance type."""


class GateFailed(BluegreenError):
    """The candidate was not proven; the traffic stays where it was. `target_group`: the candidate's ARN, if known."""

    target_group = ""


class GuardRefused(BluegreenError):
    """A server group that still takes traffic was about to be deleted."""


class Protected(BluegreenError):
    """What was to be destroyed is protected against it."""


class WatchFailed(BluegreenError):
    """A release that takes traffic was not what it should be: its attest or its soak has failed."""


class RolledBack(BluegreenError):
    """A deployment failed, and the traffic is back where it was."""


class Interrupted(BluegreenError):
    """A person stopped it; what was reached is kept."""


class LedgerError(BluegreenError):
    """The ledger can't be read or written."""


class AwsError(BluegreenError):
    """AWS can't be asked, or its answer can't be used."""


class NotPermitted(AwsError):
    """AWS can be asked, but not this by this caller."""


class RolloutError(BluegreenError):
    """What was asked for can't be done from where the fleet is."""


class StackLockedError(BluegreenError):
    """Another update holds the stack."""


class EngineError(BluegreenError):
    """The Pulumi engine is missing, too old, or ended an operation with an error."""
