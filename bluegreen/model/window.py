"""Deployment windows: when a stack takes a new release. Pure; the clock is the caller's.

Times are local to the window's zone, and change with its daylight saving time. A time that a change skips counts as
the moment of the change or later; of one that comes twice, a window opens at the first and closes at the second.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from bluegreen.errors import WindowClosed
from bluegreen.model.schema import ConfigModel, refusal

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOK_AHEAD_DAYS = 15
"""A window opens every week, but for one that a change of the clocks leaves out: then the week after."""


def _days(value: str) -> str:
    first, _, last = value.partition("-")
    for name in (first, last) if "-" in value else (first,):
        if name not in DAYS:
            near = difflib.get_close_matches(name.lower(), DAYS, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise refusal(f"{value!r} is not a day, such as mon, nor a range of days, such as mon-fri{hint}")
    return value


def _time(value: object) -> str:
    """YAML may make a number of hours and minutes without quotes."""
    if not isinstance(value, str):
        raise refusal(f'{value!r} should be a time of day in quotes, such as "09:00"')
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise refusal(f"{value!r} is not a time of day; they go from 00:00 to 23:59")
    return value


def zone_name(value: str) -> str:
    with suppress(KeyError, OSError, ValueError):  # not there, a directory, not a name
        ZoneInfo(value)
        return value
    near = difflib.get_close_matches(value, available_timezones(), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else "; one looks like Europe/Berlin"
    raise refusal(f"{value!r} is not the IANA name of a time zone{hint}")


Days = Annotated[str, AfterValidator(_days)]
TimeOfDay = Annotated[str, BeforeValidator(_time)]


class Window(ConfigModel):
    """Open on each of `days` from `begins` until `ends`: of the next day where that is not later."""

    days: tuple[Days, ...] = ("mon-sun",)
    begins: TimeOfDay = Field(alias="from")
    ends: TimeOfDay = Field(alias="to")
    zone: Annotated[str, AfterValidator(zone_name)] = "UTC"

    @field_validator("days")
    @classmethod
    def _some_day(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise refusal("names no day; leave it out for every day")
        return value

    def __str__(self) -> str:
        return f"{','.join(self.days)} {self.begins}-{self.ends} {self.zone}"

    @property
    def weekdays(self) -> frozenset[int]:
        """From 0, Monday."""
        found: set[int] = set()
        for name in self.days:
            first, _, last = name.partition("-")
            begin, end = DAYS.index(first), DAYS.index(last or first)
            found |= {day % len(DAYS) for day in range(begin, end + 1 + len(DAYS) * (end < begin))}
        return frozenset(found)

    def around(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """From when until when it is open, in UTC, in their order: the last that began before `now`, and later ones."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        for days in range(-1, LOOK_AHEAD_DAYS):
            day = today + timedelta(days=days)
            if day.weekday() in self.weekdays:
                is_past_midnight = self.ends <= self.begins
                opens = self._moment(day, self.begins, fold=0)
                closes = self._moment(day + timedelta(days=is_past_midnight), self.ends, fold=1)
                if opens < closes:
                    yield opens, closes

    def _moment(self, day: date, at: str, *, fold: int) -> datetime:
        local = datetime.combine(day, time.fromisoformat(at)).replace(fold=fold, tzinfo=ZoneInfo(self.zone))
        return local.astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class Closed:
    """No window is open. `opens`: when the next will be, in its own zone. `now`: in the same."""

    window: Window
    opens: datetime
    now: datetime

    def __str__(self) -> str:
        return f"it is {self.now:%a %Y-%m-%d %H:%M} in {self.window.zone}, and {self.next_opening}"

    @property
    def next_opening(self) -> str:
        return f"the window {self.window} opens {self.opens:%a %Y-%m-%d %H:%M}"


def verdict(windows: Sequence[Window], now: datetime) -> Closed | None:
    """None: open, as a stack without windows always is. `now` must know its zone."""
    spans = [(opens, closes, at) for at, window in enumerate(windows) for opens, closes in window.around(now)]
    if not windows or any(opens <= now < closes for opens, closes, _ in spans):
        return None
    opens, _, at = min(span for span in spans if span[0] > now)
    zone = ZoneInfo(windows[at].zone)
    return Closed(window=windows[at], opens=opens.astimezone(zone), now=now.astimezone(zone))


def admit(windows: Sequence[Window], now: datetime, *, stack: str, is_forced: bool) -> tuple[str, ...]:
    """What had to be forced, to be recorded: nothing within the windows. Raises WindowClosed outside, unless forced."""
    closed = verdict(windows, now)
    if closed is None:
        return ()
    if is_forced:
        return (f"outside the deployment windows: {closed}",)
    others = f" (of {', '.join(str(each) for each in windows)})" if len(windows) > 1 else ""
    raise WindowClosed(
        f"{stack} takes no new release now: {closed}{others}",
        f"Wait until then, or pass with `bluegreen deploy {stack} --force`, for a plain `pulumi up` with "
        "BLUEGREEN_FORCE=true; it is recorded. Back to a release that was seen healthy is always open.",
    )
