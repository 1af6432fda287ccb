"""Which availability zones a stack is in. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bluegreen.errors import Fault, SettingsError
from bluegreen.model.schema import refusal


def checked_zones(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same names, each of the form that zones have and none of them twice."""
    for name in names:
        if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", name):
            raise refusal(f"{name!r} is not the name of an availability zone; one looks like us-east-1a")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise refusal(f"names {', '.join(twice)} twice")
    return names


def choose_zones(count: int, named: Sequence[str], there: Sequence[str]) -> list[str]:
    """Those that are named, or else the first ones. `there`: all that the region has for this account.

    Raises SettingsError where it hasn't got them.
    """
    known = ", ".join(sorted(there))
    if absent := [name for name in named if name not in there]:
        message = f"{', '.join(absent)} can't be used: the region has {known}"
        raise SettingsError([Fault("bluegreen:zoneNames", message)])
    if not named and len(there) < count:
        message = f"{count} are asked for, and the region has {len(there)}: {known}"
        raise SettingsError([Fault("bluegreen:zones", message)])
    return list(named) or sorted(there)[:count]
