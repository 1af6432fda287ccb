"""The ledger in Consul: where it is looked for, as whom, and what is said where it can't be had."""

from __future__ import annotations

import builtins
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import LedgerError
from bluegreen.ledger.consul import ConsulLedger
from bluegreen.ledger.consul_address import ConsulAddress
from bluegreen.model.history import Event, Kind
from bluegreen.model.lease import Holder, Lease
from tests.ledger.conftest import KEY
from tests.ledger.consul_server import ConsulServer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = Event(at=NOW, run="run", kind=Kind.BEGAN)
HOLDER = Holder(run="run", verb="deploy", operator="ada", host="here", process=1, born="", since=NOW)


def ledger(server: ConsulServer, prefix: str = "bluegreen", **variables: str) -> ConsulLedger:
    return ConsulLedger(prefix, KEY, {"CONSUL_HTTP_ADDR": server.address, **variables})


# -- what is where


def test_the_keys_are_those_of_the_docs(consul: ConsulServer) -> None:
    kept = ledger(consul)
    kept.append(EVENT)
    kept.swap_lease(Lease(), Lease().taken_by(HOLDER, NOW))
    kept.publish("web", {"image": "ami-00000001", "url": "http://web"})
    event, *others = sorted(consul.texts)
    assert event.startswith("bluegreen/shop/dev/events/2026-01-01T00:00:00.000000Z_run_000000")
    assert others == ["bluegreen/shop/dev/lease", "bluegreen/shop/dev/web/image", "bluegreen/shop/dev/web/url"]
    assert consul.texts["bluegreen/shop/dev/web/url"] == "http://web"
    assert json.loads(consul.texts[event]) == EVENT.as_record()


def test_another_prefix_is_another_ledger(consul: ConsulServer) -> None:
    ledger(consul, "teams/shop").append(EVENT)
    assert ledger(consul).read().events == ()
    assert all(key.startswith("teams/shop/shop/dev/events/") for key in consul.texts)


def test_reads_are_consistent_and_writes_are_checked(consul: ConsulServer) -> None:
    kept = ledger(consul)
    kept.append(EVENT)
    kept.read()
    kept.lease()
    write, *reads = consul.requests
    assert "cas=0" in write
    assert all("consistent=1" in read for read in reads)


def test_making_a_ledger_asks_nobody_anything(consul: ConsulServer) -> None:
    assert ledger(consul).place == f"Consul at http://{consul.address}, bluegreen/shop/dev"
    assert consul.requests == []


# -- as whom


def test_the_token_is_the_environments_that_it_was_given(
    consul: ConsulServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    consul.token = "secret"
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "another process's")
    ledger(consul, CONSUL_HTTP_TOKEN="secret").append(EVENT)
    (tmp_path / "token").write_text("secret\n")
    in_file = {"CONSUL_HTTP_TOKEN_FILE": str(tmp_path / "token")}
    assert ledger(consul, CONSUL_HTTP_TOKEN="not this", **in_file).read().events == (EVENT,)


def test_a_token_that_may_not_is_an_error_with_the_rule_that_it_needs(consul: ConsulServer) -> None:
    consul.token = "secret"
    for act in (lambda kept: kept.read(), lambda kept: kept.append(EVENT), lambda kept: kept.lease()):
        with pytest.raises(LedgerError, match="Permission denied") as caught:
            act(ledger(consul, CONSUL_HTTP_TOKEN="guess"))
        assert 'key_prefix "bluegreen/shop/dev/" {policy = "write"}' in caught.value.next_step


# -- what can't be had


@pytest.fixture
def nobodys_port() -> Iterator[int]:
    with socket.socket() as taken:  # bound, and never listened on
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_an_agent_that_is_not_there_is_an_error_that_names_its_address(nobodys_port: int) -> None:
    gone = ConsulLedger("bluegreen", KEY, {"CONSUL_HTTP_ADDR": f"127.0.0.1:{nobodys_port}"})
    for act, done in ((gone.read, "read"), (gone.lease, "read"), (lambda: gone.append(EVENT), "written")):
        with pytest.raises(
            LedgerError, match=f"Consul at http://127.0.0.1:{nobodys_port}, .* can't be {done}"
        ) as caught:
            act()
        assert "CONSUL_HTTP_ADDR" in caught.value.next_step


@pytest.mark.parametrize(
    ("status", "said"), [(500, "No cluster leader"), (429, "Your IP is issuing too many requests"), (400, "bad")]
)
def test_an_agent_that_can_not_answer_is_an_error_in_its_words(consul: ConsulServer, status: int, said: str) -> None:
    consul.broken = (status, said)
    for act in (lambda kept: kept.read(), lambda kept: kept.append(EVENT), lambda kept: kept.lease()):
        with pytest.raises(LedgerError, match=said):
            act(ledger(consul))


