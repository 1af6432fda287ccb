"""A stack as it is: the config it starts from, what its last update put out, its history. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.engine import Engine
from bluegreen.errors import AwsError, RolloutError, SettingsError
from bluegreen.events import ConfigDiffers, EngineLine, Event, OnEvent, Warned
from bluegreen.ledger.ledger import Ledger, Recorder, Run
from bluegreen.ledger.places import open_ledger
from bluegreen.model.agreement import judge, told_by
from bluegreen.model.baseline import FLEET, IMAGE, Baseline, Difference, baseline, serial_of
from bluegreen.model.fleet import Fleet
from bluegreen.model.history import History
from bluegreen.model.observation import Group
from bluegreen.model.release import Release
from bluegreen.model.settings import NAMESPACE, Settings
from bluegreen.model.stack_name import short
from bluegreen.model.tags import Owner
from bluegreen.model.verdict import Ready, Verdict
from bluegreen.narrator import Narrator

SECRET = "[secret]"
"""What is shown in place of one."""


class Stack:
    """One stack, read when it is made. `directory`: that of Pulumi.yaml, the current one by default.

    Raises EngineError where there is no `pulumi` or no such stack, SettingsError with the faults of its config,
    LedgerError where its ledger can't be read, RolloutError where the config is for another region.
    """

    def __init__(
        self,
        name: str,
        *,
        directory: Path | None = None,
        on_event: OnEvent | None = None,
        is_forced: bool = False,
        is_destroy: bool = False,
    ) -> None:
        self.name = name
        self._on_event = on_event or _unheard
        self._narrator = Narrator(name, self._on_event)
        place = directory or Path.cwd()
        self.run = Run.new(place, short(name), datetime.now(UTC), is_forced=is_forced, is_destroy=is_destroy)
        self.engine = Engine(
            name,
            place,
            environment=self.run.environment,
            on_event=self._narrator.see,
            on_output=lambda line: self.tell(EngineLine(stack=name, text=line.rstrip("\n"))),
        )
        self.read_at = datetime.now(UTC)
        # Each is a process of the engine: side by side they take the time of one.
        with ThreadPoolExecutor(max_workers=3) as together:
            here = together.submit(self.engine.config)
            outputs = together.submit(self.engine.outputs)
            configs = together.submit(self.engine.last_configs)
            self._here, self.outputs = here.result(), outputs.result()
        record = self.outputs.get("fleet")
        self.fleet = Fleet.from_record(record) if record else None
        self.deployed_serial = int(record["serial"]) if record else 0
        # Not of an update that was refused since, or of a refresh, from a checkout that is older than what runs.
        self._deployed = next(
            (each for each in configs.result() if serial_of(each.values) >= self.deployed_serial), None
        )
        self._refuse_other_region()

    # -- what it says

    def tell(self, event: Event) -> None:
        self._on_event(event)

    def say(self, line: str) -> None:
        """A line that a check, or the driver, says."""
        self._narrator.hear(line)

    def tell_differences(self) -> None:
        for each in self.differences:
            self.tell(
                ConfigDiffers(
                    stack=self.name,
                    key=each.key,
                    deployed=each.deployed,
                    here=each.here,
                    is_used=each.is_used,
                    why=each.why,
                )
            )

    # -- where it is

    @cached_property
    def baseline(self) -> Baseline:
        """What to start from: the config of the last update, and what was edited since by whoever has seen it."""
        deployed = self._deployed.values if self._deployed else None
        here = self._here.values
        is_other_image = deployed is not None and here.get(IMAGE) != deployed.get(IMAGE)
        served = self._served if is_other_image else frozenset()
        return baseline(here, deployed, served=served, serial=self.deployed_serial)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """How the checkout differs from the last update, to be shown: without the fleet's bookkeeping and secrets."""
        return tuple(
            replace(each, deployed=each.deployed and SECRET, here=each.here and SECRET)
            if each.key in self.secrets
            else each
            for each in self.baseline.differences
            if each.key != FLEET
        )

    @property
    def secrets(self) -> frozenset[str]:
        return self._here.secrets | (self._deployed.secrets if self._deployed else frozenset())

    @property
    def _served(self) -> frozenset[str]:
        """Images that have served before the one that runs."""
        active = self.fleet.active.release.image if self.fleet else ""
        seen = self.history.seen().values()
        return frozenset(each.release.image for each in seen if each.served_at and each.release.image != active)

    @cached_property
    def settings(self) -> Settings:
        secrets = [key.removeprefix(f"{NAMESPACE}:") for key in self._here.secrets]
        return Settings.parse(of_namespace(self.baseline.config, NAMESPACE), secrets)

    @property
    def deployed_settings(self) -> Settings:
        """Those of the last update, whatever was edited since. Raises SettingsError."""
        config = self._deployed.values if self._deployed else self._here.values
        return Settings.parse(of_namespace(config, NAMESPACE))

    @property
    def deployed_fleet(self) -> Fleet:
        """What runs. Raises RolloutError where nothing does."""
        if self.fleet is None:
            raise RolloutError(f"nothing is deployed in {self.name}", f"Run `bluegreen deploy {self.name}` first.")
        return self.fleet

    @property
    def rollout(self) -> Fleet:
        """What runs, or, where an update that did not end was to open a rollout, what that was to bring about."""
        fleet = self.deployed_fleet
        meant = self.meant_fleet if self.is_config_ahead else None
        return meant if meant and meant.candidate and not fleet.candidate else fleet

    @cached_property
    def meant_fleet(self) -> Fleet | None:
        """What the config means; None where it means none that may be."""
        try:
            return Fleet.from_settings(self.settings)
        except SettingsError:
            return None

    def config_means(self, fleet: Fleet) -> bool:
        """Whether the config, as it is, describes this fleet. It does not after an update that failed, for one."""
        return self.meant_fleet is not None and self.meant_fleet.shares == fleet.shares

    @property
    def next_serial(self) -> int:
        """Of the fleet that is written next: newer than any that was deployed, or meant to be."""
        return max(self.deployed_serial, self.settings.fleet.serial) + 1

    def config_of(
        self, fleet: Fleet, settings: Settings, *, serial: int, is_way_back: bool = False
    ) -> dict[str, str | None]:
        """What the config says where a fleet is to be brought about. `is_way_back`: its active release has served."""
        there = settings.with_image(fleet.active.release.image)
        healthy = self.history.healthy | ({fleet.active.release.version} if is_way_back else set())
        config = fleet.as_config(serial=serial, basis=Release.from_settings(there), seen_healthy=healthy)
        written = config.model_dump_json(by_alias=True, exclude_none=True)
        return {f"{NAMESPACE}:ami": there.image, f"{NAMESPACE}:fleet": written}

    @property
    def is_config_ahead(self) -> bool:
        return self.settings.fleet.serial > self.deployed_serial

    @cached_property
    def is_unfinished(self) -> bool:
        """Whether an update has begun to change the fleet since the last one that ended: outputs come at its end.

        The driver's own are known by their serial, one that was killed past its cutover by the load balancer, which has
        the last word, and one that a gate refused by the ledger.
        """
        active = self.deployed_fleet.active.release.version
        if self.is_config_ahead or self.history.refused not in ("", active):
            return True
        live = self.observer.active_of(self.observer.groups(self.owner))
        return live is not None and live.release not in {group.release.version for group in self.deployed_fleet.groups}

    @cached_property
    def history(self) -> History:
        """What had happened before. Raises LedgerError: what can't be read is known before anything is changed.

        Forced, it is only told, and nothing counts as seen healthy.
        """
        return self.recorder.read() if self.run.is_forced else self.ledger.read()

    @cached_property
    def ledger(self) -> Ledger:
        """By the one setting that says where it is: a fault of another one does not hide the history."""
        place = Settings.parse({"ledger": self._here.values.get(f"{NAMESPACE}:ledger")}).ledger_place
        return open_ledger(place, self.session, self.run, self.engine.project, self.say)

    @cached_property
    def agreement(self) -> Verdict:
        """Whether ledger and state say the same of who has the traffic; the load balancer is asked only where not."""
        if self.fleet is None:
            return Ready("nothing is deployed")
        found = judge(self.history, self.fleet, None)
        if isinstance(found, Ready) or told_by(self.history) is None:
            return found
        try:
            return judge(self.history, self.fleet, self.serving())
        except AwsError:
            return found

    def tell_disagreement(self) -> None:
        if not isinstance(self.agreement, Ready):
            self.tell(Warned(stack=self.name, text=self.agreement.summary))

    @cached_property
    def recorder(self) -> Recorder:
        return Recorder(ledger=self.ledger, run=self.run.name, report=self.say)

    @cached_property
    def session(self) -> Session:
        return Session(SessionSettings.parse(of_namespace(self._here.values, "aws")))

    @cached_property
    def observer(self) -> Observer:
        return Observer(self.session)

    @cached_property
    def owner(self) -> Owner:
        return Owner(project=self.engine.project, stack=short(self.name), service=self.settings.service)

    def serving(self) -> Mapping[str, int]:
        """Who takes how much of the traffic now, in percent by version, as the load balancer says; empty where it names
        nobody. At most 4 calls of AWS."""
        return self.observer.shares(likely_first(self.observer.groups(self.owner), self.fleet))

    def _refuse_other_region(self) -> None:
        """A provider that is asked in another region finds nothing, and makes everything anew."""
        made = next((arn for group in self.outputs.get("serverGroups") or () if (arn := group.get("targetGroup"))), "")
        if not made:
            return
        there = made.split(":")[3]
        if there and self.session.region != there:
            raise RolloutError(
                f"{self.name} runs in {there}, and its config and environment now say {self.session.region}",
                f"`pulumi config set aws:region {there} --stack {self.name}`, or set AWS_REGION. Nothing was changed.",
            )


def likely_first(groups: Iterable[Group], fleet: Fleet | None) -> list[Group]:
    """The active one first, then those that are declared beside it: an idle standby is behind no load balancer, and to
    ask for its own would be a call in vain."""
    declared = [plan.release.version for plan in fleet.groups] if fleet else []
    return sorted(groups, key=lambda group: (*declared, group.release).index(group.release))


def of_namespace(config: Mapping[str, str], namespace: str) -> dict[str, Any]:
    prefix = f"{namespace}:"
    return {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}


def _unheard(_event: Event) -> None:
    """Nobody listens."""
