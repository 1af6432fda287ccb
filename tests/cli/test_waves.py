"""`bluegreen deploy` of many stacks: whose line each is, what became of each, and the exit code."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bluegreen import deployment
from bluegreen import waves as waves_module
from bluegreen.cli.waves import deploy_many
from bluegreen.driver import Update
from bluegreen.errors import BluegreenError, EngineError, RolledBack, WavesError
from bluegreen.events import Line

SAID = """\
prod-us    begins, in wave 1 of 2
prod-us    gate: passed
prod-us    done after 2.0 s
prod-west  begins, in wave 2 of 2
prod-west  gate: passed
prod-west  failed after 2.0 s: prod-west was rolled back
prod-west  Release 1 has all traffic again.

stack      outcome    seconds  release
prod-us    done           2.0  4d197941  http://a
prod-west  failed         2.0
prod-eu    not begun
"""


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stacks that were begun; `prod-west` is rolled back."""
    begun: list[str] = []

    def deploy(stack: str, **options: Any) -> Update:
        begun.append(stack)
        options["on_event"](Line(stack=stack, text="gate: passed"))
        if stack == "prod-west":
            raise RolledBack("prod-west was rolled back\nRelease 1 has all traffic again.", "See there.")
        return Update(stack=stack, outputs={"activeRelease": {"version": "4d197941"}, "url": "http://a"}, changes={})

    monkeypatch.setattr(waves_module, "time", SimpleNamespace(monotonic=itertools.count(0.0, 2.0).__next__))
    monkeypatch.setattr(deployment, "deploy", deploy)
    monkeypatch.setattr(deployment, "names", lambda directory: ("prod-us", "prod-west", "prod-eu"))
    return begun


def test_each_line_has_its_stack_and_a_table_says_what_became_of_each(
    begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    codes: dict[type[BluegreenError], int] = {RolledBack: 3}
    code = deploy_many(
        ["prod-us", "prod-west", "prod-eu"],
        options={},
        waves="1,100%",
        parallel=1,
        exit_code=lambda error: codes[type(error)],
    )
    out, err = capsys.readouterr()
    assert out == SAID
    assert err.splitlines()[0] == "error: prod-west: prod-west was rolled back"
    assert err.splitlines()[-1] == "  See there."
    assert code == 3
    assert begun == ["prod-us", "prod-west"]


def test_all_done_is_zero(begun: list[str]) -> None:
    assert deploy_many(["prod-us", "prod-eu"], options={"ami": "ami-1"}) == 0


@pytest.mark.parametrize(
    ("stacks", "waves", "error", "said"),
    [
        (["prod-us", "prod-es"], None, EngineError, r"no stack prod-es\n  Did you mean prod-"),
        (["prod-us", "prod-us"], None, WavesError, "prod-us is named twice"),
        (["prod-us", "prod-eu"], "1,1,100%", WavesError, r"wave 2 \(1\) names no stack"),
        (["prod-us"], "half", WavesError, "neither a number of stacks nor a percentage"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_begun(
    begun: list[str], stacks: list[str], waves: str | None, error: type[BluegreenError], said: str
) -> None:
    with pytest.raises(error, match=said):
        deploy_many(stacks, options={}, waves=waves)
    assert begun == []


def test_many_stacks_on_a_cluster_need_its_workers(begun: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BluegreenError, match="no Dask scheduler answers at nonsense://here"):
        deploy_many(["prod-us"], options={}, cluster="nonsense://here")
    assert begun == []
