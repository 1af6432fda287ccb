"""Which zones a stack is in."""

from __future__ import annotations

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.zones import choose_zones

THERE = ("us-east-1c", "us-east-1a", "us-east-1b")


def test_the_first_ones_by_name_unless_others_are_named() -> None:
    assert choose_zones(2, (), THERE) == ["us-east-1a", "us-east-1b"]
    assert choose_zones(2, ("us-east-1c", "us-east-1a"), THERE) == ["us-east-1c", "us-east-1a"]


def test_zones_that_the_region_has_not_got_are_told_with_those_that_it_has() -> None:
    with pytest.raises(SettingsError, match=r"zoneNames: us-east-1z can't be used: the region has us-east-1a, us-ea"):
        choose_zones(2, ("us-east-1a", "us-east-1z"), THERE)
    with pytest.raises(SettingsError, match="bluegreen:zones: 4 are asked for, and the region has 3"):
        choose_zones(4, (), THERE)
