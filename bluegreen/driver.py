"""The driver: walks the steps of a rollout, one `up` each, watches them, and takes the traffic back.

It writes each fleet to the stack's config, has the engine bring it about, and watches what got traffic before it goes
on. The config is written first: whoever dies in the middle is followed by a plain `pulumi up` or the next verb, which
go on from there. What the verbs are is in `bluegreen.deployment`, what a plan is in `bluegreen.model.rollout`.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypedDict

from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.checks.launchable import check_launchable
from bluegreen.checks.watch import Shift, Watch
from bluegreen.engine import Engine, OnEvent, OnOutput, Result
from bluegreen.errors import (
    AwsError,
    BluegreenError,
    EngineError,
    Interrupted,
    RolledBack,
    RolloutError,
    SettingsError,
    WatchFailed,
)
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Recorder, Run
from bluegreen.model.attest import Attest
from bluegreen.model.compat import judge as judge_schema
from bluegreen.model.fleet import Fleet, check_serial
from bluegreen.model.history import WATCH_FAILURES, History, Kind
from bluegreen.model.launchable import Launchable
from bluegreen.model.release import Release
from bluegreen.model.revocation import refuse_revoked, why_revoked
from bluegreen.model.rollout import Rollback, Step, Way, choose_rollback, roll_back
from bluegreen.model.settings import NAMESPACE, Settings
from bluegreen.model.soak import SoakPolicy, check_credentials_last
from bluegreen.model.tags import CONTENT_DIGEST, REVOKED, Owner
from bluegreen.model.verdict import Hopeless

OnStep = Callable[[Step], None]


GO_ON = "`bluegreen deploy` goes on from there; so do `promote`, `abort` and `rollback`."


GUARD_WATCH_FAILED = re.compile(r"hook \"bluegreen-guard\" failed: (attest|soak): ")
"""How the engine tells that the guard's watch has failed."""