def test_an_agent_that_answers_nonsense_is_an_error(consul: ConsulServer) -> None:
    consul.broken = (200, "<html>a proxy</html>")
    with pytest.raises(LedgerError, match="a proxy"):
        ledger(consul).read()


def test_without_the_library_it_says_which_extra_brings_it(
    consul: ConsulServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_consul(name: str, *rest: Any) -> Any:
        if name == "consul":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_consul)
    with pytest.raises(LedgerError, match="py-consul is not installed") as caught:
        ledger(consul).read()
    assert "bluegreen[consul]" in caught.value.next_step


def test_a_key_that_is_no_event_is_an_error_that_names_it(consul: ConsulServer) -> None:
    kept = ledger(consul)
    consul.put("bluegreen/shop/dev/events/2026-x", {}, b'{"kind": "party"}')
    with pytest.raises(LedgerError, match="no event: bluegreen/shop/dev/events/2026-x"):
        kept.read()


def test_a_lease_that_can_not_be_read_is_an_error_and_no_free_lease(consul: ConsulServer) -> None:
    consul.put("bluegreen/shop/dev/lease", {}, b"mine")
    with pytest.raises(LedgerError, match="a lease that can't be read"):
        ledger(consul).lease()


# -- Consul's variables


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://127.0.0.1:8500"),
        ({"CONSUL_HTTP_ADDR": "consul.test:8501"}, "http://consul.test:8501"),
        ({"CONSUL_HTTP_ADDR": "http://consul.test:8501/"}, "http://consul.test:8501"),
        ({"CONSUL_HTTP_ADDR": "https://consul.test"}, "https://consul.test:443"),
        ({"CONSUL_HTTP_ADDR": "consul.test"}, "http://consul.test:80"),
        ({"CONSUL_HTTP_ADDR": "[::1]:8500"}, "http://[::1]:8500"),
        ({"CONSUL_HTTP_ADDR": "consul.test:8501", "CONSUL_HTTP_SSL": "true"}, "https://consul.test:8501"),
        ({"CONSUL_HTTP_ADDR": "http://consul.test:8501", "CONSUL_HTTP_SSL": "1"}, "https://consul.test:8501"),
    ],
)
def test_the_address_is_what_consuls_own_command_would_ask(variables: dict[str, str], url: str) -> None:
    assert ConsulAddress.of_environment(variables).url == url


def test_certificates_are_checked_as_the_variables_say() -> None:
    assert ConsulAddress.of_environment({}).verify is True
    assert ConsulAddress.of_environment({"CONSUL_CACERT": "/ca.pem"}).verify == "/ca.pem"
    assert ConsulAddress.of_environment({"CONSUL_CAPATH": "/ca"}).verify == "/ca"
    assert ConsulAddress.of_environment({"CONSUL_CACERT": "/ca", "CONSUL_HTTP_SSL_VERIFY": "false"}).verify is False
    both = {"CONSUL_CLIENT_CERT": "/me.pem", "CONSUL_CLIENT_KEY": "/me.key"}
    assert ConsulAddress.of_environment(both).certificate == ("/me.pem", "/me.key")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"CONSUL_HTTP_ADDR": "unix:///run/consul.sock"}, "CONSUL_HTTP_ADDR"),
        ({"CONSUL_HTTP_ADDR": "consul.test:port"}, "CONSUL_HTTP_ADDR"),
        ({"CONSUL_HTTP_ADDR": "https://gateway.test/consul"}, "CONSUL_HTTP_ADDR"),
        ({"CONSUL_HTTP_SSL": "yes"}, "CONSUL_HTTP_SSL"),
        ({"CONSUL_HTTP_TOKEN_FILE": "/nowhere"}, "CONSUL_HTTP_TOKEN_FILE"),
        ({"CONSUL_CLIENT_CERT": "/me.pem"}, "CONSUL_CLIENT_KEY"),
        ({"CONSUL_NAMESPACE": "team"}, "CONSUL_NAMESPACE"),
        ({"CONSUL_HTTP_AUTH": "ada:secret"}, "CONSUL_HTTP_AUTH"),
    ],
)
def test_a_variable_that_is_wrong_or_not_supported_is_an_error_that_names_it(
    variables: dict[str, str], named: str
) -> None:
    with pytest.raises(LedgerError, match=named) as caught:
        ConsulLedger("bluegreen", KEY, variables).read()
    assert "secret" not in str(caught.value)
