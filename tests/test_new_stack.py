"""`bluegreen init`: what it makes, and what it does not touch."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

import pytest

from bluegreen import engine, new_stack
from bluegreen.engine import Config
from bluegreen.events import Event, Line


class Engine:
    written: dict[str, str] = {}
    secret: Set[str] = frozenset()

    def __init__(self, *_: object) -> None:
        """Of a stack with a secret command."""

    def config(self) -> Config:
        values = {"bluegreen:ledger": "file", "bluegreen:userData": "old"}
        return Config(values=values, secrets=frozenset({"bluegreen:userData"}))

    def configure(self, values: Mapping[str, str], secrets: Set[str]) -> None:
        type(self).written, type(self).secret = dict(values), secrets


def test_a_setting_that_is_a_secret_stays_one_and_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "create", lambda *_: False)
    monkeypatch.setattr(engine, "Engine", Engine)
    heard: list[Event] = []
    settings = {"userData": "password", "maxSize": "4"}
    new_stack.init("dev", settings=settings, directory=tmp_path, on_event=heard.append)
    assert Engine.written == {"bluegreen:userData": "password", "bluegreen:maxSize": "4"}
    assert Engine.secret == {"bluegreen:userData"}
    (said,) = [event.text for event in heard if isinstance(event, Line)]
    assert "maxSize=4" in said
    assert "userData=[secret]" in said
