"""The ledger in a file: what was kept is read again, whatever happened meanwhile, and nothing is lost in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluegreen.errors import LedgerError
from bluegreen.ledger.file import FileLedger
from bluegreen.model.history import Event, Kind

PROJECT = Path(__file__).parents[2]


def event(number: int, run: str = "run") -> Event:
    evidence = {"number": number, "said": "two\nlines, ü \u2028"}
    return Event(at=datetime(2026, 1, 1, tzinfo=UTC), run=run, kind=Kind.BEGAN, summary="deploy", evidence=evidence)


@pytest.fixture
def ledger(tmp_path: Path) -> FileLedger:
    return FileLedger(tmp_path / "runs" / "dev" / "ledger.jsonl")


def test_where_nothing_was_kept_there_is_no_history_and_no_file(ledger: FileLedger) -> None:
    assert ledger.read().events == ()
    assert not ledger.file.parent.exists()


def test_what_is_appended_is_read_in_its_order(ledger: FileLedger) -> None:
    kept = tuple(event(number) for number in range(5))
    for each in kept:
        ledger.append(each)
    assert ledger.read().events == kept
    assert FileLedger(ledger.file).read().events == kept, "by another process too"


def test_an_event_is_one_line_whatever_it_says(ledger: FileLedger) -> None:
    ledger.append(event(1))
    ledger.append(event(2))
    assert ledger.file.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("kept_bytes", [1, 20, -2])
def test_a_torn_last_line_is_survived_and_does_not_spoil_the_next(ledger: FileLedger, kept_bytes: int) -> None:
    ledger.append(event(1))
    whole = ledger.file.read_bytes()
    ledger.append(event(2))
    torn = ledger.file.read_bytes()[len(whole) :][:kept_bytes]
    ledger.file.write_bytes(whole + torn)
    assert ledger.read().events == (event(1),)
    ledger.append(event(3))
    ledger.append(event(4))
    assert ledger.read().events == (event(1), event(3), event(4))


def test_a_last_line_that_lacks_its_end_alone_is_not_lost(ledger: FileLedger) -> None:
    ledger.append(event(1))
    ledger.file.write_bytes(ledger.file.read_bytes().rstrip(b"\n"))
    ledger.append(event(2))
    assert ledger.read().events == (event(1), event(2))


@pytest.mark.parametrize(
    "line",
    [
        "12",
        "null",
        "[]",
        '"at"',
        "{}",
        json.dumps({**event(1).as_record(), "kind": "party"}),
        json.dumps({**event(1).as_record(), "at": "yesterday"}),
        json.dumps({**event(1).as_record(), "colour": "green"}),
        json.dumps({**event(1).as_record(), "evidence": None}),
        json.dumps({**event(1).as_record(), "evidence": {"releases": {"aaaaaaaa": {"version": "aaaaaaaa"}}}}),
    ],
)
def test_a_line_that_is_json_but_no_event_is_an_error_with_its_number(ledger: FileLedger, line: str) -> None:
    ledger.append(event(1))
    ledger.file.write_text(ledger.file.read_text() + line + "\n")
    ledger.append(event(3))
    with pytest.raises(LedgerError, match="line 2 ") as caught:
        ledger.read()
    assert str(ledger.file) in caught.value.what
    assert "nothing that runs depends on it" in caught.value.next_step


def test_a_file_that_is_no_text_is_an_error(ledger: FileLedger) -> None:
    ledger.append(event(1))
    ledger.file.write_bytes(ledger.file.read_bytes() + b"\xff\xfe\n")
    with pytest.raises(LedgerError, match="can't be read"):
        ledger.read()


def test_a_ledger_that_can_not_be_read_is_an_error_and_no_empty_history(ledger: FileLedger) -> None:
    ledger.file.mkdir(parents=True)  # root may read whatever a mode forbids
    with pytest.raises(LedgerError, match="can't be read"):
        ledger.read()


@pytest.mark.parametrize("blocked", ["ledger.jsonl", "dev", "runs"])
def test_a_ledger_that_can_not_be_written_is_an_error_that_names_it(ledger: FileLedger, blocked: str) -> None:
    if blocked == "ledger.jsonl":
        ledger.file.mkdir(parents=True)
    else:
        place = ledger.file.parents[["dev", "runs"].index(blocked)]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("a file where a directory should be")
    with pytest.raises(LedgerError, match="can't be written") as caught:
        ledger.append(event(1))
    assert str(ledger.file) in caught.value.what


APPEND = """
import sys
from pathlib import Path
from bluegreen.ledger.file import FileLedger
from bluegreen.model.history import Event, Kind
from datetime import UTC, datetime
ledger, name = FileLedger(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.read(1)  # until all are
for number in range(100):
    ledger.append(Event(at=datetime.now(UTC), run=name, kind=Kind.BEGAN,
                        evidence={"number": number, "text": name * 2000}))
"""


def test_processes_that_append_at_once_lose_and_mix_nothing(ledger: FileLedger) -> None:
    names = ("a", "b", "c")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, str(ledger.file), name],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in names
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.communicate(b"!", timeout=60)
        assert process.returncode == 0
    events = ledger.read().events
    for name in names:
        kept = [each.evidence for each in events if each.run == name]
        assert kept == [{"number": number, "text": name * 2000} for number in range(100)]
    assert len(events) == 300


FILL_UP = """
import os, resource, sys
from pathlib import Path
from bluegreen.errors import LedgerError
from bluegreen.ledger.file import FileLedger
ledger = FileLedger(Path(sys.argv[1]))
known = ledger.read().events[0]
size = os.path.getsize(ledger.file)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, size + 20))
try:
    ledger.append(known)
except LedgerError as error:
    print(error.what)
"""


def test_an_event_that_did_not_fit_on_the_disk_is_an_error_and_spoils_nothing(ledger: FileLedger) -> None:
    ledger.append(event(1))
    tried = subprocess.run(
        [sys.executable, "-c", FILL_UP, str(ledger.file)], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert "can't be written" in tried.stdout
    ledger.append(event(2))
    assert ledger.read().events == (event(1), event(2))


def test_the_file_is_readable_by_others_and_written_by_its_owner_alone(ledger: FileLedger) -> None:
    before = os.umask(0)
    try:
        ledger.append(event(1))
    finally:
        os.umask(before)
    assert ledger.file.stat().st_mode & 0o777 == 0o644
