"""Runs the command in this process, as a shell would."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bluegreen.cli.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def bluegreen(monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], *words: str) -> Done:
    monkeypatch.setattr("sys.argv", ["bluegreen", *words])
    code = 0
    try:
        main()
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    out, err = capture.readouterr()
    return Done(code, out, err)
