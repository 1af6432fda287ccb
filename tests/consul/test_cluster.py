"""A cluster of real Consuls, with the settings of the images and the keys that `bluegreen init` makes."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bluegreen.aws.consul_keys import new_keys
from bluegreen.ledger.consul import ConsulLedger
from bluegreen.model.history import Event, Kind
from tests.consul.conftest import FILES

ADDRESSES = [f"127.44.7.{number}" for number in range(1, 5)]
CONFIG = {
    "datacenter": "dc1",
    "servers": 3,
    "retry_join": ADDRESSES[:3],
    "services": ["web"],
    "ledger": "bluegreen/a/b/",
}


def eventually(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s; the last answer: {found!r}"
        time.sleep(0.2)
    return found


class Cluster:
    def __init__(self, directory: Path, node: ModuleType) -> None:
        self.keys = new_keys({}, "dc1", datetime.now(UTC))
        self._directory, self._node, self.running = directory, node, dict[str, subprocess.Popen[bytes]]()

    def start(self, address: str, role: str) -> None:
        place = self._directory / address
        place.mkdir()
        node, instance = self._node, f"i-{address.rpartition('.')[2]}"
        node.RUN = place
        node.write("ca.pem", self.keys["agent/ca"])
        if role == "server":
            node.write("certificate.pem", self.keys["server/certificate"])
            node.write("key.pem", self.keys["server/key"])
            config = node.server_config(CONFIG, self.keys, address, instance)
        else:
            config = node.agent_config(CONFIG, self.keys, address, instance, "web", "0123abcd", "8080", "/health")
        node.write("node.json", json.dumps(config))
        # On one machine: an address of its own for what is local elsewhere.
        here = {"data_dir": str(place / "data"), "client_addr": address, "addresses": {"https": address}}
        node.write("here.json", json.dumps(here))
        files = [FILES / f"{role}.json", place / "node.json", place / "here.json"]
        with (place / "log").open("wb") as log:
            command = ["consul", "agent", *(f"-config-file={file}" for file in files)]
            self.running[address] = subprocess.Popen(command, stdout=log, stderr=log)

    def leave(self, address: str) -> None:
        """As systemd ends it, when the machine is terminated."""
        process = self.running.pop(address)
        process.terminate()
        process.wait(30)

    def ask(self, path: str, token: str, address: str = ADDRESSES[1], method: str = "GET", body: Any = None) -> Any:
        self._node.CONSUL = f"http://{address}:8500"
        return self._node.ask_consul(method, path, self.keys.get(token, ""), body)

    def has_joined(self, address: str) -> bool:
        self._node.CONSUL = f"http://{address}:8500"
        instance, token = f"i-{address.rpartition('.')[2]}", self.keys["server/management-token"]
        return bool(self._node.has_joined(instance, 3, token) and self._node.keep_access(CONFIG, self.keys))


@pytest.fixture
def cluster(tmp_path: Path, node: ModuleType) -> Iterator[Cluster]:
    if not shutil.which("consul"):
        pytest.skip("there is no `consul` on PATH")
    made = Cluster(tmp_path, node)
    try:
        yield made
    finally:
        for process in made.running.values():
            process.kill()
            process.wait()


@pytest.mark.rollout
def test_servers_join_agents_register_and_each_token_does_what_it_is_for(cluster: Cluster, tmp_path: Path) -> None:
    for address in ADDRESSES[:3]:
        cluster.start(address, "server")
    for address in ADDRESSES[:3]:
        eventually(lambda address=address: cluster.has_joined(address))

    cluster.start("127.44.7.9", "agent")
    (found,) = eventually(lambda: cluster.ask("health/service/web", "agent/token"))
    assert (found["Node"]["Node"], found["Service"]["Port"]) == ("i-9", 8080)

    assert cluster.ask("kv/bluegreen/a/b/x", "server/ledger-token", method="PUT", body=1)
    assert not cluster.ask("kv/bluegreen/a/other", "server/ledger-token", method="PUT", body=1)
    assert not cluster.ask("kv/bluegreen/a/b/x", "agent/token", method="PUT", body=1)
    assert not cluster.ask("kv/bluegreen/a/b/x", "nobody's")

    # The ledger, by TLS, at an address that the certificate does not have.
    (tmp_path / "ca.pem").write_text(cluster.keys["agent/ca"])
    environment = {
        "CONSUL_HTTP_ADDR": f"https://{ADDRESSES[1]}:8501",
        "CONSUL_CACERT": str(tmp_path / "ca.pem"),
        "CONSUL_TLS_SERVER_NAME": "server.dc1.consul",
        "CONSUL_HTTP_TOKEN": cluster.keys["server/ledger-token"],
    }
    event = Event(at=datetime.now(UTC), run="run", kind=Kind.BEGAN)
    ledger = ConsulLedger("bluegreen", "a/b", environment)
    ledger.append(event)
    assert ledger.read().events == (event,)

    # An agent and a server leave as their machines go; another server takes the place of one.
    cluster.leave("127.44.7.9")
    eventually(lambda: cluster.ask("catalog/service/web", "agent/token") == [])
    cluster.start(ADDRESSES[3], "server")
    eventually(lambda: cluster.has_joined(ADDRESSES[3]))
    cluster.leave(ADDRESSES[0])

    def voters() -> bool:
        raft = cluster.ask("operator/raft/configuration", "server/management-token") or {"Servers": []}
        return {each["Node"] for each in raft["Servers"] if each["Voter"]} == {"i-2", "i-3", "i-4"}

    eventually(voters)
    assert ledger.read().events == (event,)
