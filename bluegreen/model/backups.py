"""The bucket that snapshots are uploaded to. Pure.

Who uploads may put objects under its service's prefix, and nothing else: not read, not delete. What it overwrites stays
as an older version, so that whoever takes over a machine can't destroy its backups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bluegreen.model.schema import ConfigModel, bucket_name, refusal

KIND = "backups"


def _uploader(value: str) -> str:
    """IAM User Guide, "AWS JSON policy elements: Principal": roles, and not users, whose keys stay."""
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", value, re.ASCII):
        raise refusal(
            f"{value!r} is not the ARN of a role; one looks like arn:aws:iam::123456789012:role/NAME (users have keys "
            "that stay: let them take a role)"
        )
    return value


class Backups(ConfigModel):
    """`days`: how long a backup stays. `old_version_days`: how long one that was overwritten or deleted stays besides.
    `bucket`: its name, if it is not to be made up. `uploaders`: roles that may take the role for uploads.
    `keep_on_destroy`: a destroy leaves the bucket as it is; otherwise all that is in it goes too."""

    days: int = Field(ge=1, le=3650)
    old_version_days: int = Field(30, ge=1, le=3650)
    bucket: Annotated[str, AfterValidator(bucket_name)] = ""
    uploaders: tuple[Annotated[str, AfterValidator(_uploader)], ...] = ()
    keep_on_destroy: bool = True


def prefix_of(service: str) -> str:
    return f"backups/{service}/"


def upload_statement(bucket: str, service: str) -> Mapping[str, Any]:
    """What an uploader may do. `bucket`: its ARN."""
    return {
        "Sid": "Backups",
        "Effect": "Allow",
        "Action": ["s3:PutObject"],
        "Resource": [f"{bucket}/{prefix_of(service)}*"],
    }
