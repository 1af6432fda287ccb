"""Each strategy from one release to the next, under load: no request fails, and the traffic is where each step says."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from bluegreen.model.history import Event, Kind
from sandbox.load import Load
from tests.e2e.project import STACK, Project, eventually

REQUESTS_PER_SECOND = 200
TOLERANCE = 0.05
WATCHED_SECONDS = 5

pytestmark = pytest.mark.rollout

STEPS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "blueGreen": ({"soak_seconds": WATCHED_SECONDS}, [100]),
    "canary": (
        {
            "steps": [{"weight": 20, "pauseSeconds": WATCHED_SECONDS}, {"weight": 60, "pauseSeconds": WATCHED_SECONDS}],
        },
        [20, 60, 100],
    ),
    "linear": ({"step_percent": 50, "step_seconds": WATCHED_SECONDS}, [50, 100]),
    "redBlack": ({"scale_down_delay_seconds": WATCHED_SECONDS, "max_remaining_groups": 2}, [100]),
    "highlander": ({"soak_seconds": WATCHED_SECONDS}, [100]),
}
"""Settings, and the shares of the new release that the listener goes through."""


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """A release takes the traffic."""
    first = project.bluegreen("deploy", STACK, "--ami", project.image("0"))
    assert first.code == 0, first.output
    return project


def ledger(project: Project) -> list[Event]:
    lines = (project.directory / f"runs/{STACK}/ledger.jsonl").read_text().splitlines()
    return [Event.from_record(json.loads(line)) for line in lines]


@pytest.mark.parametrize("strategy", STEPS)
def test_no_request_fails_and_each_step_has_its_share_of_the_traffic(served: Project, strategy: str) -> None:
    settings, shares = STEPS[strategy]
    served.configure(strategy=strategy, soak_seconds=0)
    served.configure(**settings)
    seen_before = len(ledger(served))
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND, keeps_cookies=True) as load:
        done = served.bluegreen("deploy", STACK, "--ami", served.image(strategy))
        ended = datetime.now().timestamp()
        eventually(lambda: load.answers[-1].sent_at > ended + 1)
    assert done.code == 0, done.output
    assert not load.failures, load.failures[:3]

    events = ledger(served)[seen_before:]
    new = served.release
    shifts = [event for event in events if event.kind is Kind.CUTOVER and event.evidence["weights"].get(new)]
    reached = [event.evidence["weights"][new] for event in shifts]
    assert list(dict.fromkeys(reached)) == shares
    moments = [event.at.timestamp() for event in shifts] + [ended + 1]
    for share, begin, end in zip(reached, moments, moments[1:], strict=False):
        answers = Counter(it.release for it in load.answers if begin + 0.3 < it.sent_at < end - 0.1)
        assert abs(answers[new] / answers.total() - share / 100) < TOLERANCE, (share, answers)
    passed = [event for event in events if event.kind in (Kind.ATTEST_PASSED, Kind.SOAK_PASSED)]
    assert {event.kind for event in passed} == {Kind.ATTEST_PASSED, Kind.SOAK_PASSED}
    assert {event.release for event in passed} == {new}


def test_red_black_left_its_standby_without_machines_and_highlander_left_none(served: Project) -> None:
    """The strategies above ran in this order: highlander came last."""
    emptied = [event for event in ledger(served) if event.evidence.get("verb") == "deploy"]
    assert [event.evidence.get("outcome") for event in emptied if event.kind is Kind.ENDED] == ["done"] * 6
    assert len(served.groups()) == 1


def test_sticky_clients_never_meet_a_group_without_machines(served: Project) -> None:
    """They ignore weights: a group leaves the listener before its capacity falls."""
    served.configure(
        strategy="redBlack",
        group_stickiness_seconds=3600,
        target_stickiness_seconds=3600,
        scale_down_delay_seconds=WATCHED_SECONDS,
        soak_seconds=0,
    )
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND, keeps_cookies=True) as load:
        for version in ("sticky-1", "sticky-2"):
            old = served.release
            done = served.bluegreen("deploy", STACK, "--ami", served.image(version))
            assert done.code == 0, done.output
            ended = datetime.now().timestamp()
            eventually(lambda: load.answers[-1].sent_at > ended + 1)  # noqa: B023
            assert old not in {it.release for it in load.answers if it.sent_at > ended}
    assert not load.failures, load.failures[:3]
    sizes = sorted(group["MaxSize"] for group in served.groups().values())
    assert sizes == [0, 6]


def test_a_standby_without_machines_gets_them_back_before_it_takes_the_traffic(served: Project) -> None:
    standby = next(
        group["release"]["version"] for group in served.outputs["fleet"]["groups"] if group["role"] == "standby"
    )
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND) as load:
        done = served.bluegreen("rollback", STACK)
        assert done.code == 0, done.output
        ended = datetime.now().timestamp()
        eventually(lambda: load.answers[-1].sent_at > ended + 1)
    assert f"rollback to release {standby}" in done.output
    assert "inflate, its standby has no machines" in done.output
    assert not load.failures, load.failures[:3]
    assert served.ask()["release"] == standby
