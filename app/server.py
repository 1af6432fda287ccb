"""A small HTTP service, as a real user would have one, with switches for rehearsals.

    GET /         version and instance, as text
    GET /health   200 {"status": "ok"}, or 503 while BROKEN is set
    GET /version  {"app": version, "release": version of the release, "instance": id of the machine}
    GET /slow     as /, a second later

Every answer names the release in its header X-Release.

Environment: HOST (0.0.0.0), PORT (the instance's tag bluegreen:port, else 8080), APP_VERSION (else the file VERSION
beside this one); for rehearsals SLOW_START (seconds until it listens), BROKEN (1: health fails), ERROR_RATE (share
of 500s on / and /slow, 0 to 1). SIGTERM: in-flight requests finish, then it exits with 0.

It needs Python's standard library only. The release and the instance's id come from the instance metadata service
(version 2), at AWS_EC2_METADATA_SERVICE_ENDPOINT where that is set, as in the AWS SDKs.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLOW_SECONDS = 1.0
METADATA_TIMEOUT_SECONDS = 1.0


class Metadata:
    """The instance metadata service, version 2. Off EC2 every answer is None, after one short wait."""

    def __init__(self, endpoint: str) -> None:
        self._base = endpoint.rstrip("/") + "/latest"
        self._token = self._ask("PUT", "/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"})

    def get(self, path: str) -> str | None:
        if self._token is None:
            return None
        return self._ask("GET", "/meta-data/" + path, {"X-aws-ec2-metadata-token": self._token})

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str | None:
        request = urllib.request.Request(self._base + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=METADATA_TIMEOUT_SECONDS) as answer:
                return answer.read().decode()
        except OSError:  # no such service, or 404: a tag that the machine does not have
            return None


@dataclass(frozen=True)
class Identity:
    """What this process is: the app's version, the release that it is part of, the machine that it runs on."""

    app: str
    release: str
    instance: str


@dataclass(frozen=True)
class Switches:
    """What a rehearsal can turn on."""

    slow_start_seconds: float
    is_broken: bool
    error_rate: float

    @classmethod
    def from_environment(cls) -> Switches:
        return cls(
            slow_start_seconds=float(os.environ.get("SLOW_START") or 0),
            is_broken=os.environ.get("BROKEN", "").lower() not in ("", "0", "false", "no"),
            error_rate=float(os.environ.get("ERROR_RATE") or 0),
        )


class Server(ThreadingHTTPServer):
    """Serves until told to stop; then answers what it has begun, and nothing more."""

    daemon_threads = False  # closing the server waits for the requests under way
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], identity: Identity, switches: Switches) -> None:
        self.identity = identity
        self.switches = switches
        self.is_stopping = False
        self._idle: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    def wait_for_request(self, connection: socket.socket) -> None:
        """An idle keep-alive connection is told apart from a busy one, so that a stop need not wait for it."""
        with self._lock:
            self._idle.add(connection)
            if self.is_stopping:
                connection.shutdown(socket.SHUT_RD)

    def begin_request(self, connection: socket.socket) -> None:
        with self._lock:
            self._idle.discard(connection)

    def stop(self) -> None:
        with self._lock:
            self.is_stopping = True
            for connection in self._idle:
                connection.shutdown(socket.SHUT_RD)
        self.shutdown()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet
    server: Server

    def handle_one_request(self) -> None:
        self.server.wait_for_request(self.connection)
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True
        finally:
            self.server.begin_request(self.connection)

    def parse_request(self) -> bool:
        self.server.begin_request(self.connection)
        return super().parse_request()

    def do_GET(self) -> None:
        who = self.server.identity
        match self.path.partition("?")[0]:
            case "/health":
                if self.server.switches.is_broken:
                    self._answer(503, {"status": "broken"})
                else:
                    self._answer(200, {"status": "ok"})
            case "/version":
                self._answer(200, {"app": who.app, "release": who.release, "instance": who.instance})
            case "/":
                self._greet()
            case "/slow":
                time.sleep(SLOW_SECONDS)
                self._greet()
            case path:
                self._answer(404, {"error": f"nothing at {path}; there are /, /health, /version and /slow"})

    do_HEAD = do_GET

    def _greet(self) -> None:
        if random.random() < self.server.switches.error_rate:
            self._answer(500, {"error": "ERROR_RATE says so"})
            return
        who = self.server.identity
        self._send(200, "text/plain; charset=utf-8", f"version {who.app} on {who.instance}\n".encode())

    def _answer(self, status: int, body: dict[str, str]) -> None:
        self._send(status, "application/json", json.dumps(body).encode() + b"\n")

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Release", self.server.identity.release)
        if self.server.is_stopping:
            self.send_header("Connection", "close")  # also makes the handler leave its loop
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Answers are the load balancer's to log."""


def app_version() -> str:
    if version := os.environ.get("APP_VERSION"):
        return version
    file = Path(__file__).with_name("VERSION")
    return file.read_text().strip() if file.exists() else "unknown"


def main() -> int:
    metadata = Metadata(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254")
    identity = Identity(
        app=app_version(),
        release=metadata.get("tags/instance/bluegreen:release") or "unknown",
        instance=metadata.get("instance-id") or socket.gethostname(),
    )
    switches = Switches.from_environment()
    host = os.environ.get("HOST") or "0.0.0.0"
    port = int(os.environ.get("PORT") or metadata.get("tags/instance/bluegreen:port") or 8080)
    time.sleep(switches.slow_start_seconds)
    with Server((host, port), identity, switches) as server:
        # shutdown() waits for the loop that a signal handler interrupts: it needs a thread of its own.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.stop).start())
        print(f"version {identity.app} of release {identity.release} listens on {host}:{port}", flush=True)
        server.serve_forever(poll_interval=0.1)
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
