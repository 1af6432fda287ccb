"""The app that is deployed: its answers, its switches, and a stop that cuts nobody off."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[2] / "app" / "server.py"
Start = Callable[..., "App"]


class App:
    """The app as a process on a port of its own choice."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str) -> tuple[int, str]:
        connection = self.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


class Metadata(BaseHTTPRequestHandler):
    """An instance metadata service, version 2."""

    tags = {"bluegreen:release": "4d197941"}

    def do_PUT(self) -> None:
        self.answer(200, "token") if self.path == "/latest/api/token" else self.answer(404, "")

    def do_GET(self) -> None:
        known = {"/latest/meta-data/instance-id": "i-0123"}
        known |= {f"/latest/meta-data/tags/instance/{key}": value for key, value in self.tags.items()}
        if self.headers["X-aws-ec2-metadata-token"] != "token":
            self.answer(401, "")
        elif self.path in known:
            self.answer(200, known[self.path])
        else:
            self.answer(404, "")

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def metadata() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def free_port() -> int:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


@pytest.fixture
def start(metadata: str) -> Iterator[Start]:
    processes = []

    def run(*, waits: bool = True, **environment: str) -> App:
        port = int(environment.setdefault("PORT", str(free_port())) or free_port())
        process = subprocess.Popen(
            [sys.executable, "-u", str(SERVER)],
            env={
                "PATH": os.environ["PATH"],
                "HOST": "127.0.0.1",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata,
                "APP_VERSION": "7",
                **environment,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        if waits:
            assert process.stdout is not None
            line = process.stdout.readline()
            port = int(line.strip().rpartition(":")[2])
        return App(process, port)

    yield run
    for process in processes:
        process.kill()
        process.wait()


def test_it_says_who_it_is(start: Start) -> None:
    app = start()
    assert app.get("/") == (200, "version 7 on i-0123\n")
    assert json.loads(app.get("/version")[1]) == {"app": "7", "release": "4d197941", "instance": "i-0123"}
    assert app.get("/health")[0] == 200


def test_without_a_version_in_its_environment_it_reads_the_file_beside_it(start: Start) -> None:
    version = SERVER.with_name("VERSION").read_text().strip()
    assert json.loads(start(APP_VERSION="").get("/version")[1])["app"] == version


def test_off_ec2_it_runs_all_the_same(start: Start) -> None:
    app = start(AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:1")
    assert json.loads(app.get("/version")[1])["release"] == "unknown"


def test_its_port_can_come_from_the_tag_of_the_machine(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(Metadata, "tags", {"bluegreen:port": str(port)})
    assert start(PORT="").port == port


def test_broken_fails_the_health_check_and_nothing_else(start: Start) -> None:
    app = start(BROKEN="1")
    assert app.get("/health")[0] == 503
    assert app.get("/")[0] == 200


@pytest.mark.parametrize("off", ["", "0", "false"])
def test_broken_can_be_switched_off(start: Start, off: str) -> None:
    assert start(BROKEN=off).get("/health")[0] == 200


def test_error_rate_is_the_share_of_500s(start: Start) -> None:
    app = start(ERROR_RATE="0.5")
    statuses = [app.get("/")[0] for _ in range(100)]
    assert set(statuses) == {200, 500}
    assert 20 < statuses.count(500) < 80
    assert app.get("/health")[0] == 200


def test_slow_start_listens_only_after_that_many_seconds(start: Start) -> None:
    began = time.monotonic()
    start(SLOW_START="0.5")
    assert time.monotonic() - began >= 0.5


def test_slow_takes_a_second(start: Start) -> None:
    app, began = start(), time.monotonic()
    assert app.get("/slow")[0] == 200
    assert 1 <= time.monotonic() - began < 2


def test_an_unknown_path_is_not_found(start: Start) -> None:
    status, body = start().get("/nope")
    assert status == 404
    assert "/version" in body


def test_a_connection_serves_several_requests(start: Start) -> None:
    connection = start().connect()
    for _ in range(3):
        connection.request("GET", "/version")
        assert connection.getresponse().read()


def test_a_stop_finishes_what_is_in_flight_and_exits_with_0(start: Start) -> None:
    app = start()
    connection = app.connect()
    connection.request("GET", "/slow")
    time.sleep(0.2)  # the request is under way
    app.process.send_signal(signal.SIGTERM)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("Connection") == "close"
    assert app.process.wait(timeout=5) == 0


def test_a_stop_does_not_wait_for_idle_connections(start: Start) -> None:
    app = start()
    idle = app.connect()
    idle.request("GET", "/version")
    idle.getresponse().read()
    began = time.monotonic()
    app.process.send_signal(signal.SIGTERM)
    assert app.process.wait(timeout=5) == 0
    assert time.monotonic() - began < 2
