"""Smoke tests at work: ask the candidate through the preview listener until it answers rightly, or time is over.

What is right is in `bluegreen.model.smoke`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bluegreen.checks.patience import delay_after
from bluegreen.checks.probe import Probe
from bluegreen.model.answer import Outcome
from bluegreen.model.gate import Proofs
from bluegreen.model.notice import GATE
from bluegreen.model.smoke import SmokeFault, SmokeTest, judge, judge_release
from bluegreen.model.verdict import Hopeless, Ready


@dataclass(frozen=True)
class _Request:
    """A test, or the question for the release alone."""

    test: SmokeTest
    judge: Callable[[Outcome], SmokeFault | None]


@dataclass(frozen=True, kw_only=True)
class SmokeRun:
    """Asks a candidate. `name`: of its server group; `url`: of the preview listener; `waited`: seconds of the gate's
    `deadline_seconds` that are over."""

    name: str
    url: str
    release: str
    probe: Probe
    report: Callable[[str], None]
    sleep: Callable[[float], Awaitable[None]]
    waited: Callable[[], float]
    deadline_seconds: float

    async def run(self, proofs: Proofs) -> Ready | Hopeless:
        """Ready once every test has passed its times in a row; hopeless at the deadline."""
        for request in self._requests(proofs):
            if fault := await self._fault_at_deadline(request):
                summary = f"{self.name}: {self._line(request, fault)}, after {self.waited():.0f} of "
                return Hopeless(f"{summary}{self.deadline_seconds:.0f} s", _next_step(fault, proofs))
        passed = ", ".join(f"{test.path} {test.times_in_a_row} times" for test in proofs.smoke_tests)
        return Ready(f"smoke tests passed: {passed}")

    def _requests(self, proofs: Proofs) -> list[_Request]:
        attest = proofs.attest

        def shows(path: str) -> Callable[[Outcome], SmokeFault | None]:
            return lambda outcome: judge_release(attest, path, outcome, self.release)

        def passes(test: SmokeTest) -> Callable[[Outcome], SmokeFault | None]:
            return lambda outcome: shows(test.path)(outcome) or judge(test, outcome)

        # Until it is the candidate that answers, no answer says anything of it.
        first = [_Request(SmokeTest(path=attest.path), shows(attest.path))] if attest.is_on else []
        return first + [_Request(test, passes(test)) for test in proofs.smoke_tests]

    async def _fault_at_deadline(self, request: _Request) -> SmokeFault | None:
        """None once the candidate has answered rightly so many times with no other answer between."""
        in_a_row, said = 0, ""
        while in_a_row < request.test.times_in_a_row:
            outcome = await asyncio.to_thread(self.probe, self.url + request.test.path, request.test.timeout_seconds)
            fault = request.judge(outcome)
            if fault is None:
                in_a_row += 1
                continue
            in_a_row = 0
            waited = self.waited()
            if waited >= self.deadline_seconds:
                return fault
            if fault.summary != said:  # the detail differs every time
                self.report(GATE.with_values(group=self.name, said=self._line(request, fault)))
                said = fault.summary
            await self.sleep(min(delay_after(waited), self.deadline_seconds - waited))
        return None

    def _line(self, request: _Request, fault: SmokeFault) -> str:
        return f"smoke test {request.test.path}: {fault}"


def _next_step(fault: SmokeFault, proofs: Proofs) -> str:
    if not fault.is_unreachable:
        return "Deploy a release that answers rightly, or mend `smokeTests`."
    open_to = ", ".join(proofs.preview_sources) or "the VPC's network"
    return (
        f"The preview port is open to {open_to} alone. Deploy from there, or let this "
        "machine in: `pulumi config set --path 'previewCidrs[0]' ADDRESS/32`."
    )
