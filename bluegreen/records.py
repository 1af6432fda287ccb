"""A stack's history and its deployments, read from where they are kept. The engine is not asked, nor imported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bluegreen.errors import UnknownRun
from bluegreen.images.stack_file import check_stack
from bluegreen.ledger_of import ledger_of
from bluegreen.model.history import History
from bluegreen.model.record import Deployment, Outcome, deployments
from bluegreen.model.stack_name import short

MOST_NAMED = 5


def read_history(stack: str, *, directory: Path | None = None) -> History:
    """The stack's events. Raises LedgerError; StackFileError where there are none, and no such stack either."""
    place = directory or Path.cwd()
    history = ledger_of(stack, place).read()
    if not history.events:
        check_stack(stack, place)
    return history


def read_records(stack: str, *, directory: Path | None = None) -> tuple[Deployment, ...]:
    """One record per deployment of a stack, the oldest first. Raises as `read_history` does."""
    return deployments(read_history(stack, directory=directory), short(stack))


def record_of(run: str, records: Sequence[Deployment], stack: str) -> Deployment:
    """The deployment of a run, by its name, or by so much of its beginning or end that no other has the same.

    Raises UnknownRun.
    """
    same = [each for each in records if each.run == run]
    found = same or [each for each in records if each.run.startswith(run) or each.run.endswith(run)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownRun(
            f"{run} may be one of {len(found)} deployments of {stack}", f"Say more of it: {_named(found)}."
        )
    known = f"The latest are {_named(records)}." if records else "It has none yet."
    raise UnknownRun(f"{stack} has no deployment {run}", f"{known} `bluegreen history {stack}` lists them.")


def select(
    records: Sequence[Deployment],
    *,
    release: str | None = None,
    outcome: Outcome | None = None,
    verb: str | None = None,
    since: datetime | None = None,
) -> tuple[Deployment, ...]:
    """Those of which all of this is true. `release`: how its version begins. `since`: no earlier did it begin."""
    return tuple(
        each
        for each in records
        if (release is None or each.release.startswith(release))
        and outcome in (None, each.outcome)
        and verb in (None, each.verb)
        and (since is None or each.began_at >= since)
    )


def _named(records: Sequence[Deployment]) -> str:
    return ", ".join(each.run for each in records[-MOST_NAMED:])
