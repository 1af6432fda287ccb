"""Smoke tests with real requests."""

from __future__ import annotations

import asyncio
import socket
import time

from bluegreen.checks.probe import probe
from bluegreen.checks.smoke import SmokeRun
from bluegreen.model.attest import NOTHING
from bluegreen.model.gate import Proofs
from bluegreen.model.smoke import SmokeTest
from bluegreen.model.verdict import Hopeless


def test_a_port_that_nobody_listens_on_is_told_with_the_setting_that_may_open_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    said: list[str] = []
    run = SmokeRun(
        name="web-new",
        url=f"http://127.0.0.1:{port}",
        release="1f0c9a52",
        probe=probe,
        report=said.append,
        sleep=asyncio.sleep,
        waited=lambda: time.monotonic() - began,
        deadline_seconds=0.3,
    )
    proofs = Proofs(smoke_tests=(SmokeTest(path="/ready"),), attest=NOTHING, preview_sources=("10.0.0.0/16",))
    verdict = asyncio.run(run.run(proofs))
    assert isinstance(verdict, Hopeless)
    reason = f"web-new: smoke test /ready: can't connect to 127.0.0.1:{port}: connection refused"
    assert verdict.summary == f"{reason}, after 0 of 0 s"
    assert verdict.next_step.startswith("The preview port is open to 10.0.0.0/16 alone. Deploy from there, or let ")
    assert said == [f"gate: {reason}"]
