"""Volumes of EBS that outlive machines: a directory each, which is in the tree of the machine that it is attached to.

There are no block devices. A volume's files are at the path that its tag `bluegreen:mount` names, at /mnt/DEVICE
without one, and nothing has to be formatted or mounted. Guarded by `Cloud.lock`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bluegreen.errors import BluegreenError
from bluegreen.model.tags import MOUNT

_LAID_OVER = ("etc", "usr")
"""Where a machine's files are layers over the host's (cell.py): a directory that is moved there is not seen."""


class VolumeError(BluegreenError):
    """What can't be done with a volume here."""


class Volumes:
    """All volumes of a sandbox that were attached by themselves; a machine's root device is its tree."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._shown: dict[str, Path] = {}
        root.mkdir(parents=True, exist_ok=True)

    def attach(self, volume: str, tree: Path, device: str, tags: dict[str, str]) -> None:
        """Its files are in the machine from now on. Raises VolumeError where that would hide others."""
        path = tags.get(MOUNT) or f"/mnt/{device.rpartition('/')[2]}"
        at = tree / path.strip("/")
        parts = at.relative_to(tree).parts
        if not parts or ".." in parts or parts[0] in _LAID_OVER:
            raise VolumeError(f"the sandbox can't show a volume at {path}", f"Give it another path ({MOUNT}).")
        home = self._root / volume
        home.mkdir(exist_ok=True)
        at.parent.mkdir(parents=True, exist_ok=True)
        if at.exists():
            try:
                at.rmdir()
            except OSError:
                raise VolumeError(f"the machine has files at {path}, which the volume would hide") from None
        home.rename(at)
        self._shown[volume] = at

    def detach(self, volume: str) -> None:
        """Its files are in no machine any more."""
        if at := self._shown.pop(volume, None):
            at.rename(self._root / volume)

    def delete(self, volume: str) -> None:
        shutil.rmtree(self._root / volume, ignore_errors=True)
