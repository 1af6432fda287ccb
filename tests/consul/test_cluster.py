"""A cluster of real Consuls, with the settings of the images and the keys that `bluegreen init` makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluegreen.ledger.consul import ConsulLedger
from bluegreen.model.history import Event, Kind
from tests.consul.cluster import Cluster, Image, eventually

ADDRESSES = [f"127.44.7.{number}" for number in range(1, 5)]
NEXT_ADDRESSES = [f"127.44.7.{number}" for number in range(5, 8)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if not shutil.which("consul"):
        pytest.skip("there is no `consul` on PATH")
    made = Cluster(tmp_path, Image.of_role("server"), Image.of_role("agent"), ADDRESSES)
    try:
        yield made
    finally:
        made.end()


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

    # Another management token is made in the cluster before a server comes with it.
    another = str(uuid.uuid4())
    token = {"SecretID": another, "Policies": [{"Name": "global-management"}]}
    assert cluster.ask("acl/token", "server/management-token", method="PUT", body=token)
    cluster.keys["server/management-token"] = another

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


@pytest.mark.rollout
def test_after_the_loss_of_a_majority_what_the_last_server_knew_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    for address in ADDRESSES[:3]:
        cluster.start(address, "server")
    for address in ADDRESSES[:3]:
        eventually(lambda address=address: cluster.has_joined(address))
    assert cluster.ask("kv/bluegreen/a/b/x", "server/ledger-token", method="PUT", body=1)
    (tmp_path / "ca.pem").write_text(cluster.keys["agent/ca"])

    def consul(address: str, *command: str) -> str:
        """By TLS, with Consul's own command, as the page has it."""
        environment = {
            "PATH": os.environ["PATH"],
            "CONSUL_HTTP_ADDR": f"https://{address}:8501",
            "CONSUL_CACERT": str(tmp_path / "ca.pem"),
            "CONSUL_TLS_SERVER_NAME": "server.dc1.consul",
            "CONSUL_HTTP_TOKEN": cluster.keys["server/management-token"],
        }
        return subprocess.check_output(["consul", *command], env=environment, text=True, stderr=subprocess.STDOUT)

    eventually(lambda: cluster.ask("kv/bluegreen/a/b/x?stale", "server/ledger-token", server=2))
    cluster.kill(*ADDRESSES[:2])
    assert "Saved" in consul(ADDRESSES[2], "snapshot", "save", "-stale", str(tmp_path / "last.snap"))
    cluster.kill(ADDRESSES[2])

    cluster.move(NEXT_ADDRESSES)
    for address in NEXT_ADDRESSES:
        cluster.start(address, "server")
    for address in NEXT_ADDRESSES:
        eventually(lambda address=address: cluster.has_joined(address))
    assert cluster.ask("kv/bluegreen/a/b/x", "server/ledger-token") is None
    consul(NEXT_ADDRESSES[0], "snapshot", "restore", str(tmp_path / "last.snap"))
    assert eventually(lambda: cluster.ask("kv/bluegreen/a/b/x", "server/ledger-token"))
    assert all(cluster.has_joined(address) for address in NEXT_ADDRESSES)
