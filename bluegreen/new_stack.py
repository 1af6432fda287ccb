"""Makes what a stack needs before it is deployed: the stack itself, its settings, the table of its ledger, and the keys
of its Consul cluster."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bluegreen import engine
from bluegreen.aws.consul_keys import make_keys
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.errors import LeaseHeld
from bluegreen.events import Line, OnEvent
from bluegreen.ledger.dynamodb import create_table
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.lease import has_died
from bluegreen.ledger.ledger import Run
from bluegreen.ledger.places import open_ledger
from bluegreen.ledger.transfer import import_events
from bluegreen.model.consul import path_of
from bluegreen.model.ledger_place import Backend
from bluegreen.model.settings import NAMESPACE, Settings
from bluegreen.model.stack_name import short
from bluegreen.model.tags import Owner
from bluegreen.stack import SECRET, of_namespace

OURS = f"{NAMESPACE}:"


def init(
    stack: str,
    *,
    settings: Mapping[str, str] | None = None,
    ledger: str | None = None,
    directory: Path | None = None,
    on_event: OnEvent | None = None,
) -> None:
    """Make the stack where there is none, set what is given, and make its ledger's table where that is DynamoDB, and
    the keys of its Consul cluster where it has one.

    What was in the file until then goes into it. Doing it again changes nothing. `settings`: by key, of the project's
    namespace where they name none. Raises EngineError, SettingsError with the faults of the config as it would be, in
    which case nothing of it is set, AwsError, LedgerError, and LeaseHeld where a
    deployment goes on with its lease in the file.
    """

    def say(text: str) -> None:
        if on_event:
            on_event(Line(stack=stack, text=text))

    place = directory or Path.cwd()
    if engine.create(stack, place):
        say("the stack is made")
    there = engine.Engine(stack, place)
    chosen = {key if ":" in key else f"{NAMESPACE}:{key}": value for key, value in (settings or {}).items()}
    if ledger is not None:
        chosen[f"{NAMESPACE}:ledger"] = ledger
    found = there.config()
    before = found.values
    config = {**before, **chosen}
    wanted = Settings.parse(of_namespace(config, NAMESPACE))
    changed = {key: value for key, value in chosen.items() if before.get(key) != value}
    if changed:
        there.configure(changed, found.secrets)
        told = {key: SECRET if key in found.secrets else value for key, value in sorted(changed.items())}
        say(f"set {', '.join(f'{key.removeprefix(OURS)}={value}' for key, value in told.items())}")
    session = Session(SessionSettings.parse(of_namespace(config, "aws")))
    if wanted.consul:
        owner = Owner(project=there.project, stack=short(stack))
        keys = make_keys(session, owner, wanted.consul.datacenter)
        say(f"Consul's keys, in SSM below {path_of(owner)}: {', '.join(keys) or 'they are there'}")
    kept = wanted.ledger_place
    if kept.backend not in (Backend.DEFAULT, Backend.DYNAMODB):
        return
    run = Run.new(place, short(stack), datetime.now(UTC))
    source = FileLedger(run.ledger)
    if (holder := source.lease().holder) and not has_died(holder):
        raise LeaseHeld(
            f"{stack} is being changed by {holder}, with its lease in {source.place}",
            "Wait until it ends: a table that is made now would have a lease of its own. Nothing more was changed.",
        )
    made = create_table(session, kept.name)
    say(f"{made.place}: {'; '.join(made.done) or 'it is there'}")
    target = open_ledger(kept, session, run, there.project, say)
    if copied := import_events(source, target):
        say(f"{copied} events of {source.place} are in the table now")
