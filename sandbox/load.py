"""A steady HTTP load on one URL, from a thread of its own, that keeps every answer: `Load`.

Keep-alive connections, as browsers and proxies hold them; requests leave on time whether or not earlier ones have been
answered, so a server that stalls is seen as one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """One request: when it left (seconds since the epoch), how long it took, what came back.

    `release` is the one that answered, as its header X-Release tells; `fault` says what went wrong, empty if nothing
    did.
    """

    path: str
    sent_at: float
    seconds: float
    release: str
    fault: str

    @property
    def has_failed(self) -> bool:
        return bool(self.fault)


class Load:
    """Sends `per_second` requests to `path`, every `slow_every`th of them to `/slow` (a second) instead.

    With `keeps_cookies` each connection is a user of its own, with the cookies that the load balancer gave it.

    A context manager: it runs between entering and leaving, and leaving waits for the last answers.
    """

    def __init__(
        self,
        url: str,
        *,
        per_second: float,
        path: str = "/version",
        slow_every: int = 0,
        keeps_cookies: bool = False,
        on_answer: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        split = urlsplit(url)
        self._host, self._port = str(split.hostname), split.port or 80
        self._interval = 1 / per_second
        self._path = path
        self._slow_every = slow_every
        self._cookies: dict[asyncio.StreamWriter, dict[str, str]] | None = {} if keeps_cookies else None
        self._on_answer = on_answer
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self.answers: list[Answer] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_stopping.set()
        self._thread.join()

    @property
    def failures(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.has_failed]

    async def _run(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        number = 0
        while not self._is_stopping.is_set():
            number += 1
            is_slow = self._slow_every and number % self._slow_every == 0
            task = asyncio.create_task(self._request("/slow" if is_slow else self._path))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due += self._interval
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)
        for _, writer in self._idle:
            writer.close()

    async def _request(self, path: str) -> None:
        sent_at, began = time.time(), time.monotonic()
        release, fault = "", ""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, release, body = await self._exchange(path)
            if status != 200:
                fault = f"status {status}: {body[:100].decode(errors='replace').strip()}"
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            fault = f"{type(error).__name__}: {error}"
        answer = Answer(path, sent_at, time.monotonic() - began, release, fault)
        self.answers.append(answer)
        self._on_answer(answer)

    async def _exchange(self, path: str) -> tuple[int, str, bytes]:
        """Status, release and body of the answer."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        try:
            cookies = self._cookies.setdefault(writer, {}) if self._cookies is not None else {}
            cookie = "Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()) + "\r\n"
            head = f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{cookie if cookies else ''}\r\n"
            writer.write(head.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.rstrip("\r\n").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        for line in lines:
            name, _, value = line.partition(":")
            if self._cookies is not None and name.lower() == "set-cookie":
                key, _, content = value.strip().partition(";")[0].partition("=")
                cookies[key] = content
        return int(status_line.split()[1]), headers.get("x-release", ""), body
