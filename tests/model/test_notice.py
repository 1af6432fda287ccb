"""Lines that checks say: whatever is said is read again, and nothing else is."""

from __future__ import annotations

import pytest

from bluegreen.model import notice
from bluegreen.model.notice import GATE, GATE_COMMAND, HEALTHY, HEALTHY_BUT, SOAK, SOAK_BEGAN, Notice, said_within

NOTICES = [each for each in vars(notice).values() if isinstance(each, Notice)]
VALUES = {
    "group": "web-4d197941-7bf931c",
    "said": "2 unhealthy (codes: [503]): i-0; and {braces}, 100 %",
    "healthy": 2,
    "wanted": 3,
    "desired": 4,
    "seconds": 12.0,
    "hook": "bluegreen-gate",
}


@pytest.mark.parametrize("line", NOTICES, ids=lambda line: line.template)
def test_what_is_said_is_read_again(line: Notice) -> None:
    found = line.values_in(line.with_values(**VALUES))
    assert found is not None
    for name, text in found.items():
        assert type(VALUES[name])(text) == VALUES[name]


@pytest.mark.parametrize("text", ["", "gate:", "2 of 3 healthy", "a soak: web is watched for 6 s", "gate web: said"])
def test_no_other_text_is_taken_for_a_line_of_the_gate_or_the_soak(text: str) -> None:
    assert GATE.values_in(text) is None
    assert SOAK.values_in(text) is None
    assert SOAK_BEGAN.values_in(text) is None


def test_numbers_are_numbers() -> None:
    assert HEALTHY.values_in("two of 3 healthy") is None
    assert HEALTHY_BUT.values_in("2 of 3 healthy") is None
    assert HEALTHY_BUT.values_in("2 of 3 healthy; 1 starting") == {"healthy": "2", "wanted": "3", "said": "1 starting"}


def test_a_command_may_say_anything() -> None:
    text = GATE_COMMAND.with_values(said="gate: web: 2 of 2 healthy: passed")
    assert GATE_COMMAND.values_in(text) == {"said": "gate: web: 2 of 2 healthy: passed"}


@pytest.mark.parametrize(
    "said",
    [
        "{}",
        'before hook "bluegreen-image" failed: {}',
        'Preview failed: before hook "bluegreen-image" failed: {}',
        "deleting urn:pulumi:dev::bluegreen::aws:lb/listener:Listener::web: 1 error occurred:\n\t* {}",
        "1 error occurred:\n\t* {}\n\n",
    ],
)
def test_an_error_is_told_without_the_engine_s_words_around_it(said: str) -> None:
    reason = "the stack's config has 1 fault:\n  bluegreen:tls: is wrong"
    assert said_within(said.format(reason)) == reason
