"""Large bodies: they flow through the load balancer, which holds next to nothing of them."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sandbox.cloud.site import Site

SIZE = 100 * 1024 * 1024
_BLOCK = bytes(range(256)) * 4096
_MOST_HELD = 32 * 1024 * 1024


@contextmanager
def held_little(site: Site) -> Iterator[None]:
    """The sandbox's memory, at its peak, is hardly more than before."""
    process = Path(f"/proc/{site.aws.sandbox.pid}")
    (process / "clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = _peak(process)
    yield
    assert _peak(process) - before < _MOST_HELD


def _peak(process: Path) -> int:
    for line in (process / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def test_100_megabytes_come_down(site: Site) -> None:
    site.serve("a")
    with held_little(site):
        answer = _asked(site, "GET", f"/large?{SIZE}")
        digest, size = hashlib.sha256(), 0
        while part := answer.read(1 << 20):
            digest.update(part)
            size += len(part)
    assert (size, digest.digest()) == (SIZE, _digest())


@pytest.mark.parametrize("is_chunked", [False, True])
def test_100_megabytes_go_up(site: Site, is_chunked: bool) -> None:
    site.serve("a")
    blocks = (_BLOCK for _ in range(SIZE // len(_BLOCK)))
    headers = {} if is_chunked else {"Content-Length": str(SIZE)}
    with held_little(site):
        answer = _asked(site, "POST", "/echo", body=blocks, headers=headers, encode_chunked=is_chunked)
        assert json.loads(answer.read()) == {"size": SIZE, "sha256": _digest().hex()}


def _asked(site: Site, method: str, path: str, **options: object) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(site.address, 8080, timeout=60)
    connection.request(method, path, **options)  # type: ignore[arg-type]
    answer = connection.getresponse()
    assert answer.status == 200
    return answer


def _digest() -> bytes:
    digest = hashlib.sha256()
    for _ in range(SIZE // len(_BLOCK)):
        digest.update(_BLOCK)
    return digest.digest()
