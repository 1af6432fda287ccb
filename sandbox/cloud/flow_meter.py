"""Counts what a Network Load Balancer does: the metrics of CloudWatch's namespace AWS/NetworkELB.

By the names, dimensions and reporting criteria of "CloudWatch metrics for your Network Load Balancer" in AWS's guide.
The bytes are those of the payload, without the headers of TCP and IP.
"""

from __future__ import annotations

from sandbox.cloud.samples import Samples


class FlowMeter:
    """Of one load balancer. What is under way goes on from one period to the next."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.bytes = 0
        self.client_resets = self.target_resets = self.elb_resets = 0
        self._new = self._active = 0
        self._samples = Samples()

    def begun(self) -> None:
        self._new += 1
        self._active += 1

    def ended(self) -> None:
        self._active -= 1

    def reset_by(self, *, is_client: bool) -> None:
        if is_client:
            self.client_resets += 1
        else:
            self.target_resets += 1

    def look(self) -> None:
        """How many flows there are now."""
        self._samples.add(float(self._active))

    def close(self) -> list[tuple[str, str, Samples]]:
        """Name, unit and samples of each metric of the period that ends: all are reported always."""
        counts = {
            "NewFlowCount": ("Count", self._new),
            "ProcessedBytes": ("Bytes", self.bytes),
            "TCP_Client_Reset_Count": ("Count", self.client_resets),
            "TCP_Target_Reset_Count": ("Count", self.target_resets),
            "TCP_ELB_Reset_Count": ("Count", self.elb_resets),
        }
        active, self._samples = self._samples, Samples()
        self._new = self.bytes = self.client_resets = self.target_resets = self.elb_resets = 0
        return [
            ("ActiveFlowCount", "Count", active),
            *((name, unit, Samples.of(float(count))) for name, (unit, count) in counts.items()),
        ]
