"""Who may reach a builder: this machine, and nobody else."""

from __future__ import annotations

import socket

import pytest

from bluegreen.errors import PackerError
from bluegreen.images.own_address import own_cidr

AWS = "https://ec2.us-east-1.amazonaws.com"


def test_a_local_endpoint_sees_us_locally() -> None:
    assert own_cidr("http://127.0.0.1:5000", ask=_unasked) == "127.0.0.1/32"


def test_otherwise_the_internet_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    _at(monkeypatch, "192.168.7.9")
    assert own_cidr(AWS, ask=lambda: "198.51.100.4\n") == "198.51.100.4/32"


def test_a_builder_that_is_reached_by_its_private_address_sees_our_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _at(monkeypatch, "10.0.3.4")
    assert own_cidr(AWS, ssh_interface="private_ip", ask=_unasked) == "10.0.3.4/32"


def test_with_session_manager_nobody_comes_in() -> None:
    assert own_cidr(AWS, ssh_interface="session_manager", ask=_unasked) == "127.0.0.1/32"


def _refused() -> str:
    raise OSError("unreachable")


@pytest.mark.parametrize("ask", [_refused, lambda: "<html>", lambda: "", lambda: "fd00::1"])
def test_an_address_that_can_not_be_told_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, ask: object
) -> None:
    _at(monkeypatch, "192.168.7.9")
    with pytest.raises(PackerError) as caught:
        own_cidr(AWS, ask=ask)  # type: ignore[arg-type]
    assert "builder_source_cidrs" in caught.value.next_step


def _unasked() -> str:
    pytest.fail("nobody had to be asked")


def _at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A machine with this address, that sends nothing."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: None)
    monkeypatch.setattr(socket.socket, "getsockname", lambda *_: (address, 40000))
