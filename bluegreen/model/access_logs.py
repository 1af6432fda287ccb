"""Where a load balancer writes down its requests. Pure."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from bluegreen.model.schema import ConfigModel, bucket_name, refusal


def _prefix(value: str) -> str:
    """Application Load Balancers guide, "Enable access logs"."""
    if value.startswith("/") or value.endswith("/") or "AWSLogs" in value or any(it.isspace() for it in value):
        raise refusal(f"{value!r} should have no / at either end, no spaces, and no AWSLogs, which AWS puts behind it")
    return value


class AccessLogs(ConfigModel):
    """A bucket of the user's, in the stack's region, whose policy lets the load balancer write; and where in it."""

    bucket: Annotated[str, AfterValidator(bucket_name), Field(min_length=1)]
    prefix: Annotated[str, AfterValidator(_prefix), Field(max_length=512)] = ""
