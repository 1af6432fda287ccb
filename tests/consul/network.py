"""A network for the sandbox's machines, in which each has its private address, and AWS answers as it does on a machine.

It is a network namespace: nothing of the computer's own network is in it, and no root is needed. What asks AWS in there
meets a relay of its machine's, which this process serves: the metadata service, and the endpoints by their real names,
over TLS. Behind both is the sandbox.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.cloud.authority import Authority
from sandbox.host import TRUSTED

METADATA = "169.254.169.254"
_KEEPER = """
import os, socket, subprocess, sys

up = socket.socket(fileno=int(sys.argv[1]))
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
while address := up.recv(100).decode():
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as relay:
        socket.send_fds(up, [b"."], [relay.fileno()])
"""


def obstacle() -> str | None:
    """Why there are no such networks here; None if there are."""
    for program in ("ip", "nsenter", "unshare"):
        if shutil.which(program) is None:
            return f"no `{program}` on PATH"
    made = subprocess.run(["unshare", "-Urn", "true"], capture_output=True, text=True, check=False)
    return made.stderr.strip() or None


class Network:
    """Until `close`."""

    def __init__(self, directory: Path, endpoint: str, region: str) -> None:
        self._endpoint, self._region, self._trusted = endpoint, region, directory / TRUSTED
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = directory / "aws.pem"
        file.write_text("".join(Authority(directory).issue(f"*.{region}.amazonaws.com")))
        self._context.load_cert_chain(file)
        self._up, theirs = socket.socketpair()
        self._keeper = subprocess.Popen(
            ["unshare", "-Urn", sys.executable, "-c", _KEEPER, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._relays: list[ThreadingHTTPServer] = []
        self.tunnels: list[str] = []
        """Where TLS was asked for, by whoever did."""

    def add(self, instance: str, address: str) -> dict[str, str]:
        """A machine; the environment of what runs on it."""
        self._up.sendall(address.encode())
        _, (listens,), *_ = socket.recv_fds(self._up, 1, 1)
        relay = ThreadingHTTPServer(("", 0), _relay_of(self, instance), bind_and_activate=False)
        relay.socket.close()
        relay.socket = socket.socket(fileno=listens)
        self._relays.append(relay)
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{relay.socket.getsockname()[1]}"
        return {
            "PATH": os.environ["PATH"],
            # What a machine of the sandbox is told, for the role's own program.
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": here,
            "AWS_ENDPOINT_URL": here,
            # Consul's AWS SDK minds neither: it goes to the addresses that it would go to on AWS.
            "HTTP_PROXY": here,
            "HTTPS_PROXY": here,
            "NO_PROXY": "10.0.0.0/8",
            "SSL_CERT_FILE": str(self._trusted),
        }

    def start(self, command: Sequence[str], environment: Mapping[str, str], **more: Any) -> subprocess.Popen[bytes]:
        inside = ["nsenter", f"--target={self._keeper.pid}", "--user", "--net", "--preserve-credentials"]
        return subprocess.Popen([*inside, *command], env=environment, **more)

    def ask(self, instance: str, handler: BaseHTTPRequestHandler) -> tuple[int, list[tuple[str, str]], bytes]:
        """The sandbox's answer to what a machine asks."""
        url = urlsplit(handler.path)
        path = f"/_imds/{instance}{url.path}" if url.path.startswith("/latest/") else "/"
        assert url.hostname in (None, METADATA), f"nobody has {url.hostname} here"
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        sandbox = http.client.HTTPConnection(urlsplit(self._endpoint).netloc, timeout=30)
        sandbox.request(handler.command, path, body, dict(handler.headers.items()))
        answer = sandbox.getresponse()
        content = answer.read()
        return (
            answer.status,
            [it for it in answer.getheaders() if it[0] not in ("Content-Length", "Connection")],
            content,
        )

    def wrap(self, handler: BaseHTTPRequestHandler) -> ssl.SSLSocket:
        self.tunnels.append(handler.path)
        return self._context.wrap_socket(handler.connection, server_side=True)

    def close(self) -> None:
        for relay in self._relays:
            relay.shutdown()
            relay.server_close()
        self._up.close()
        self._keeper.wait()


def _relay_of(network: Network, instance: str) -> type[BaseHTTPRequestHandler]:
    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            self.send_response_only(200)
            self.end_headers()
            self.connection = network.wrap(self)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)

        def do_GET(self) -> None:
            status, headers, content = network.ask(instance, self)
            self.send_response_only(status)
            for header in (*headers, ("Content-Length", str(len(content)))):
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return Relay
