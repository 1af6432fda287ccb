"""A load balancer in front of targets whose every move a test knows."""

from __future__ import annotations

import http.client
import socket
from typing import Any

from tests.sandbox.cloud.backend import PORT, Backend
from tests.sandbox.cloud.world import Aws, eventually


class Site:
    """A load balancer with a listener on 8080, and target groups of backends behind it."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.balancer = aws.balancer()
        self.address = aws.address(self.balancer)
        self.listener = ""
        self.backends: list[Backend] = []

    def group(self, *names: str) -> tuple[str, list[Backend]]:
        """A target group with a backend for each name."""
        arn = self.aws.target_group(TargetType="ip", Port=PORT)
        backends = [Backend(name) for name in names]
        self.backends += backends
        targets = [{"Id": it.address, "Port": PORT} for it in backends]
        self.aws.elb.register_targets(TargetGroupArn=arn, Targets=targets)
        return arn, backends

    def serve(self, *names: str) -> tuple[str, list[Backend]]:
        """A group that the listener forwards to, all healthy."""
        arn, backends = self.group(*names)
        self.listener = self.aws.listener(self.balancer, arn)
        eventually(lambda: self.aws.states(arn) == ["healthy"] * len(names))
        return arn, backends

    def forward(self, *, sticky_seconds: int | None = None, **weights: int) -> None:
        action = weighted(sticky_seconds=sticky_seconds, **weights)
        self.aws.elb.modify_listener(ListenerArn=self.listener, DefaultActions=[action])

    def attribute(self, key: str, value: str) -> None:
        """Of the load balancer."""
        self.aws.elb.modify_load_balancer_attributes(
            LoadBalancerArn=self.balancer, Attributes=[{"Key": key, "Value": value}]
        )

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, 8080, timeout=10)

    def raw(self, data: bytes) -> bytes:
        """What comes back until the load balancer closes."""
        with socket.create_connection((self.address, 8080), timeout=10) as sock:
            sock.sendall(data)
            return received(sock)


def weighted(*, sticky_seconds: int | None = None, **weights: int) -> dict[str, Any]:
    """A forward action to target groups, by their ARNs."""
    config: dict[str, Any] = {"TargetGroups": [{"TargetGroupArn": arn, "Weight": it} for arn, it in weights.items()]}
    if sticky_seconds is not None:
        config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": sticky_seconds}
    return {"Type": "forward", "ForwardConfig": config}


def received(sock: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def ask(connection: http.client.HTTPConnection, path: str, method: str = "GET", **options: Any) -> tuple[int, bytes]:
    connection.request(method, path, **options)
    answer = connection.getresponse()
    return answer.status, answer.read()
