"""How long to wait between two looks."""

from __future__ import annotations

import pytest

from bluegreen.checks.patience import delay_after


@pytest.mark.parametrize(("waited", "delay"), [(0, 0.2), (1, 0.2), (2, 0.2), (10, 1), (30, 3), (50, 5), (3600, 5)])
def test_looks_get_rarer_as_the_wait_gets_longer(waited: float, delay: float) -> None:
    assert delay_after(waited) == pytest.approx(delay)
