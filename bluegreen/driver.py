"""The driver: walks the steps of a rollout, one `up` each, watches them, and takes the traffic back.

It writes each fleet to the stack's config, has the engine bring it about, and watches what got traffic before it goes
on. The config is written first: whoever dies in the middle is followed by a plain `pulumi up` or the next verb, which
go on from there. What the verbs are is in `bluegreen.deployment`, what a plan is in `bluegreen.model.rollout`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from bluegreen.checks.protection import check_unprotected
from bluegreen.checks.watch import Shift, Watch
from bluegreen.engine import Result
from bluegreen.errors import (
    FAILED,
    NEEDS_A_PERSON,
    AwsError,
    BluegreenError,
    EngineError,
    Interrupted,
    LedgerError,
    RolledBack,
    RolloutError,
    WatchFailed,
    WrongTraffic,
)
from bluegreen.events import Began, StepBegan
from bluegreen.ledger.lease import LeaseKeeper, holder_here
from bluegreen.ledger.ledger import FENCE_VARIABLE
from bluegreen.ledger.operator import operator_here
from bluegreen.model.attest import Attest
from bluegreen.model.baseline import serial_of
from bluegreen.model.estimate import expected_seconds
from bluegreen.model.fleet import Fleet
from bluegreen.model.history import ROLLBACK, WATCH_FAILURES, Kind
from bluegreen.model.notice import GUARD_HOOK
from bluegreen.model.release import Release
from bluegreen.model.rollout import Rollback, Step, roll_back
from bluegreen.model.settings import NAMESPACE, Settings
from bluegreen.model.soak import SoakPolicy, check_credentials_last
from bluegreen.stack import Stack
from bluegreen.stop import Stop
from bluegreen.way_back import WayBack

GO_ON = "`bluegreen deploy` goes on from there; so do `promote`, `abort` and `rollback`."
GO_ON_OR_BACK = "`bluegreen deploy` goes on from there, `bluegreen abort` takes it back."


LOOKS_AGAIN, LOOK_SECONDS = 3, 1.0
"""What AWS describes may be a moment behind what it has done."""

CLOCKS_DIFFER = timedelta(minutes=1)
"""By no more, between the machines that deploy a stack."""

"""How the engine tells that the guard's watch has failed."""


