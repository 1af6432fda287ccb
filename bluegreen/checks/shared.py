"""Asks AWS about a listener that was there before the stack. The rules are in `bluegreen.model.shared_listener`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from bluegreen.errors import Fault, NotUsable
from bluegreen.model.observation import Front
from bluegreen.model.shared_listener import PATH, SharedListener, judge
from bluegreen.model.tags import Owner


class Sight(Protocol):
    """What is asked; `bluegreen.aws.observe.Observer` answers."""

    @property
    def region(self) -> str: ...
    def front(self, listener: str, priorities: Collection[int]) -> Front | None: ...


def find_front(sight: Sight, listener: SharedListener) -> Front | None:
    """The listener as AWS has it; None where there is none. Blocks.

    Raises NotUsable where it is in another region, AwsError.
    """
    if listener.region != sight.region:
        message = f"{listener.arn} is in {listener.region}, and the stack in {sight.region}"
        raise NotUsable([Fault(f"{PATH}.arn", message)])
    return sight.front(listener.arn, listener.priorities.values())


def check_front(listener: SharedListener, front: Front | None, *, owner: Owner, vpc: str) -> Front:
    """The same. `vpc`: id of the machines'. Raises NotUsable with all that keeps a service from being there."""
    faults = list(judge(listener, front, owner=owner, vpc=vpc))
    if faults or front is None:
        raise NotUsable(faults)
    return front
