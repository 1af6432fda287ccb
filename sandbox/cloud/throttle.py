"""A fault: the next calls of an action are throttled, as each API says so.

Sources: "Request throttling for the Amazon EC2 API" and the common errors of the other services' API references.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

_EC2 = (
    "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>"
    "</Errors><RequestID>throttled</RequestID></Response>"
)
_QUERY = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
    "<RequestId>throttled</RequestId></ErrorResponse>"
)
_JSON = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"})


@dataclass(frozen=True)
class Refusal:
    status: HTTPStatus
    body: str
    content_type: str


class Throttle:
    """How many of the next calls are refused, by action."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def set(self, action: str, calls: int) -> None:
        self._left[action] = calls

    def refusal(self, service: str, action: str, *, is_json: bool) -> Refusal | None:
        left = self._left.get(action, 0)
        if left <= 0:
            return None
        self._left[action] = left - 1
        if is_json:
            return Refusal(HTTPStatus.BAD_REQUEST, _JSON, "application/x-amz-json-1.0")
        if service == "ec2":
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, _EC2, "text/xml")
        return Refusal(HTTPStatus.BAD_REQUEST, _QUERY, "text/xml")
