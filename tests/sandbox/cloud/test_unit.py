"""What starts in an image."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sandbox.cloud.images import ImageError, Images
from sandbox.cloud.unit import UnitError, left_out, units_of


def tree_with(tmp_path: Path, unit: str, **files: str) -> Path:
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "app.service").write_text(unit)
    (units / "multi-user.target.wants").mkdir()
    (units / "multi-user.target.wants/app.service").symlink_to("/etc/systemd/system/app.service")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_paths_are_inside_the_tree_and_python_is_ours(tmp_path: Path) -> None:
    (tmp_path / "run.py").touch()
    tree = tree_with(tmp_path, "[Service]\nExecStart=/usr/bin/python3 /run.py --at /elsewhere\nWorkingDirectory=/etc\n")
    (unit,) = units_of(tree)
    assert unit.command == (sys.executable, str(tree / "run.py"), "--at", "/elsewhere")
    assert unit.directory == tree / "etc"


def test_only_a_unit_that_is_enabled_starts(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, "[Service]\nExecStart=/bin/true\n")
    (tree / "etc/systemd/system/other.service").write_text("[Service]\nExecStart=/bin/true\n")
    assert [unit.name for unit in units_of(tree)] == ["app"]


def test_consul_which_wants_a_private_address_is_left_out(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, "[Service]\nExecStart=/bin/true\n")
    for name in ("consul.service", "consul-joined.service"):
        (tree / "etc/systemd/system" / name).write_text("[Service]\nExecStart=/bin/false\n")
        (tree / "etc/systemd/system/multi-user.target.wants" / name).symlink_to(f"/etc/systemd/system/{name}")
    assert [unit.name for unit in units_of(tree)] == ["app"]
    assert left_out(tree) == ["consul-joined.service", "consul.service"]


def test_a_masked_unit_and_one_of_the_hosts_system_do_not_start(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, "[Service]\nExecStart=/bin/true\n")
    (tree / "etc/systemd/system/app.service").unlink()
    (tree / "etc/systemd/system/app.service").symlink_to("/dev/null")
    (tree / "etc/systemd/system/multi-user.target.wants/cron.service").symlink_to("/lib/systemd/system/cron.service")
    assert units_of(tree) == ()


def test_drop_ins_and_files_add_to_the_environment_in_order(tmp_path: Path) -> None:
    tree = tree_with(
        tmp_path,
        '[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\nEnvironment=A=1 "B=two words"\n'
        "EnvironmentFile=/env\nEnvironmentFile=-/missing\nTimeoutStopSec=2min\n",
        env="# comment\nC=3\n",
    )
    drop_in = tree / "etc/systemd/system/app.service.d/x.conf"
    drop_in.parent.mkdir()
    drop_in.write_text('[Service]\nEnvironment="A=a\\"quoted\\""\n')
    (unit,) = units_of(tree)
    assert dict(unit.environment) == {"A": 'a"quoted"', "B": "two words", "C": "3"}
    assert unit.stop_seconds == 120


def test_an_empty_value_resets_the_command(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, "[Service]\nExecStart=/bin/false\nExecStart=\nExecStart=/bin/true\n")
    assert units_of(tree)[0].command == ("/bin/true",)


@pytest.mark.parametrize(
    ("unit", "fault"),
    [
        ("[Service]\nType=simple\n", "no ExecStart"),
        ("[Service]\nExecStart=/bin/true\nExecStart=/bin/false\n", "2 ExecStart"),
        ("[Service]\nExecStart=/bin/true\nEnvironmentFile=/missing\n", "reads its environment from /missing"),
    ],
)
def test_a_unit_that_cannot_start_says_why(tmp_path: Path, unit: str, fault: str) -> None:
    with pytest.raises(UnitError, match=fault):
        units_of(tree_with(tmp_path, unit))


def test_an_image_keeps_values_with_quotes_and_backslashes(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "app.service").write_text("[Service]\nExecStart=/bin/true\n")
    images = Images(tmp_path / "images")
    images.bake("ami-1", app, {"A": 'b "c" \\d $e'})
    (unit,) = units_of(images.tree("ami-1"))
    assert dict(unit.environment) == {"A": 'b "c" \\d $e'}


@pytest.mark.parametrize("present", [False, True])
def test_a_directory_that_is_no_app_is_refused(tmp_path: Path, present: bool) -> None:
    app = tmp_path / "app"
    if present:
        app.mkdir()
    with pytest.raises(ImageError, match="no unit file" if present else "is not a directory"):
        Images(tmp_path / "images").bake("ami-1", app, {})
    assert not (tmp_path / "images/ami-1").exists()
