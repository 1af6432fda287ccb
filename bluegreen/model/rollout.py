"""From one fleet to the next: the fleets to go through, each of which a plain `pulumi up` would reproduce. Pure.

A plan is data. Who walks it, one `up` a step, is `bluegreen.deployment`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bluegreen.errors import RolloutError
from bluegreen.model.fleet import (
    ALL_TRAFFIC,
    MOST_GROUPS,
    NO_MACHINES,
    Fleet,
    Role,
    ServerGroupPlan,
    full_capacity,
)
from bluegreen.model.history import History
from bluegreen.model.release import Release
from bluegreen.model.settings import Promotion, Settings, Strategy


@dataclass(frozen=True, kw_only=True)
class Step:
    """A fleet to bring about, and what comes after.

    `watch_seconds`: how long to stay here and watch before the next step. `needs_promotion`: the next step is a
    person's to allow. `keeps_way_back`: a cutover after which the old group stays.
    """

    name: str
    fleet: Fleet
    watch_seconds: int = 0
    needs_promotion: bool = False
    keeps_way_back: bool = False

    @property
    def watched(self) -> Release | None:
        """The release whose traffic is to be watched after this step, None where none has gained any.

        A cutover that leaves no group to go back to is watched by the guard, within the update.
        """
        candidate = self.fleet.candidate
        if candidate:
            return candidate.release if candidate.weight else None
        return self.fleet.active.release if self.keeps_way_back else None


class Way(StrEnum):
    """How a rollback gets the traffic to another release, the fastest first."""

    FLIP = "flip"  # a standby at full size: one listener change
    INFLATE = "inflate"  # a standby at zero: its machines come back first
    REDEPLOY = "redeploy"  # no server group left: made anew from the recorded settings


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """How to get back to `release`."""

    release: Release
    way: Way
    steps: tuple[Step, ...]


def bring_in(release: Release, current: Fleet | None, settings: Settings) -> tuple[Step, ...]:
    """The steps that make `release` active, as the settings' strategy says; none where it is.

    `current`: None where nothing was deployed yet. Raises RolloutError while another rollout is open.
    """
    if current is None:
        return (Step(name="first release", fleet=Fleet((_active(release, settings),))),)
    if current.candidate:
        if current.candidate.release == release:
            return _after(current.candidate.weight, current, release, settings)
        raise RolloutError(
            f"a rollout of release {current.candidate.release.version} is open, and this is release {release.version}",
            "End it first: `bluegreen promote` or `bluegreen abort`.",
        )
    if current.active.release == release:
        return ()
    return _after(None, current, release, settings)


def resume(current: Fleet, settings: Settings) -> tuple[Step, ...]:
    """What is left to do after a cutover whose watch was interrupted; none where the guard does it, in any update."""
    if settings.strategy is not Strategy.RED_BLACK or not any(group.is_way_back for group in current.standbys):
        return ()
    newest, *others = current.standbys
    before = Fleet((dataclasses.replace(newest, role=Role.ACTIVE, weight=ALL_TRAFFIC), *others))
    return _cutover(before, current.active.release, settings)


def promote(current: Fleet, settings: Settings) -> tuple[Step, ...]:
    """The steps that make the candidate active at once. Raises RolloutError where there is none."""
    if current.candidate is None:
        raise RolloutError(f"there is no candidate to promote: release {current.active.release.version} is active")
    return _cutover(current, current.candidate.release, settings)


def abort(current: Fleet) -> tuple[Step, ...]:
    """The step that gives the candidate up. Raises RolloutError where there is none."""
    if current.candidate is None:
        raise RolloutError(f"there is no candidate to abort: release {current.active.release.version} is active")
    kept = (dataclasses.replace(current.active, weight=ALL_TRAFFIC), *current.standbys)
    return (Step(name="aborted", fleet=Fleet(kept)),)


def roll_back(release: Release, current: Fleet, settings: Settings, *, is_settled: bool = True) -> Rollback:
    """How `release` becomes active again, at once, whatever the strategy. A candidate is given up with it.

    `is_settled`: nothing was begun since `current`. Raises RolloutError where the release is active already.
    """
    if current.active.release == release and not current.candidate and is_settled:
        raise RolloutError(f"release {release.version} is active")
    group = current.group_of(release.version)
    way = Way.REDEPLOY if group is None else Way.INFLATE if group.capacity.is_zero else Way.FLIP
    kept = [group for group in current.standbys if group.release != release]
    fleet = Fleet((_active(release, settings), *_fitting(kept, beside=1)))
    return Rollback(release=release, way=way, steps=(Step(name="rolled back", fleet=fleet),))


def choose_rollback(current: Fleet, history: History, version: str | None) -> Release:
    """The release of this version; without one, the newest standby's, or else the healthy one that served before.

    Raises RolloutError where there is no such release.
    """
    known = {version: seen.release for version, seen in history.seen().items()}
    known |= {group.release.version: group.release for group in current.groups}
    if version:
        if version in known:
            return known[version]
        raise RolloutError(
            f"release {version} is not known; known are {', '.join(sorted(known))}",
            "`bluegreen history` lists what was deployed.",
        )
    if current.candidate:
        return current.active.release
    if current.standbys:
        return current.standbys[0].release
    before = history.before(current.active.release.version)
    if before is None:
        raise RolloutError(
            "there is no earlier release to go back to: no standby, and none that the ledger saw healthy",
            "`bluegreen deploy` with an earlier image makes it active again.",
        )
    return before


def retire(versions: Iterable[str], current: Fleet) -> tuple[Step, ...]:
    """The step that takes standbys away. Raises RolloutError for a release that is no standby."""
    gone = set(versions)
    known = {group.release.version for group in current.standbys}
    if unknown := sorted(gone - known):
        raise RolloutError(f"no standby: {', '.join(unknown)}; standbys are {', '.join(sorted(known)) or 'none'}")
    kept = tuple(group for group in current.groups if group.release.version not in gone)
    return (Step(name="retired", fleet=Fleet(kept)),)


def _after(weight: int | None, current: Fleet, release: Release, settings: Settings) -> tuple[Step, ...]:
    """What is left to do once the candidate has `weight` (None: there is no candidate yet).

    The step that it is at comes again: whoever stopped there may not have watched it to its end, and where a person is
    to promote, doing the same again must not.
    """
    shifts = [shift for shift in _shifts(settings) if weight is None or shift[0] >= weight]
    is_manual = settings.promotion is Promotion.MANUAL
    if is_manual and not shifts and weight is None:
        shifts = [(0, 0)]
    steps = [
        Step(
            name=f"{share} % of the traffic" if share else "candidate",
            fleet=_shifted(share, current, release, settings),
            watch_seconds=seconds,
            needs_promotion=is_manual and last,
        )
        for (share, seconds), last in zip(shifts, [*[False] * (len(shifts) - 1), True], strict=False)
    ]
    return (*steps, *_cutover(current, release, settings))


def _shifts(settings: Settings) -> list[tuple[int, int]]:
    """The candidate's share and its seconds, one after the other."""
    match settings.strategy:
        case Strategy.CANARY:
            return [(step.weight, step.pause_seconds) for step in settings.steps]
        case Strategy.LINEAR:
            shares = range(settings.step_percent, ALL_TRAFFIC, settings.step_percent)
            return [(share, settings.step_seconds) for share in shares]
        case Strategy.BLUE_GREEN | Strategy.RED_BLACK | Strategy.HIGHLANDER:
            return []


