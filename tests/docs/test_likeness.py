"""What is another one each time does not make an output another one; everything else does."""

from __future__ import annotations

import pytest

from tests.docs.likeness import aligned

SHOWN = ["    5.6 s  gate: web-0d284666-92df6de: passed", "dev runs release 0d284666 at http://127.4.0.2:8080"]
REAL = ["   11.2 s  gate: web-19d01f60-168cfdf: passed", "dev runs release 19d01f60 at http://127.3.0.2:8080"]


def test_ids_times_and_addresses_differ() -> None:
    assert aligned(SHOWN, REAL) == REAL


@pytest.mark.parametrize(
    "real",
    [
        ["   11.2 s  gate: web-19d01f60-168cfdf: failed", REAL[1]],
        [REAL[0]],
        [*REAL, "one line more"],
        [REAL[1], REAL[0]],
        ["", *REAL],
    ],
)
def test_another_output_is_told(real: list[str]) -> None:
    assert aligned(SHOWN, real) is None


def test_lines_that_tell_how_far_it_is_come_and_go() -> None:
    real = ["    9.0 s  gate: web-19d01f60-168cfdf: 1 of 2 healthy; 1 starting", *REAL]
    assert aligned(SHOWN, real) == REAL


def test_what_is_left_out_stays_left_out() -> None:
    real = ["first", "second", "third 7.0 s", "fourth", "last"]
    assert aligned(["...", "third 1.0 s", "...", "last"], real) == ["...", "third 7.0 s", "...", "last"]
    assert aligned(["first", "..."], real) == ["first", "..."]
    assert aligned(["...", "last"], real) == ["...", "last"]


def test_lines_that_are_shown_come_in_their_order() -> None:
    assert aligned(["...", "second", "...", "first", "..."], ["first", "second"]) is None
    assert aligned(["...", "first"], ["first", "second"]) is None
    assert aligned(["second", "..."], ["first", "second"]) is None


def test_the_middle_of_a_line_may_be_left_out() -> None:
    real = ["error: release 19d01f60 was rolled back: alarm is on (Threshold: 61.1), after 3 s"]
    assert aligned(["error: release 2e1b5001 was rolled back: …, after 0 s"], real) == [
        "error: release 19d01f60 was rolled back: …, after 3 s"
    ]
    assert aligned(["error: release 2e1b5001 is open: …"], real) is None
