"""Which release answers, and whether each does as often as it should."""

from __future__ import annotations

import pytest

from bluegreen.model.answer import Answer
from bluegreen.model.attest import NOTHING, Attest, Split
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.verdict import Ready, Wait

A, B, C = "aaaaaaaa", "bbbbbbbb", "cccccccc"


def test_the_release_is_read_from_a_field_at_its_path_or_from_a_header_of_any_answer() -> None:
    deep = Answer(status=200, body=f'{{"app": {{"release": "{A}"}}}}')
    assert Attest(json="app.release").release_in(deep, "/version") == A
    assert Attest(json="app.release").release_in(deep, "/") is None
    headed = Answer(status=500, headers={"x-release": B})
    assert Attest(header="X-Release").release_in(headed, "/") == B
    assert NOTHING.release_in(headed, "/") is None


def test_versions_of_releases_are_known_as_such() -> None:
    version = Release.from_settings(Settings.parse({"ami": "ami-0123456789abcdef0"})).version
    answer = Answer(status=200, body=f'{{"release": "{version}"}}')
    assert Attest(json="release").release_in(answer, "/version") == version


@pytest.mark.parametrize("body", ['{"release": "2.4.1"}', '{"release": "unknown"}', '{"release": 12345678}', "{}", ""])
def test_an_apps_own_idea_of_a_release_names_none_of_ours(body: str) -> None:
    assert Attest(json="release").release_in(Answer(status=200, body=body), "/version") is None


def test_answers_are_split_by_the_release_that_they_name() -> None:
    split = Split.of([A, A, B, None, A])
    assert split.shares == {A: 75, B: 25}
    assert split.unnamed == 1


@pytest.mark.parametrize(
    ("seen", "is_as_wanted"),
    [
        ([A] * 90 + [B] * 10, True),
        ([A] * 95 + [B] * 5, True),
        ([A] * 96 + [B] * 4, False),
        ([A] * 100, False),
        ([A] * 84 + [B] * 10 + [C] * 6, False),
        ([A] * 9 + [B] + [None] * 90, True),
    ],
)
def test_each_release_must_answer_as_often_as_it_should_within_the_tolerance(
    seen: list[str | None], is_as_wanted: bool
) -> None:
    verdict = Split.of(seen).judge({A: 90, B: 10}, tolerance_points=5)
    assert isinstance(verdict, Ready if is_as_wanted else Wait)


def test_both_splits_are_told() -> None:
    verdict = Split.of([A, B]).judge({A: 100, B: 0}, tolerance_points=5)
    assert verdict == Wait(f"seen {A} 50 %, {B} 50 %, wanted {A} 100 %")


def test_no_answer_that_names_a_release_is_not_as_wanted() -> None:
    assert Split.of([None, None]).judge({A: 100}, 5) == Wait("none of 2 answers names a release")
    assert isinstance(Split.of([]).judge({A: 100}, 5), Wait)
