"""A command under way: Ctrl-C reaches whoever listens, and how it ended is never told better than it is known."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from bluegreen import deployment, status
from bluegreen.cli.main import main


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["bluegreen", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_ctrl_c_ends_at_once_what_only_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hanging(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it goes on")

    monkeypatch.setattr(status, "status", hanging)
    assert run(monkeypatch, "status", "dev") != 0


def test_ctrl_c_is_told_to_what_changes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def promote(*_: Any, stop: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        asked.append(stop.is_asked)
        raise SystemExit

    monkeypatch.setattr(deployment, "promote", promote)
    run(monkeypatch, "promote", "dev")
    assert asked == [True]


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_now_means_now_also_while_nothing_was_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signals: list[signal.Signals]
) -> None:
    """A ledger that does not answer is waited for, for a minute."""

    def reading(*_: Any, **__: Any) -> None:
        for each in signals:
            signal.raise_signal(each)
        pytest.fail("it goes on")

    monkeypatch.setattr(deployment, "promote", reading)
    assert run(monkeypatch, "promote", "dev", "--json") == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["error"]) == ("error", "Interrupted")


def test_who_is_at_work_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """He would leave the lease behind."""

    def working(*_: Any, stop: Any, **__: Any) -> None:
        with stop.heard_by(lambda: None):
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
        raise SystemExit(0)

    monkeypatch.setattr(deployment, "promote", working)
    assert run(monkeypatch, "promote", "dev") == 0


def test_a_fault_of_ours_needs_a_person_and_is_told_as_json_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows how far it got: 1 would say that the traffic is where it was."""

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("fleet")

    monkeypatch.setattr(deployment, "promote", broken)
    assert run(monkeypatch, "promote", "dev", "--json") == 3
    out, err = capsys.readouterr()
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["exitCode"], last["error"]) == ("error", 3, "KeyError")
    assert "Traceback" in err


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_where_nobody_can_be_asked_a_destroy_needs_a_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(deployment, "destroy", lambda *_, **__: pytest.fail("it was destroyed"))
    assert run(monkeypatch, "destroy", "dev", *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--yes" in err
