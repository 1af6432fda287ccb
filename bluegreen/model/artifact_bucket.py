"""What the stack's own buckets are called, and where a service's artifacts and backups are in them. Pure."""

from __future__ import annotations

import hashlib
import re

from pydantic import Field

from bluegreen.model.schema import ConfigModel

LONGEST_BUCKET_NAME = 63


class Artifacts(ConfigModel):
    """The bucket of the artifacts, as part of the stack. `old_version_days`: how long what was replaced or deleted
    stays. `keep_on_destroy`: a destroy leaves it as it is; otherwise all that is in it goes too."""

    old_version_days: int = Field(ge=1, le=3650)
    keep_on_destroy: bool = True


def own_bucket_name(project: str, stack: str, account: str, region: str, kind: str = "artifacts") -> str:
    """`<project>-<stack>-<kind>-<account>-<region>`, as S3 takes it: too long, it is cut, and stays unique."""
    head = re.sub(r"[^a-z0-9]+", "-", f"{project}-{stack}".lower()).strip("-")
    tail = f"-{kind}-{account}-{region}"
    room = LONGEST_BUCKET_NAME - len(tail)
    if len(head) > room:
        digest = hashlib.sha256(head.encode()).hexdigest()[:6]
        head = f"{head[: room - len(digest) - 1].rstrip('-')}-{digest}"
    return head + tail


def prefix_of(service: str) -> str:
    return f"artifacts/{service}/"
