"""The engine as the product asks it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluegreen import engine
from bluegreen.engine import Engine
from bluegreen.errors import NoSuchStackError
from bluegreen.pulumi_command import PulumiCommand

PULUMI = """#!/bin/sh
echo "$*" >> asked
case "$*" in
  version) echo v3.260.0;;
  *"--stack dev"*) echo dev;;
  *"stack ls"*) echo '[{"name": "dev", "current": true}]';;
  *) echo "error: no stack named 'dve' found" >&2; exit 255;;
esac
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pulumi").write_text(PULUMI)
    (tmp_path / "pulumi").chmod(0o755)
    (tmp_path / "Pulumi.yaml").write_text("name: bluegreen\nruntime: python\n")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "_command", PulumiCommand)
    return tmp_path


def test_a_stack_that_is_asked_about_is_not_the_one_that_a_later_pulumi_up_takes(project: Path) -> None:
    """After `bluegreen status prod` a plain `pulumi up` must go where it went before."""
    Engine("dev", project)
    assert "stack select" not in (project / "asked").read_text()


def test_a_stack_that_is_not_there_is_told_with_the_nearest_name(project: Path) -> None:
    with pytest.raises(NoSuchStackError, match="there is no stack dve") as caught:
        Engine("dve", project)
    assert "Did you mean dev?" in caught.value.next_step
