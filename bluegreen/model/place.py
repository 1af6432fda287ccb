"""Where images are. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Place:
    """Images belong to one account and one region, and have their ids there alone."""

    account: str
    region: str

    def __str__(self) -> str:
        return f"account {self.account}, {self.region}"
