"""How many machines a rollback is asked for: as many as serve, those that are warm too, and in its release's units."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bluegreen import way_back
from bluegreen.model.fleet import Fleet
from bluegreen.model.observation import Group, LivePool
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

NOW = Settings.parse({"ami": "ami-00000002"})
BEFORE = NOW.with_image("ami-00000001")
WEIGHTED = {"types": ["t3.large"], "weights": {"t3.small": 2, "t3.large": 8}}
TYPES = {f"i-{number}": "t3.small" for number in range(3)}


def group(settings: Settings, desired: int, pool: LivePool | None = None) -> Group:
    release = Release.from_settings(settings).version
    return Group(
        name=release,
        service="web",
        minimum=2,
        maximum=6,
        desired=desired,
        target_groups=(),
        release=release,
        instances=tuple(TYPES),
        types=TYPES,
        pool=pool,
    )


@pytest.mark.parametrize(
    ("pool", "groups", "asked"),
    [
        ({}, [group(NOW, 3)], 3),
        ({}, [group(NOW, 3), group(BEFORE, 2)], 1),
        ({"minimum": 1}, [group(NOW, 3)], 6),
        ({"minimum": 1}, [group(NOW, 3), group(BEFORE, 2, LivePool(size=2))], 2),
        ({}, [], 2),
    ],
    ids=["as many as serve", "but for a standby's", "what is warm", "but for a standby's warm ones", "nothing serves"],
)
def test_a_rollback_is_asked_for_as_many_machines_as_it_launches(
    monkeypatch: pytest.MonkeyPatch, pool: dict[str, Any], groups: list[Group], asked: int
) -> None:
    assert machines(monkeypatch, pool, Release.from_settings(BEFORE), groups) == asked


def test_a_rollback_to_weights_is_asked_for_units(monkeypatch: pytest.MonkeyPatch) -> None:
    weighted = Settings.parse({"ami": "ami-00000001", "maxSize": 9, "mixedInstances": WEIGHTED})
    assert machines(monkeypatch, {"minimum": 1}, Release.from_settings(weighted), [group(NOW, 3)]) == 6, "none warm"


def machines(monkeypatch: pytest.MonkeyPatch, pool: dict[str, Any], release: Release, groups: list[Group]) -> int:
    """What the check is asked for."""
    seen: list[int] = []
    monkeypatch.setattr(way_back, "check_launchable", lambda sight, release, machines, zones: seen.append(machines))
    stack: Any = SimpleNamespace(
        observer=SimpleNamespace(groups=lambda owner: groups),
        owner=None,
        settings=Settings.parse({"ami": "ami-00000002", "warmPool": pool}),
        deployed_fleet=Fleet.from_settings(NOW),
    )
    plan: Any = SimpleNamespace(release=release)
    way_back.WayBack(stack).check_launchable(plan)
    (asked,) = seen
    return asked
