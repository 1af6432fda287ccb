"""A warm pool: machines of a server group that have booted, and wait beside it until it needs more. Pure.

None of it is part of the release: a running group takes a change of it in place. Each group has a pool of its own, so
what comes out of it is of the group's release. Source: the Amazon EC2 Auto Scaling user guide, "Decrease latency for
applications with long boot times using warm pools".
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from bluegreen.model.observation import LivePool
from bluegreen.model.schema import ConfigModel, refusal


class WarmState(StrEnum):
    """In what state machines wait."""

    STOPPED = "stopped"
    RUNNING = "running"


def _state(value: object) -> object:
    if value == "hibernated":
        raise refusal(
            "hibernated: a machine hibernates only where its image, type and launch template allow it, which no "
            "release here says; choose stopped or running"
        )
    return value


class WarmPool(ConfigModel):
    """Filled until group and pool together have `prepared_maximum` machines, which is maxSize where it is not set, and
    never below `minimum`. `reuse`: a machine that the group no longer needs goes back, and is not terminated."""

    state: Annotated[WarmState, BeforeValidator(_state)] = WarmState.STOPPED
    minimum: int = Field(0, ge=0)
    prepared_maximum: int | None = Field(None, ge=1)
    reuse: bool = False

    @model_validator(mode="after")
    def _has_room(self) -> WarmPool:
        if self.prepared_maximum is not None and self.prepared_maximum < self.minimum:
            raise refusal(f"preparedMaximum ({self.prepared_maximum}) is less than minimum ({self.minimum})")
        return self

    def size(self, desired: int, maximum: int) -> int:
        """How many machines are warm beside so many of the group's own (Auto Scaling API, PutWarmPool)."""
        return max(self.minimum, (self.prepared_maximum or maximum) - desired)

    def most_machines(self, maximum: int) -> int:
        """Of group and pool together."""
        return max(maximum + self.minimum, self.prepared_maximum or maximum)


def faults(pool: WarmPool, minimum: int, maximum: int) -> Iterator[tuple[str, str]]:
    """What does not go with minSize and maxSize: path within `warmPool`, and message."""
    prepared = pool.prepared_maximum
    if prepared is not None and prepared > maximum:
        message = f"{prepared} is more than maxSize ({maximum}), beyond which the group takes none; `minimum` does that"
        yield "preparedMaximum", message
    if not pool.minimum and (prepared or maximum) <= minimum:
        what = "preparedMaximum" if prepared else "maxSize"
        yield (
            "minimum",
            f"{what} ({prepared or maximum}) leaves nothing beside minSize ({minimum}) to keep warm; set it",
        )


def unheard(wanted: WarmPool, live: LivePool) -> Iterator[tuple[str, str]]:
    """What the provider does not tell AWS of a pool that is there: path within `warmPool`, and message. It sends no
    zero (hashicorp/terraform-provider-aws#44732), and no reuse that is left out."""
    how = "the provider does not take that back. Take warmPool away, run `pulumi up`, then set it again"
    if live.minimum and not wanted.minimum:
        yield "minimum", f"is 0, and the pool that is there keeps {live.minimum}: {how}"
    if live.reuses and not wanted.reuse:
        yield "reuse", f"is off, and the pool that is there takes machines back: {how}"
