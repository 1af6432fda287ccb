"""Deployments that span more than one `up`: the library that the command and CI call.

A verb plans the fleets to go through (`bluegreen.model.rollout`) and has the driver walk them (`bluegreen.driver`). No
printing: progress goes to callbacks, failures are errors of `bluegreen.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from bluegreen.driver import Driver, Options, RollbackPlan, Update, short, unheard, updated
from bluegreen.engine import Engine, OnEvent, OnOutput
from bluegreen.errors import (
    BluegreenError,
    RolloutError,
)
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Recorder, Run
from bluegreen.model.history import Event, Kind
from bluegreen.model.launchable import Launchable
from bluegreen.model.record import Deployment
from bluegreen.model.rollout import Step, bring_in, resume
from bluegreen.model.rollout import abort as plan_abort
from bluegreen.model.rollout import promote as plan_promotion
from bluegreen.model.rollout import retire as plan_retirement
from bluegreen.model.settings import NAMESPACE, Settings
from bluegreen.records import read_history, read_records


def deploy(stack: str, *, ami: str | None = None, **options: Unpack[Options]) -> Update:
    """Bring a stack to what its config says, with `ami` in place of the config's where given.

    A release that isn't active comes in step by step, as the setting `strategy` says, one `pulumi up` a step, each
    attested and, for its time, watched. With `promotion` manual it stops before the last of them; `promote` goes on. A
    rollout that was left in the middle goes on from where it is. A watch that fails takes the traffic back, unless
    `autoRollback` is off.

    Raises StackLockedError where another update holds the stack, EngineError with the engine's own reasons where an
    update failed: a gate that refused, a guard that kept a group, a fault of the config; RolledBack where a watch
    failed and the traffic is back, WatchFailed where it stays; Interrupted, SettingsError, AwsError, LedgerError, and
    RolloutError where another rollout is open.
    """
    driver = Driver(stack, **options)
    release, settings = driver.wanted(ami)
    steps = bring_in(release, driver.fleet, settings)
    driver.refuse_to_lose_the_way_back(release, steps)
    if not steps and driver.fleet and release.version not in driver.history.healthy:
        steps = resume(driver.fleet, settings)
    with driver.recorded("deploy", release, strategy=settings.strategy.value):
        return driver.walk(steps, settings)


def promote(stack: str, **options: Unpack[Options]) -> Update:
    """Make the candidate of an open rollout active, now. Raises as `deploy` does, RolloutError where there is none."""
    driver = Driver(stack, **options)
    fleet = driver.rollout
    steps = plan_promotion(fleet, driver.settings)
    release = fleet.candidate.release if fleet.candidate else fleet.active.release
    with driver.recorded("promote", release, strategy=driver.settings.strategy.value):
        return driver.walk(steps, driver.settings)


def abort(stack: str, **options: Unpack[Options]) -> Update:
    """Give the candidate of an open rollout up: all traffic is the active group's. Raises as `promote` does.

    Also what an update left behind whose gate refused, or which was killed.
    """
    driver = Driver(stack, **options)
    fleet = driver.deployed_fleet
    was_left = not fleet.candidate and not driver.config_means(fleet)
    steps = (Step(name="aborted", fleet=fleet),) if was_left else plan_abort(fleet)
    with driver.recorded("abort", fleet.active.release):
        return driver.walk(steps, driver.settings, is_way_back=True)


def rollback(
    stack: str,
    *,
    to: str | None = None,
    force: bool = False,
    on_plan: Callable[[RollbackPlan], None] | None = None,
    **options: Unpack[Options],
) -> Update:
    """Give all traffic back to an earlier release: the newest standby, the one that served before, or version `to`.

    The release comes back as it was recorded, whatever the settings say today. There is no soak on the way back.
    `on_plan` hears beforehand how it will go. Raises RolloutError where there is no such release, and, unless `force`
    lets it pass, for one that was not seen healthy, whose image is gone, or which does not suit the database.
    """
    driver = Driver(stack, is_forced=force, **options)
    plan = driver.plan_rollback(to)
    if not force:
        driver.refuse_unsafe(plan)
    if on_plan:
        on_plan(driver.described(plan))
    return driver.roll_back(plan, driver.settings)


def check_rollback(
    stack: str, *, to: str | None = None, directory: Path | None = None
) -> tuple[RollbackPlan, Launchable, BluegreenError | None]:
    """Whether a rollback would work, without changing anything: its plan, what its machines need, and what refuses it.

    Raises as `rollback` does where there is nothing to go back to.
    """
    driver = Driver(stack, directory=directory)
    plan = driver.plan_rollback(to)
    refusal: BluegreenError | None = None
    try:
        driver.refuse_unsafe(plan)
    except RolloutError as error:
        refusal = error
    return driver.described(plan), driver.check_launchable(plan), refusal


def retire(stack: str, versions: Sequence[str], **options: Unpack[Options]) -> Update:
    """Take standbys away, by the versions of their releases. Raises as `promote` does."""
    driver = Driver(stack, **options)
    steps = plan_retirement(versions, driver.deployed_fleet)
    with driver.recorded("retire", driver.deployed_fleet.active.release):
        return driver.walk(steps, driver.settings)


def destroy(
    stack: str,
    *,
    directory: Path | None = None,
    on_event: OnEvent | None = None,
    on_output: OnOutput | None = None,
) -> Update:
    """Destroy everything of a stack; its config and history stay. Raises as `deploy` does."""
    place = directory or Path.cwd()
    run = Run.new(place, short(stack), datetime.now(UTC), is_destroy=True)
    engine = Engine(stack, place, environment=run.environment, on_event=on_event, on_output=on_output)
    _take_serial(engine)
    update = updated(stack, engine.destroy())
    Recorder(ledger=FileLedger(run.ledger), run=run.name, report=on_output or unheard).note(Kind.DESTROYED)
    return update


def outputs(stack: str, *, directory: Path | None = None) -> dict[str, Any]:
    """What the stack's last update put out; empty where it was never deployed. Raises EngineError."""
    return Engine(stack, directory or Path.cwd()).outputs()


def history(stack: str, *, directory: Path | None = None) -> tuple[Event, ...]:
    """The stack's events, oldest first. Raises LedgerError, StackFileError where there is no such stack."""
    return read_history(stack, directory=directory).events


def records(stack: str, *, directory: Path | None = None) -> tuple[Deployment, ...]:
    """One record per deployment of the stack, a plain `pulumi up` too, the oldest first. Raises as `history` does."""
    return read_records(stack, directory=directory)


def check(stack: str, *, directory: Path | None = None) -> None:
    """See that there is an engine, and such a stack, before anything long is begun. Raises EngineError."""
    Engine(stack, directory or Path.cwd())


def _take_serial(engine: Engine) -> None:
    """A checkout that is older than the last update must not deploy; what is to be destroyed needs no newer one."""
    record = engine.outputs().get("fleet")
    written = engine.config().get(f"{NAMESPACE}:fleet")
    serial = Settings.parse({"fleet": written}).fleet.serial if written else 0
    if record and serial < record["serial"]:
        engine.configure({"fleet": f'{{"serial": {record["serial"]}}}'})
