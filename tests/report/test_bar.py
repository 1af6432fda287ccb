"""Bars: a share that is there is seen, and one that is full is whole."""

from __future__ import annotations

import pytest

from bluegreen.report.bar import cells_of, filled


@pytest.mark.parametrize("width", [5, 8, 47, 67, 88])
@pytest.mark.parametrize(
    "weights", [{"a": 100}, {"a": 99, "b": 1}, {"a": 34, "b": 33, "c": 33}, {"a": 0, "b": 3, "c": 1}]
)
def test_all_cells_are_used_and_whoever_has_traffic_has_one(weights: dict[str, int], width: int) -> None:
    cells = cells_of(weights, width)
    assert sum(cells.values()) == width
    assert set(cells) == {name for name, weight in weights.items() if weight}
    assert min(cells.values()) >= 1


def test_shares_are_as_near_as_cells_allow() -> None:
    assert cells_of({"a": 95, "b": 5}, 40) == {"a": 38, "b": 2}
    assert cells_of({"a": 50, "b": 50}, 41) in ({"a": 21, "b": 20}, {"a": 20, "b": 21})


def test_nobody_has_nothing_and_no_room_shows_nothing() -> None:
    assert cells_of({"a": 0}, 40) == {}
    assert cells_of({"a": 1, "b": 1, "c": 1}, 2) == {}


@pytest.mark.parametrize(("part", "cells"), [(0, 0), (1, 2), (3.999, 9), (4, 10), (9, 10), (-1, 0)])
def test_a_gauge_is_full_only_when_it_is_whole(part: float, cells: int) -> None:
    assert filled(part, 4, 10) == cells


def test_what_takes_no_time_is_over() -> None:
    assert filled(0, 0, 10) == 10
