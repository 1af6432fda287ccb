"""Whether settings may be applied at all: not if the stack's last update came from a later config.

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

    The program fails where settings are refused, in a preview too; `passed` lets a hook wait for the answer.
    """

    def __init__(self) -> None:
        stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        self._outputs: pulumi.Output[Mapping[str, Any]] = pulumi.Output.from_input(
            asyncio.ensure_future(_last_outputs(stack))
        )
        self._faults: list[pulumi.Output[str]] = []
        self._ends: list[pulumi.Output[None]] = []

    def admit(self, settings: Settings) -> None:
        """End the program where these settings are older than what runs of their service."""
        fault = self._outputs.apply(lambda outputs: _fault(settings, outputs))
        self._faults.append(fault)
        self._ends.append(fault.apply(_end_program))

    async def passed(self) -> None:
        """Return if all settings are admitted. Raises BluegreenError if not."""
        for each in self._faults:
            if fault := await each.future():
                raise BluegreenError(fault)

    def holding_back(self, value: Any) -> pulumi.Output[Any]:
        """The same value, for an output that must stay as it was where settings are refused."""
        return pulumi.Output.all(*self._ends).apply(lambda _: value)


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
    last = outputs.get("fleet") or {}
    if any(group["release"]["service"] != settings.service for group in last.get("groups", [])):
        return ""  # the stack puts out the fleet of another of its services
    try:
        check_serial(settings.fleet, last)
    except BluegreenError as error:
        return str(error)
    return ""


def _end_program(fault: str) -> None:
    if fault:
        raise pulumi.RunError(fault)
