"""What an image is made of, as digests: two images of the same content need not both be baked. No AWS, no Packer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bluegreen.errors import ContentError
from bluegreen.images.tree import Kind, walk
from bluegreen.model.history import History


@dataclass(frozen=True, kw_only=True)
class Content:
    """All that makes an image what it is. Digests are sha256, in hex.

    `again`: how often an image of the same was revoked. The one that is baked in its place is of another content: the
    packages of a system are those of the day, and what was wrong with the first may be mended in the next.
    """

    artifact_sha256: str
    playbook_digest: str
    base_image: str
    template_digest: str
    again: int = 0

    @property
    def digest(self) -> str:
        """The content digest."""
        fields = asdict(self)
        if not self.again:
            del fields["again"]
        return _digest(fields)

    def not_revoked(self, history: History) -> Content:
        """The same, as often again as it takes to be a content that this history does not veto."""
        content = self
        while history.revocation("", content.digest):
            content = replace(content, again=content.again + 1)
        return content


def tree_digest(root: Path) -> str:
    """Of a directory's paths, bytes, links and executable bits. Raises ContentError."""
    entries = []
    for entry in walk(root):
        held = entry.target
        if entry.kind is Kind.FILE:
            try:
                with entry.source.open("rb") as file:
                    held = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ContentError(f"{entry.source} can't be read: {error.strerror}") from error
        entries.append((entry.path, entry.kind, entry.is_executable, held))
    return _digest(entries)


def template_digest(template: Path, scripts: Path, variables: Mapping[str, Any]) -> str:
    """Of a template, its scripts, and those of its variables that shape the image. Raises ContentError."""
    return _digest([tree_digest(template), tree_digest(scripts), dict(variables)])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
