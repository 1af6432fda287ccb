"""One request at a real socket: an answer, a broken one, or no connection, never mistaken for one another."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bluegreen.checks import probe as probe_module
from bluegreen.checks.probe import MOST_BYTES, probe, probe_at
from bluegreen.model.answer import Answer, Broken, Unreachable, Untrusted
from tests.sandbox.cloud.keys import KeyPair

TIMEOUT_SECONDS = 5.0
OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def serving(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that reads each request's head and then does as told; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_a_whole_answer_is_status_headers_body_and_time() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 503 Busy\r\nX-Release: abc\r\nContent-Length: 4\r\n\r\nwait")

    with serving(answer) as url:
        seen = probe(url + "/x?y=1", TIMEOUT_SECONDS)
    assert isinstance(seen, Answer)
    assert (seen.status, seen.body, seen.headers["x-release"]) == (503, "wait", "abc")
    assert 0 < seen.seconds < TIMEOUT_SECONDS


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with serving(lambda connection: connection.sendall(OK + b"Content-Length: 0\r\n\r\n")) as url:
        assert isinstance(probe(url, TIMEOUT_SECONDS), Answer)


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with serving(lambda connection: connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")) as url:
        seen = probe(url, TIMEOUT_SECONDS)
    assert isinstance(seen, Answer)
    assert seen.status == 302


def test_a_refused_connection_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert probe(f"http://127.0.0.1:{port}/", TIMEOUT_SECONDS) == Unreachable(f"127.0.0.1:{port}: connection refused")


def test_a_name_that_is_not_known_is_no_connection() -> None:
    seen = probe("http://nowhere.invalid:9000/", TIMEOUT_SECONDS)
    assert isinstance(seen, Unreachable)
    assert seen.why.startswith("nowhere.invalid:9000: the name is not known (")


def test_a_connection_that_is_never_made_is_no_connection() -> None:
    """A full backlog drops what comes, as a security group does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        waiting = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(address)
            waiting.append(each)
        seen = probe(f"http://127.0.0.1:{address[1]}/", 0.3)
        for each in waiting:
            each.close()
    assert seen == Unreachable(f"127.0.0.1:{address[1]}: no connection within 0.3 s")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "no whole answer (Remote end closed connection without response)"),
        (b"SSH-2.0-OpenSSH\r\n", "no whole answer (SSH-2.0-OpenSSH"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "no whole answer (IncompleteRead("),
        (OK + b"Content-Length: 10\r\n\r\nhalf", "no whole answer (it ended too early)"),
    ],
)
def test_half_an_answer_is_a_broken_one(sent: bytes, why: str) -> None:
    with serving(lambda connection: connection.sendall(sent)) as url:
        seen = probe(url, TIMEOUT_SECONDS)
    assert isinstance(seen, Broken)
    assert seen.why.startswith(why)


def test_an_answer_that_does_not_come_in_time_is_a_broken_one() -> None:
    done = threading.Event()
    with serving(lambda connection: done.wait(5)) as url:
        assert probe(url, 0.2) == Broken("no whole answer within 0.2 s")
        done.set()


def test_a_body_that_trickles_in_does_not_outlast_the_timeout() -> None:
    done = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(OK + b"\r\n")
        while not done.wait(0.05):
            connection.sendall(b"x")

    with serving(trickle) as url:
        assert probe(url, 0.3) == Broken("no whole answer within 0.3 s")
        done.set()


def test_a_body_without_end_is_cut() -> None:
    def flood(connection: socket.socket) -> None:
        try:
            connection.sendall(OK + b"\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            return

    with serving(flood) as url:
        seen = probe(url, TIMEOUT_SECONDS)
    assert isinstance(seen, Answer)
    assert len(seen.body) == MOST_BYTES


@contextmanager
def serving_tls(directory: Path, pair: KeyPair) -> Iterator[int]:
    """A server that answers with this certificate; its port."""
    file = directory / "server.pem"
    file.write_bytes(pair.key + pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def answer(connection: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            host = secure.recv(65536).decode().partition("Host: ")[2].partition("\r\n")[0]
            secure.sendall(OK + f"X-Host: {host}\r\nContent-Length: 0\r\n\r\n".encode())

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyPair]:
    """A certificate that this machine trusts."""
    made = KeyPair.signed_by_itself("shop.example")
    (tmp_path / "trusted.pem").write_bytes(made.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    probe_module._trust.cache_clear()
    yield made
    probe_module._trust.cache_clear()


def test_a_load_balancer_is_asked_by_the_name_in_its_certificate(tmp_path: Path, pair: KeyPair) -> None:
    with serving_tls(tmp_path, pair) as port:
        seen = probe_at("127.0.0.1")(f"https://shop.example:{port}/", TIMEOUT_SECONDS)
    assert isinstance(seen, Answer)
    assert seen.headers["x-host"] == f"shop.example:{port}"


def test_a_header_tells_which_rule_is_meant() -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(OK + b"\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://shop.example:{server.getsockname()[1]}/"
        seen = probe_at("127.0.0.1", (("X-Bluegreen-Preview", "web"),))(url, TIMEOUT_SECONDS)
        thread.join()
    assert isinstance(seen, Answer)
    assert b"X-Bluegreen-Preview: web\r\n" in asked[0]


def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path, pair: KeyPair) -> None:
    with serving_tls(tmp_path, pair) as port:
        seen = probe_at("127.0.0.1")(f"https://other.example:{port}/", TIMEOUT_SECONDS)
    assert isinstance(seen, Untrusted)
    assert seen.why.startswith(f"other.example:{port}: its certificate is no good (Hostname mismatch")


def test_a_certificate_that_nobody_has_signed_is_not_trusted(tmp_path: Path, pair: KeyPair) -> None:
    with serving_tls(tmp_path, KeyPair.signed_by_itself("shop.example")) as port:
        seen = probe_at("127.0.0.1")(f"https://shop.example:{port}/", TIMEOUT_SECONDS)
    assert seen == Untrusted(f"shop.example:{port}: its certificate is no good (self-signed certificate)")


def test_what_speaks_no_tls_is_not_trusted() -> None:
    with serving(lambda connection: connection.sendall(OK + b"\r\n")) as url:
        seen = probe(url.replace("http:", "https:"), TIMEOUT_SECONDS)
    assert isinstance(seen, Untrusted)
    assert "no TLS (" in seen.why
