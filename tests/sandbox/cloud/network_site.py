"""A Network Load Balancer in front of targets whose every move a test knows."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest

from tests.sandbox.cloud.backend import PORT
from tests.sandbox.cloud.site import weighted
from tests.sandbox.cloud.teller import Teller
from tests.sandbox.cloud.world import Aws, eventually

LISTENER_PORT = 8080


class Flows:
    """A Network Load Balancer with a listener on 8080, and target groups of tellers behind it."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.balancer = aws.balancer(Type="network")
        self.address = aws.address(self.balancer)
        self.listener = ""
        self.opened = ExitStack()

    def group(self, *names: str, target: Any = Teller, **settings: Any) -> tuple[str, list[Any]]:
        given = {"Protocol": "TCP", "TargetType": "ip", "Port": PORT, "HealthCheckPath": None} | settings
        arn = self.aws.target_group(**given)
        targets = [target(name) for name in names]
        for each in targets:
            self.opened.callback(each.close)
        registered = [{"Id": each.address, "Port": PORT} for each in targets]
        self.aws.elb.register_targets(TargetGroupArn=arn, Targets=registered)
        return arn, targets

    def serve(self, *names: str, target: Any = Teller, **settings: Any) -> tuple[str, list[Any]]:
        """A group that the listener forwards to, all healthy."""
        arn, targets = self.group(*names, target=target, **settings)
        self.listener = self.aws.listener(self.balancer, arn, protocol="TCP")
        eventually(lambda: self.aws.states(arn) == ["healthy"] * len(names))
        return arn, targets

    def forward(self, **weights: int) -> None:
        self.aws.elb.modify_listener(ListenerArn=self.listener, DefaultActions=[weighted(**weights)])

    def set(self, group: str, key: str, value: str) -> None:
        self.aws.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": key, "Value": value}])

    def connect(self) -> Client:
        client = Client(socket.create_connection((self.address, LISTENER_PORT), timeout=10))
        self.opened.callback(client.sock.close)
        return client

    def answers(self, count: int) -> Counter[str]:
        """Who has answered so many new connections."""
        found: Counter[str] = Counter()
        for _ in range(count):
            client = self.connect()
            found[client.name] += 1
            client.sock.close()
        return found

    def deregister(self, group: str, target: Teller) -> None:
        self.aws.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": target.address, "Port": PORT}])


class Client:
    """A connection whose target has said its name."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.name = sock.recv(100).decode().strip()

    def says(self, text: bytes) -> bytes:
        self.sock.sendall(text)
        return self.sock.recv(65536)

    def is_up(self) -> bool:
        return self.says(b"still there\n") == b"still there\n"

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def is_reset(self) -> bool:
        """Waits for it."""
        with pytest.raises(ConnectionResetError):
            self.sock.recv(1)
        return True
