"""What the stack's own bucket for artifacts is called, and where a service's are in it. Pure."""

from __future__ import annotations

import hashlib
import re

LONGEST_BUCKET_NAME = 63


def own_bucket_name(project: str, stack: str, account: str, region: str) -> str:
    """`<project>-<stack>-artifacts-<account>-<region>`, as S3 takes it: too long, it is cut, and stays unique."""
    head = re.sub(r"[^a-z0-9]+", "-", f"{project}-{stack}".lower()).strip("-")
    tail = f"-artifacts-{account}-{region}"
    room = LONGEST_BUCKET_NAME - len(tail)
    if len(head) > room:
        digest = hashlib.sha256(head.encode()).hexdigest()[:6]
        head = f"{head[: room - len(digest) - 1].rstrip('-')}-{digest}"
    return head + tail


def prefix_of(service: str) -> str:
    return f"artifacts/{service}/"
