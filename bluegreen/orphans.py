"""Reaps a stack's orphans: lists them, and deletes what may go. No printing.

Nothing is reaped of a stack whose state may not be whole: while an update runs, has died or left something pending,
or while a rollout is open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bluegreen.aws.observe import Observer
from bluegreen.aws.reap import Reaper
from bluegreen.aws.session import Session
from bluegreen.doctor import Surroundings, locks_of
from bluegreen.engine import Engine
from bluegreen.errors import ReapRefused
from bluegreen.images.stack_file import StackConfig, read_stack
from bluegreen.model.fleet import Role
from bluegreen.model.orphans import Kind, Part, ReapPlan, orphans
from bluegreen.model.tags import Owner


@dataclass(frozen=True, kw_only=True)
class Reaped:
    """What became of a part that was to be deleted. `refusal`: why it is still there, empty where it is gone."""

    part: Part
    refusal: str = ""


def plan_reap(stack: str, *, is_forced: bool = False, directory: Path | None = None) -> ReapPlan:
    """The orphans of a stack: which would be deleted, and why the others stay. Changes nothing.

    `is_forced` lets go what a listener names without traffic, what has machines, and does so without knowing who locks
    the stack. Raises ReapRefused where the state may not be whole, StackFileError, SettingsError, EngineError,
    AwsError.
    """
    place = directory or Path.cwd()
    config = read_stack(stack, place)
    session = Session(config.session)
    state = _state(stack, config, place, session, is_forced)
    reaper, observer = Reaper(session), Observer(session)
    parts = reaper.parts(Owner(project=config.project, stack=config.stack), state)
    arns = {part.id for part in parts if part.kind is Kind.TARGET_GROUP}
    arns |= {arn for part in parts for arn in part.target_groups}
    plan = orphans(parts, state, observer.listeners_of(sorted(arns)), is_forced=is_forced)
    if not state and any(kept.why == "takes traffic" for kept in plan.kept):
        raise ReapRefused(
            f"the state of {config.stack} is empty in this backend, while server groups with its tags take traffic",
            "`pulumi whoami --verbose` shows the backend: it is probably another's. Nothing was deleted.",
        )
    return plan


def reap(
    stack: str,
    plan: ReapPlan,
    *,
    is_forced: bool = False,
    directory: Path | None = None,
    on_reaped: Callable[[Reaped], None] | None = None,
) -> tuple[Reaped, ...]:
    """Delete what a plan lets go and what may still go now. What belongs to a group that AWS keeps stays with it.

    Raises as `plan_reap` does, before anything is deleted.
    """
    place = directory or Path.cwd()
    now = plan.still(plan_reap(stack, is_forced=is_forced, directory=place))
    reaper = Reaper(Session(read_stack(stack, place).session))
    done: list[Reaped] = []
    stays: set[str] = set()
    for part in now.going:
        if held := stays.intersection(part.groups):
            reaped = Reaped(part=part, refusal=f"it belongs to {', '.join(held)}, which is still there")
        else:
            reaped = Reaped(part=part, refusal=reaper.delete(part))
        if part.kind is Kind.GROUP and reaped.refusal:
            stays.add(part.name)
        done.append(reaped)
        if on_reaped:
            on_reaped(reaped)
    return tuple(done)


def _state(stack: str, config: StackConfig, directory: Path, session: Session, is_forced: bool) -> frozenset[str]:
    """Ids and ARNs of all that the state holds. Raises ReapRefused where that may not be all there is."""
    locks = locks_of(config, directory, session, Surroundings())
    if locks:
        raise ReapRefused(
            f"{config.stack} is locked by {', '.join(locks)}: what an update makes is not in the state yet",
            f"Wait until it ends. If it has died: `pulumi cancel --stack {config.stack}`, then `pulumi refresh`.",
        )
    if locks is None and not is_forced:
        raise ReapRefused(
            f"who locks {config.stack} can't be seen in this backend, and an update may be making things now",
            "See that no update runs, then say `--force`. Nothing was deleted.",
        )
    engine = Engine(stack, directory)
    resources = engine.resources()
    if pending := [resource.urn for resource in resources if resource.is_pending]:
        raise ReapRefused(
            f"an update of {config.stack} was cut off in the middle of {len(pending)} operations, first {pending[0]}",
            "`pulumi refresh` takes what they made into the state. Nothing was deleted.",
        )
    groups = (engine.outputs().get("fleet") or {}).get("groups", [])
    if any(group["role"] == Role.CANDIDATE for group in groups):
        raise ReapRefused(
            f"a rollout of {config.stack} is open",
            "`bluegreen promote` or `bluegreen abort` ends it. Nothing was deleted.",
        )
    return frozenset(each for resource in resources for each in (resource.id, resource.arn) if each)
