"""Standard input and output, joined to a TCP connection."""

from __future__ import annotations

import os
import socket
import threading

from sandbox.host import SandboxError

_CHUNK = 64 * 1024


def connect(address: str, port: int) -> None:
    """Until either side is done. Raises SandboxError where nobody listens."""
    try:
        connection = socket.create_connection((address, port))
    except OSError as fault:
        raise SandboxError(f"{address}:{port} can't be reached: {fault.strerror or fault}") from fault
    threading.Thread(target=_send, args=(connection,), daemon=True).start()
    while data := connection.recv(_CHUNK):
        os.write(1, data)


def _send(connection: socket.socket) -> None:
    while data := os.read(0, _CHUNK):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
