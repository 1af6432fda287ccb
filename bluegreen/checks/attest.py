"""Attest at work: sample the load balancer and see that the releases that answer are those that should.

The rules are in `bluegreen.model.attest`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bluegreen.checks.patience import delay_after
from bluegreen.checks.probe import Probe
from bluegreen.model.answer import Answer, Outcome
from bluegreen.model.attest import SOLE_SAMPLE, Attest, judge_sample, sample_size
from bluegreen.model.notice import ATTEST
from bluegreen.model.verdict import Hopeless, Ready, Wait

AT_ONCE = 8
"""Requests under way at the same time."""
TIMEOUT_SECONDS = 5.0
DEADLINE_SECONDS = 60.0
"""How long a load balancer may take until a change of its listener is seen everywhere."""


@dataclass(frozen=True, kw_only=True)
class AttestRun:
    """Samples `url`. `wanted`: percent of the answers by release."""

    url: str
    attest: Attest
    wanted: Mapping[str, float]
    probe: Probe
    report: Callable[[str], None]
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    deadline_seconds: float = DEADLINE_SECONDS

    async def run(self) -> Ready | Hopeless:
        """Ready once a whole sample is as it should be; hopeless where none was until the deadline."""
        began, said = self.clock(), ""
        while True:
            verdict = judge_sample(self.attest, await self._sample(sample_size(self.wanted)), self.wanted)
            waited = self.clock() - began
            match verdict:
                case Ready():
                    return verdict
                case Wait(summary) if waited >= self.deadline_seconds:
                    return Hopeless(f"{summary}, after {waited:.0f} s", "Look at who answers at " + self.url)
                case Wait(summary) if summary.split()[0] != said:
                    self.report(ATTEST.with_values(said=summary))
                    said = summary.split()[0]  # what follows differs every time
            await self.sleep(delay_after(waited))

    async def _sample(self, size: int) -> list[Outcome]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def ask() -> Outcome:
            async with turn:
                return await asyncio.to_thread(self.probe, self.url + self.attest.path, TIMEOUT_SECONDS)

        first = await asyncio.gather(*(ask() for _ in range(SOLE_SAMPLE)))
        if not any(isinstance(outcome, Answer) for outcome in first):
            return first  # a load balancer that nobody reaches would take the rest of the sample minutes to be told by
        return [*first, *await asyncio.gather(*(ask() for _ in range(size - SOLE_SAMPLE)))]
