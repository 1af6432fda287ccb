"""Which versions of a database's schema an image can live with, and whether a release may take traffic. Pure.

An image tells it in its tag `schema-compat`: `12`, `12-14`, or `12-` for 12 and whatever comes. The number counts
changes of the schema that older code can't live with; a migration says which one the database has from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bluegreen.model.tags import SCHEMA_COMPAT
from bluegreen.model.verdict import Hopeless, Ready

SCHEMA_LINE = re.compile(r"schema=(\d+)")
"""A line of a migration's output that tells the schema's version."""


@dataclass(frozen=True)
class SchemaRange:
    """Schema versions from `lowest` to `highest`, both included; None: no end."""

    lowest: int
    highest: int | None

    @classmethod
    def parse(cls, text: str) -> SchemaRange:
        """Raises ValueError for what is none."""
        match = re.fullmatch(r"\s*(\d+)\s*(?:(-)\s*(\d*)\s*)?", text)
        if not match:
            raise ValueError(f"{text!r} is not a range of schema versions: 12, 12-14 or 12-")
        lowest = int(match[1])
        highest = (int(match[3]) if match[3] else None) if match[2] else lowest
        if highest is not None and highest < lowest:
            raise ValueError(f"{text!r} is not a range of schema versions: {highest} comes before {lowest}")
        return cls(lowest, highest)

    def __str__(self) -> str:
        if self.highest == self.lowest:
            return str(self.lowest)
        return f"{self.lowest}-{'' if self.highest is None else self.highest}"

    def __contains__(self, version: int) -> bool:
        return self.lowest <= version and (self.highest is None or version <= self.highest)

    def overlaps(self, other: SchemaRange) -> bool:
        ends = [each for each in (self.highest, other.highest) if each is not None]
        return not ends or max(self.lowest, other.lowest) <= min(ends)


def judge(
    image: str, tags: Mapping[str, str], beside: Mapping[str, Mapping[str, str]], schema: int | None
) -> Ready | Hopeless:
    """Whether a release of `image`, with these tags, may take traffic.

    `schema`: the version that the database has, None where no migration has told it. `beside`: tags of the images that
    serve at the same time, by image: without a known version, there must be one that suits all of them.
    """
    try:
        wanted = _range(image, tags)
        others = {other: _range(other, of_other) for other, of_other in beside.items() if other != image}
    except ValueError as error:
        return Hopeless(str(error), f"Mend the image's tag `{SCHEMA_COMPAT}`.")
    if wanted is None:
        return Ready(f"{image} has no tag {SCHEMA_COMPAT}")
    way_out = "Deploy an image that suits the database, or migrate that first."
    if schema is not None:
        if schema in wanted:
            return Ready(f"{image} suits schema {schema}")
        return Hopeless(f"the database has schema {schema}, and {image} is for {SCHEMA_COMPAT} {wanted}", way_out)
    for other, its in others.items():
        if its and not its.overlaps(wanted):
            return Hopeless(
                f"{image} is for {SCHEMA_COMPAT} {wanted}, and {other}, which serves now, for {its}: no schema suits "
                "both",
                way_out,
            )
    return Ready(f"{image} is for {SCHEMA_COMPAT} {wanted}")


def told_schema(lines: tuple[str, ...]) -> int | None:
    """The schema's version that the last lines of a migration tell; None where they tell none."""
    found = [match for line in lines if (match := SCHEMA_LINE.fullmatch(line.strip()))]
    return int(found[-1][1]) if found else None


def _range(image: str, tags: Mapping[str, str]) -> SchemaRange | None:
    text = tags.get(SCHEMA_COMPAT)
    if text is None:
        return None
    try:
        return SchemaRange.parse(text)
    except ValueError as error:
        raise ValueError(f"the tag {SCHEMA_COMPAT} of {image}: {error}") from None