class KeepWatch(Protocol):
    """Attests and soaks a shift. Raises WatchFailed."""

    def __call__(self, shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None: ...


class Options(TypedDict, total=False):
    """What every verb takes. `directory`: that of Pulumi.yaml, the current one by default. `on_step` hears of each step
    before it begins. `keep_watch` watches a release that has got traffic; AWS is asked where none is given."""

    directory: Path | None
    on_event: OnEvent | None
    on_output: OnOutput | None
    on_step: OnStep | None
    keep_watch: KeepWatch | None


@dataclass(frozen=True, kw_only=True)
class Update:
    """A finished deployment, by its last update. `changes`: how many resources by what was done to them."""

    stack: str
    outputs: Mapping[str, Any]
    changes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class RollbackPlan:
    """What a rollback will be. `last_seconds`: how long it took the traffic to be back the last time that a rollback of
    this stack went this way, None where none did."""

    stack: str
    release: Release
    way: Way
    last_seconds: float | None


@dataclass
class Recorded:
    """Writes what a verb is about to do to the ledger, and how it ended. `evidence`: of its beginning."""

    recorder: Recorder
    verb: str
    release: Release
    evidence: Mapping[str, Any]
    began: float = field(default_factory=time.monotonic)

    def __enter__(self) -> None:
        evidence = {"verb": self.verb, "image": self.release.image, "operator": _operator(), **self.evidence}
        self.recorder.note(Kind.BEGAN, release=self.release.version, summary=self.verb, evidence=evidence)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        outcome = "done" if error is None else type(error).__name__
        evidence = {
            "verb": self.verb,
            "outcome": outcome,
            "seconds": round(time.monotonic() - self.began, 1),
            "error": str(error) if isinstance(error, BluegreenError) else "",
        }
        summary = f"{self.verb}: {outcome}"
        self.recorder.note(Kind.ENDED, release=self.release.version, summary=summary, evidence=evidence)


class Driver:
    """Walks the steps of a rollout: writes each fleet to the config, and has the engine bring it about."""

    def __init__(
        self,
        stack: str,
        *,
        directory: Path | None = None,
        on_event: OnEvent | None = None,
        on_output: OnOutput | None = None,
        on_step: OnStep | None = None,
        keep_watch: KeepWatch | None = None,
        is_forced: bool = False,
    ) -> None:
        self._stack = stack
        self._report = on_output or unheard
        self._on_step = on_step or _unseen
        self._keep_watch = keep_watch or self._ask_aws
        place = directory or Path.cwd()
        self.run = Run.new(place, short(stack), datetime.now(UTC), is_forced=is_forced)
        self._recorder = Recorder(ledger=FileLedger(self.run.ledger), run=self.run.name, report=self._report)
        self._engine = Engine(stack, place, environment=self.run.environment, on_event=on_event, on_output=on_output)
        self._config = self._engine.config()
        self.settings = Settings.parse(of_namespace(self._config, NAMESPACE))
        record = self._engine.outputs().get("fleet")
        self.fleet = Fleet.from_record(record) if record else None
        self._deployed_serial = record["serial"] if record else 0
        self._serial = max(self._deployed_serial, self.settings.fleet.serial)
        self._has_written = False

    # -- where the stack is

    @property
    def deployed_fleet(self) -> Fleet:
        """What runs. Raises RolloutError where nothing does."""
        if self.fleet is None:
            raise RolloutError(f"nothing is deployed in {self._stack}", f"Run `bluegreen deploy {self._stack}` first.")
        return self.fleet

    @property
    def rollout(self) -> Fleet:
        """What runs, or, where an update that did not end was to open a rollout, what that was to bring about."""
        fleet = self.deployed_fleet
        meant = self._meant_fleet if self._is_config_ahead else None
        return meant if meant and meant.candidate and not fleet.candidate else fleet

    def config_means(self, fleet: Fleet) -> bool:
        """Whether the config, as it is, describes this fleet. It does not after an update that failed, for one."""
        return self._meant_fleet is not None and self._meant_fleet.shares == fleet.shares

    @cached_property
    def _is_unfinished(self) -> bool:
        """Whether an update has begun to change the fleet since the last one that ended: outputs come at its end.

        The driver's own are known by their serial, one that was killed past its cutover by the load balancer, which has
        the last word, and one that a gate refused by the ledger.
        """
        active = self.deployed_fleet.active.release.version
        if self._is_config_ahead or self.history.refused not in ("", active):
            return True
        observer = Observer(self._session)
        live = observer.active_of(observer.groups(self._owner))
        return live is not None and live.release not in {group.release.version for group in self.deployed_fleet.groups}

    @property
    def _is_config_ahead(self) -> bool:
        return self.settings.fleet.serial > self._deployed_serial

    @cached_property
    def _meant_fleet(self) -> Fleet | None:
        try:
            return Fleet.from_settings(self.settings)
        except SettingsError:
            return None

    @cached_property
    def history(self) -> History:
        """What had happened before."""
        return self._recorder.read()

    @cached_property
    def _session(self) -> Session:
        return Session(SessionSettings.parse(of_namespace(self._config, "aws")))

    @property
    def _owner(self) -> Owner:
        return Owner(project=self._engine.project, stack=short(self._stack), service=self.settings.service)

    # -- going on from there

    def recorded(self, verb: str, release: Release, **evidence: Any) -> Recorded:
        """The releases that run are in it: a ledger that was begun later, or another one, knows them from then on."""
        groups = self.fleet.groups if self.fleet else ()
        releases = {group.release.version: group.release.as_record() for group in groups}
        return Recorded(self._recorder, verb, release, {"releases": releases, **evidence})

    def wanted(self, ami: str | None) -> tuple[Release, Settings]:
        """The release to bring in, and the settings for it: without `ami` the candidate of a rollout that was begun,
        or else what the config means. Raises SettingsError where that is older than what runs, ImageError where the
        image was revoked and does not run."""
        if ami:
            settings = self.settings.with_image(ami)
            release = Release.from_settings(settings)
        else:
            check_serial(self.settings.fleet, {"serial": self._deployed_serial})
            settings, begun = self.settings, self.rollout.candidate if self.fleet else None
            release = begun.release if begun else Release.from_settings(settings)
        if not self.fleet or release.image != self.fleet.active.release.image:
            refuse_revoked(self.history, release.image)
        return release, settings

    def refuse_to_lose_the_way_back(self, release: Release, steps: Sequence[Step]) -> None:
        """Opening a rollout deletes what is declared no more: the group, too, that a failed soak has left to go back
        to."""
        if self.fleet is None or not steps or steps[0].fleet.candidate is None or self.fleet.candidate:
            return
        active = self.fleet.active.release
        seen = self.history.seen().get(active.version)
        if active != release and seen and seen.failure and seen.failure.kind in WATCH_FAILURES:
            raise RolloutError(
                f"release {active.version}, which has the traffic, is not well ({seen.doubt}), and the group before it "
                "may still stand: this would delete that",
                "`bluegreen rollback` first; or `bluegreen deploy` of what runs watches it again.",
            )

    def walk(self, steps: Sequence[Step], settings: Settings, *, is_way_back: bool = False) -> Update:
        """The last update. Without steps the fleet stays, and what else is changed in the config is brought about.

        `is_way_back`: what gains traffic has served before, and is neither proven nor watched again.
        """
        if not is_way_back:
            self._check_credentials(steps, settings)
        if not steps:
            if self.fleet and not self.config_means(self.fleet):
                self._write(self.fleet, settings, is_way_back)
            result = self._brought_about(self.deployed_fleet, settings, is_way_back)
        for step in steps:
            self._on_step(step)
            self._write(step.fleet, settings, is_way_back)
            result = self._brought_about(step.fleet, settings, is_way_back, step)
            if step.needs_promotion:
                break
        return updated(self._stack, result)

    def _brought_about(self, fleet: Fleet, settings: Settings, is_way_back: bool, step: Step | None = None) -> Result:
        """The update that brings a fleet about, watched. A failed watch takes the traffic back."""
        try:
            result = self._up()
            if step and not is_way_back:
                self._watch(step, settings)
        except (EngineError, WatchFailed) as failed:
            if is_way_back or not self._was_failed_watch(failed):
                raise
            self._go_back(fleet, settings, failed)
        return result

    def _up(self) -> Result:
        """The engine hears Ctrl-C too, and ends by itself what it has begun."""
        try:
            return self._engine.up()
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted: the update of {self._stack} was stopped; what it has begun is in the state",
                "`bluegreen deploy` goes on from there, `bluegreen abort` takes it back.",
            ) from None

    def _check_credentials(self, steps: Sequence[Step], settings: Settings) -> None:
        """A soak that can't be watched to its end is not begun."""
        active = self.fleet.active.release if self.fleet else None
        is_cutover = any(step.fleet.active.release != active for step in steps)
        soaks = sum(step.watch_seconds for step in steps) + settings.soak_seconds * is_cutover
        if soaks:
            needed = soaks + settings.progress_deadline_seconds
            check_credentials_last(self._session.credentials_end(), datetime.now(UTC), needed)

    def _write(self, fleet: Fleet, settings: Settings, is_way_back: bool) -> None:
        self._refuse_interleaving()
        self._serial += 1
        self._has_written = True
        there = settings.with_image(fleet.active.release.image)
        healthy = self.history.healthy | ({fleet.active.release.version} if is_way_back else set())
        config = fleet.as_config(serial=self._serial, basis=Release.from_settings(there), seen_healthy=healthy)
        written = config.model_dump_json(by_alias=True, exclude_none=True)
        self._engine.configure({"ami": there.image, "fleet": written})

    def _refuse_interleaving(self) -> None:
        """Between two steps somebody else may have promoted, aborted or rolled back: his fleet is the newer one."""
        if not self._has_written:
            return
        record = self._engine.outputs().get("fleet") or {"serial": 0}
        written = Settings.parse(of_namespace(self._engine.config(), NAMESPACE)).fleet.serial
        if max(record["serial"], written) > self._serial:
            raise RolloutError(
                f"somebody else has changed the fleet of {self._stack} meanwhile; this rollout ends here",
                "`bluegreen history` says who. `bluegreen deploy` goes on from where the stack is now.",
            )

    # -- watching

    def _watch(self, step: Step, settings: Settings) -> None:
        """After a shift, and after a cutover that leaves the old group: elsewhere the guard has watched."""
        watched = step.watched
        if not watched:
            return
        shares = {group.release.version: group.weight for group in step.fleet.groups if group.weight}
        if step.watch_seconds:
            self._report(f"staying at `{step.name}` for {step.watch_seconds} s; Ctrl-C leaves it there")
        try:
            self._keep_watch(
                Shift(owner=self._owner, release=watched.version, shares=shares),
                settings.attest,
                SoakPolicy.from_settings(settings),
                step.watch_seconds,
            )
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted: {self._stack} stays at the step `{step.name}`", GO_ON) from None
        except AwsError as error:
            what = f"{error}\n  Nobody watches any more: {self._stack} stays at the step `{step.name}`"
            raise AwsError(what, GO_ON) from error

    def _ask_aws(self, shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        watch = Watch(
            sight=Observer(self._session),
            record=self._recorder.note,
            report=self._report,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
        )
        asyncio.run(watch.keep(shift, attest, policy, seconds))

    def _was_failed_watch(self, failed: BluegreenError) -> bool:
        """The guard watches in the program's process: what it saw is in the engine's reasons."""
        return isinstance(failed, WatchFailed) or GUARD_WATCH_FAILED.search(str(failed)) is not None

    def _go_back(self, fleet: Fleet, settings: Settings, failed: BluegreenError) -> None:
        """The traffic first, then, in the same update, what is to be cleaned up. Raises RolledBack, WatchFailed."""
        bad = fleet.candidate.release if fleet.candidate else fleet.active.release
        before = self.fleet.active.release if self.fleet else None
        if before == bad:
            standby = next((group.release for group in fleet.standbys if group.is_way_back), None)
            before = standby or self.history.before(bad.version)
        events = [event for event in self._recorder.read().of_run(self.run.name) if event.kind in WATCH_FAILURES]
        why = events[-1].summary if events else failed.what
        if before is None or not settings.auto_rollback:
            way = (
                "`bluegreen rollback` takes the traffic back."
                if before
                else "There is no earlier release to go back to."
            )
            raise WatchFailed(f"{why}\n  The traffic stays as it is.", way) from failed
        self._report(f"rolling back to release {before.version}: {why}")
        plan = self._with_true_way(roll_back(before, fleet, settings))
        try:
            self.roll_back(plan, settings, left=bad)
        except BluegreenError as error:
            is_back = self._seconds_to_traffic() is not None
            raise RolloutError(
                f"{why}\n  The rollback to release {before.version} did not end: {error}\n  The traffic "
                + ("is back; what is left is to clean up." if is_back else "was not moved back."),
                f"`bluegreen rollback {self._stack}` tries again.",
            ) from error
        raise RolledBack(
            f"release {bad.version} was rolled back: {why}\n  Release {before.version} has all traffic again.",
            f"What is known of it: {self._evidence_of(bad)}",
        )

    def _evidence_of(self, release: Release) -> str:
        folders = [
            event.evidence["folder"]
            for event in self._recorder.read().events
            if event.kind is Kind.FORENSICS and event.release == release.version
        ]
        return str(folders[-1] if folders else self.run.ledger)

    # -- going back

    def plan_rollback(self, to: str | None) -> Rollback:
        fleet = self.deployed_fleet
        plan = roll_back(self._target(to), fleet, self.settings, is_settled=not self._is_unfinished)
        return self._with_true_way(plan)

    def _target(self, to: str | None) -> Release:
        """Where back is."""
        fleet, last = self.deployed_fleet, self.history.last_rollback()
        if to is None and last and last.is_open:  # it goes on, whatever it has reached
            return choose_rollback(fleet, self.history, last.release)
        if to is None and self._is_unfinished:
            return fleet.active.release  # the update that was to replace it
        if to is None and last and last.release == fleet.active.release.version and not fleet.candidate:
            raise RolloutError(
                f"release {last.release} has the traffic since the rollback of {last.at:%Y-%m-%d %H:%M}",
                "To go further back, say where: `--to VERSION`; `bluegreen history` lists them.",
            )
        return choose_rollback(fleet, self.history, to)

    def _with_true_way(self, plan: Rollback) -> Rollback:
        """A server group that is declared no more may still stand: an update that failed has not deleted it."""
        if plan.way is not Way.REDEPLOY:
            return plan
        groups = {group.release: group for group in Observer(self._session).groups(self._owner)}
        there = groups.get(plan.release.version)
        return replace(plan, way=Way.FLIP) if there and there.desired else plan

    def roll_back(self, plan: Rollback, settings: Settings, left: Release | None = None) -> Update:
        """`left`: the release that the traffic is taken from; by default the one that has it."""
        given_up = left.version if left else self._given_up(plan)
        with self.recorded("rollback", plan.release, **{"from": given_up}):
            update = self.walk(plan.steps, settings, is_way_back=True)
            self._note_rollback(plan, given_up)
            return update

    def _given_up(self, plan: Rollback) -> str:
        """The version of the release that has the traffic, or was about to get it; empty where it is not known."""
        last, target = self.history.last_rollback(), plan.release.version
        if last and last.is_open and last.release == target:
            return last.left  # the config means the target already
        meant = self._meant_fleet if self._is_config_ahead else None
        fleets = [fleet for fleet in (meant, self.fleet) if fleet]
        releases = [(fleet.candidate or fleet.active).release.version for fleet in fleets]
        return next((version for version in (*releases, self.history.refused) if version not in ("", target)), "")

    def described(self, plan: Rollback) -> RollbackPlan:
        return RollbackPlan(
            stack=self._stack,
            release=plan.release,
            way=plan.way,
            last_seconds=self.history.seconds_of_last_rollback(plan.way),
        )

    def refuse_unsafe(self, plan: Rollback) -> None:
        """Raises RolloutError for a release that should not come back."""
        version, image = plan.release.version, plan.release.image
        seen = self.history.seen().get(version)
        if seen is None or not seen.is_healthy:
            doubt = seen.doubt if seen else "the ledger does not know it"
            raise RolloutError(
                f"release {version} was not seen healthy: {doubt}",
                "Go back to another (`--to VERSION`), or say `--force`. Nothing was changed.",
            )
        observer = Observer(self._session)
        found = observer.image(image)
        if found is None and plan.way is not Way.FLIP:
            raise RolloutError(
                f"the image {image} of release {version} is gone, and its machines have to be launched",
                "Restore the image, or go back to another release (`--to VERSION`). Nothing was changed.",
            )
        tags = found.tags if found else {}
        if why := why_revoked(self.history, image, tags.get(CONTENT_DIGEST, ""), tags.get(REVOKED, "")):
            raise RolloutError(
                f"the image {image} of release {version} was {why}",
                "Go back to another (`--to VERSION`), or say `--force`. Nothing was changed.",
            )
        serving = observer.image(self.deployed_fleet.active.release.image)
        beside = {serving.id: serving.tags} if serving else {}
        match judge_schema(image, tags, beside, self.history.schema):
            case Hopeless(summary):
                raise RolloutError(
                    f"release {version} can't come back: {summary}",
                    "Go back to another (`--to VERSION`), or say `--force`. Nothing was changed.",
                )

    def check_launchable(self, plan: Rollback) -> Launchable:
        """Whether its machines could be launched: those that a standby has already are not counted again."""
        observer = Observer(self._session)
        groups = {group.release: group for group in observer.groups(self._owner)}
        active = groups.get(self.deployed_fleet.active.release.version)
        there = groups.get(plan.release.version)
        wanted = max(self.settings.min_size, active.desired if active else self.settings.desired_capacity)
        return check_launchable(observer, plan.release, max(0, wanted - (there.desired if there else 0)))

    def _seconds_to_traffic(self) -> float | None:
        """From the beginning of this run's rollback until the traffic was back; None where it is not."""
        events = self._recorder.read().of_run(self.run.name)
        began = [event for event in events if event.kind is Kind.BEGAN and event.evidence["verb"] == "rollback"]
        back = [event for event in events if event.kind is Kind.CUTOVER and began and event.at > began[-1].at]
        return (back[0].at - began[-1].at).total_seconds() if back else None

    def _note_rollback(self, plan: Rollback, left: str) -> None:
        """How it went, for the next one to tell beforehand, and which release is in doubt from now on."""
        version = plan.release.version
        self._recorder.note(
            Kind.ROLLED_BACK,
            release=version,
            summary=f"from release {left} to {version}, {plan.way}" if left else f"to release {version}, {plan.way}",
            evidence={"way": plan.way.value, "trafficSeconds": self._seconds_to_traffic(), "from": left},
        )


def updated(stack: str, result: Result) -> Update:
    return Update(stack=stack, outputs=result.outputs, changes=result.changes)


def of_namespace(config: Mapping[str, str], namespace: str) -> dict[str, str]:
    prefix = f"{namespace}:"
    return {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}


def short(stack: str) -> str:
    """A stack's own name: with Pulumi Cloud, organization and project stand before it."""
    return stack.rpartition("/")[2]


def _operator() -> str:
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return str(os.getuid())


def _unseen(_step: Step) -> None:
    """Nobody asked."""


def unheard(_line: str) -> None:
    """Nobody listens."""
