"""An image (AMI) as a directory tree, the way a bake leaves it: `<sandbox>/images/<ami id>/`.

This makes trees from an app's directory or from a machine's disk, and gives machines copies of them; the AMI's entry in
the API is cloud.py's.
A tree never changes once it is made.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import BluegreenError
from sandbox.cloud import cell
from sandbox.cloud.unit import UNITS, WANTS, UnitError, units_of

APP = Path("opt/app")
_CLEARED_AT_BOOT = ("run", "tmp")
_NOT_BAKED = shutil.ignore_patterns("*.service", "__pycache__", ".git", ".venv")


@dataclass(frozen=True)
class BaseImage:
    """A publisher's image to bake on."""

    name: str
    owner: str
    owner_alias: str | None
    architecture: str
    root_device: str


BASE_IMAGES = (
    BaseImage("debian-12-amd64-20260101-2000", "136693071363", None, "x86_64", "/dev/xvda"),
    BaseImage("debian-12-arm64-20260101-2000", "136693071363", None, "arm64", "/dev/xvda"),
    BaseImage("debian-13-amd64-20260101-2000", "136693071363", None, "x86_64", "/dev/xvda"),
    BaseImage("debian-13-arm64-20260101-2000", "136693071363", None, "arm64", "/dev/xvda"),
    BaseImage("al2023-ami-2023.9.20260101.0-kernel-6.1-x86_64", "137112412989", "amazon", "x86_64", "/dev/xvda"),
    BaseImage("al2023-ami-2023.9.20260101.0-kernel-6.1-arm64", "137112412989", "amazon", "arm64", "/dev/xvda"),
    BaseImage(
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260101",
        "099720109477",
        None,
        "x86_64",
        "/dev/sda1",
    ),
)


class ImageError(BluegreenError):
    """A directory that no image can be made of."""


class Images:
    """All trees of a sandbox."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def tree(self, image_id: str) -> Path:
        return self._root / image_id

    def bake(self, image_id: str, app: Path, environment: Mapping[str, str]) -> None:
        """Files to /opt/app, units to /etc/systemd/system, the environment as a drop-in of every unit."""
        check_app(app)
        tree = self.tree(image_id)
        try:
            shutil.copytree(app, tree / APP, symlinks=True, ignore=_NOT_BAKED)
            (tree / WANTS).mkdir(parents=True)
            for unit in sorted(app.glob("*.service")):
                shutil.copy2(unit, tree / UNITS)
                (tree / WANTS / unit.name).symlink_to(Path("/", UNITS, unit.name))
                if environment:
                    drop_in = tree / UNITS / f"{unit.name}.d" / "environment.conf"
                    drop_in.parent.mkdir()
                    drop_in.write_text(_drop_in(environment), encoding="utf-8")
            units_of(tree)
        except (OSError, UnitError):
            shutil.rmtree(tree, ignore_errors=True)
            raise

    def take(self, image_id: str, disk: Path) -> None:
        """An image of a machine's disk as it stands, without what a boot would clear away."""
        tree = self.tree(image_id)
        _copy(disk, tree)
        cell.clear_mountpoints(tree)
        for name in _CLEARED_AT_BOOT:
            for entry in (tree / name).glob("*"):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()

    def copy(self, image_id: str, to: Path) -> None:
        """A machine writes to its disk, so it gets a copy: a hard link would reach into the image."""
        _copy(self.tree(image_id), to)

    def base(self, image_id: str) -> None:
        """An image of nothing but the system, which is the host's."""
        self.tree(image_id).mkdir()

    def is_base(self, image_id: str) -> bool:
        return not any(self.tree(image_id).iterdir())

    def delete(self, image_id: str) -> None:
        shutil.rmtree(self.tree(image_id), ignore_errors=True)


def _copy(tree: Path, to: Path) -> None:
    """With owners, times and what overlay mounts leave: files deleted from the host's system, as device nodes."""
    done = subprocess.run(["cp", "-a", "--", tree, to], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{tree} can't be copied: {done.stderr.strip()}")


def check_app(app: Path) -> None:
    if not app.is_dir():
        raise ImageError(f"{app} is not a directory", "Name the app's directory with --app.")
    if not any(app.glob("*.service")):
        raise ImageError(
            f"{app} has no unit file (*.service), so nothing would start in the image",
            "Put a systemd unit with an ExecStart beside the app.",
        )


def _drop_in(environment: Mapping[str, str]) -> str:
    lines = []
    for key, value in environment.items():
        if "\n" in value:
            raise ImageError(f"the value of {key} has a line break, which a unit's Environment can't hold")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'Environment="{key}={escaped}"\n')
    return "[Service]\n" + "".join(lines)
