"""`bluegreen deploy` of several stacks: each in a line of the table, and one exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen import deployment
from bluegreen.cli.main import main
from bluegreen.driver import Update
from bluegreen.errors import RolledBack
from bluegreen.events import Line


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stacks that were begun; `prod-west` is rolled back."""
    begun: list[str] = []

    def deploy(stack: str, **options: Any) -> Update:
        begun.append(stack)
        options["on_event"](Line(stack=stack, text="smoke: passed"))
        if stack == "prod-west":
            raise RolledBack("prod-west was rolled back\nRelease 1 has all traffic again.", "See there.")
        return Update(stack=stack, outputs={"activeRelease": {"version": "4d197941"}, "url": "http://a"}, changes={})

    monkeypatch.setattr(deployment, "deploy", deploy)
    monkeypatch.setattr(deployment, "names", lambda directory: ("prod-us", "prod-west", "prod-eu"))
    return begun


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["bluegreen", "deploy", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_each_line_has_its_stack_and_a_table_says_what_became_of_each(
    begun: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(monkeypatch, "prod-us", "prod-west", "prod-eu", "--waves", "1,100%", "--parallel", "1")
    out, err = capsys.readouterr()
    assert (code, err) == (1, "")
    assert begun == ["prod-us", "prod-west"]
    assert "prod-us: " in out.splitlines()[0]
    assert "begins, in wave 1 of 2" in out.splitlines()[0]
    table = [line.split() for line in out.partition("stack      outcome")[2].splitlines()]
    assert table[1][:2] == ["prod-us", "done"]
    assert table[1][-2:] == ["4d197941", "http://a"]
    assert table[2][:2] == ["prod-west", "failed"]
    assert table[3] == ["prod-eu", "not", "begun"]
    assert "prod-west: prod-west was rolled back" in out
    assert out.endswith("See there.\n")


def test_as_json_the_last_line_has_every_stack(
    begun: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(monkeypatch, "prod-us", "prod-west", "prod-eu", "--waves", "1,100%", "--parallel", "1", "--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    last = lines[-1]
    assert (last["event"], last["exitCode"], last["outcome"], code) == ("result", 1, "failed", 1)
    assert [each["outcome"] for each in last["details"]["stacks"]] == ["done", "failed", "not begun"]


def test_all_done_is_zero(begun: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "prod-us", "prod-eu", "--ami", "ami-12345678") == 0


def test_an_unknown_stack_is_named_with_the_nearest_before_anything_begins(
    begun: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "prod-us", "prod-ue") == 2
    assert "there is no stack prod-ue" in capsys.readouterr().err
    assert begun == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("prod-us", "prod-us"), "prod-us is named twice"),
        (("prod-us", "prod-eu", "--waves", "0,100%"), "wave 1 (0) names no stack"),
        (("prod-us", "prod-eu", "--waves", "one"), "neither a number of stacks nor a percentage"),
        (("prod-us", "prod-eu", "--parallel", "0"), "0 stacks at once are none"),
    ],
)
def test_waves_that_can_not_be_are_wrong_input(
    begun: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert run(monkeypatch, *words) == 2
    assert said in capsys.readouterr().err
    assert begun == []
