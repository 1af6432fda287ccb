"""What of a directory goes into an image."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bluegreen.errors import ContentError
from bluegreen.images.tree import Kind, walk


def test_a_directory_comes_before_what_is_in_it_and_names_are_sorted(tmp_path: Path) -> None:
    for name in ("b/z", "b/a", "a", "B"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [entry.path for entry in walk(tmp_path)] == ["B", "a", "b", "b/a", "b/z"]


@pytest.mark.parametrize(
    "junk",
    [
        "__pycache__/x",
        "x.pyc",
        ".git/HEAD",
        ".venv/bin/python",
        ".server.py.swp",
        "server.py~",
        ".#server.py",
        ".idea/x",
    ],
)
def test_what_tools_leave_behind_is_left_out_wherever_it_is(tmp_path: Path, junk: str) -> None:
    for directory in ("", "lib"):
        file = tmp_path / directory / junk
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "lib/kept").touch()
    assert [entry.path for entry in walk(tmp_path)] == ["lib", "lib/kept"]


def test_directories_with_nothing_in_them_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a/b/__pycache__").mkdir(parents=True)
    (tmp_path / "kept").touch()
    assert [entry.path for entry in walk(tmp_path)] == ["kept"]


def test_links_that_stay_inside_are_kept_as_links(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/current").symlink_to("../server.py")
    (tmp_path / "server.py").touch()
    (link,) = [entry for entry in walk(tmp_path) if entry.kind is Kind.LINK]
    assert (link.path, link.target) == ("lib/current", "../server.py")


def test_the_tree_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "app-1").mkdir()
    (tmp_path / "app-1/server.py").touch()
    (tmp_path / "app-1/link").symlink_to("server.py")
    (tmp_path / "app").symlink_to("app-1")
    assert [entry.path for entry in walk(tmp_path / "app")] == ["link", "server.py"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "lib/../../outside"])
def test_links_that_lead_out_are_refused_by_path(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").touch()
    app = tmp_path / "app"
    (app / "lib").mkdir(parents=True)
    (app / "link").symlink_to(target)
    with pytest.raises(ContentError, match=f"{app}/link leads out"):
        list(walk(app))


def test_a_link_that_leads_out_over_another_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/out").symlink_to("/etc")
    with pytest.raises(ContentError, match="leads out"):
        list(walk(tmp_path / "app"))


def test_a_socket_is_refused_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(ContentError, match=f"{tmp_path}/s is neither a file"):
            list(walk(tmp_path))


def test_a_pipe_is_refused_by_path(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ContentError, match="pipe is neither a file"):
        list(walk(tmp_path))


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="is empty"):
        list(walk(tmp_path))


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="nowhere is not a directory"):
        list(walk(tmp_path / "nowhere"))
