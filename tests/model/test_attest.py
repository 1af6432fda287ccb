"""Which release answers, and whether each does as often as it should."""

from __future__ import annotations

import pytest

from bluegreen.model.answer import Answer, Broken, Outcome, Unreachable, Untrusted
from bluegreen.model.attest import DEFAULT, NOTHING, Attest, Split, judge_sample, sample_size
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.verdict import Ready, Wait

A, B, C = "aaaaaaaa", "bbbbbbbb", "cccccccc"


def test_the_release_is_read_from_a_field_at_its_path_or_from_a_header_of_any_answer() -> None:
    deep = Answer(status=200, body=f'{{"app": {{"release": "{A}"}}}}')
    assert Attest(json_field="app.release").release_in(deep, "/version") == A
    assert Attest(json_field="app.release").release_in(deep, "/") is None
    headed = Answer(status=500, headers={"x-release": B})
    assert Attest(header="X-Release").release_in(headed, "/") == B
    assert NOTHING.release_in(headed, "/") is None


def test_versions_of_releases_are_known_as_such() -> None:
    version = Release.from_settings(Settings.parse({"ami": "ami-0123456789abcdef0"})).version
    answer = Answer(status=200, body=f'{{"release": "{version}"}}')
    assert Attest(json_field="release").release_in(answer, "/version") == version


@pytest.mark.parametrize("body", ['{"release": "2.4.1"}', '{"release": "unknown"}', '{"release": 12345678}', "{}", ""])
def test_an_apps_own_idea_of_a_release_names_none_of_ours(body: str) -> None:
    assert Attest(json_field="release").release_in(Answer(status=200, body=body), "/version") is None


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
    assert Split.of([None, None]).judge({A: 100}, 5) == Wait(
        "none of 2 answers names a release (see the setting `attest`)"
    )
    assert isinstance(Split.of([]).judge({A: 100}, 5), Wait)


# -- samples of a load balancer


HEADED = Attest(header="X-Release")
SOLE = {B: 100.0}
SHIFT = {A: 90.0, B: 10.0}


def answers(*counted: tuple[int, str | None], status: int = 200) -> list[Outcome]:
    """So many answers that name this release; None: none."""
    return [
        Answer(status=status, body=f'{{"release": "{name}"}}' if name else "hello", headers={"x-release": name or ""})
        for count, name in counted
        for _ in range(count)
    ]


def test_a_shift_takes_a_larger_sample_than_a_cutover() -> None:
    assert sample_size(SOLE) == 20
    assert sample_size(SHIFT) == 400
    assert sample_size({A: 50, B: 50}) == 400


def test_a_sole_release_must_answer_every_time() -> None:
    assert isinstance(judge_sample(HEADED, answers((20, B)), SOLE), Ready)
    assert isinstance(judge_sample(HEADED, answers((19, B), (1, A)), SOLE), Wait)
    assert isinstance(judge_sample(HEADED, answers((20, A)), SOLE), Wait)


@pytest.mark.parametrize(("new", "is_as_wanted"), [(40, True), (60, True), (20, True), (61, False), (19, False)])
def test_shares_of_a_shift_are_within_five_points(new: int, is_as_wanted: bool) -> None:
    found = judge_sample(HEADED, answers((400 - new, A), (new, B)), SHIFT)
    assert isinstance(found, Ready if is_as_wanted else Wait)


@pytest.mark.parametrize("share", [1.0, 5.0])
def test_a_release_that_never_answers_does_not_have_its_share_however_small_that_is(share: float) -> None:
    assert isinstance(judge_sample(HEADED, answers((400, A)), {A: 100 - share, B: share}), Wait)
    assert isinstance(judge_sample(HEADED, answers((396, A), (4, B)), {A: 100 - share, B: share}), Ready)


def test_nobody_who_can_be_reached_is_told_apart_from_wrong_answers() -> None:
    closed = judge_sample(HEADED, [Unreachable("web.test:80: connection refused")] * 20, SOLE)
    assert closed == Wait("can't connect: to web.test:80: connection refused")
    broken = judge_sample(HEADED, [Broken("no whole answer within 5 s")] * 20, SOLE)
    assert isinstance(broken, Wait)
    assert "no whole answer" in broken.summary
    assert "connect" not in broken.summary
    untrusted = judge_sample(HEADED, [Untrusted("web.test:443: its certificate is no good (expired)")] * 20, SOLE)
    assert untrusted == Wait("not trusted: web.test:443: its certificate is no good (expired)")
    wrong = judge_sample(HEADED, answers((20, A)), SOLE)
    assert isinstance(wrong, Wait)
    assert wrong.summary == f"seen {A} 100 %, wanted {B} 100 %"


@pytest.mark.parametrize("body", ["hello", "{}", '{"release": "2.4.1"}'])
def test_an_app_that_was_never_told_to_name_its_release_is_let_pass_and_it_is_said(body: str) -> None:
    found = judge_sample(DEFAULT, [Answer(status=200, body=body)] * 20, SOLE)
    assert isinstance(found, Ready)
    assert "nothing is attested" in found.summary
    assert isinstance(judge_sample(DEFAULT, [Answer(status=404)] * 20, SOLE), Ready), "it need not have the path"


def test_an_app_that_was_told_to_name_its_release_and_does_not_is_not_let_pass() -> None:
    assert isinstance(judge_sample(HEADED, answers((20, None)), SOLE), Wait)
    assert isinstance(judge_sample(Attest(path="/who", json_field="release"), answers((20, None)), SOLE), Wait)


@pytest.mark.parametrize("count", [1, 20])
def test_errors_that_name_no_release_are_not_let_pass(count: int) -> None:
    outcomes = [*answers((20 - count, None)), *answers((count, None), status=503)]
    found = judge_sample(DEFAULT, outcomes, SOLE)
    assert isinstance(found, Wait)
    assert f"status 503 in {count} of 20 answers" in found.summary
    assert "only" not in found.summary or count == 20


def test_an_app_that_names_its_release_by_itself_is_attested_without_being_told() -> None:
    assert isinstance(judge_sample(DEFAULT, answers((20, A)), SOLE), Wait)
    assert isinstance(judge_sample(DEFAULT, answers((20, B)), SOLE), Ready)


def test_errors_that_name_their_release_say_who_has_the_traffic_and_no_more() -> None:
    assert isinstance(judge_sample(HEADED, answers((20, B), status=500), SOLE), Ready), "the soak minds the errors"
