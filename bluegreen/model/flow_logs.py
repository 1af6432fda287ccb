"""Flow logs: who talked to whom in the VPC, kept in CloudWatch Logs or in a bucket. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from bluegreen.model.schema import ConfigModel, refusal

RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""CloudWatch Logs API, PutRetentionPolicy."""


def _days(value: int) -> int:
    if value and value not in RETENTION_DAYS:
        near = min(RETENTION_DAYS, key=lambda days: abs(days - value))
        raise refusal(f"{value} is not a time that CloudWatch Logs keeps logs for; {near} days is the nearest")
    return value


def _bucket_arn(value: str) -> str:
    """EC2 API, CreateFlowLogs: LogDestination. A folder in the bucket may follow."""
    if value and not re.fullmatch(r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w./-]+)?", value):
        raise refusal(f"{value!r} is not the ARN of a bucket; one looks like arn:aws:s3:::my-logs")
    return value


class FlowLogs(ConfigModel):
    """`days`: in CloudWatch Logs, for so long. `bucket`: in S3, as long as the bucket keeps them. Neither: off."""

    days: Annotated[int, AfterValidator(_days)] = Field(0, ge=0)
    bucket: Annotated[str, AfterValidator(_bucket_arn)] = ""

    @model_validator(mode="after")
    def _one_place(self) -> FlowLogs:
        if self.days and self.bucket:
            raise refusal("has both days and bucket; one of them says where they are kept")
        return self

    @property
    def is_on(self) -> bool:
        return bool(self.days or self.bucket)


OFF = FlowLogs()
