"""Whether a config may be applied at all: not if the stack's last update came from a later one.

A checkout of last week, deployed by CI today, would otherwise roll production back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from bluegreen.errors import BluegreenError
from bluegreen.model.fleet import check_serial
from bluegreen.model.settings import Settings


class Admission:
    """Asks the stack for its own last outputs. Make one per program, before any resource that it is to hold back.

    The program fails where the config is refused, in a preview too; `passed` lets a hook wait for the answer.
    """

    def __init__(self, settings: Settings) -> None:
        stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        last = pulumi.StackReference("last-update", stack_name=stack)
        self._faults: pulumi.Output[str] = last.outputs.apply(lambda outputs: _fault(settings, outputs))
        self._end = self._faults.apply(_end_program)

    async def passed(self) -> None:
        """Return if the config is admitted. Raises BluegreenError if not."""
        if fault := await self._faults.future():
            raise BluegreenError(fault)

    def holding_back(self, value: Any) -> pulumi.Output[Any]:
        """The same value, for an output that must stay as it was where the config is refused."""
        return self._end.apply(lambda _: value)


def _fault(settings: Settings, outputs: Mapping[str, Any]) -> str:
    try:
        check_serial(settings.fleet, outputs.get("fleet") or {})
    except BluegreenError as error:
        return str(error)
    return ""


def _end_program(fault: str) -> None:
    if fault:
        raise pulumi.RunError(fault)
