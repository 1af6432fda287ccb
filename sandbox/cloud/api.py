"""The HTTP server: moto's API, the sandbox's own, and the machines' metadata, on one port.

A deployment makes its many calls one after the other, so connections are kept and answers leave in one packet.
Every AWS call is a line of `calls.jsonl`.
"""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from moto.backends import SERVICE_NAMES
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox.cloud.cloud import Cloud
from sandbox.cloud.control import Control
from sandbox.cloud.judge import Judge
from sandbox.cloud.metadata import Metadata

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

# AssumeRole: as CloudTrail has it
_READS = ("Describe", "Get", "List", "Head", "Query", "Scan", "BatchGet", "AssumeRole")
_SERVICES: tuple[SERVICE_NAMES, ...] = ("ec2", "elbv2", "autoscaling", "cloudwatch", "s3", "sts", "dynamodb")

log = logging.getLogger("sandbox")


class CallLog:
    """One line per AWS call, so that tests can count reads and writes."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def record(self, service: str, action: str, status: str, seconds: float) -> None:
        line = {
            "at": round(time.time(), 3),
            "service": service,
            "action": action,
            "kind": "read" if is_read(action) else "write",
            "status": int(status.split()[0]),
            "ms": round(seconds * 1000, 1),
        }
        with self._lock:
            self._file.write(json.dumps(line) + "\n")


def is_read(action: str) -> bool:
    return action.startswith(_READS)


def _call_of(environ: Environ, body: bytes) -> tuple[str, str]:
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition(",")[0].split("/")
    service = scope[3] if len(scope) > 3 else ""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return service, target.rpartition(".")[2]
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        fields = parse_qs(body.decode("utf-8", "replace"))
        if "Action" in fields:
            return service, fields["Action"][0]
    method = environ["REQUEST_METHOD"].capitalize()
    return service, f"{method} {environ['PATH_INFO']}"


class Application:
    """The WSGI application: by path, else moto."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._control = Control(cloud)
        self._metadata = Metadata(cloud)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._calls = CallLog(cloud.directory / "calls.jsonl")
        self._judge = Judge(cloud.directory / "iam.jsonl")
        for service in _SERVICES:
            self._moto.app_instances[service] = create_backend_app(service)  # or the first call would wait for it

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/_sandbox/"):
            return self._own(environ, start_response, path.removeprefix("/_sandbox/"))
        if path.startswith("/_imds/"):
            return self._imds(environ, start_response, path.removeprefix("/_imds/"))
        return self._aws(environ, start_response)

    def _aws(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].getvalue()
        statuses: list[str] = []

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            statuses.append(status)
            return start_response(status, headers, exc_info)

        service, action = _call_of(environ, body)
        began = time.perf_counter()
        with self._cloud.lock:
            is_json = "HTTP_X_AMZ_TARGET" in environ
            refusal = self._cloud.throttle.refusal(service, action, is_json=is_json)
            if refusal := refusal or self._judge.refusal(environ, body):
                answer = b"".join(_respond(started, refusal.status, refusal.body, refusal.content_type))
            else:
                answer = b"".join(self._moto(environ, started))
            if not is_read(action):
                self._cloud.changed()
        self._calls.record(service, action, statuses[-1], time.perf_counter() - began)
        return [answer]

    def _own(self, environ: Environ, start_response: StartResponse, path: str) -> Iterable[bytes]:
        body = environ["wsgi.input"].getvalue()
        status, reply = self._control.answer(environ["REQUEST_METHOD"], path, json.loads(body) if body else {})
        return _respond(start_response, status, json.dumps(reply), "application/json")

    def _imds(self, environ: Environ, start_response: StartResponse, path: str) -> Iterable[bytes]:
        instance_id, _, rest = path.partition("/latest/")
        answer = self._metadata.answer(
            environ["REQUEST_METHOD"],
            instance_id,
            rest,
            token=environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN"),
            ttl=environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS"),
        )
        return _respond(start_response, answer.status, answer.body, "text/plain", answer.headers)


def _respond(
    start_response: StartResponse,
    status: HTTPStatus,
    body: str,
    content_type: str,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Iterable[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", content_type), *headers.items()])
    return [body.encode("utf-8", "surrogateescape")]


class Handler(MotoRequestHandler):
    """Keeps connections, which werkzeug's own handler closes after every answer."""

    disable_nagle_algorithm = True
    wbufsize = -1
    protocol_version = "HTTP/1.1"

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        environ = self.make_environ()
        length = environ.get("CONTENT_LENGTH")
        is_chunked = environ.get("wsgi.input_terminated", False)
        # Read to its end before anything else, or what is left of it would be taken for the next request.
        body = environ["wsgi.input"].read() if is_chunked else self.rfile.read(int(length or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        status, headers, answer = self._run(environ)
        head = [f"{self.protocol_version} {status}"]
        head += [f"{name}: {value}" for name, value in headers if name.lower() not in ("connection", "content-length")]
        bodiless = status.startswith(("1", "204", "304"))
        if not bodiless:
            head.append(f"Content-Length: {_length(headers, answer, self.command)}")
        if self.close_connection:
            head.append("Connection: close")
        payload = b"" if bodiless or self.command == "HEAD" else answer
        self.wfile.write("\r\n".join((*head, "", "")).encode("latin-1") + payload)
        self.wfile.flush()

    def _run(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            started.append((status, headers))

        try:
            answer = b"".join(self.server.app(environ, start_response))
        except Exception:
            # A bug in here or in moto: the caller gets a 500, the log its reason.
            log.exception("%s %s failed", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            body = "the sandbox failed to answer; its log (sandbox.log) has the reason\n"
            return "500 Internal Server Error", [("Content-Type", "text/plain")], body.encode()
        return *started[-1], answer

    def log(self, type: str, message: str, *args: Any) -> None:
        """calls.jsonl is the access log."""


def _length(headers: list[tuple[str, str]], answer: bytes, method: str) -> int:
    given = next((value for name, value in headers if name.lower() == "content-length"), None)
    return int(given) if method == "HEAD" and given else len(answer)


def server(cloud: Cloud) -> BaseWSGIServer:
    """Listens on the loopback range's API socket, a thread per connection."""
    host, port = cloud.loopback.api.getsockname()
    made = make_server(
        host, port, Application(cloud), threaded=True, request_handler=Handler, fd=cloud.loopback.api.fileno()
    )
    # A client that is gone again before it is accepted must not leave the server waiting for the next one.
    os.set_blocking(made.fileno(), False)
    return made
