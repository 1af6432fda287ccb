"""Deployment windows: open and closed by local time, right on the days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bluegreen.errors import SettingsError, WindowClosed
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.window import Window, admit, verdict


def window(begins: str, ends: str, *days: str, zone: str = "UTC") -> Window:
    given: dict[str, Any] = {"from": begins, "to": ends, "zone": zone}
    return Window.model_validate({**given, "days": days} if days else given)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


OFFICE = window("09:00", "17:00", "mon-fri", zone="Europe/Berlin")
NIGHT = window("22:00", "06:00", "fri", zone="America/New_York")


def is_open(at: str, *windows: Window) -> bool:
    return verdict(windows, utc(at)) is None


def opens(at: str, *windows: Window) -> str:
    closed = verdict(windows, utc(at))
    assert closed
    return f"{closed.opens:%a %Y-%m-%d %H:%M %z}"


def test_a_stack_without_windows_is_always_open() -> None:
    assert is_open("2026-11-28T12:00")


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        ("2026-11-27T07:59:59", False),
        ("2026-11-27T08:00", True),  # 09:00 in winter
        ("2026-11-27T15:59:59", True),
        ("2026-11-27T16:00", False),  # the end is no part of it
        ("2026-11-28T12:00", False),  # a Saturday
        ("2026-07-01T07:00", True),  # 09:00 in summer
        ("2026-07-01T15:00", False),
    ],
)
def test_it_is_open_from_its_first_moment_until_before_its_last(at: str, wanted: bool) -> None:
    assert is_open(at, OFFICE) is wanted


def test_closed_says_when_the_next_window_opens_in_its_own_zone() -> None:
    assert opens("2026-11-27T16:00", OFFICE) == "Mon 2026-11-30 09:00 +0100"
    assert opens("2026-11-27T16:00", OFFICE, NIGHT) == "Fri 2026-11-27 22:00 -0500"
    assert str(verdict([OFFICE], utc("2026-11-27T16:00"))) == (
        "it is Fri 2026-11-27 17:00 in Europe/Berlin, and the window mon-fri 09:00-17:00 Europe/Berlin opens "
        "Mon 2026-11-30 09:00"
    )


def test_a_window_that_ends_no_later_than_it_begins_goes_past_midnight() -> None:
    assert is_open("2026-11-28T10:59", NIGHT)  # Saturday 05:59, of Friday's
    assert not is_open("2026-11-28T11:00", NIGHT)
    assert not is_open("2026-11-29T05:00", NIGHT)  # Saturday night is not Friday's
    assert is_open("2026-11-28T23:59:59", window("00:00", "00:00", "sat"))
    assert not is_open("2026-11-29T00:00", window("00:00", "00:00", "sat"))


def test_days_are_names_and_ranges_that_may_pass_the_end_of_the_week() -> None:
    assert window("00:00", "00:00", "fri-mon", "wed").weekdays == {4, 5, 6, 0, 2}
    assert window("00:00", "00:00").weekdays == set(range(7))
    assert window("00:00", "00:00", "tue").weekdays == {1}


def test_the_hour_that_spring_skips_opens_at_the_change_and_a_window_within_it_a_week_later() -> None:
    """Berlin, 2026-03-29: 02:00 becomes 03:00, at 01:00 UTC."""
    sunday = {"zone": "Europe/Berlin"}
    assert is_open("2026-03-29T01:30", window("02:30", "05:00", "sun", **sunday))
    assert not is_open("2026-03-29T01:29", window("02:30", "05:00", "sun", **sunday))
    assert opens("2026-03-29T00:30", window("02:15", "02:45", "sun", **sunday)) == "Sun 2026-04-05 02:15 +0200"
    assert not is_open("2026-03-29T01:00", window("01:00", "03:00", "sun", **sunday))


def test_the_hour_that_autumn_repeats_is_open_both_times() -> None:
    """Berlin, 2026-10-25: 03:00 becomes 02:00, at 01:00 UTC."""
    night = window("02:15", "02:45", "sun", zone="Europe/Berlin")
    assert not is_open("2026-10-25T00:14", night)
    assert is_open("2026-10-25T00:15", night)
    assert is_open("2026-10-25T01:44", night)
    assert not is_open("2026-10-25T01:45", night)


def test_what_is_forced_is_said_and_what_is_not_is_refused() -> None:
    assert admit([OFFICE], utc("2026-11-27T12:00"), stack="prod", is_forced=False) == ()
    assert admit([OFFICE], utc("2026-11-27T12:00"), stack="prod", is_forced=True) == ()
    (forced,) = admit([OFFICE], utc("2026-11-28T12:00"), stack="prod", is_forced=True)
    assert forced.startswith("outside the deployment windows: it is Sat 2026-11-28 13:00 in Europe/Berlin")
    with pytest.raises(WindowClosed, match="prod takes no new release now") as refused:
        admit([OFFICE, NIGHT], utc("2026-11-28T12:00"), stack="prod", is_forced=False)
    assert "(of mon-fri 09:00-17:00 Europe/Berlin, fri 22:00-06:00 America/New_York)" in refused.value.what
    assert "bluegreen deploy prod --force" in refused.value.next_step
    assert "BLUEGREEN_FORCE=true" in refused.value.next_step


def test_each_fault_of_the_setting_has_its_path() -> None:
    config = """[{"days": ["mun", "mon-fri"], "from": "9:00", "to": 1020, "zone": "Europe/Berln"},
                 {"dayz": [], "to": "24:00"}, {"days": [], "from": "01:00", "to": "02:00", "zone": "../etc"}]"""
    with pytest.raises(SettingsError) as refused:
        Settings.parse({"ami": "ami-0123456789abcdef0", "windows": config})
    said = {fault.path.removeprefix("bluegreen:windows"): fault.message for fault in refused.value.faults}
    assert "did you mean" in said["[0].days[0]"]
    assert "is not a time of day" in said["[0].from"]
    assert 'in quotes, such as "09:00"' in said["[0].to"]
    assert "did you mean Europe/Berlin?" in said["[0].zone"]
    assert said["[1].dayz"] == "unknown key; did you mean days?"
    assert said["[1].from"] == "is missing"
    assert "is not a time of day" in said["[1].to"]
    assert "names no day" in said["[2].days"]
    assert "one looks like Europe/Berlin" in said["[2].zone"]
    assert len(said) == 9


def test_windows_are_no_part_of_the_release() -> None:
    plain = {"ami": "ami-0123456789abcdef0"}
    limited = {**plain, "windows": '[{"days": ["mon-fri"], "from": "09:00", "to": "17:00"}]'}
    assert Release.from_settings(Settings.parse(limited)) == Release.from_settings(Settings.parse(plain))
