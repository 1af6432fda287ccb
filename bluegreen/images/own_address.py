"""The address that a builder sees us come from: the only one that may reach it while it is configured."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

from bluegreen.errors import PackerError
from bluegreen.images.variables import SOURCE_CIDRS

WHAT_IS_MY_ADDRESS = "https://checkip.amazonaws.com"
ANSWER_SECONDS = 3.0
NOBODY = "127.0.0.1/32"

SESSION_MANAGER = "session_manager"
PRIVATE_IP = "private_ip"


def own_cidr(endpoint: str, *, ssh_interface: str = "", ask: Callable[[], str] | None = None) -> str:
    """The network, of one address, that a builder should let in.

    `endpoint`: the URL of the EC2 API. `ssh_interface`: how the builder is reached, in Packer's words. `ask`: tells our
    address as the internet sees it. Raises PackerError where it can't be told.
    """
    if ssh_interface == SESSION_MANAGER:
        return NOBODY  # the builder calls out; nothing comes in
    local = _local_address(endpoint)
    if local and (local.is_loopback or ssh_interface == PRIVATE_IP):
        return f"{local}/32"
    try:
        answer = (ask or _checkip)()
        return f"{ipaddress.IPv4Address(answer.strip())}/32"
    except (OSError, ValueError) as error:
        raise PackerError(
            f"the address that a builder would see this machine come from can't be told: {WHAT_IS_MY_ADDRESS}: {error}",
            f'Name it in the variables file: "{SOURCE_CIDRS}": ["203.0.113.7/32"]. Nothing was launched.',
        ) from error


def _local_address(endpoint: str) -> ipaddress.IPv4Address | None:
    """Ours, on the way to the endpoint. Connecting a datagram socket sends nothing."""
    parts = urlsplit(endpoint)
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname or "", parts.port or 443))
        return ipaddress.IPv4Address(probe.getsockname()[0])
    return None


def _checkip() -> str:
    with urllib.request.urlopen(WHAT_IS_MY_ADDRESS, timeout=ANSWER_SECONDS) as answer:
        return str(answer.read(64).decode("ascii", errors="replace"))
