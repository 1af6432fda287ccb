"""A workspace per test, and the real engine where there is one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.sandbox.engine.engine_workspace import REPOSITORY, STAND_IN, Workspace, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path, STAND_IN)


@pytest.fixture
def real_engine() -> Path:
    """The directory of a real `pulumi`."""
    found = shutil.which("pulumi")
    if found is None or Path(found).resolve().is_relative_to(REPOSITORY):
        pytest.skip("no real `pulumi` on PATH to compare with")
    return Path(found).parent
