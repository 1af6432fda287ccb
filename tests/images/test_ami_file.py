"""packer/ami.txt: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluegreen.errors import ImageError
from bluegreen.images.ami_file import check_ami_file, read_ami, write_ami


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "packer").mkdir()
    return tmp_path


def test_what_was_written_is_read(directory: Path) -> None:
    write_ami(directory, "ami-11111111")
    write_ami(directory, "ami-22222222")
    assert read_ami(directory) == "ami-22222222"
    assert (directory / "packer/ami.txt").read_text() == "ami-22222222\n"
    assert (directory / "packer/ami.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_former_one_and_nothing_else(
    directory: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_ami(directory, "ami-11111111")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(
        ImageError, match=r"ami-22222222 is baked, but packer/ami.txt can't be written: .*No space left"
    ):
        write_ami(directory, "ami-22222222")
    assert read_ami(directory) == "ami-11111111"
    assert [file.name for file in (directory / "packer").iterdir()] == ["ami.txt"]


def test_without_a_bake_the_error_says_to_bake(directory: Path) -> None:
    with pytest.raises(ImageError, match=r"no packer/ami.txt") as caught:
        read_ami(directory)
    assert "bluegreen bake" in caught.value.next_step


@pytest.mark.parametrize("text", ["", "ami-", "i-11111111", "ami-11111111\nami-22222222\n"])
def test_a_file_that_holds_something_else_is_refused(directory: Path, text: str) -> None:
    (directory / "packer/ami.txt").write_text(text)
    with pytest.raises(ImageError, match="not the id of an AMI"):
        read_ami(directory)


def test_what_can_be_written_passes_the_check_and_is_untouched(directory: Path) -> None:
    check_ami_file(directory)
    assert list((directory / "packer").iterdir()) == []
    write_ami(directory, "ami-11111111")
    check_ami_file(directory)
    assert read_ami(directory) == "ami-11111111"


def test_a_directory_in_its_place_is_refused(directory: Path) -> None:
    (directory / "packer/ami.txt").mkdir()
    with pytest.raises(ImageError, match=r"packer/ami.txt is a directory"):
        check_ami_file(directory)


def test_a_directory_that_can_not_be_written_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    with pytest.raises(ImageError, match=r"can't be written: .*Permission denied") as caught:
        check_ami_file(directory)
    assert "Nothing was launched" in caught.value.next_step
