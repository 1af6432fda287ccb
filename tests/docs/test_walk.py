"""Who goes the way that a page shows, in a sandbox, gets what it shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.cloud import cell
from tests.docs.likeness import aligned, lasting
from tests.docs.page import PROJECT
from tests.docs.walk import go

pytestmark = pytest.mark.rollout


@pytest.mark.parametrize("name", ["README.md", "docs/tour.md"])
def test_the_way_of_the_page_is_as_it_is_shown(name: str, tmp_path: Path) -> None:
    if name == "README.md" and (shutil.which("packer") is None or cell.obstacle()):
        pytest.skip("it bakes: there is no `packer` on PATH, or machines can't be logged into here")
    for each, real in go(PROJECT / name, tmp_path / "bluegreen"):
        assert aligned(each.output, real) is not None, "\n".join(
            [f"$ {each.command}", "shown:", *each.output, "real:", *lasting(real)]
        )
