"""A stand-in for Consul's key-value store, over HTTP in the test's process: what a ledger uses of it.

https://developer.hashicorp.com/consul/api-docs/kv. `token`: without it in `X-Consul-Token` every request is refused.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

MAX_VALUE_BYTES = 512 * 1024
PATH = "/v1/kv/"


@dataclass
class Value:
    content: bytes
    created: int
    modified: int

    def as_json(self, key: str) -> dict[str, Any]:
        return {
            "LockIndex": 0,
            "Key": key,
            "Flags": 0,
            "Value": base64.b64encode(self.content).decode() or None,
            "CreateIndex": self.created,
            "ModifyIndex": self.modified,
        }


@dataclass
class ConsulServer:
    """`requests`: method and target of each. `broken`: the status and body of the answers from now on."""

    token: str = ""
    requests: list[str] = field(default_factory=list)
    broken: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._index = 1
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.store = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def texts(self) -> dict[str, str]:
        with self._lock:
            return {key: value.content.decode() for key, value in self._values.items()}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def get(self, key: str, query: dict[str, list[str]]) -> tuple[int, object, int]:
        """Status, what to answer as JSON, and the index."""
        with self._lock:
            is_many = "recurse" in query or "keys" in query
            keys = sorted(each for each in self._values if (each.startswith(key) if is_many else each == key))
            if not keys:
                return 404, None, self._index
            found = keys if "keys" in query else [self._values[each].as_json(each) for each in keys]
            return 200, found, self._index

    def put(self, key: str, query: dict[str, list[str]], content: bytes) -> bool:
        with self._lock:
            there = self._values.get(key)
            if "cas" in query and int(query["cas"][0]) != (there.modified if there else 0):
                return False
            self._index += 1
            self._values[key] = Value(content, there.created if there else self._index, self._index)
            return True

    def delete(self, key: str, query: dict[str, list[str]]) -> bool:
        with self._lock:
            there = self._values.get(key)
            if "cas" in query and (there is None or int(query["cas"][0]) != there.modified):
                return False
            gone = [each for each in self._values if (each.startswith(key) if "recurse" in query else each == key)]
            for each in gone:
                del self._values[each]
            self._index += 1
            return True


class _Server(ThreadingHTTPServer):
    store: ConsulServer
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if asked := self._asked():
            status, found, index = self.server.store.get(*asked)
            self._answer(status, b"" if found is None else json.dumps(found).encode(), index)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if asked := self._asked():
            if len(content) > MAX_VALUE_BYTES:
                said = f"Request body({len(content)} bytes) too large, max size: {MAX_VALUE_BYTES} bytes."
                self._answer(413, said.encode())
                return
            self._answer(200, json.dumps(self.server.store.put(*asked, content)).encode())

    def do_DELETE(self) -> None:
        if asked := self._asked():
            self._answer(200, json.dumps(self.server.store.delete(*asked)).encode())

    def _asked(self) -> tuple[str, dict[str, list[str]]] | None:
        """Key and query; None where it is refused."""
        store, parts = self.server.store, urlsplit(self.path)
        store.requests.append(f"{self.command} {self.path}")
        if store.broken:
            self._answer(store.broken[0], store.broken[1].encode())
        elif not parts.path.startswith(PATH):
            self._answer(404, b"")
        elif store.token and self.headers.get("X-Consul-Token") != store.token:
            self._answer(403, b"Permission denied: token with AccessorID 'anonymous' lacks permission 'key:read'")
        else:
            return unquote(parts.path.removeprefix(PATH)), parse_qs(parts.query, keep_blank_values=True)
        return None

    def _answer(self, status: int, body: bytes, index: int = 1) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Consul-Index", str(index))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests have `requests`."""
