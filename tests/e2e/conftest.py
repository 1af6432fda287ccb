"""For each test module and engine: a sandbox, and a stack in it that the module's tests lead from step to step."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.host import Sandbox
from tests.e2e.project import STAND_IN, Project
from tests.e2e.roles import keep_recording, recorded


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module", params=["stand-in", pytest.param("real", marks=pytest.mark.real_engine)])
def engine(request: pytest.FixtureRequest) -> Path:
    """The directory of the `pulumi` to run."""
    if request.param == "stand-in":
        return STAND_IN
    found = shutil.which("pulumi")
    if found is None or Path(found).parent == STAND_IN:
        pytest.skip("no real `pulumi` on PATH")
    return Path(found).parent


@pytest.fixture(scope="module")
def project(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with Sandbox.start(boot_seconds=0.5) as sandbox:
        made = Project.make(sandbox, tmp_path_factory.mktemp("project") / "project", engine)
        made.roles = recorded(sandbox)
        yield made
        made.end_processes()
        keep_recording(sandbox, made.stack)
