"""The sandbox's own part of the loopback network, 127.R.0.0/16: claimed as a whole, handed out address by address."""

from __future__ import annotations

import errno
import itertools
import socket
from collections.abc import Iterator
from contextlib import suppress

from bluegreen.errors import BluegreenError

DEFAULT_PORT = 4566
_CLAIM_PORT = 4566  # UDP, so that it meets neither the API's port nor anybody else's TCP server
_RANGES = range(1, 255)


class Loopback:
    """A claimed range, with the API's listening socket. It stays claimed until `close`, or until the process ends."""

    def __init__(self, number: int, claim: socket.socket, api: socket.socket) -> None:
        self.number = number
        self.api = api
        self._claim = claim
        self._balancers = self._addresses(0, 2)
        self._machines = self._addresses(1, 1)

    @classmethod
    def claim(cls, port: int) -> Loopback:
        """The first free range; its address .0.1 listens on `port`."""
        for number in _RANGES:
            address = f"127.{number}.0.1"
            claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            api = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            api.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                claim.bind((address, _CLAIM_PORT))
                api.bind((address, port))
                api.listen(128)
            except OSError as fault:
                claim.close()
                api.close()
                match fault.errno:
                    case errno.EADDRINUSE:
                        continue
                    case errno.EADDRNOTAVAIL:
                        raise BluegreenError(
                            f"the address {address} can't be used: the sandbox needs all of 127.0.0.0/8 on the "
                            "loopback interface, which Linux has and other systems add with an alias per address"
                        ) from fault
                    case errno.EACCES:
                        raise BluegreenError(f"port {port} needs root: give a port from 1024 up with --port") from fault
                    case _:
                        raise
            return cls(number, claim, api)
        raise BluegreenError(
            f"port {port} is in use on every loopback address, by a server that listens on all of them: "
            "stop it, or give another port with --port"
        )

    def first_free_port(self, *ports: int) -> int:
        """The first of these ports that this process may listen on, on addresses of this range."""
        for port in ports:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with suppress(OSError):
                    tried.bind((f"127.{self.number}.255.254", port))
                    return port
        raise BluegreenError(f"none of the ports {', '.join(map(str, ports))} can be listened on")

    def for_balancer(self) -> str:
        return next(self._balancers)

    def for_machine(self) -> str:
        return next(self._machines)

    def close(self) -> None:
        self._claim.close()
        self.api.close()

    def _addresses(self, third: int, fourth: int) -> Iterator[str]:
        """Never one twice: an address that comes back would meet connections that are still on their way out."""
        thirds = itertools.count(third) if third else iter((0,))
        for high in thirds:
            if high > 255:
                break
            for low in range(fourth, 255):
                yield f"127.{self.number}.{high}.{low}"
        raise BluegreenError("the sandbox has no loopback address left: stop it and start it again")
