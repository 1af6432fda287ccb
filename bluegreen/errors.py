"""The tree of expected errors: each says what happened and what to do next.

Expected errors are shown without a traceback, at the edge (the program, the command); anything else is a bug and keeps
its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FAILED = 1
"""Exit code: it failed, and the traffic is where it was before, or back there."""
REFUSED = 2
"""Exit code: what was asked for, or the config, is wrong. Nothing was changed."""
NEEDS_A_PERSON = 3
"""Exit code: it ended in the middle, or somebody else holds the stack."""


class BluegreenError(Exception):
    """Something that a user can act on.

    `what` names the place and the fault in a sentence; `next_step` says what to do about it. `exit_code`: of a command
    that ends with it.
    """

    exit_code = REFUSED

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what, next_step)
        self.what = what
        self.next_step = next_step

    def add(self, line: str) -> None:
        """One more thing that is known, below the others."""
        if line not in self.what:
            self.what = f"{self.what}\n  {line}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as it is, whatever the subclass is made from: it comes back from a worker's process."""
        return _rebuilt, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        return f"{self.what}\n  {self.next_step}" if self.next_step else self.what


def _rebuilt(kind: type[BluegreenError], args: tuple[str, ...], state: dict[str, Any]) -> BluegreenError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


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


class TierError(BluegreenError):
    """The members of a stateful tier can't be as they are said to be; all that is wrong is in the one message."""

    def __init__(self, tier: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__(_counted(f"the stateful tier {tier}", self.faults), "Nothing was changed.")


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


class NotUsable(SettingsError):
    """What the config names in AWS is not there, or does not fit. A destroy can do without it."""


class ContentError(BluegreenError):
    """A directory that should go into an image can't: it is not there, or it holds what no image can."""


class PackerError(BluegreenError):
    """Packer is missing, too old, or could not make the image."""

    exit_code = FAILED


class BakeInterrupted(BluegreenError):
    """A bake was told to stop, and made no image."""

    exit_code = FAILED


class ImageError(BluegreenError):
    """The image can't be used: not there, not available, or not for this instance type."""


class ImagesError(BluegreenError):
    """What a project's stacks need of images is not known, or can't be told to all of them."""


class GateFailed(BluegreenError):
    """The candidate was not proven; the traffic stays where it was. `target_group`: the candidate's ARN, if known."""

    exit_code = FAILED
    target_group = ""


class WindowClosed(BluegreenError):
    """A new release was to come in outside the stack's deployment windows."""


class GuardRefused(BluegreenError):
    """A server group that still takes traffic was about to be deleted."""


class Protected(BluegreenError):
    """What was to be destroyed is protected against it."""


class WatchFailed(BluegreenError):
    """A release that takes traffic was not what it should be: its attest or its soak has failed."""

    exit_code = NEEDS_A_PERSON


class RolledBack(BluegreenError):
    """A deployment failed, and the traffic is back where it was."""

    exit_code = FAILED


class WrongTraffic(BluegreenError):
    """The load balancer does something else with the traffic than what was declared."""

    exit_code = NEEDS_A_PERSON


class Interrupted(BluegreenError):
    """A person stopped it; what was reached is kept."""

    exit_code = NEEDS_A_PERSON


class LedgerError(BluegreenError):
    """The ledger can't be read or written."""


class LeaseHeld(BluegreenError):
    """Another deployment has the right to change the stack."""

    exit_code = NEEDS_A_PERSON


class LeaseLost(BluegreenError):
    """Another deployment has taken the stack over from this one, which must not go on."""

    exit_code = NEEDS_A_PERSON


class UnknownRun(BluegreenError):
    """The ledger has no such deployment, or several that may be meant."""


class AwsError(BluegreenError):
    """AWS can't be asked, or its answer can't be used."""


class NotPermitted(AwsError):
    """AWS can be asked, but not this by this caller."""


class RolloutError(BluegreenError):
    """What was asked for can't be done from where the fleet is."""


class WavesError(BluegreenError):
    """The waves in which stacks should be deployed can't be planned."""


class WorkerError(BluegreenError):
    """What should deploy a stack has died, or ended with an error that is none of ours: nobody knows how far it got."""

    exit_code = NEEDS_A_PERSON


class ClusterError(BluegreenError):
    """The Dask cluster can't be reached, or its workers can't deploy."""


class ReapRefused(BluegreenError):
    """What is an orphan and what is not can't be told now."""


class StackLockedError(BluegreenError):
    """Another update holds the stack."""

    exit_code = NEEDS_A_PERSON


class EngineError(BluegreenError):
    """The Pulumi engine is missing, too old, or ended an operation with an error. `hooks`: those that have failed, by
    name, each with what it said."""

    hooks: tuple[tuple[str, str], ...] = ()


class NoSuchStackError(EngineError):
    """There is no stack of that name in the backend."""