def _shifted(share: int, current: Fleet, release: Release, settings: Settings) -> Fleet:
    candidate = ServerGroupPlan(release=release, role=Role.CANDIDATE, weight=share, capacity=full_capacity(settings))
    active = dataclasses.replace(current.active, weight=ALL_TRAFFIC - share)
    return Fleet((active, candidate, *_fitting(_others(current.standbys, release), beside=2)))


def _cutover(current: Fleet, release: Release, settings: Settings) -> tuple[Step, ...]:
    active = _active(release, settings)
    others = _others(current.standbys, release)
    match settings.strategy:
        case Strategy.HIGHLANDER:
            return (Step(name="promoted", fleet=Fleet((active,))),)
        case Strategy.RED_BLACK:
            room = settings.max_remaining_groups - 1
            kept = [_standby(current.active), *others][:room]
            promoted = Step(
                name="promoted",
                fleet=Fleet((active, *kept)),
                # Where no standby is kept, the guard watches, before it lets the old group go.
                watch_seconds=max(settings.scale_down_delay_seconds, settings.soak_seconds) if kept else 0,
                keeps_way_back=bool(kept),
            )
            steps = [promoted]
            if kept:
                empty = dataclasses.replace(kept[0], capacity=NO_MACHINES)
                steps.append(Step(name="standby at zero", fleet=Fleet((active, empty, *kept[1:]))))
            return tuple(steps)
        case Strategy.BLUE_GREEN | Strategy.CANARY | Strategy.LINEAR:
            return (Step(name="promoted", fleet=Fleet((active, *_fitting(others, beside=1)))),)


def _active(release: Release, settings: Settings) -> ServerGroupPlan:
    return ServerGroupPlan(release=release, role=Role.ACTIVE, weight=ALL_TRAFFIC, capacity=full_capacity(settings))


def _standby(group: ServerGroupPlan) -> ServerGroupPlan:
    return dataclasses.replace(group, role=Role.STANDBY, weight=0)


def _others(standbys: Sequence[ServerGroupPlan], release: Release) -> list[ServerGroupPlan]:
    return [group for group in standbys if group.release != release]


def _fitting(standbys: Sequence[ServerGroupPlan], *, beside: int) -> list[ServerGroupPlan]:
    """As many as a listener takes beside the others, the newest: a fleet lists them first."""
    return list(standbys[: MOST_GROUPS - beside])
