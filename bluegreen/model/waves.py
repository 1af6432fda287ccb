"""Waves: in which order, and how many at a time, stacks are deployed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bluegreen.errors import WavesError

EVERYTHING = 100  # percent


@dataclass(frozen=True, kw_only=True)
class Bound:
    """How many stacks have been begun when a wave ends, those of earlier waves among them.

    A count, or with `is_percent` a percentage of all of them, rounded up.
    """

    number: int
    is_percent: bool = False

    def __str__(self) -> str:
        return f"{self.number}%" if self.is_percent else str(self.number)

    def of(self, total: int) -> int:
        return -(-self.number * total // 100) if self.is_percent else self.number


ONE_WAVE = (Bound(number=EVERYTHING, is_percent=True),)


def parse_waves(text: str) -> tuple[Bound, ...]:
    """`1,50%,100%`: first one stack, then as many as make up half, then all. Raises WavesError."""
    bounds = []
    for number, part in enumerate(text.split(","), start=1):
        match = re.fullmatch(r"(\d{1,6})(%?)", part.strip())
        if not match:
            raise WavesError(
                f"wave {number} of `{text}` is {part.strip()!r}, neither a number of stacks nor a percentage",
                "They look like 1,50%,100%: first one stack, then up to half of them, then all.",
            )
        bound = Bound(number=int(match[1]), is_percent=bool(match[2]))
        if bound.is_percent and bound.number > EVERYTHING:
            raise WavesError(f"wave {number} of `{text}` is {bound}, more than all stacks", "All of them are 100%.")
        bounds.append(bound)
    return tuple(bounds)


def plan_waves(stacks: Sequence[str], waves: Sequence[Bound] = ONE_WAVE) -> tuple[tuple[str, ...], ...]:
    """The stacks of each wave, in their order. A percentage that reaches no further than the wave before it is passed
    over. Raises WavesError where a wave names no stack, a stack is in none of them, or in two."""
    total = len(stacks)
    if twice := list(dict.fromkeys(stack for stack in stacks if stacks.count(stack) > 1)):
        raise WavesError(f"{', '.join(twice)} is named twice", "Name each stack once. Nothing was changed.")
    begun = 0
    planned = []
    for number, bound in enumerate(waves, start=1):
        reached = bound.of(total)
        if bound.is_percent and 0 < reached <= begun and number < len(waves):
            continue  # of a few stacks, half may be no more than the first one
        if reached <= begun:
            raise WavesError(
                f"wave {number} ({bound}) names no stack: it ends at {_count(reached)} of {total}, and "
                f"{begun} had begun before it",
                "Numbers are how many have begun by the end of a wave, so they rise. Leave that wave out. "
                "Nothing was changed.",
            )
        if reached > total:
            raise WavesError(
                f"wave {number} ({bound}) ends at {reached} stacks, and there are {total}",
                "Make the last wave 100%. Nothing was changed.",
            )
        planned.append(tuple(stacks[begun:reached]))
        begun = reached
    if begun < total:
        raise WavesError(
            f"the waves end at {_count(begun)} of {total}: {', '.join(stacks[begun:])} would be in none",
            "Make the last wave 100%. Nothing was changed.",
        )
    return tuple(planned)


def _count(number: int) -> str:
    return f"{number} stack" if number == 1 else f"{number} stacks"
