"""One HTTP request, and what came of it. Blocks: from a program's event loop it is called in a thread."""

from __future__ import annotations

import functools
import http.client
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from bluegreen.model.answer import Answer, Broken, Outcome, Unreachable, Untrusted

Probe = Callable[[str, float], Outcome]
"""One GET: URL and timeout in seconds in, what came of it out. Blocks."""

Headers = tuple[tuple[str, str], ...]

OWN_HEADERS = {"Connection": "close", "User-Agent": "bluegreen-gate"}
MOST_BYTES = 1024 * 1024
"""Of a body: what comes after them is not read."""
_CHUNK_BYTES = 64 * 1024


def probe(url: str, timeout_seconds: float, address: str = "", headers: Headers = ()) -> Outcome:
    """GET over a connection of its own, with no redirect followed. `address`: where to connect, if not the URL's host.
    `headers`: more of them.

    No proxy of the environment either: it would answer for a load balancer that can't be reached. A certificate must be
    good for the URL's host and signed by somebody whom this machine trusts (SSL_CERT_FILE may name others).
    """
    began = time.monotonic()
    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if is_secure else 80)
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.sock = socket.create_connection((address or host, port), timeout_seconds)
        if is_secure:
            connection.default_port = 443
            connection.sock = _trust().wrap_socket(connection.sock, server_hostname=host)
    except ssl.SSLError as error:
        connection.close()
        return Untrusted(f"{parts.netloc}: {_distrust(error)}")
    except OSError as error:
        connection.close()
        return Unreachable(f"{parts.netloc}: {_why(error, timeout_seconds)}")
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target or "/", headers={**OWN_HEADERS, **dict(headers)})
        response = connection.getresponse()
        body = b""
        # The socket's timeout is of one read: a body that trickles in must not outlast the whole one's.
        while len(body) < MOST_BYTES and (chunk := response.read1(_CHUNK_BYTES)):
            body += chunk
            if time.monotonic() - began > timeout_seconds:
                raise TimeoutError
        if response.length and len(body) < MOST_BYTES:
            return Broken("no whole answer (it ended too early)")
        answered = {name.lower(): value for name, value in response.getheaders()}
    except TimeoutError:
        return Broken(f"no whole answer within {timeout_seconds:g} s")
    except (OSError, http.client.HTTPException) as error:
        return Broken(f"no whole answer ({error or type(error).__name__})")
    finally:
        connection.close()
    text = body[:MOST_BYTES].decode(errors="replace")
    return Answer(status=response.status, body=text, headers=answered, seconds=time.monotonic() - began)


def probe_at(address: str, headers: Headers = ()) -> Probe:
    """The same, connected to another address than the URL's host, and with these headers."""
    return functools.partial(probe, address=address, headers=headers)


@functools.cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _distrust(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is no good ({error.verify_message})"
    return f"no TLS ({error.reason or error})"


def _why(error: OSError, timeout_seconds: float) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return f"no connection within {timeout_seconds:g} s"
        case socket.gaierror():
            return f"the name is not known ({error.strerror})"
        case _:
            return error.strerror or str(error)
