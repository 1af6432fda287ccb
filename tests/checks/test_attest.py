"""Attest at work: samples until the load balancer shows what it should, and no longer than its deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bluegreen.checks.attest import DEADLINE_SECONDS, AttestRun
from bluegreen.model.answer import Answer, Outcome, Unreachable
from bluegreen.model.attest import DEFAULT, Attest
from bluegreen.model.verdict import Hopeless, Ready

OLD, NEW = "aaaaaaaa", "bbbbbbbb"
URL = "http://web.test"
HEADER = Attest(header="X-Release")


def named(release: str) -> Answer:
    return Answer(status=200, body=f'{{"release": "{release}"}}', headers={"x-release": release})


@dataclass
class World:
    """A load balancer with a clock. `answers` gets the clock and the number of the request."""

    answers: Callable[[float, int], Outcome]
    wanted: Mapping[str, float] = field(default_factory=lambda: {NEW: 100.0})
    attest: Attest = HEADER
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def probe(self, url: str, timeout_seconds: float) -> Outcome:
        with self.lock:  # threads ask
            self.asked.append(url)
            return self.answers(self.seconds, len(self.asked))

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.seconds += seconds

    def run(self) -> Ready | Hopeless:
        run = AttestRun(
            url=URL,
            attest=self.attest,
            wanted=self.wanted,
            probe=self.probe,
            report=self.said.append,
            clock=lambda: self.seconds,
            sleep=self.sleep,
        )
        return asyncio.run(run.run())


def test_the_release_that_should_answer_passes_with_one_sample() -> None:
    world = World(lambda seconds, number: named(NEW))
    assert world.run() == Ready(f"seen {NEW} 100 %, wanted {NEW} 100 %")
    assert world.asked == [f"{URL}/version"] * 20
    assert (world.seconds, world.said) == (0, [])


def test_a_change_that_is_not_seen_everywhere_yet_is_waited_for() -> None:
    world = World(lambda seconds, number: named(NEW if seconds >= 7 or number % 2 else OLD))
    assert isinstance(world.run(), Ready)
    assert 7 <= world.seconds < 8
    assert world.said == [f"attest: seen {OLD} 50 %, {NEW} 50 %, wanted {NEW} 100 %"], "each kind of line is said once"


def test_a_release_that_never_answers_fails_at_the_deadline_with_what_did() -> None:
    world = World(lambda seconds, number: named(OLD))
    found = world.run()
    assert isinstance(found, Hopeless)
    assert found.summary.startswith(f"seen {OLD} 100 %, wanted {NEW} 100 %, after ")
    assert URL in found.next_step
    assert DEADLINE_SECONDS <= world.seconds < DEADLINE_SECONDS + 6


def test_a_load_balancer_that_can_not_be_reached_fails_and_is_told_as_that() -> None:
    world = World(lambda seconds, number: Unreachable("web.test:80: connection refused"), attest=DEFAULT)
    found = world.run()
    assert isinstance(found, Hopeless)
    assert found.summary.startswith("can't connect: to web.test:80: connection refused, after ")


def test_one_that_can_be_reached_at_last_is_asked_until_it_can() -> None:
    world = World(lambda seconds, number: named(NEW) if seconds >= 3 else Unreachable("web.test:80: refused"))
    assert isinstance(world.run(), Ready)
    assert world.said == ["attest: can't connect: to web.test:80: refused"]


def test_an_app_that_names_no_release_passes_at_once_unless_it_was_told_to() -> None:
    assert isinstance(World(lambda seconds, number: Answer(status=404), attest=DEFAULT).run(), Ready)
    assert isinstance(World(lambda seconds, number: Answer(status=404)).run(), Hopeless)


def test_an_app_that_names_no_release_and_answers_with_errors_does_not_pass() -> None:
    found = World(lambda seconds, number: Answer(status=502), attest=DEFAULT).run()
    assert isinstance(found, Hopeless)
    assert "status 502 in 20 of 20 answers" in found.summary


def test_a_shift_is_seen_in_four_hundred_answers() -> None:
    world = World(lambda seconds, number: named(NEW if number % 10 == 0 else OLD), wanted={OLD: 90, NEW: 10})
    assert world.run() == Ready(f"seen {OLD} 90 %, {NEW} 10 %, wanted {OLD} 90 %, {NEW} 10 %")
    assert len(world.asked) == 400


def test_the_release_is_asked_for_where_the_app_says_it() -> None:
    world = World(lambda seconds, number: named(NEW), attest=Attest(path="/who?full=1", json_field="release"))
    assert isinstance(world.run(), Ready)
    assert set(world.asked) == {f"{URL}/who?full=1"}
