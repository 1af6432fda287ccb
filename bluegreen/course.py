"""What a verb would do from where a stack is: the steps, and what refuses it. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluegreen.errors import BluegreenError, RolloutError, WindowClosed
from bluegreen.events import RollbackPlanned
from bluegreen.model.fleet import check_serial
from bluegreen.model.history import ROLLBACK, WATCH_FAILURES
from bluegreen.model.record import image_evidence
from bluegreen.model.release import Release
from bluegreen.model.revocation import refuse_revoked
from bluegreen.model.rollout import Rollback, Step, bring_in, resume
from bluegreen.model.rollout import abort as abort_steps
from bluegreen.model.rollout import promote as promote_steps
from bluegreen.model.rollout import retire as retire_steps
from bluegreen.model.settings import Settings
from bluegreen.model.tags import CONTENT_DIGEST, REVOKED
from bluegreen.model.verdict import Hopeless
from bluegreen.model.window import admit
from bluegreen.stack import Stack
from bluegreen.way_back import WayBack


@dataclass(frozen=True, kw_only=True)
class Course:
    """The way that a verb goes.

    `release` is what it is about, `settings` those that it is walked with. `dangers`: what refuses it, unless it is
    forced. `is_way_back`: what gains traffic has served before, and is neither proven nor watched again. `evidence`:
    for the ledger. `rollback`, `way`: of a rollback.
    """

    verb: str
    release: Release
    settings: Settings
    steps: tuple[Step, ...]
    is_way_back: bool = False
    dangers: tuple[BluegreenError, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    rollback: Rollback | None = None
    way: RollbackPlanned | None = None


def deploy(stack: Stack, ami: str | None) -> Course:
    """Raises SettingsError, and RolloutError where another rollout is open or the way back would be lost."""
    release, settings = _wanted(stack, ami)
    steps = bring_in(release, stack.fleet, settings)
    _refuse_to_lose_the_way_back(stack, release, steps)
    if not steps and stack.fleet and release.version not in stack.history.healthy:
        steps = resume(stack.fleet, settings)
    dangers = _dangers(stack)
    if steps and release.version not in stack.history.healthy:
        try:
            admit(settings.windows, stack.read_at, stack=stack.name, is_forced=False)
        except WindowClosed as closed:
            dangers.append(closed)
    return Course(
        verb="deploy",
        release=release,
        settings=settings,
        steps=steps,
        dangers=tuple(dangers),
        evidence=_made(stack, release) if steps else {},
    )


def _made(stack: Stack, release: Release) -> dict[str, Any]:
    """What the image was made of, for the ledger. Raises ImageError where that content was revoked and does not run."""
    image = stack.observer.image(release.image)
    if image is None:
        return {}  # the program says what is wrong with it
    if not stack.fleet or release.image != stack.fleet.active.release.image:
        refuse_revoked(stack.history, image.id, image.tags.get(CONTENT_DIGEST, ""), image.tags.get(REVOKED, ""))
    return {"made": image_evidence(image)}


def promote(stack: Stack) -> Course:
    """Raises RolloutError where there is no candidate, ImageError where its image was revoked meanwhile."""
    fleet = stack.rollout
    release = fleet.candidate.release if fleet.candidate else fleet.active.release
    if fleet.candidate:
        refuse_revoked(stack.history, release.image)
    return Course(
        verb="promote",
        release=release,
        settings=stack.settings,
        steps=promote_steps(fleet, stack.settings),
        dangers=tuple(_dangers(stack)),
    )


def abort(stack: Stack) -> Course:
    """Raises RolloutError where there is nothing to give up."""
    fleet = stack.deployed_fleet
    was_left = not fleet.candidate and not stack.config_means(fleet)
    steps = (Step(name="aborted", fleet=fleet),) if was_left else abort_steps(fleet)
    return Course(verb="abort", release=fleet.active.release, settings=stack.settings, steps=steps, is_way_back=True)


def rollback(stack: Stack, to: str | None) -> Course:
    """Raises RolloutError where there is nothing to go back to."""
    way_back = WayBack(stack)
    plan = way_back.plan(to)
    return Course(
        verb=ROLLBACK,
        release=plan.release,
        settings=stack.settings,
        steps=plan.steps,
        is_way_back=True,
        dangers=tuple(way_back.dangers(plan)),
        rollback=plan,
        way=way_back.described(plan),
    )


def retire(stack: Stack, versions: Sequence[str]) -> Course:
    """Raises RolloutError for a release that is no standby."""
    fleet = stack.deployed_fleet
    steps = retire_steps(versions, fleet)
    return Course(
        verb="retire",
        release=fleet.active.release,
        settings=stack.settings,
        steps=steps,
        dangers=tuple(_dangers(stack)),
    )


def _dangers(stack: Stack) -> list[BluegreenError]:
    """What refuses every way but the one back."""
    match stack.agreement:
        case Hopeless(summary, next_step):
            return [RolloutError(summary, f"{next_step} Nothing was changed.")]
    return []


def _wanted(stack: Stack, ami: str | None) -> tuple[Release, Settings]:
    """The release to bring in, and the settings for it: without `ami` the candidate of a rollout that was begun, or
    else what the config means. Raises SettingsError where the config is older than what runs and that of the last
    update is not to be had, ImageError where the image was revoked and does not run."""
    check_serial(stack.settings.fleet, {"serial": stack.deployed_serial})
    if ami:
        settings = stack.settings.with_image(ami)
        release = Release.from_settings(settings)
    else:
        settings = stack.settings
        begun = stack.rollout.candidate if stack.fleet else None
        release = begun.release if begun else Release.from_settings(settings)
    if not stack.fleet or release.image != stack.fleet.active.release.image:
        refuse_revoked(stack.history, release.image)
    return release, settings


def _refuse_to_lose_the_way_back(stack: Stack, release: Release, steps: Sequence[Step]) -> None:
    """Opening a rollout deletes what is declared no more: the group, too, that a failed soak has left to go back to."""
    fleet = stack.fleet
    if fleet is None or not steps or steps[0].fleet.candidate is None or fleet.candidate:
        return
    active = fleet.active.release
    seen = stack.history.seen().get(active.version)
    if active != release and seen and seen.failure and seen.failure.kind in WATCH_FAILURES:
        raise RolloutError(
            f"release {active.version}, which has the traffic, is not well ({seen.doubt}), and the group before it may "
            "still stand: this would delete that",
            "`bluegreen rollback` first; or `bluegreen deploy` of what runs watches it again.",
        )
