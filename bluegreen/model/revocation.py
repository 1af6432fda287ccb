"""What a revoked image may not be used for. Pure: the events are in `bluegreen.model.history`."""

from __future__ import annotations

from bluegreen.errors import ImageError
from bluegreen.model.history import History


def why_revoked(history: History, image: str, content_digest: str = "", tag: str = "") -> str:
    """Who revoked an image, when and why; empty where it may be taken.

    `tag`: the image's `bluegreen:revoked`, which counts where the history says nothing of the image: a stack that was
    made later has a new ledger.
    """
    if history.says_of(image, content_digest) is None:
        return f"revoked, as its tag says: {tag}" if tag else ""
    revocation = history.revocation(image, content_digest)
    return str(revocation) if revocation else ""


def refuse_revoked(history: History, image: str, content_digest: str = "", tag: str = "") -> None:
    """Raises ImageError where the image was revoked. Not for one that runs already: that stays."""
    if why := why_revoked(history, image, content_digest, tag):
        raise ImageError(
            f"{image} was {why}",
            f"Deploy another image, or lift it with `bluegreen images restore {image}`. The traffic was not touched.",
        )
