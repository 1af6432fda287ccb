"""Whether a config may be applied at all: not if the stack's last update came from a later one.

A checkout of last week, deployed by CI today, would otherwise roll production back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pulumi

from bluegreen.errors import BluegreenError
from bluegreen.model.fleet import check_serial
from bluegreen.model.settings import Settings

READ_PAUSES_SECONDS = (0.05, 0.2, 0.5, 1.0)


class Admission:
    """Asks the stack for its own last outputs. Make one per program, before any resource that it is to hold back.

    The program fails where the config is refused, in a preview too; `passed` lets a hook wait for the answer.
    """

    def __init__(self, settings: Settings) -> None:
        stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        outputs: pulumi.Output[Mapping[str, Any]] = pulumi.Output.from_input(
            asyncio.ensure_future(_last_outputs(stack))
        )
        self._faults: pulumi.Output[str] = outputs.apply(lambda outputs: _fault(settings, outputs))
        self._end = self._faults.apply(_end_program)

    async def passed(self) -> None:
        """Return if the config is admitted. Raises BluegreenError if not."""
        if fault := await self._faults.future():
            raise BluegreenError(fault)

    def holding_back(self, value: Any) -> pulumi.Output[Any]:
        """The same value, for an output that must stay as it was where the config is refused."""
        return self._end.apply(lambda _: value)


async def _last_outputs(stack: str) -> Mapping[str, Any]:
    """What the last update of a stack put out, as a StackReference has it.

    Not by one: it can't try again. The engine rewrites the checkpoint while it is read here, and in a file backend its
    writes are not whole at every moment (the file with the checksum; seen in Pulumi 3.260 as "failed to load
    checkpoint: EOF").
    """
    for pause_seconds in READ_PAUSES_SECONDS:
        try:
            return await _read_outputs(stack)
        except Exception as error:
            pulumi.log.debug(f"reading the stack's last outputs again: {error}")
            await asyncio.sleep(pause_seconds)
    return await _read_outputs(stack)


async def _read_outputs(stack: str) -> Mapping[str, Any]:
    found = await pulumi.runtime.invoke_async("pulumi:pulumi:readStackOutputs", {"name": stack})
    outputs: Mapping[str, Any] = (found or {}).get("outputs") or {}
    return outputs


def _fault(settings: Settings, outputs: Mapping[str, Any]) -> str:
    try:
        check_serial(settings.fleet, outputs.get("fleet") or {})
    except BluegreenError as error:
        return str(error)
    return ""


def _end_program(fault: str) -> None:
    if fault:
        raise pulumi.RunError(fault)
