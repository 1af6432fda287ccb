"""The lines that the checks say, each with places for what differs: one text for who says it and who reads it.

The checks run in the program's process; what they say comes out of the engine as text. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import Any

PASSED = ": passed"
"""How a line ends that says so."""

NUMBER, WORD, ANYTHING = r"-?\d+(?:\.\d+)?", r"\S+?", r".*"


@dataclass(frozen=True)
class Notice:
    """A text with places in braces, as `str.format` has them.

    A place with a format holds a number, `said` anything, and any other a word without blanks.
    """

    template: str

    def with_values(self, **values: Any) -> str:
        return self.template.format(**values)

    def values_in(self, text: str) -> dict[str, str] | None:
        """The values that `with_values` made this text of, as text; None where it did not."""
        found = self._pattern.fullmatch(text)
        return found.groupdict() if found else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = []
        for literal, name, form, _ in Formatter().parse(self.template):
            parts.append(re.escape(literal))
            if name:
                parts.append(f"(?P<{name}>{NUMBER if form else ANYTHING if name == 'said' else WORD})")
        return re.compile("".join(parts), re.DOTALL)


HEALTHY = Notice("{healthy:d} of {wanted:d} healthy")
HEALTHY_BUT = Notice(f"{HEALTHY.template}; {{said}}")
NO_TRAFFIC = Notice("{group} takes no traffic")

GATE = Notice("gate: {group}: {said}")
GATE_RAISED = Notice("gate: {group} raised to {desired:d}, what the active group runs at")
GATE_COMMAND = Notice("gate: command: {said}")
"""A line that the user's command has written."""

GUARD = Notice("guard: {said}")
GUARD_DRAINS = Notice("guard: {group} has {seconds:.0f} s for the requests in flight")
GUARD_CONNECTIONS = Notice("guard: {group} keeps the connections that it has, for {seconds:.0f} s at most")
GUARD_NO_CONNECTIONS = Notice("{group} has no connections left: the load balancer has none at all")
GUARD_STICKY = Notice("guard: {group} waits until its sticky clients have left, at most {seconds:.0f} s")

ATTEST = Notice("attest: {said}")
SOAK = Notice("soak: {group}: {said}")
SOAK_BEGAN = Notice("soak: {group} is watched for {seconds:.0f} s")

IMAGE_HOOK = "bluegreen-image"
GATE_HOOK = "bluegreen-gate"
CUTOVER_HOOK = "bluegreen-cutover"
GUARD_HOOK = "bluegreen-guard"
"""By these names the engine tells of the program's hooks."""

_HOOK_FAILED = re.compile(r"(Preview failed: )?before hook \"(?P<hook>[\w-]+)\" failed: (?P<said>.*)", re.DOTALL)
_LISTED = re.compile(r"((updating|deleting|refreshing) urn:\S+: )?1 error occurred:\s*\* (?P<said>.*)", re.DOTALL)


def said_within(text: str) -> str:
    """An error without the engine's words around it: a provider's comes in a list (`deleting urn:...: 1 error
    occurred:` and a bullet), a hook's behind its name (`before hook "bluegreen-image" failed:`)."""
    for around in (_LISTED, _HOOK_FAILED):
        if found := around.fullmatch(text.strip()):
            text = found["said"].strip()
    return text


def hook_in(text: str) -> tuple[str, str] | None:
    """Which hook has failed, by the engine's words, and what it said; None where none has."""
    found = _HOOK_FAILED.fullmatch(text.strip())
    return (found["hook"], found["said"].strip()) if found else None
