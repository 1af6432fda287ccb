"""GetConsoleOutput."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.responses.general import General

from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (Gap("console", "has one console output for all instances, of 2006"),)


def fill(cloud: Cloud) -> None:
    @replace(General, "get_console_output")
    def get_console_output(self: General) -> ActionResult:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        answer = {"InstanceId": instance.id, "Timestamp": datetime.now(UTC)}
        if console := cloud.machines.console(instance.id):
            text, written_at = console
            answer["Output"] = Base64EncodedString.from_encoded_bytes(base64.b64encode(text))
            answer["Timestamp"] = datetime.fromtimestamp(written_at, UTC)
        return ActionResult(answer)
