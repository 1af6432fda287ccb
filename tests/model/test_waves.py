"""Waves: every stack is in one of them, in the order given, and no wave is empty."""

from __future__ import annotations

import pytest

from bluegreen.errors import WavesError
from bluegreen.model.waves import ONE_WAVE, Bound, parse_waves, plan_waves

TEN = tuple("abcdefghij")


def sizes(text: str, total: int) -> list[int]:
    return [len(wave) for wave in plan_waves([str(number) for number in range(total)], parse_waves(text))]


def test_a_wave_is_a_count_or_a_percentage() -> None:
    assert parse_waves("1, 50%,100%") == (
        Bound(number=1),
        Bound(number=50, is_percent=True),
        Bound(number=100, is_percent=True),
    )


@pytest.mark.parametrize("text", ["", "1,,100%", "one", "-1", "1.5", "50 %%", "%"])
def test_what_is_neither_is_refused_by_its_number(text: str) -> None:
    with pytest.raises(WavesError, match=r"wave \d of .* neither a number of stacks nor a percentage"):
        parse_waves(text)


def test_more_than_all_is_refused() -> None:
    with pytest.raises(WavesError, match=r"wave 2 of `1,101%` is 101%, more than all stacks"):
        parse_waves("1,101%")


def test_numbers_are_how_many_have_begun_by_the_end_of_a_wave() -> None:
    assert sizes("1,50%,100%", 10) == [1, 4, 5]
    assert sizes("1,3,100%", 10) == [1, 2, 7]
    assert sizes("100%", 1) == [1]


def test_percentages_are_rounded_up() -> None:
    assert sizes("1,50%,100%", 3) == [1, 1, 1]
    assert sizes("1%,100%", 3) == [1, 2]
    assert sizes("33%,67%,100%", 100) == [33, 34, 33]


def test_every_stack_is_in_one_wave_in_the_order_given() -> None:
    assert plan_waves(TEN, parse_waves("1,50%,100%")) == (("a",), ("b", "c", "d", "e"), ("f", "g", "h", "i", "j"))
    assert plan_waves(TEN) == plan_waves(TEN, ONE_WAVE) == (TEN,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,100%", r"wave 1 \(0\) names no stack"),
        ("1,1,100%", r"wave 2 \(1\) names no stack: it ends at 1 stack of 2, and 1 had begun before it"),
        ("2,100%", r"wave 2 \(100%\) names no stack"),
        ("2,1,100%", r"wave 2 \(1\) names no stack"),
    ],
)
def test_a_wave_that_names_no_stack_is_refused(text: str, said: str) -> None:
    with pytest.raises(WavesError, match=said):
        plan_waves(["prod-us", "prod-eu"], parse_waves(text))


def test_no_stacks_are_no_waves() -> None:
    with pytest.raises(WavesError, match=r"wave 1 \(100%\) names no stack"):
        plan_waves([])


def test_a_last_wave_that_leaves_stacks_out_or_wants_more_than_there_are_is_refused() -> None:
    with pytest.raises(WavesError, match=r"the waves end at 1 stack of 3: b, c would be in none"):
        plan_waves(["a", "b", "c"], parse_waves("1"))
    with pytest.raises(WavesError, match=r"wave 2 \(5\) ends at 5 stacks, and there are 3"):
        plan_waves(["a", "b", "c"], parse_waves("1,5"))


def test_a_stack_that_is_named_twice_is_refused_by_its_name() -> None:
    with pytest.raises(WavesError, match=r"^prod-us is named twice"):
        plan_waves(["prod-us", "prod-eu", "prod-us"])
