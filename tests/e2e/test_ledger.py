"""Where the history is kept: in a file until there is a table, in the table from then on, and in Consul where it is
said so. A stack whose lease somebody else has is changed by nobody beside him."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bluegreen.aws.session import Session
from bluegreen.ledger.dynamodb import DynamoLedger, create_table
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.lease import holder_here
from bluegreen.ledger.transfer import import_events
from bluegreen.model.history import Kind
from tests.e2e.project import STACK, Project
from tests.ledger.consul_server import ConsulServer

OF_THE_LEDGER = ("Query", "GetItem", "PutItem")


class SandboxSession:
    def __init__(self, project: Project) -> None:
        self._project = project

    def client(self, service: str) -> Any:
        return self._project.aws(service)


def table_of(project: Project) -> DynamoLedger:
    return DynamoLedger(cast(Session, SandboxSession(project)), "bluegreen", f"bluegreen/{STACK}")


def file_of(project: Project) -> FileLedger:
    return FileLedger(project.directory / f"runs/{STACK}/ledger.jsonl")


def test_without_a_table_the_history_is_in_a_file_which_costs_one_call_and_is_said(project: Project) -> None:
    done = project.up(ami=project.image("1"))
    assert done.code == 0, done.output
    assert [call.action for call in done.calls if call.action in OF_THE_LEDGER] == ["Query"]
    assert f"`bluegreen init {STACK}` makes it" in done.output
    assert file_of(project).read().healthy == {project.release}


def test_a_table_that_is_made_later_takes_the_history_over(project: Project) -> None:
    kept = file_of(project).read().events
    create_table(cast(Session, SandboxSession(project)))
    assert import_events(file_of(project), table_of(project)) == len(kept)

    first = project.release
    done = project.up(ami=project.image("2"))
    assert done.code == 0, done.output
    assert "bluegreen init" not in done.output
    assert file_of(project).read().events == kept
    history = table_of(project).read()
    assert history.events[: len(kept)] == kept
    assert history.healthy == {first, project.release}

    told = project.bluegreen("history", STACK, "--events", "--json")
    assert told.code == 0, told.output
    assert [json.loads(line) for line in told.output.splitlines() if line.startswith("{")] == [
        event.as_record() for event in history.events
    ]
    assert [call.action for call in told.calls] == ["Query"]


def test_an_update_that_changes_nothing_does_not_ask_the_ledger(project: Project) -> None:
    done = project.up()
    assert done.code == 0, done.output
    assert not [call.action for call in done.calls if call.action in OF_THE_LEDGER]


def test_a_stack_that_another_machine_changes_is_left_alone_unless_forced(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, now, before = table_of(project), datetime.now(UTC), project.release
    other = replace(holder_here(run="other", verb="deploy", operator="ada", now=now), host="ci-7")
    found = table.lease()
    assert table.swap_lease(found, found.taken_by(other, now))

    refused = project.up(ami=project.image("3"))
    assert refused.code != 0
    assert "the stack is being changed by ada on ci-7" in refused.output
    assert project.ask()["release"] == before

    monkeypatch.setenv("BLUEGREEN_FORCE", "true")
    forced = project.up()
    assert forced.code == 0, forced.output
    assert "is passed by force" in forced.output
    assert project.ask()["release"] == project.release != before

    held = table.lease()
    assert held.is_of("other"), "it is passed, not taken"
    table.swap_lease(held, held.released(now))


def test_in_consul_the_history_is_kept_and_the_active_image_published(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ConsulServer(token="secret")
    monkeypatch.setenv("CONSUL_HTTP_ADDR", server.address)
    refused = project.up(ami=project.image("4"), ledger="consul:teams/shop")
    assert refused.code != 0
    assert "Set CONSUL_HTTP_TOKEN to a token with this rule" in refused.output
    assert refused.writes == [], "before anything is changed"

    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "secret")
    done = project.bluegreen("deploy", STACK)
    assert done.code == 0, done.output
    root = f"teams/shop/bluegreen/{STACK}"
    assert server.texts[f"{root}/web/image"] == project.image("4")
    assert server.texts[f"{root}/web/release"] == project.release
    events = [json.loads(text) for key, text in sorted(server.texts.items()) if key.startswith(f"{root}/events/")]
    kinds = [event["kind"] for event in events]
    assert kinds[0] == Kind.BEGAN.value
    assert kinds[-1] == Kind.ENDED.value
    assert {Kind.GATE_PASSED.value, Kind.CUTOVER.value} <= set(kinds)
    server.close()
