from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from bluegreen.components import hooks as hooks_module
from tests.components.hooks.world import (
    FakeHook,
    World,
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(directory=tmp_path, monkeypatch=monkeypatch)
    monkeypatch.setattr(pulumi, "ResourceHook", FakeHook)
    monkeypatch.setattr(pulumi, "get_root_directory", lambda: str(tmp_path))
    monkeypatch.setattr(pulumi, "get_project", lambda: "bluegreen")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setattr(pulumi.log, "info", world.said.append)
    monkeypatch.setattr(pulumi.log, "warn", world.warned.append)
    monkeypatch.setattr(hooks_module, "Observer", lambda session: world)
    return world
