"""moto answers DryRunOperation with 400."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.responses._base_response import EC2BaseResponse

from sandbox.cloud.moto_gaps.gap import replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud


def fill(cloud: Cloud) -> None:
    serialize = EC2BaseResponse.serialized

    @replace(EC2BaseResponse, "serialized")
    def serialized(self: EC2BaseResponse, action_result: ActionResult) -> tuple[int, Any, Any]:
        status, headers, body = serialize(self, action_result)
        is_dry = isinstance(action_result.result, DryRunClientError)
        return HTTPStatus.PRECONDITION_FAILED if is_dry else status, headers, body
