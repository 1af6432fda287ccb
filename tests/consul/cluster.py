"""Real Consuls on this computer, each at a loopback address of its own, with what a machine has of its image."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from bluegreen.aws.consul_keys import new_keys
from sandbox.host import REPOSITORY

FILES = REPOSITORY / "ansible/roles/consul/files"


def node_of(file: Path) -> ModuleType:
    """What runs on a machine before Consul and after it."""
    spec = importlib.util.spec_from_file_location("node", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def eventually(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s; the last answer: {found!r}"
        time.sleep(0.2)
    return found


@dataclass(frozen=True)
class Image:
    """Of a role: the program, the settings that all machines of it share, and what finds out the rest."""

    consul: str
    settings: Path
    node: Path

    @classmethod
    def of_role(cls, role: str) -> Image:
        """As the Ansible role has it, with the `consul` on PATH."""
        return cls("consul", FILES / f"{role}.json", FILES / "node.py")

    @classmethod
    def of_tree(cls, tree: Path) -> Image:
        """As a bake has left it."""
        consul, settings = tree / "usr/local/bin/consul", tree / "etc/consul.d/consul.json"
        return cls(str(consul), settings, tree / "usr/local/lib/consul/node.py")


class Cluster:
    def __init__(self, directory: Path, server: Image, agent: Image, addresses: list[str]) -> None:
        self.addresses = addresses
        self.config: dict[str, Any] = {
            "datacenter": "dc1",
            "servers": 3,
            "retry_join": addresses[:3],
            "services": ["web"],
            "ledger": "bluegreen/a/b/",
        }
        self.keys = new_keys({}, "dc1", datetime.now(UTC))
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._directory, self._images = directory, {"server": server, "agent": agent}
        self._node = node_of(server.node)

    def start(self, address: str, role: str) -> None:
        place, image = self._directory / address, self._images[role]
        place.mkdir()
        node, instance = node_of(image.node), f"i-{address.rpartition('.')[2]}"
        node.RUN = place
        node.write("ca.pem", self.keys["agent/ca"])
        if role == "server":
            node.write("certificate.pem", self.keys["server/certificate"])
            node.write("key.pem", self.keys["server/key"])
            config = node.server_config(self.config, self.keys, address, instance)
        else:
            config = node.agent_config(self.config, self.keys, address, instance, "web", "0123abcd", "8080", "/health")
        node.write("node.json", json.dumps(config))
        # On one machine: an address of its own for what is local elsewhere.
        here = {"data_dir": str(place / "data"), "client_addr": address, "addresses": {"https": address}}
        node.write("here.json", json.dumps(here))
        files = [image.settings, place / "node.json", place / "here.json"]
        with (place / "log").open("wb") as log:
            command = [image.consul, "agent", *(f"-config-file={file}" for file in files)]
            self.running[address] = subprocess.Popen(command, stdout=log, stderr=log)

    def leave(self, address: str) -> None:
        """As systemd ends it, when the machine is terminated."""
        process = self.running.pop(address)
        process.terminate()
        process.wait(30)

    def kill(self, *addresses: str) -> None:
        """As machines die."""
        for address in addresses:
            process = self.running.pop(address)
            process.kill()
            process.wait()

    def move(self, addresses: list[str]) -> None:
        """Other machines have the tag."""
        self.addresses = self.config["retry_join"] = addresses

    def ask(self, path: str, token: str, method: str = "GET", body: Any = None, server: int = 1) -> Any:
        """What the second server answers, or another."""
        self._node.CONSUL = f"http://{self.addresses[server]}:8500"
        return self._node.ask_consul(method, path, self.keys.get(token, ""), body)

    def has_joined(self, address: str) -> bool:
        self._node.CONSUL = f"http://{address}:8500"
        instance, token = f"i-{address.rpartition('.')[2]}", self.keys["server/management-token"]
        return bool(self._node.has_joined(instance, 3, token) and self._node.keep_access(self.config, self.keys))

    def end(self) -> None:
        self.kill(*self.running)
