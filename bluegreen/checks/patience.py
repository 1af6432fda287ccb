"""How long to wait between two looks: often at first, ever more seldom later."""

from __future__ import annotations

SHORTEST_SECONDS = 0.2
LONGEST_SECONDS = 5.0
SHARE = 0.1


def delay_after(waited_seconds: float) -> float:
    """Seconds until the next look: a tenth of what was waited, so that no wait gets longer by more than that.

    The bounds keep a long wait far below AWS's rate limits (Describe calls of Elastic Load Balancing: ten a second).
    """
    return min(max(SHORTEST_SECONDS, SHARE * waited_seconds), LONGEST_SECONDS)
