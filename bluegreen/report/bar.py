"""Bars of characters. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def cells_of(weights: Mapping[str, int], width: int) -> dict[str, int]:
    """So many cells of `width` for each share. Whoever has any traffic has a cell; all are used where there is any."""
    weights = {name: weight for name, weight in weights.items() if weight > 0}
    total = sum(weights.values())
    if not total or width < len(weights):
        return {}
    cells = {name: max(1, width * weight // total) for name, weight in weights.items()}
    while (rest := width - sum(cells.values())) > 0:
        short = max(cells, key=lambda name: width * weights[name] / total - cells[name])
        cells[short] += min(1, rest)
    while sum(cells.values()) > width:  # those who got a cell for less than one
        largest = max(cells, key=cells.__getitem__)
        cells[largest] -= 1
    return cells


def filled(part: float, whole: float, width: int) -> int:
    """Cells that are full; all of them only once it is whole."""
    if whole <= 0 or part >= whole:
        return width
    return min(width - 1, max(0, int(width * part / whole)))
