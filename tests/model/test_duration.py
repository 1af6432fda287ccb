"""Durations as a person writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bluegreen.model.duration import in_words, parse_duration


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("2w", timedelta(days=14)),
        ("90m", timedelta(minutes=90)),
        (" 0d ", timedelta()),
    ],
)
def test_durations_are_understood(text: str, meant: timedelta) -> None:
    assert parse_duration(text) == meant


@pytest.mark.parametrize("text", ["", "30", "d", "-3d", "1.5d", "30 d", "1y", "30days", "9999999d"])
def test_others_are_refused_with_what_they_should_look_like(text: str) -> None:
    with pytest.raises(ValueError, match=r"should be .* such as 30d, 12h or 2w"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(minutes=5), "0 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=30), "1 day"),
        (timedelta(days=30), "30 days"),
    ],
)
def test_durations_are_told_in_days_or_hours(duration: timedelta, words: str) -> None:
    assert in_words(duration) == words
