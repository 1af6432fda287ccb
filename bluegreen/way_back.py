"""The way back: which release a rollback goes to, how, and whether it should. What is asked here changes nothing."""

from __future__ import annotations

from dataclasses import replace

from bluegreen.checks.launchable import check_launchable
from bluegreen.errors import RolloutError
from bluegreen.events import RollbackPlanned
from bluegreen.model.compat import judge as judge_schema
from bluegreen.model.fleet import Fleet
from bluegreen.model.history import Kind
from bluegreen.model.launchable import Launchable
from bluegreen.model.release import Release
from bluegreen.model.revocation import why_revoked
from bluegreen.model.rollout import Rollback, Way, choose_rollback, roll_back
from bluegreen.model.tags import CONTENT_DIGEST, REVOKED
from bluegreen.model.verdict import Hopeless
from bluegreen.model.weights import wanted_in, weights_of
from bluegreen.stack import Stack


class WayBack:
    """Of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def plan(self, to: str | None) -> Rollback:
        """To the version `to`, or to where back is. Raises RolloutError where there is no such release."""
        stack = self._stack
        plan = roll_back(self._target(to), stack.deployed_fleet, stack.settings, is_settled=not stack.is_unfinished)
        return self.by_true_way(plan)

    def by_true_way(self, plan: Rollback) -> Rollback:
        """A server group that is declared no more may still stand: an update that failed has not deleted it."""
        if plan.way is not Way.REDEPLOY:
            return plan
        groups = {group.release: group for group in self._stack.observer.groups(self._stack.owner)}
        there = groups.get(plan.release.version)
        return replace(plan, way=Way.FLIP) if there and there.desired else plan

    def described(self, plan: Rollback) -> RollbackPlanned:
        return RollbackPlanned(
            stack=self._stack.name,
            release=plan.release.version,
            image=plan.release.image,
            way=plan.way.value,
            last_seconds=self._stack.history.seconds_of_last_rollback(plan.way),
        )

    def release_before(self, bad: Release, fleet: Fleet) -> Release | None:
        """Where the traffic goes when a watch of `bad` fails, in a fleet that it has traffic in; None: nowhere."""
        stack = self._stack
        before = stack.fleet.active.release if stack.fleet else None
        if before != bad:
            return before
        standby = next((group.release for group in fleet.standbys if group.is_way_back), None)
        return standby or stack.history.before(bad.version)

    def release_left(self, plan: Rollback) -> str:
        """The version of the release that has the traffic, or was about to get it; empty where it is not known."""
        stack, target = self._stack, plan.release.version
        last = stack.history.last_rollback()
        if last and last.is_open and last.release == target:
            return last.left  # the config means the target already
        meant = stack.meant_fleet if stack.is_config_ahead else None
        fleets = [fleet for fleet in (meant, stack.fleet) if fleet]
        releases = [(fleet.candidate or fleet.active).release.version for fleet in fleets]
        return next((version for version in (*releases, stack.history.refused) if version not in ("", target)), "")

    def dangers(self, plan: Rollback) -> list[RolloutError]:
        """Why the release should not come back."""
        stack, version, image = self._stack, plan.release.version, plan.release.image
        found = []
        seen = stack.history.seen().get(version)
        if seen is None or not seen.is_healthy:
            doubt = seen.doubt if seen else "the ledger does not know it"
            found.append(
                RolloutError(
                    f"release {version} was not seen healthy: {doubt}",
                    "Go back to another (`--to VERSION`), or say `--force`. Nothing was changed.",
                )
            )
        there = stack.observer.image(image)
        if there is None and plan.way is not Way.FLIP:
            found.append(
                RolloutError(
                    f"the image {image} of release {version} is gone, and its machines have to be launched",
                    "Restore the image, or go back to another release (`--to VERSION`). Nothing was changed.",
                )
            )
        tags = there.tags if there else {}
        if why := why_revoked(stack.history, image, tags.get(CONTENT_DIGEST, ""), tags.get(REVOKED, "")):
            found.append(
                RolloutError(
                    f"the image {image} of release {version} was {why}",
                    "Go back to another (`--to VERSION`), or say `--force`. Nothing was changed.",
                )
            )
        serving = stack.observer.image(stack.deployed_fleet.active.release.image)
        beside = {serving.id: serving.tags} if serving else {}
        match judge_schema(image, tags, beside, stack.history.schema):
            case Hopeless(summary):
                found.append(
                    RolloutError(
                        f"release {version} can't come back: {summary}",
                        "Go back to another (`--to VERSION`), or say `--force`. Nothing was changed.",
                    )
                )
        return found

    def check_launchable(self, plan: Rollback) -> Launchable:
        """Whether its machines could be launched: those that a standby has already are not counted again."""
        stack = self._stack
        groups = {group.release: group for group in stack.observer.groups(stack.owner)}
        active = groups.get(stack.deployed_fleet.active.release.version)
        there = groups.get(plan.release.version)
        settings = stack.settings
        serving = wanted_in(weights_of(plan.release), active) if active else settings.desired_capacity
        wanted = max(settings.min_size, serving)
        warm = 0 if plan.release.launch.mixed_instances else settings.warm_beside(wanted)
        if there and there.pool:
            warm -= there.pool.size
        return check_launchable(
            stack.observer,
            plan.release,
            max(0, wanted - (there.desired if there else 0) + max(0, warm)),
            zones=tuple(sorted({zone for group in groups.values() for zone in group.zones})),
        )

    def seconds_to_traffic(self) -> float | None:
        """From the beginning of this run's rollback until the traffic was back; None where it is not."""
        events = self._stack.recorder.read().of_run(self._stack.run.name)
        began = [event for event in events if event.kind is Kind.BEGAN and event.evidence["verb"] == "rollback"]
        back = [event for event in events if event.kind is Kind.CUTOVER and began and event.at > began[-1].at]
        return (back[0].at - began[-1].at).total_seconds() if back else None

    def note(self, plan: Rollback, left: str) -> None:
        """How it went, for the next one to tell beforehand, and which release is in doubt from now on."""
        version = plan.release.version
        self._stack.recorder.note(
            Kind.ROLLED_BACK,
            release=version,
            summary=f"from release {left} to {version}, {plan.way}" if left else f"to release {version}, {plan.way}",
            evidence={"way": plan.way.value, "trafficSeconds": self.seconds_to_traffic(), "from": left},
        )

    def _target(self, to: str | None) -> Release:
        """Where back is."""
        stack = self._stack
        fleet, last = stack.deployed_fleet, stack.history.last_rollback()
        if to is None and last and last.is_open:  # it goes on, whatever it has reached
            return choose_rollback(fleet, stack.history, last.release)
        if to is None and stack.is_unfinished:
            return fleet.active.release  # the update that was to replace it
        if to is None and last and last.release == fleet.active.release.version and not fleet.candidate:
            raise RolloutError(
                f"release {last.release} has the traffic since the rollback of {last.at:%Y-%m-%d %H:%M}",
                f"To go further back, say where: `--to VERSION`; `bluegreen history {stack.name}` lists them.",
            )
        return choose_rollback(fleet, stack.history, to)
