"""What an event is called where every event is an entry of its own: names that sort as the events happened."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from datetime import UTC

from bluegreen.model.history import Event


def namer(separator: str) -> Callable[[Event], str]:
    """Makes names: moment, run, a count and a random part. Events of one moment stay in the order of their naming, and
    no two writers take the same name."""
    count = itertools.count()

    def name(event: Event) -> str:
        moment = event.at.astimezone(UTC)
        return separator.join(
            (f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z", event.run, f"{next(count):06d}{secrets.token_hex(4)}")
        )

    return name
