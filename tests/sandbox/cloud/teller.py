"""A target that speaks TCP: it says its name to who connects, and gives back what comes."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from contextlib import suppress

from tests.sandbox.cloud.backend import PORT, address


class Teller:
    def __init__(self, name: str) -> None:
        self.name = name
        self.address = address()
        self.clients: list[socket.socket] = []
        self.lost = threading.Event()  # the first connection has ended
        self._server: _Server | None = None
        self.open()

    def open(self) -> None:
        self._server = _Server((self.address, PORT), _Handler)
        self._server.teller = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def refuse(self) -> None:
        """Nobody listens any more; who is connected stays."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def close(self) -> None:
        self.refuse()
        for client in self.clients:
            with suppress(OSError):  # it has ended
                client.shutdown(socket.SHUT_RDWR)


class _Server(socketserver.ThreadingTCPServer):
    teller: Teller
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        teller, client = self.server.teller, self.request
        teller.clients.append(client)
        try:
            client.sendall(teller.name.encode() + b"\n")
            while data := client.recv(65536):
                if data == b"reset\n":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()
                    break
                client.sendall(data)
        except OSError:
            pass
        teller.lost.set()
