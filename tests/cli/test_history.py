"""`bluegreen history`: what is listed, what is found, and what is said where there is nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from bluegreen.ledger.file import FileLedger
from bluegreen.model.history import Event, Kind
from tests.cli.shell import Done, bluegreen

START = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
FIRST, SECOND, THIRD = "20261125-180000-aaaa", "20261125-190000-bbbb", "20261125-200000-cccc"


@dataclass(frozen=True)
class Listed(Done):
    """What `history` put out, line by line."""

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@dataclass
class Shell:
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    directory: Path

    def __call__(self, *words: str) -> Listed:
        done = bluegreen(self.monkeypatch, self.capture, "history", *words)
        return Listed(done.code, done.out, done.err)

    def happened(self, run: str, kind: Kind, after: float, release: str = "4d197941", **evidence: Any) -> None:
        at = START + timedelta(seconds=after)
        FileLedger(self.directory / "runs/prod/ledger.jsonl").append(
            Event(at=at, run=run, kind=kind, release=release, summary=evidence.get("verb", ""), evidence=evidence)
        )

    def deployed(
        self,
        run: str,
        after: float,
        *,
        verb: str = "deploy",
        release: str = "4d197941",
        outcome: str = "done",
        operator: str = "ann",
        **evidence: Any,
    ) -> None:
        image = {"id": f"ami-{release}", "version": "2", "commit": "4f1c2d3e5a6b"}
        self.happened(run, Kind.BEGAN, after, release, verb=verb, image=image["id"], operator=operator, **evidence)
        self.happened(run, Kind.CUTOVER, after + 5, release, weights={release: 100}, image=image)
        self.happened(run, Kind.ENDED, after + 20, release, verb=verb, outcome=outcome, seconds=20.4, error="why")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/Pulumi.prod.yaml").write_text("config: {bluegreen:minSiz: 1}\n")
    (tmp_path / "Pulumi.yaml").write_text(
        "name: bluegreen\nstackConfigDir: stacks\nconfig: {ledger: {default: file}}\n"
    )
    monkeypatch.chdir(tmp_path)
    return Shell(capsys, monkeypatch, tmp_path)


@pytest.fixture
def three(shell: Shell) -> Shell:
    shell.deployed(FIRST, 0)
    shell.deployed(SECOND, 3600, release="3a14e965", outcome="RolledBack", strategy="canary")
    shell.deployed(THIRD, 7200, verb="rollback", operator="bob@laptop", forced=["--force"])
    return shell


def test_deployments_are_listed_newest_last_plain_where_there_is_no_terminal(three: Shell) -> None:
    done = three("prod")
    assert done.code == 0
    assert done.lines == [
        "when (UTC)           run   verb      release   image         version    operator    outcome       seconds",
        "2026-11-25 18:00:00  aaaa  deploy    4d197941  ami-4d197941  2 4f1c2d3  ann         done             20.4",
        "2026-11-25 19:00:00  bbbb  deploy    3a14e965  ami-3a14e965  2 4f1c2d3  ann         rolled back      20.4",
        "2026-11-25 20:00:00  cccc  rollback  4d197941  ami-4d197941  2 4f1c2d3  bob@laptop  done, forced     20.4",
    ]
    assert done.err == ""


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (["--release", "3a14"], [SECOND]),
        (["--outcome", "rolled-back"], [SECOND]),
        (["--outcome", "Rolled Back"], [SECOND]),
        (["--verb", "deploy"], [FIRST, SECOND]),
        (["--verb", "deploy", "--outcome", "done"], [FIRST]),
        (["--since", "2026-11-25T18:30:00+00:00"], [SECOND, THIRD]),
        (["--since", "2026-11-25T20:30:00+01:00"], [THIRD]),
        (["--since", "2026-11-25"], [FIRST, SECOND, THIRD]),
        (["--limit", "2"], [SECOND, THIRD]),
        (["--limit", "0"], [FIRST, SECOND, THIRD]),
    ],
)
def test_filters_say_which(three: Shell, words: list[str], runs: list[str]) -> None:
    assert [record["run"] for record in three("prod", "--json", *words).objects] == runs


def test_a_span_counts_back_from_now(shell: Shell) -> None:
    now = datetime.now(UTC)
    for run, days in (("old", 8), ("new", 6)):
        shell.deployed(run, (now - START - timedelta(days=days)).total_seconds())
    assert [record["run"] for record in shell("prod", "--json", "--since", "7d").objects] == ["new"]


def test_twenty_are_shown_and_how_many_more_there_are_is_said_beside_them(shell: Shell) -> None:
    for number in range(25):
        shell.deployed(f"2026-{number:04d}", number * 60)
    done = shell("prod", "--json")
    assert [record["run"] for record in done.objects] == [f"2026-{number:04d}" for number in range(5, 25)]
    assert done.err == "5 earlier are not shown: --limit 0 shows all\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--outcome", "rolledback"], "did you mean rolled-back?"),
        (["--outcome", "xyz"], "done, failed, rolled-back, interrupted, under-way, never-ended"),
        (["--since", "soon"], "neither a span (30min, 12h, 7d) nor a date"),
        (["--since", "99999999999d"], "neither a span"),
        (["--limit", "-1"], "--limit"),
    ],
)
def test_a_wrong_filter_is_a_wrong_command_line(three: Shell, words: list[str], said: str) -> None:
    done = three("prod", *words)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""


@pytest.mark.parametrize("run", [SECOND, "20261125-19", "bbbb"])
def test_one_deployment_is_shown_whole_by_what_is_enough_of_its_name(three: Shell, run: str) -> None:
    lines = three("prod", run).lines
    assert f"run            {SECOND}" in lines
    assert "strategy       canary" in lines
    assert "outcome        rolled back" in lines
    assert "commit         4f1c2d3e5a6b" in lines
    assert "traffic        4d197941 100 % -> 3a14e965 100 %" in lines
    assert "error          why" in lines
    assert "promoted from  -" in lines
    assert lines[-3:] == [
        "      0.0 s  3a14e965  began           deploy",
        "      5.0 s  3a14e965  cutover         3a14e965 100 %",
        "     20.0 s  3a14e965  ended           deploy",
    ]


def test_one_deployment_as_data_is_its_record(three: Shell) -> None:
    (record,) = three("prod", "bbbb", "--json").objects
    assert (record["run"], record["outcome"], record["stack"]) == (SECOND, "rolled back", "prod")


def test_a_run_that_is_not_there_or_not_the_only_one_is_refused_with_those_that_are(three: Shell) -> None:
    missing, several = three("prod", "dddd"), three("prod", "20261125")
    assert (missing.code, several.code) == (2, 2)
    assert "prod has no deployment dddd" in missing.err
    assert THIRD in missing.err
    assert "may be one of 3 deployments of prod" in several.err
    assert FIRST in several.err


def test_events_are_one_a_line_in_their_order_and_whole_as_data(three: Shell) -> None:
    three.happened(FIRST, Kind.FORENSICS, 7300, folder="here")
    lines = three("prod", "--events").lines
    assert len(lines) == 10
    assert lines[0] == "2026-11-25 18:00:00  4d197941  began           deploy"
    assert lines[1] == "2026-11-25 18:00:05  4d197941  cutover         4d197941 100 %"
    assert lines[-1].endswith("forensics")
    events = [Event.from_record(each) for each in three("prod", "aaaa", "--events", "--json").objects]
    assert [event.kind for event in events] == [Kind.BEGAN, Kind.CUTOVER, Kind.ENDED, Kind.FORENSICS]


def test_wide_and_unruly_names_keep_the_columns(shell: Shell) -> None:
    shell.deployed(FIRST, 0, operator="山田太郎")
    shell.deployed(SECOND, 60, operator="[bold]b\nc")
    header, *lines = shell("prod").lines
    assert [cell_len(line[: line.index("done")]) for line in lines] == [header.index("outcome")] * 2
    assert "[bold]b c" in lines[1]


def test_runs_whose_names_end_alike_are_shown_whole(shell: Shell) -> None:
    shell.deployed(f"{FIRST[:-4]}ffff", 0)
    shell.deployed(f"{SECOND[:-4]}ffff", 60)
    assert f"{FIRST[:-4]}ffff" in shell("prod").lines[1]


def test_an_empty_ledger_is_said_in_a_line_and_is_no_failure(shell: Shell) -> None:
    assert shell("prod").out == "Nothing was deployed in prod yet.\n"
    assert shell("prod").code == 0
    assert shell("prod", "--json").out == ""


def test_no_match_is_said_with_how_many_there_are(three: Shell) -> None:
    done = three("prod", "--outcome", "failed")
    assert (done.code, done.out) == (0, "No deployment of prod matches; there are 3.\n")


def test_an_unknown_stack_is_refused_with_the_nearest_name(shell: Shell) -> None:
    done = shell("prd")
    assert done.code == 2
    assert "Did you mean prod?" in done.err


def test_a_history_without_a_stack_s_file_is_shown(three: Shell) -> None:
    (three.directory / "stacks/Pulumi.prod.yaml").unlink()
    assert len(three("org/bluegreen/prod").lines) == 4


def test_a_terminal_gets_colours_and_ci_does_not(three: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "\x1b[" in three("prod").out
    monkeypatch.setenv("CI", "true")
    assert "\x1b[" not in three("prod").out


def test_it_asks_neither_the_engine_nor_aws(three: Shell) -> None:
    code = (
        "import sys; from bluegreen.cli.main import main\n"
        "try:\n  main()\nexcept SystemExit: pass\n"
        "print([name for name in ('pulumi', 'boto3', 'grpc') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "history", "prod"], capture_output=True, text=True, check=True, cwd=three.directory
    )
    assert len(done.stdout.splitlines()) == 4
    assert done.stderr == "[]\n"
