"""What is wrong with an answer to a smoke test, and how it is told."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.model.answer import Answer, Broken, Outcome, Unreachable, Untrusted
from bluegreen.model.attest import NOTHING, Attest
from bluegreen.model.smoke import SmokeTest, judge, judge_release

OURS, OTHER = "1f0c9a52", "4d197941"


def fault(outcome: Outcome, **test: Any) -> str:
    return str(judge(SmokeTest.model_validate(test), outcome) or "")


def test_a_status_of_200_is_all_that_is_asked_by_default() -> None:
    assert fault(Answer(status=200)) == ""
    assert fault(Answer(status=204)).startswith("answers wrongly: status 204 instead of 200")


@pytest.mark.parametrize("wanted", [204, "204", "200-299", [200, 204], "200,204", [503, "200-204"]])
def test_a_status_may_be_a_code_a_list_or_a_range(wanted: object) -> None:
    assert fault(Answer(status=204), status=wanted) == ""
    assert "status 500 instead of" in fault(Answer(status=500), status=wanted)


def test_a_wrong_status_is_told_with_the_beginning_of_the_answer() -> None:
    told = fault(Answer(status=500, body="x" * 201 + "secret"))
    assert told == f"answers wrongly: status 500 instead of 200; the answer: '{'x' * 200}'..."
    assert fault(Answer(status=500)) == "answers wrongly: status 500 instead of 200; the answer is empty"


def test_a_text_must_be_contained_in_the_body() -> None:
    assert fault(Answer(status=200, body="all is well\n"), body="is well") == ""
    told = fault(Answer(status=200, body="down"), body="is well")
    assert told == "answers wrongly: 'is well' is not in the answer; the answer: 'down'"


@pytest.mark.parametrize(
    ("path", "value"),
    [("ok", True), ("db.rows", 3), ("db.rows", 3.0), ("nodes.1.name", "b"), ("nothing", None), ("db", {"rows": 3})],
)
def test_values_of_the_json_are_found_by_dotted_path(path: str, value: object) -> None:
    body = '{"ok": true, "db": {"rows": 3}, "nodes": [{"name": "a"}, {"name": "b"}], "nothing": null}'
    assert fault(Answer(status=200, body=body), json={path: value}) == ""
    told = fault(Answer(status=200, body=body), json={path: "other"})
    assert f"answers wrongly: {path} is " in told
    assert 'instead of "other"' in told


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<html>", "the answer is no JSON, and db.ok should be true"),
        ("[" * 100_000, "the answer is no JSON, and db.ok should be true"),
        ('{"db": {}}', "there is no db.ok in the answer, and db.ok should be true"),
        ('{"db": [1]}', "there is no db.ok in the answer, and db.ok should be true"),
        ('{"db": {"ok": 1}}', "db.ok is 1 instead of true"),
    ],
)
def test_json_that_says_something_else_is_told(body: str, reason: str) -> None:
    assert f"answers wrongly: {reason}; the answer: " in fault(Answer(status=200, body=body), json={"db.ok": True})


def test_an_answer_slower_than_its_limit_is_wrong() -> None:
    assert fault(Answer(status=200, seconds=0.5), latencySeconds=0.5) == ""
    told = fault(Answer(status=200, seconds=0.51), latencySeconds=0.5)
    assert told == "answers wrongly: too slowly, latencySeconds is 0.5; it took 0.510 s"


def test_no_connection_is_told_apart_from_a_wrong_answer() -> None:
    refused = judge(SmokeTest(), Unreachable("web.test:9000: connection refused"))
    broken = judge(SmokeTest(), Broken("no whole answer within 5 s"))
    assert refused
    assert broken
    assert (str(refused), refused.is_unreachable) == ("can't connect to web.test:9000: connection refused", True)
    assert (str(broken), broken.is_unreachable) == ("answers wrongly: no whole answer within 5 s", False)


def test_what_differs_from_answer_to_answer_is_no_part_of_the_summary() -> None:
    one, other = (judge(SmokeTest(), Answer(status=500, body=f"machine {number}")) for number in range(2))
    assert one
    assert other
    assert one.summary == other.summary
    assert one != other


@pytest.mark.parametrize(
    ("attest", "path", "outcome", "is_another"),
    [
        (Attest(json_field="release"), "/version", Answer(status=200, body=f'{{"release": "{OTHER}"}}'), True),
        (Attest(json_field="release"), "/version", Answer(status=200, body=f'{{"release": "{OURS}"}}'), False),
        (Attest(json_field="release"), "/ready", Answer(status=200, body=f'{{"release": "{OTHER}"}}'), False),
        (Attest(header="X-Release"), "/ready", Answer(status=200, headers={"x-release": OTHER}), True),
        (Attest(header="X-Release"), "/ready", Answer(status=500, headers={"x-release": OURS}), False),
        (Attest(header="X-Release"), "/ready", Answer(status=200), False),
        (NOTHING, "/version", Answer(status=200, body=f'{{"release": "{OTHER}"}}'), False),
        (Attest(json_field="release"), "/version", Broken("reset"), False),
    ],
)
def test_an_answer_that_names_another_release_is_not_the_candidates(
    attest: Attest, path: str, outcome: Outcome, is_another: bool
) -> None:
    seen = judge_release(attest, path, outcome, OURS)
    assert ("the preview listener still shows another release" in str(seen)) is is_another


def test_who_answers_can_not_be_known_without_a_connection() -> None:
    seen = judge_release(
        Attest(json_field="release"), "/version", Unreachable("web.test:9000: connection refused"), OURS
    )
    assert seen
    assert seen.is_unreachable


def test_who_has_no_certificate_that_is_trusted_has_not_answered() -> None:
    outcome = Untrusted("shop.example:9000: its certificate is no good (expired)")
    for seen in (judge(SmokeTest(), outcome), judge_release(NOTHING, "/", outcome, OURS)):
        assert seen
        assert str(seen) == "can't be trusted: shop.example:9000: its certificate is no good (expired)"
        assert not seen.is_unreachable
