"""One bake at a time, of one stack in one directory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bluegreen.images.lock import LockError, bake_lock


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


HOLDER = """
import sys
from pathlib import Path
from bluegreen.images.lock import bake_lock
with bake_lock(Path(sys.argv[1]), "dev", lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(directory: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": tempfile.gettempdir()},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_says_that_it_waits_and_gets_the_lock_when_the_first_is_done(tmp_path: Path) -> None:
    first = holder(tmp_path)
    waits: list[str] = []

    def wait() -> None:
        waits.append("waits")
        assert first.stdin is not None
        first.stdin.close()

    (tmp_path / "link").symlink_to(tmp_path)
    with bake_lock(tmp_path / "link", "dev", wait):
        assert waits == ["waits"]
    assert first.wait(timeout=10) == 0


def test_a_process_that_was_killed_holds_it_no_more(tmp_path: Path) -> None:
    first = holder(tmp_path)
    with bake_lock(tmp_path, "dev", first.kill):
        assert first.wait(timeout=10) == -9


def test_other_stacks_and_directories_do_not_wait(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    def wait() -> None:
        raise AssertionError

    with (
        bake_lock(tmp_path, "dev", wait),
        bake_lock(tmp_path, "prod", wait),
        bake_lock(tmp_path / "other", "dev", wait),
    ):
        pass


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, temporary: Path) -> None:
    with bake_lock(tmp_path, "dev", lambda: None):
        (file,) = temporary.iterdir()
    file.unlink()
    file.symlink_to(tmp_path / "victim")
    with pytest.raises(LockError, match="can't be had"), bake_lock(tmp_path, "dev", lambda: None):
        pass
    assert not (tmp_path / "victim").exists()
