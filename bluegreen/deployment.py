"""Deployments that span more than one `up`: the library that the command and CI call.

A verb plans the fleets to go through (`bluegreen.model.rollout`) and has the driver walk them (`bluegreen.driver`). It
starts from the config of the stack's last update (`bluegreen.model.baseline`). No printing: what goes on is told to
`on_event`, failures are errors of `bluegreen.errors`.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from bluegreen import course
from bluegreen.course import Course
from bluegreen.driver import Driver, KeepWatch, Update
from bluegreen.engine import Engine, names
from bluegreen.errors import BluegreenError, NoSuchStackError, RolloutError
from bluegreen.events import OnEvent, RollbackPlanned
from bluegreen.model.history import Event
from bluegreen.model.launchable import Launchable
from bluegreen.model.record import Deployment
from bluegreen.model.stack_name import short
from bluegreen.plan import Plan
from bluegreen.plan import plan as make_plan
from bluegreen.promotion import Promotion, carry_out, look_ahead
from bluegreen.records import read_history, read_records
from bluegreen.stack import Stack
from bluegreen.stop import Stop
from bluegreen.way_back import WayBack


class Options(TypedDict, total=False):
    """What every verb takes.

    `directory`: that of Pulumi.yaml, the current one by default. `on_event` hears what goes on. `stop` is asked to
    stop, from a signal handler or another thread. `force` lets pass what would be refused, and is recorded.
    `keep_watch` watches a release that has got traffic; AWS is asked where none is given.
    """

    directory: Path | None
    on_event: OnEvent | None
    stop: Stop | None
    force: bool
    keep_watch: KeepWatch | None


def deploy(stack: str, *, ami: str | None = None, from_stack: str | None = None, **options: Unpack[Options]) -> Update:
    """Bring a stack to what its config says, with `ami` in place of the config's where given.

    `from_stack`: with the very image that this stack runs; it is copied where region or account differ. That it was
    seen healthy there is asked, and how the settings of the two differ is told (PromotionPlanned).

    A release that isn't active comes in step by step, as the setting `strategy` says, one `pulumi up` a step, each
    attested and, for its time, watched. With `promotion` manual it stops before the last of them; `promote` goes on. A
    rollout that was left in the middle goes on from where it is. A watch that fails takes the traffic back, unless
    `autoRollback` is off.

    Raises StackLockedError where another update holds the stack, EngineError with the engine's own reasons where an
    update failed: a gate that refused, a guard that kept a group, a fault of the config; RolledBack where a watch
    failed and the traffic is back, WatchFailed where it stays; WrongTraffic, Interrupted, SettingsError, AwsError,
    LedgerError, and RolloutError where another rollout is open.
    """
    there = _stack(stack, options)
    if from_stack is None:
        return _walk(there, course.deploy(there, ami), options)
    promotion = _promotion(there, from_stack, ami, options)
    there.tell(promotion.told)
    _refuse(course.deploy(there, promotion.image), options)  # before its image is copied
    _refuse(promotion, options)
    way = course.deploy(there, carry_out(promotion, options.get("stop") or Stop()))
    forced = tuple(dict.fromkeys((*promotion.dangers, *way.dangers)))
    return _walk(there, replace(way, dangers=forced, evidence={**way.evidence, **promotion.evidence}), options)


def promote(stack: str, **options: Unpack[Options]) -> Update:
    """Make the candidate of an open rollout active, now. Raises as `deploy` does, RolloutError where there is none."""
    there = _stack(stack, options)
    return _walk(there, course.promote(there), options)


def abort(stack: str, **options: Unpack[Options]) -> Update:
    """Give the candidate of an open rollout up: all traffic is the active group's. Raises as `promote` does.

    Also what an update left behind whose gate refused, or which was killed.
    """
    there = _stack(stack, options)
    return _walk(there, course.abort(there), options)


def rollback(
    stack: str,
    *,
    to: str | None = None,
    **options: Unpack[Options],
) -> Update:
    """Give all traffic back to an earlier release: the newest standby, the one that served before, or version `to`.

    The release comes back as it was recorded, whatever the settings say today. There is no soak on the way back.
    How it will go is told beforehand (RollbackPlanned). Raises RolloutError where there is no such release, and, unless
    `force` lets it pass, for one that was not seen healthy, whose image is gone, or which does not suit the database.
    """
    there = _stack(stack, options)
    return _walk(there, course.rollback(there, to), options)


def check_rollback(
    stack: str, *, to: str | None = None, directory: Path | None = None, on_event: OnEvent | None = None
) -> tuple[RollbackPlanned, Launchable, BluegreenError | None]:
    """Whether a rollback would work, without changing anything: its plan, what its machines need, and what refuses it.

    Raises as `rollback` does where there is nothing to go back to.
    """
    there = Stack(stack, directory=directory, on_event=on_event)
    way = course.rollback(there, to)
    assert way.rollback
    assert way.way
    return way.way, WayBack(there).check_launchable(way.rollback), next(iter(way.dangers), None)


def retire(stack: str, versions: Sequence[str], **options: Unpack[Options]) -> Update:
    """Take standbys away, by the versions of their releases. Raises as `promote` does."""
    there = _stack(stack, options)
    return _walk(there, course.retire(there, versions), options)


def plan(
    stack: str,
    verb: str = "deploy",
    *,
    ami: str | None = None,
    from_stack: str | None = None,
    to: str | None = None,
    versions: Sequence[str] = (),
    **options: Unpack[Options],
) -> Plan:
    """What `deploy`, `promote`, `abort`, `rollback` or `retire` would do, without changing anything.

    Raises as the verb does where there is nothing that it could do.
    """
    there = _stack(stack, options)
    if from_stack is not None:
        promotion = _promotion(there, from_stack, ami, options)
        there.tell(promotion.told)
        way = course.deploy(there, promotion.image)
        return make_plan(there, replace(way, dangers=(*promotion.dangers, *way.dangers)))
    ways: dict[str, Callable[[], Course]] = {
        "deploy": lambda: course.deploy(there, ami),
        "promote": lambda: course.promote(there),
        "abort": lambda: course.abort(there),
        "rollback": lambda: course.rollback(there, to),
        "retire": lambda: course.retire(there, versions),
    }
    return make_plan(there, ways[verb]())


def destroy(stack: str, **options: Unpack[Options]) -> Update:
    """Destroy everything of a stack; its config and history stay. Raises as `deploy` does."""
    there = Stack(
        stack,
        directory=options.get("directory"),
        on_event=options.get("on_event"),
        is_forced=options.get("force", False),
        is_destroy=True,
    )
    return Driver(there, stop=options.get("stop")).destroy()


def standing(stack: str, *, directory: Path | None = None) -> Mapping[str, int]:
    """How many resources of which type a `destroy` would take, by the state; empty where nothing stands.

    Raises EngineError.
    """
    urns = [each.urn for each in Engine(stack, directory or Path.cwd()).resources()]
    types = [urn.split("::")[2].rpartition("$")[2] for urn in urns]
    return Counter(sorted(kind for kind in types if kind.startswith("aws:")))


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


def check_all(stacks: Sequence[str], *, directory: Path | None = None) -> None:
    """See that there are all of these stacks, before anything is begun in one of them. Raises NoSuchStackError."""
    there = {short(name) for name in names(directory or Path.cwd())}
    unknown = [stack for stack in stacks if short(stack) not in there]
    if unknown:
        near = [match for stack in unknown for match in difflib.get_close_matches(short(stack), there, n=1)]
        hint = f"Did you mean {', '.join(near)}? " if near else ""
        raise NoSuchStackError(
            f"there is no stack {', '.join(unknown)}",
            f"{hint}`bluegreen init {unknown[0]}` makes it. Nothing was changed.",
        )


def _stack(stack: str, options: Options) -> Stack:
    there = Stack(
        stack,
        directory=options.get("directory"),
        on_event=options.get("on_event"),
        is_forced=options.get("force", False),
    )
    there.tell_differences()
    there.tell_disagreement()
    return there


def _promotion(there: Stack, source: str, ami: str | None, options: Options) -> Promotion:
    if ami:
        raise RolloutError("an image and a stack to promote from can't be had together", "Say `--ami` or `--from`.")
    return look_ahead(Stack(source, directory=options.get("directory"), on_event=options.get("on_event")), there)


def _refuse(way: Course | Promotion, options: Options) -> None:
    if way.dangers and not options.get("force"):
        raise way.dangers[0]


def _walk(there: Stack, way: Course, options: Options) -> Update:
    _refuse(way, options)
    driver = Driver(there, keep_watch=options.get("keep_watch"), stop=options.get("stop"))
    if way.way:
        there.tell(way.way)
    if way.rollback:
        return driver.roll_back(way.rollback, way.settings, **_forced(way))
    told: dict[str, Any] = {"strategy": way.settings.strategy.value} if way.verb in ("deploy", "promote") else {}
    with driver.acting(way.verb, way.release, **told, **way.evidence, **_forced(way)):
        return driver.walk(way.steps, way.settings, is_way_back=way.is_way_back)


def _forced(way: Course) -> dict[str, Any]:
    """What a person let pass, for the record."""
    return {"forced": [danger.what for danger in way.dangers]} if way.dangers else {}
