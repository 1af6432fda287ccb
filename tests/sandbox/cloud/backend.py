"""A target whose every move a test knows: an HTTP server in the test's process, with an address of its own."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_addresses = itertools.count(1)
PORT = 8080


def address() -> str:
    """One that nobody has yet."""
    return f"127.200.{threading.get_native_id() % 250}.{next(_addresses)}"


class Backend:
    """`/who` says its name; the other paths misbehave in the way that they are called."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = address()
        self.connections = 0
        self.requests: list[str] = []
        self.bytes_sent = 0
        self.lost_clients = 0
        self.is_healthy = True
        self.checked_as = ""  # the host that health checks are for
        self.release = threading.Event()  # `/wait` answers when it is set
        self._server = _Server((self.address, PORT), _Handler)
        self._server.backend = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    backend: Backend
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.served = 0

    def do_GET(self) -> None:
        backend, path = self.server.backend, self.path.partition("?")[0]
        if path == "/health":
            backend.checked_as = self.headers["Host"]
            self._answer(200 if backend.is_healthy else 503, b"")
            return
        backend.requests.append(f"{self.command} {self.path}")
        backend.connections += self.served == 0
        self.served += 1
        match path:
            case "/who":
                self._answer(200, backend.name.encode())
            case "/headers":
                self._answer(200, json.dumps([[key, value] for key, value in self.headers.items()]).encode())
            case "/chunks":
                self._chunks()
            case "/until-close":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
                self.close_connection = True
            case "/empty":
                self.send_response(204)
                self.end_headers()
            case "/not-modified":
                self.send_response(304)
                self.send_header("ETag", '"x"')
                self.end_headers()
            case "/wait":
                backend.release.wait(20)
                self._answer(200, backend.name.encode())
            case "/hang-up":
                self.close_connection = True
            case "/half":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
                self.close_connection = True
            case "/stall":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
                backend.release.wait(20)
                self.close_connection = True
            case "/garbage":
                self.wfile.write(b"this is not HTTP\r\n\r\n")
                self.close_connection = True
            case "/once":
                # Keeps the connection, and hangs up on whatever is asked next.
                self._answer(200, b"once")
                self.rfile.readline()
                self.close_connection = True
            case "/endless":
                self._endless()
            case "/large":
                self._large(int(self.path.partition("?")[2]))
            case "/long-head":
                self._answer(200, b"", **{f"X-{number}": "y" * 8000 for number in range(5)})
            case "/websocket":
                self._echo()
            case _:
                self._answer(404, b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.server.backend.requests.append(f"POST {self.path}")
        digest, size = hashlib.sha256(), 0
        for part in self._body():
            digest.update(part)
            size += len(part)
            if self.path == "/slow-reader":
                self.server.backend.release.wait(20)
        self._answer(200, json.dumps({"size": size, "sha256": digest.hexdigest()}).encode())

    def _body(self) -> Any:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            part = self.rfile.read(min(left, 64 * 1024))
            left -= len(part)
            yield part

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _chunks(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"one ", b"two ", b"three"):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.flush()
            time.sleep(0.02)  # so that they are parts on the wire, too
        self.wfile.write(b"0\r\n\r\n")

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        block = b"x" * 65536
        try:
            while True:
                self.wfile.write(block)
                self.server.backend.bytes_sent += len(block)
        except OSError:
            self.server.backend.lost_clients += 1
            self.close_connection = True

    def _large(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        block = bytes(range(256)) * 4096
        for _ in range(size // len(block)):
            self.wfile.write(block)

    def _echo(self) -> None:
        """Switches protocols and gives back what comes, up to a line `bye`."""
        if self.headers.get("Upgrade") != "websocket":
            self._answer(426, b"")
            return
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", self.headers["Sec-WebSocket-Key"])
        self.end_headers()
        self.close_connection = True
        self.wfile.write(b"hello\n")
        while data := self.rfile.read1(65536):
            with suppress(OSError):
                self.wfile.write(data)
            if data.endswith(b"bye\n"):
                return
        self.server.backend.lost_clients += 1

    def log_message(self, format: str, *args: Any) -> None:
        """pytest's output is for failures."""
