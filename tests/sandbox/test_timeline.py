"""The demo's own judgement: every order that must not be is named, and the right one passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.load import Answer
from sandbox.timeline import Event, Moment, as_data, faults

RIGHT = [
    Moment(1.0, Event.CREATED, "2"),
    Moment(2.0, Event.PROVEN, "2"),
    Moment(3.0, Event.CUTOVER, "2"),
    Moment(4.0, Event.DELETING, "1"),
    Moment(5.0, Event.DELETED, "1"),
    Moment(6.0, Event.CREATED, "3"),
    Moment(7.0, Event.REFUSED, "3"),
    Moment(8.0, Event.DELETING, "3"),
    Moment(9.0, Event.DELETED, "3"),
]
ANSWERS = [Answer("/version", 100.5, 0.01, "1", ""), Answer("/version", 103.5, 0.01, "2", "")]


def judged(moments: list[Moment] = RIGHT, answers: list[Answer] = ANSWERS) -> list[str]:
    return faults(moments, answers, began=100.0, served=["1", "2"], refused="3")


def test_the_right_order_has_no_fault() -> None:
    assert judged() == []


@pytest.mark.parametrize("index", range(len(RIGHT)))
def test_each_event_is_missed(index: int) -> None:
    missing = RIGHT[index]
    found = judged([moment for moment in RIGHT if moment is not missing])
    assert found == [f"release {missing.release}: '{missing.event}' did not happen"]


@pytest.mark.parametrize("index", [0, 1, 2, 3, 5, 6, 7])
def test_each_swap_is_seen(index: int) -> None:
    swapped = [*RIGHT]
    swapped[index], swapped[index + 1] = swapped[index + 1], swapped[index]
    assert any("came before" in fault for fault in judged(swapped))


def test_one_failed_request_is_enough() -> None:
    found = judged(answers=[*ANSWERS, replace(ANSWERS[0], fault="status 502")])
    assert len(found) == 1
    assert "1 requests failed" in found[0]


def test_an_answer_of_the_old_release_long_after_the_cutover_is_a_fault() -> None:
    assert judged(answers=[*ANSWERS, Answer("/version", 104.5, 0.01, "1", "")])


def test_an_answer_of_the_refused_release_is_a_fault() -> None:
    assert judged(answers=[*ANSWERS, Answer("/version", 108.0, 0.01, "3", "")])


def test_a_refused_release_that_takes_the_traffic_is_a_fault() -> None:
    assert judged([*RIGHT, Moment(10.0, Event.CUTOVER, "3")])


def test_no_load_is_a_fault() -> None:
    assert judged(answers=[])


def test_the_data_says_requests_failures_and_the_timeline() -> None:
    data = as_data(RIGHT[:1], [*ANSWERS, replace(ANSWERS[0], fault="x")])
    assert data == {
        "requests": 3,
        "failures": 1,
        "timeline": [{"at": 1.0, "event": "server group created", "release": "2"}],
    }
