"""When something recurs, in the five fields of cron: minute, hour, day of the month, month, day of the week. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)


@dataclass(frozen=True)
class Recurrence:
    """Each field as the numbers that it takes. Where both kinds of day are restricted, either is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_any_day: bool
    is_any_weekday: bool

    @classmethod
    def parse(cls, text: str) -> Recurrence:
        """Raises ValueError, with what is wrong."""
        fields = text.split()
        if len(fields) != len(_FIELDS):
            raise ValueError(f"has {len(fields)} fields; cron has {len(_FIELDS)}")
        parsed = [_numbers(field, *spec) for field, spec in zip(fields, _FIELDS, strict=True)]
        weekdays = frozenset(number % len(_DAYS) for number in parsed[4])
        return cls(parsed[0], parsed[1], parsed[2], parsed[3], weekdays, fields[2] == "*", fields[4] == "*")

    def matches(self, moment: datetime) -> bool:
        """Whether it is one of its minutes, in the moment's own zone."""
        is_day, is_weekday = moment.day in self.days, moment.isoweekday() % len(_DAYS) in self.weekdays
        is_its_day = is_day and is_weekday if self.is_any_day or self.is_any_weekday else is_day or is_weekday
        return (
            moment.minute in self.minutes and moment.hour in self.hours and moment.month in self.months and is_its_day
        )


def _numbers(field: str, what: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        try:
            begin, end = (low, high) if span == "*" else (_number(first, names), _number(last or first, names))
            stride = int(step) if "/" in part else 1
            if "/" in part and span != "*" and not last:
                end = high
        except ValueError:
            raise ValueError(f"{part!r} is no {what}") from None
        if not low <= begin <= end <= high or stride < 1:
            raise ValueError(f"{part!r} is no {what}: they go from {low} to {high}")
        found.update(range(begin, end + 1, stride))
    return frozenset(found)


def _number(text: str, names: dict[str, int]) -> int:
    return names[text] if text in names else int(text)
