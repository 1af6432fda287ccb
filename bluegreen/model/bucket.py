"""A bucket of the stack's: whether its name can be had, and who may not come in. Pure."""

from __future__ import annotations

from typing import Any

from bluegreen.model.observation import Bucket
from bluegreen.model.tags import Owner


def only_over_tls(arn: str) -> dict[str, Any]:
    """The policy of a bucket that answers nobody who comes without TLS."""
    statement = {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def bucket_fault(name: str, found: Bucket | None, owner: Owner, region: str, *, is_made_up: bool) -> str:
    """Why the stack can't have a bucket of that name; empty if it can. One that is there is taken over where it is the
    stack's: by its tags, or because nobody else makes up its name (`is_made_up`)."""
    if found is None:
        return ""
    if not found.is_of_account:
        return (
            f"the name {name} is taken, by a bucket of another account or one that this caller may not see; a name is "
            "there once in all of AWS. Choose another"
        )
    if found.region and found.region != region:
        return f"there is a bucket {name} in {found.region}, and the stack is in {region}. Choose another name"
    missing = {key: value for key, value in owner.tags.items() if found.tags.get(key) != value}
    if missing and not is_made_up:
        tags = ", ".join(f"{key}={value}" for key, value in missing.items())
        return f"there is a bucket {name}, and it is not this stack's. Choose another name, or tag it {tags}"
    return ""