class KeepWatch(Protocol):
    """Attests and soaks a shift. Raises WatchFailed."""

    def __call__(self, shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Update:
    """A finished deployment, by its last update.

    `changes`: how many resources by what was done to them. `serving`: who takes how much of the traffic, in percent by
    version, as the load balancer says; empty where it could not be asked. `run`: its name in the ledger.
    """

    stack: str
    outputs: Mapping[str, Any]
    changes: Mapping[str, int]
    run: str = ""
    serving: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0


class Driver:
    """Walks the steps of a rollout: writes each fleet to the config, and has the engine bring it about."""

    def __init__(self, stack: Stack, *, keep_watch: KeepWatch | None = None, stop: Stop | None = None) -> None:
        self._stack = stack
        self._stop = stop or Stop()
        self._keep_watch = keep_watch or self._ask_aws
        self._way_back = WayBack(stack)
        self._serial = stack.next_serial - 1
        self._began = time.monotonic()
        self._has_begun = False  # to change anything
        self._has_written = False  # a fleet
        self._is_going_back = False  # by itself: that belongs to the step, and to stop is no reason to leave it out
        self._lease: LeaseKeeper | None = None
        self._last_serving: dict[str, int] | None = None

    # -- acting

    @contextmanager
    def acting(self, verb: str, release: Release | None, **evidence: Any) -> Iterator[None]:
        """Writes to the ledger what a verb is about to do, and how it ended, which is what the load balancer says.

        The releases that run are in it: a ledger that was begun later, or another one, knows them from then on.
        Raises LedgerError, before anything is begun, where it can't be written; a way back is not held up by that, nor,
        where it is forced or within a deployment, by a lease that can't be asked for.
        """
        stack, began = self._stack, time.monotonic()
        now = datetime.now(UTC)
        _ = stack.history
        operator = operator_here()
        holder = holder_here(run=stack.run.name, verb=verb, operator=operator.name, now=now, ci_run=operator.ci_run)
        keeper = LeaseKeeper(
            stack.ledger,
            holder,
            is_forced=stack.run.is_forced,
            is_needed=not (verb == ROLLBACK and stack.run.is_forced),
            report=stack.say,
        )
        groups = stack.fleet.groups if stack.fleet else ()
        version = release.version if release else ""
        intent = {
            "verb": verb,
            "image": release.image if release else "",
            **operator.as_evidence(),
            "releases": {group.release.version: group.release.as_record() for group in groups},
            **evidence,
        }
        heard = self._stop.heard_by(_noted)  # from here on it stops where that leaves nothing undone
        with heard, nullcontext(self._lease) if self._lease else keeper as lease:
            self._lease = lease
            self._refuse_what_changed_meanwhile(lease)
            stack.engine.tell_program({FENCE_VARIABLE: str(lease.fence)})
            self._tell_beginning(verb)
            write = stack.recorder.note if verb == ROLLBACK else stack.recorder.record
            write(Kind.BEGAN, release=version, summary=verb, evidence=intent)
            outcome, said = "done", ""
            self._last_serving = None
            try:
                yield
            except BaseException as error:
                if isinstance(error, BluegreenError):
                    self._tell_traffic(verb, error)
                    said = str(error)
                outcome = type(error).__name__
                raise
            finally:
                seconds = round(time.monotonic() - began, 1)
                stack.recorder.note(
                    Kind.ENDED,
                    release=version,
                    summary=f"{verb}: {outcome}",
                    evidence={
                        "verb": verb,
                        "outcome": outcome,
                        "seconds": seconds,
                        "error": said,
                        **({"serving": self._last_serving} if self._last_serving else {}),
                    },
                )

    def _tell_beginning(self, verb: str) -> None:
        """Not of a rollback within a deployment, which is still that."""
        if self._has_begun:
            return
        self._stack.tell(
            Began(
                stack=self._stack.name,
                verb=verb,
                weights={group.release.version: group.weight for group in self._groups},
                roles={group.release.version: group.role.value for group in self._groups},
                expected_seconds=expected_seconds(self._stack.history.events, verb),
            )
        )

    def _refuse_what_changed_meanwhile(self, lease: LeaseKeeper) -> None:
        """Between the moment when the stack was read and the one when its lease was taken, somebody else may have ended
        a deployment. Clocks of two machines differ, so what ended shortly before counts too."""
        ended = lease.before.beat_at
        if not self._has_written and ended and ended > self._stack.read_at - CLOCKS_DIFFER:
            self._refuse_interleaving()

    def _tell_traffic(self, verb: str, error: BluegreenError) -> None:
        """What failed may have got far: where the traffic is, the load balancer says, not the engine's exit code."""
        if not self._has_begun:
            return
        before = {group.release.version: group.weight for group in self._groups if group.weight}
        serving = self._serving()
        is_as_before = serving == before and verb != ROLLBACK
        if serving and not isinstance(error, Interrupted | RolledBack):
            error.add(f"The load balancer gives {_told(serving)}" + (", as before." if is_as_before else "."))
        may_end = is_as_before and isinstance(error, EngineError | RolloutError | AwsError)
        # Back is where it was before the rollout, not in the step that this run went on from.
        is_back = isinstance(error, RolledBack) and bool(serving)
        error.exit_code = FAILED if may_end or is_back else NEEDS_A_PERSON

    @property
    def _groups(self) -> Sequence[Any]:
        return self._stack.fleet.groups if self._stack.fleet else ()

    def _serving(self) -> dict[str, int] | None:
        """None where it can't be asked."""
        try:
            self._last_serving = dict(self._stack.serving())
            return self._last_serving
        except AwsError as error:
            self._stack.say(f"who takes the traffic is not known: {error.what}")
            return None

    def walk(self, steps: Sequence[Step], settings: Settings, *, is_way_back: bool = False) -> Update:
        """The last update. Without steps the fleet stays, and what else is changed in the config is brought about.

        `is_way_back`: what gains traffic has served before, and is neither proven nor watched again. Raises
        WrongTraffic where the load balancer does not do what the engine says was done.
        """
        if not is_way_back:
            self._check_credentials(steps, settings)
        fleet = steps[-1].fleet if steps else self._stack.deployed_fleet
        if not steps:
            self._refuse_to_begin()
            if self._stack.baseline.edits or not self._stack.config_means(fleet):
                self._write(fleet, settings, is_way_back)
            result = self._brought_about(fleet, settings, is_way_back)
        for number, step in enumerate(steps, 1):
            self._refuse_to_begin(steps[number - 2].name if number > 1 else "")
            self._announce(step, number, len(steps))
            self._write(step.fleet, settings, is_way_back)
            result = self._brought_about(step.fleet, settings, is_way_back, step)
            if step.needs_promotion:
                fleet = step.fleet
                break
        return self._concluded(result, fleet)

    def _announce(self, step: Step, number: int, count: int) -> None:
        groups = step.fleet.groups
        self._stack.tell(
            StepBegan(
                stack=self._stack.name,
                name=step.name,
                number=number,
                count=count,
                weights={group.release.version: group.weight for group in groups},
                roles={group.release.version: group.role.value for group in groups},
                watch_seconds=step.watch_seconds,
            )
        )

    def _refuse_to_begin(self, after: str = "") -> None:
        """`after`: the step that was finished as asked."""
        if not self._stop.is_asked or self._is_going_back:
            return
        if after:
            raise Interrupted(f"stopped: {self._stack.name} stays at the step `{after}`", GO_ON)
        stopped = Interrupted(f"stopped before anything of {self._stack.name} was changed")
        stopped.exit_code = FAILED
        raise stopped

    def _concluded(self, result: Result, fleet: Fleet) -> Update:
        wanted = {group.release.version: group.weight for group in fleet.groups if group.weight}
        serving = self._serving()
        for _ in range(LOOKS_AGAIN):
            if serving in (None, wanted):
                break
            self._stop.sleep(LOOK_SECONDS)
            serving = self._serving()
        if serving not in (None, wanted):
            raise WrongTraffic(
                f"the update of {self._stack.name} has ended well, and {_told(wanted)} was declared; but the load "
                f"balancer gives {_told(serving or {})}",
                "Somebody else has changed the listener: `pulumi refresh` shows it, `bluegreen deploy` sets it right.",
            )
        self._publish(result)
        return Update(
            stack=self._stack.name,
            outputs=result.outputs,
            changes=result.changes,
            run=self._stack.run.name,
            serving=serving or {},
            seconds=round(time.monotonic() - self._began, 1),
        )

    def _publish(self, result: Result) -> None:
        """Where the service is met, for other systems; what it runs, the cutover has published."""
        places = {name: str(result.outputs[name]) for name in ("url", "previewUrl") if name in result.outputs}
        try:
            self._stack.ledger.publish(self._stack.settings.service, places)
        except LedgerError as error:
            self._stack.say(f"not published: {error}")

    def _brought_about(self, fleet: Fleet, settings: Settings, is_way_back: bool, step: Step | None = None) -> Result:
        """The update that brings a fleet about, watched. A failed watch takes the traffic back."""
        try:
            self._check_lease(is_way_back)
            result = self._done_by_engine(self._stack.engine.up, GO_ON_OR_BACK)
            if step and not is_way_back:
                self._watch(step, settings)
        except (EngineError, WatchFailed) as failed:
            if is_way_back or not _was_failed_watch(failed):
                raise
            self._go_back(fleet, settings, failed)
        return result

    def _done_by_engine(self, act: Callable[[], Result], next_step: str) -> Result:
        """The engine ends by itself what it has begun, when it is interrupted."""
        self._has_begun = True
        interrupted = Interrupted(
            f"interrupted: the update of {self._stack.name} was stopped; what it has begun is in the state", next_step
        )
        try:
            with self._stop.heard_by(self._pass_on):
                if self._stop.is_urgent and not self._is_going_back:  # since the config was written
                    raise interrupted
                return act()
        except KeyboardInterrupt:
            raise interrupted from None
        except EngineError as error:
            if self._stop.is_urgent:
                raise interrupted from error
            raise

    def _pass_on(self) -> None:
        if self._stop.is_urgent:
            self._stack.engine.interrupt()
        else:
            self._stack.say("finishing this step; ask again to stop now")

    def _check_credentials(self, steps: Sequence[Step], settings: Settings) -> None:
        """A soak that can't be watched to its end is not begun."""
        active = self._stack.fleet.active.release if self._stack.fleet else None
        is_cutover = any(step.fleet.active.release != active for step in steps)
        soaks = sum(step.watch_seconds for step in steps)
        soaks += (settings.soak_seconds + settings.kept_seconds) * is_cutover
        if soaks:
            needed = soaks + settings.progress_deadline_seconds
            check_credentials_last(self._stack.session.credentials_end(), datetime.now(UTC), needed)

    def _write(self, fleet: Fleet, settings: Settings, is_way_back: bool) -> None:
        self._check_lease(is_way_back)
        if self._has_written:
            self._refuse_interleaving()
        edits = {} if self._has_written else self._stack.baseline.edits
        edits |= self._stack.config_of(fleet, settings, serial=self._serial + 1, is_way_back=is_way_back)
        self._serial += 1
        self._has_begun = self._has_written = True
        self._stack.engine.configure(edits, self._stack.secrets)

    def _check_lease(self, is_way_back: bool = False) -> None:
        assert self._lease, "nothing is done without the lease"
        self._lease.check(is_way_back=is_way_back)

    def _refuse_interleaving(self) -> None:
        """Between two steps somebody else may have promoted, aborted or rolled back: his fleet is the newer one."""
        record = self._stack.engine.outputs().get("fleet") or {"serial": 0}
        if max(record["serial"], serial_of(self._stack.engine.config().values)) > self._serial:
            raise RolloutError(
                f"somebody else has changed the fleet of {self._stack.name} meanwhile; this rollout ends here",
                "`bluegreen history` says who. `bluegreen deploy` goes on from where the stack is now.",
            )

    def destroy(self) -> Update:
        """Everything of the stack; its config and history stay. Raises Protected where AWS would refuse it late.

        A checkout that is older than the last update must not deploy; what is to be destroyed needs no newer one.
        """
        stack = self._stack
        check_unprotected(stack.observer, stack.owner)
        with self.acting("destroy", stack.fleet.active.release if stack.fleet else None):
            return self._destroyed()

    def _destroyed(self) -> Update:
        stack = self._stack
        self._refuse_to_begin()
        if serial_of(stack.engine.config().values) < stack.deployed_serial:
            stack.engine.configure({f"{NAMESPACE}:fleet": f'{{"serial": {stack.deployed_serial}}}'})
        result = self._done_by_engine(stack.engine.destroy, f"`bluegreen destroy {stack.name}` goes on from there.")
        stack.recorder.note(Kind.DESTROYED)
        return Update(stack=stack.name, outputs=result.outputs, changes=result.changes, run=stack.run.name)

    # -- watching

    def _watch(self, step: Step, settings: Settings) -> None:
        """After a shift, and after a cutover that leaves the old group: elsewhere the guard has watched."""
        watched = step.watched
        if not watched:
            return
        stays = Interrupted(f"interrupted: {self._stack.name} stays at the step `{step.name}`", GO_ON)
        if self._stop.is_asked:
            raise stays
        shares = {group.release.version: group.weight for group in step.fleet.groups if group.weight}
        if step.watch_seconds:
            self._stack.say(f"staying at `{step.name}` for {step.watch_seconds} s; Ctrl-C leaves it there")
        try:
            self._keep_watch(
                Shift(owner=self._stack.owner, release=watched.version, shares=shares, domain=settings.domain),
                settings.attested,
                SoakPolicy.from_settings(settings),
                step.watch_seconds,
            )
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise stays from None
        except AwsError as error:
            what = f"{error}\n  Nobody watches any more: {self._stack.name} stays at the step `{step.name}`"
            raise AwsError(what, GO_ON) from error

    def _ask_aws(self, shift: Shift, attest: Attest, policy: SoakPolicy, seconds: float) -> None:
        watch = Watch(
            sight=self._stack.observer,
            record=self._stack.recorder.note,
            report=self._stack.say,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
        )

        async def keep() -> None:
            task = asyncio.ensure_future(watch.keep(shift, attest, policy, seconds))
            loop = asyncio.get_running_loop()

            def cancel() -> None:
                loop.call_soon_threadsafe(task.cancel)

            with self._stop.heard_by(cancel):
                if self._stop.is_asked:  # before anybody listened
                    task.cancel()
                await task

        asyncio.run(keep())

    # -- going back

    def roll_back(self, plan: Rollback, settings: Settings, left: Release | None = None, **evidence: Any) -> Update:
        """`left`: the release that the traffic is taken from; by default the one that has it."""
        given_up = left.version if left else self._way_back.release_left(plan)
        with self.acting(ROLLBACK, plan.release, **{"from": given_up}, **evidence):
            update = self.walk(plan.steps, settings, is_way_back=True)
            self._way_back.note(plan, given_up)
            return update

    def _go_back(self, fleet: Fleet, settings: Settings, failed: BluegreenError) -> None:
        """The traffic first, then, in the same update, what is to be cleaned up. Raises RolledBack, WatchFailed."""
        stack = self._stack
        bad = fleet.candidate.release if fleet.candidate else fleet.active.release
        before = self._way_back.release_before(bad, fleet)
        events = [event for event in stack.recorder.read().of_run(stack.run.name) if event.kind in WATCH_FAILURES]
        why = events[-1].summary if events else failed.what
        if before is None or not settings.auto_rollback:
            way = (
                "`bluegreen rollback` takes the traffic back."
                if before
                else "There is no earlier release to go back to."
            )
            raise WatchFailed(f"{why}\n  The traffic stays as it is.", way) from failed
        stack.say(f"rolling back to release {before.version}: {why}")
        self._is_going_back = True
        plan = roll_back(before, fleet, settings)
        try:
            plan = self._way_back.by_true_way(plan)
        except AwsError as error:
            stack.say(f"by which way is not known: {error.what}")
        try:
            self.roll_back(plan, settings, left=bad)
        except BluegreenError as error:
            is_back = self._way_back.seconds_to_traffic() is not None
            raise RolloutError(
                f"{why}\n  The rollback to release {before.version} did not end: {error}\n  The traffic "
                + ("is back; what is left is to clean up." if is_back else "was not moved back."),
                f"`bluegreen rollback {stack.name}` tries again.",
            ) from error
        raise RolledBack(
            f"release {bad.version} was rolled back: {why}\n  Release {before.version} has all traffic again.",
            f"What is known of it: {self._evidence_of(bad)}",
        )

    def _evidence_of(self, release: Release) -> str:
        folders = [
            event.evidence["folder"]
            for event in self._stack.recorder.read().events
            if event.kind is Kind.FORENSICS and event.release == release.version
        ]
        return str(folders[-1] if folders else self._stack.ledger.place)


def _noted() -> None:
    """That it is to stop is looked at before each act."""


def _was_failed_watch(failed: BluegreenError) -> bool:
    """The guard watches in the program's process: what it saw is among what the engine says of its hooks."""
    hooks = failed.hooks if isinstance(failed, EngineError) else ()
    watches = [said for hook, said in hooks if hook == GUARD_HOOK and said.startswith(("attest: ", "soak: "))]
    return isinstance(failed, WatchFailed) or bool(watches)


def _told(shares: Mapping[str, int]) -> str:
    if not shares:
        return "no traffic to any release"
    if len(shares) == 1:
        return f"all traffic to release {next(iter(shares))}"
    return ", ".join(f"{share} % to release {version}" for version, share in shares.items())
