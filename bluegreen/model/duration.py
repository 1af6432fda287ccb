"""How long, as a person writes it: 30d, 12h, 2w. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """Raises ValueError, with what it should look like."""
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if not found:
        raise ValueError(f"{text!r} should be a whole number and m, h, d or w, such as 30d, 12h or 2w")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def in_words(duration: timedelta) -> str:
    """The whole days of a duration, or its hours where it has none."""
    hours = int(duration.total_seconds() // 3600)
    number, unit = (hours // 24, "day") if hours >= 24 else (hours, "hour")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
