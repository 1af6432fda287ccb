"""Which config a deployment starts from: that of the stack's last update, and what was edited since. Pure.

A checkout may be older than what runs: one of last week, which CI deploys today, would bring last week's settings back.
The `serial` of `fleet`, which every deployment raises, tells: a checkout whose serial is older has not seen the last
update, and its settings are set aside. One of the same serial has, and what differs was edited since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass

from bluegreen.model.settings import NAMESPACE

FLEET = f"{NAMESPACE}:fleet"
IMAGE = f"{NAMESPACE}:ami"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A key whose value in the checkout is not that of the last update; None where it is not set.

    `is_used`: the checkout's counts. `why`: where it does not.
    """

    key: str
    deployed: str | None
    here: str | None
    is_used: bool
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The config to start from, and how the checkout's differs from that of the last update."""

    config: Mapping[str, str]
    differences: tuple[Difference, ...] = ()

    @property
    def edits(self) -> dict[str, str | None]:
        """What has to be changed in the checkout's config for it to be this one. None: taken out."""
        return {each.key: each.deployed for each in self.differences if not each.is_used}


def baseline(
    here: Mapping[str, str], deployed: Mapping[str, str] | None, *, served: Set[str] = frozenset(), serial: int = 0
) -> Baseline:
    """Configs by key with its namespace, as the engine tells them; `deployed` is that of the last update.

    `served`: images that had served before the one that runs: a checkout that names one of them is older than what
    runs, whatever its serial says, since a plain `pulumi up` raises none. `serial`: of what the stack put out last.
    """
    if deployed is None:
        return Baseline(config=here)
    is_stale = serial_of(here) < max(serial, serial_of(deployed))
    differences = []
    for key in sorted({*here, *deployed}):
        ours, theirs = here.get(key) or None, deployed.get(key) or None
        if _is_same(ours, theirs):
            continue
        why = ""
        if is_stale:
            why = "this checkout is older than the stack's last update"
        elif key == IMAGE and ours in served:
            why = "it has served before; `--ami` takes it, and `bluegreen rollback` goes back to its release"
        differences.append(Difference(key=key, deployed=theirs, here=ours, is_used=not why, why=why))
    config = {**here, **{each.key: each.deployed or "" for each in differences if not each.is_used}}
    return Baseline(config={key: value for key, value in config.items() if value}, differences=tuple(differences))


def serial_of(config: Mapping[str, str]) -> int:
    """The serial of a config's `fleet`; 0 where it has none, or none that can be read, which the settings tell."""
    try:
        return int(json.loads(config[FLEET])["serial"])
    except (KeyError, TypeError, ValueError):
        return 0


def _is_same(one: str | None, other: str | None) -> bool:
    """Objects are the same whatever the order of their keys."""
    if one == other or one is None or other is None:
        return one == other
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False
