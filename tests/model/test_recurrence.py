"""Cron's five fields."""

from __future__ import annotations

from datetime import datetime

import pytest

from bluegreen.model.recurrence import Recurrence

MONDAY = datetime(2026, 6, 1, 8, 0)
SUNDAY = datetime(2026, 6, 7, 8, 0)


@pytest.mark.parametrize(
    ("text", "moment", "is_it"),
    [
        ("0 8 * * 1-5", MONDAY, True),
        ("0 8 * * mon-fri", MONDAY, True),
        ("0 8 * * MON-FRI", SUNDAY, False),
        ("0 8 * * 7", SUNDAY, True),
        ("0 8 * * 0", SUNDAY, True),
        ("1 8 * * *", MONDAY, False),
        ("*/15 * * * *", MONDAY.replace(minute=45), True),
        ("*/15 * * * *", MONDAY.replace(minute=46), False),
        ("5/15 * * * *", MONDAY.replace(minute=50), True),
        ("0 8,20 * * *", MONDAY.replace(hour=20), True),
        ("0 8 * jan *", MONDAY, False),
        ("0 8 1 * sun", MONDAY, True),
        ("0 8 1 * sun", SUNDAY, True),
        ("0 8 1 * sun", MONDAY.replace(day=2), False),
    ],
)
def test_a_moment_is_one_of_its_minutes_or_not(text: str, moment: datetime, is_it: bool) -> None:
    assert Recurrence.parse(text).matches(moment) is is_it


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 8 * *", "has 4 fields"),
        ("60 8 * * *", "'60' is no minute: they go from 0 to 59"),
        ("0 8 * * monday", "'monday' is no day of the week"),
        ("0 8-6 * * *", "'8-6' is no hour"),
        ("*/0 8 * * *", "'\\*/0' is no minute"),
        ("rate(5 minutes) * * *", "is no minute"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Recurrence.parse(text)
