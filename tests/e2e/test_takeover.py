"""A stack that somebody else changes, on this machine or another, is left alone until he is known to be dead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bluegreen.aws.session import Session
from bluegreen.ledger.dynamodb import DynamoLedger
from bluegreen.ledger.lease import holder_here
from tests.e2e.library import SMALL_WORDS
from tests.e2e.project import Finished, Project, eventually

pytestmark = pytest.mark.rollout

NOT_LAUNCHED = "We currently do not have sufficient"


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic; the ledger is in the table."""
    stack = replace(project, stack="dev")
    for command in (["init", "dev", *SMALL_WORDS], ["deploy", "dev", "--ami", stack.image("1")]):
        done = stack.bluegreen(*command)
        assert done.code == 0, done.output
    return stack


@pytest.fixture
def table(served: Project) -> DynamoLedger:
    class InSandbox:
        def client(self, service: str) -> Any:
            return served.aws(service)

    return DynamoLedger(cast(Session, InSandbox()), "bluegreen", "bluegreen/dev")


@pytest.fixture(autouse=True)
def launches_again(served: Project) -> Iterator[None]:
    yield
    served.allow_launches(None)


def records(stack: Project) -> list[dict[str, Any]]:
    told = stack.bluegreen("history", "dev", "--json")
    return [json.loads(line) for line in told.output.splitlines() if line.startswith("{")]


def test_another_machines_lease_is_left_alone_unless_forced_and_history_tells(
    served: Project, table: DynamoLedger
) -> None:
    now = datetime.now(UTC)
    other = replace(holder_here(run="other", verb="deploy", operator="ada", now=now), host="ci-7")
    found = table.lease()
    assert table.swap_lease(found, found.taken_by(other, now))
    before = served.release

    refused = served.bluegreen("deploy", "dev", "--ami", served.image("2"))
    assert refused.code == 3, refused.output
    assert refused.has_no_traceback
    assert f"the stack is being changed by ada on ci-7 (process {other.process})" in refused.output
    assert f"since {now:%Y-%m-%d %H:%M:%S} UTC" in refused.output
    assert "its last heartbeat was" in refused.output
    assert "`--force` takes it over" in refused.output
    assert refused.writes == []
    assert served.ask()["release"] == before
    told = served.bluegreen("status", "dev")
    assert "under way: ada on ci-7" in told.output

    forced = served.bluegreen("deploy", "dev", "--ami", served.image("2"), "--force")
    assert forced.code == 0, forced.output
    assert served.ask()["app"] == "2"
    assert table.lease().holder is None
    latest = records(served)[-1]
    assert latest["outcome"] == "done"
    assert "ada on ci-7" in " ".join(latest["forced"])


def test_a_killed_command_is_taken_over_from_with_proof_and_its_engine_lets_nothing_pass_any_more(
    served: Project, table: DynamoLedger
) -> None:
    """The engine that it leaves behind may live on: its lock stays then. A real one dies as soon as it has something to
    say, and its lock is taken away."""
    before = served.release
    served.allow_launches(0)
    begun = served.begin_bluegreen("deploy", "dev", "--ami", served.image("3")).wait_for(NOT_LAUNCHED)
    begun.process.kill()
    begun.process.wait()
    holder = table.lease().holder
    assert holder is not None
    assert holder.process == begun.process.pid

    beside = served.begin_bluegreen("deploy", "dev")
    eventually(lambda: NOT_LAUNCHED in beside.output or beside.process.poll() is not None, within=60)
    assert "whose process is gone" in beside.output
    assert served.ask()["release"] == before
    served.allow_launches(None)
    ended = beside.finish()
    assert ended.has_no_traceback, ended.output
    if ended.code == 3:
        assert "another update holds the stack dev" in ended.output
        ended = eventually(lambda: goes_on(served), within=60, what="the engine that was left behind has ended")
    assert ended.code == 0, ended.output
    assert served.ask()["app"] == "3"
    outcomes = [each["outcome"] for each in records(served)]
    assert outcomes.count("never ended") == 1
    assert outcomes[-1] == "done"


def goes_on(served: Project) -> Finished | None:
    """The next deployment; None where the stack is held still."""
    done = served.bluegreen("deploy", "dev")
    return None if done.code == 3 else done


def test_a_stack_whose_deployment_was_killed_can_be_destroyed(served: Project, table: DynamoLedger) -> None:
    served.allow_launches(0)
    begun = served.begin_bluegreen("deploy", "dev", "--ami", served.image("4")).wait_for(NOT_LAUNCHED)
    begun.process.kill()
    begun.process.wait()
    served.end_processes()
    assert table.lease().holder is not None
    destroyed = served.bluegreen("destroy", "dev", "--yes")
    assert destroyed.code == 0, destroyed.output
    assert destroyed.has_no_traceback
    assert "whose process is gone" in destroyed.output
    assert served.resources == []
    assert served.groups() == {}
    assert table.lease().holder is None
