"""An image (AMI) as a directory tree, the way a bake leaves it: `<sandbox>/images/<ami id>/`.

This makes trees from an app's directory and gives machines copies of them; the AMI's entry in the API is cloud.py's.
A tree never changes once it is made.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from bluegreen.errors import BluegreenError
from sandbox.cloud.unit import UNITS, UnitError, units_of

APP = Path("opt/app")
_NOT_BAKED = shutil.ignore_patterns("*.service", "__pycache__", ".git", ".venv")


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
            (tree / UNITS).mkdir(parents=True)
            for unit in sorted(app.glob("*.service")):
                shutil.copy2(unit, tree / UNITS)
                if environment:
                    drop_in = tree / UNITS / f"{unit.name}.d" / "environment.conf"
                    drop_in.parent.mkdir()
                    drop_in.write_text(_drop_in(environment), encoding="utf-8")
            units_of(tree)
        except (OSError, UnitError):
            shutil.rmtree(tree, ignore_errors=True)
            raise

    def copy(self, image_id: str, to: Path) -> None:
        """A machine writes to its disk, so it gets a copy: a hard link would reach into the image."""
        shutil.copytree(self.tree(image_id), to, symlinks=True)


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
