"""A machine that can be logged into, and an SSH client."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from tests.sandbox.cloud.world import Aws, eventually

T = TypeVar("T")
_numbers = itertools.count(1)
DEBIAN = {"Owners": ["136693071363"], "Filters": [{"Name": "name", "Values": ["debian-12-amd64-*"]}]}


@dataclass(frozen=True)
class Builder:
    aws: Aws
    instance: str
    private_key: str

    @classmethod
    def launch(cls, aws: Aws, image: str | None = None, **options: Any) -> Builder:
        image = image or aws.ec2.describe_images(**DEBIAN)["Images"][0]["ImageId"]
        key_name = f"key-{next(_numbers)}"
        private_key = aws.ec2.create_key_pair(KeyName=key_name)["KeyMaterial"]
        made = aws.ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, KeyName=key_name, InstanceType="t3.small", **options
        )
        builder = cls(aws, made["Instances"][0]["InstanceId"], private_key)
        eventually(lambda: builder.state == "running", what=builder.console)
        return builder

    @property
    def known(self) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.ec2.describe_instances(InstanceIds=[self.instance])["Reservations"][0]
        return dict(found["Instances"][0])

    @property
    def state(self) -> str:
        return str(self.known["State"]["Name"])

    @property
    def address(self) -> str:
        return str(self.known["PublicIpAddress"])

    @property
    def directory(self) -> Path:
        return self.aws.sandbox.dir / "machines" / self.instance

    @property
    def tree(self) -> Path:
        return self.directory / "root"

    @property
    def console(self) -> str:
        file = self.directory / "console.log"
        return file.read_text() if file.exists() else ""

    def connected(self, work: Callable[[asyncssh.SSHClientConnection], Awaitable[T]], *, key: str | None = None) -> T:
        async def run() -> T:
            async with asyncssh.connect(
                self.address,
                self.aws.sandbox.ssh_port,
                username="admin",
                client_keys=[asyncssh.import_private_key(key or self.private_key)],
                known_hosts=None,
                config=None,
                agent_path=None,
            ) as connection:
                return await work(connection)

        return asyncio.run(run())

    def run(self, command: str, **options: Any) -> asyncssh.SSHCompletedProcess:
        return self.connected(lambda connection: connection.run(command, **options))

    def says(self, command: str, **options: Any) -> str:
        """What a command that must succeed puts out."""
        done = self.run(command, **options)
        assert done.exit_status == 0, (command, done.stdout, done.stderr)
        return str(done.stdout).strip()

    def stop(self) -> None:
        self.aws.ec2.stop_instances(InstanceIds=[self.instance])
        eventually(lambda: self.state == "stopped")

    def terminate(self) -> None:
        self.aws.ec2.terminate_instances(InstanceIds=[self.instance])
        eventually(lambda: self.state == "terminated")
