"""The stack that a program runs for: its settings, and what there is once in a program, however many its services."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime import get_config_env
from pulumi.runtime.config import CONFIG

from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.components.admission import Admission
from bluegreen.components.hooks import Hooks
from bluegreen.errors import BluegreenError, Fault, SettingsError
from bluegreen.model.fleet import Fleet
from bluegreen.model.observation import Group
from bluegreen.model.release import Release
from bluegreen.model.settings import NAMESPACE, Settings, Strategy
from bluegreen.model.tags import Owner

if TYPE_CHECKING:
    from bluegreen.components.service import Service


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """What came of settings that may be applied. `live_desired`: what the active group runs at now, None where none
    runs."""

    fleet: Fleet
    live_desired: int | None


class Stack:
    """One per program, made by `bluegreen.program.run` before the program declares anything.

    It registers the hooks, whether or not there is a service: the checkpoint may name them.
    """

    settings: Settings
    """What the stack's config says in the namespace `bluegreen`."""
    hooks: Hooks

    def __init__(self, settings: Settings, session: Session) -> None:
        self.settings = settings
        self._observer = Observer(session)
        self._admission = Admission()
        self.hooks = Hooks(session, self._admission, settings.ledger_place)
        self._admitted: list[tuple[Settings, Admitted]] = []
        self._exported = ""

    @classmethod
    def of_config(cls) -> Stack:
        """Of the config that the engine hands to the program. Raises SettingsError with all its faults, AwsError."""
        return cls(Settings.parse(_config(NAMESPACE)), Session(SessionSettings.parse(_config("aws"))))

    @property
    def region(self) -> str:
        return self._observer.region

    def owner(self, service: str) -> Owner:
        return Owner(project=pulumi.get_project(), stack=pulumi.get_stack(), service=service)

    def admit(self, settings: Settings) -> Admitted:
        """What a service's settings come to. Call it before anything of the service is declared; `from_settings` of the
        components' args do. One look at AWS, whatever the number of services, and one more where any runs.

        Raises ImageUnset, AwsError where AWS can't be asked, and SettingsError for what the running stack can't become.
        """
        for known, admitted in self._admitted:
            if known == settings:
                return admitted
        fleet = Fleet.from_settings(settings.checked())
        if (topic := settings.alarm_topic) and (there := topic.split(":")[3]) != self.region:
            message = f"{topic} is in {there}, and alarms of {self.region} go to topics of {self.region} only"
            raise SettingsError([Fault("bluegreen:alarmTopic", message)])
        self._admission.admit(settings)
        active = self._active_group(settings)
        _tell_strategy(settings, fleet, active)
        admitted = Admitted(fleet=fleet, live_desired=active.desired if active else None)
        self._admitted.append((settings, admitted))
        return admitted

    def refuse_other_services(self, service: str) -> None:
        """For a program with one service: another name of it is another service, and the end of the first.

        Raises SettingsError.
        """
        running = sorted({group.service for group in self._groups})
        if running and service not in running:
            message = (
                f"the stack runs {', '.join(running)}; another name would destroy that with its load balancer and URL"
            )
            raise SettingsError([Fault("bluegreen:service", f"{message}. Set it back, or destroy the stack first")])

    def refuse_image(self, image: str) -> None:
        """Stop an update or a preview, and let a destroy pass, which needs no image but does need the hooks.

        A program can't tell which of them it runs in. The engine can: a destroy creates nothing, an update stops at the
        image hook, before anything is changed, and deletes nothing since a creation failed.
        """
        opts = pulumi.ResourceOptions(hooks=self.hooks.checking_image())
        template = aws.ec2.LaunchTemplate("image", image_id=image, opts=opts)
        pulumi.export("url", template.arn)  # never known: the outputs of the last update stay

    def export(self, service: Service) -> None:
        """Put out, as the stack's outputs, what the `bluegreen` command and other systems want to know of a service.

        Of one service of a program: that is the one which the command deploys. Raises BluegreenError for a second.
        """
        if self._exported:
            raise BluegreenError(
                f"the stack's outputs are of the service {self._exported} already, not of {service.name} too",
                "Export the one that the bluegreen command deploys, and of the other what you need: "
                '`pulumi.export("...", service.url)`.',
            )
        self._exported = service.name
        for name, value in service.outputs.items():
            pulumi.export(name, value)
        pulumi.export("fleet", service.record.apply(self._admission.holding_back))

    @cached_property
    def _groups(self) -> tuple[Group, ...]:
        """All that run in this stack."""
        return self._observer.groups(self.owner(""))

    @cached_property
    def _cidrs(self) -> tuple[str, ...]:
        """Of the stack's networks."""
        return self._observer.vpc_cidrs(self.owner(""))

    def _active_group(self, settings: Settings) -> Group | None:
        """What takes the traffic now. Raises SettingsError where the config would pull the ground from under it."""
        ours = [group for group in self._groups if group.service == settings.service]
        if ours and self._cidrs and settings.vpc_cidr not in self._cidrs:
            message = f"the stack runs in {', '.join(self._cidrs)}; a load balancer can't move to another VPC"
            raise SettingsError([Fault("bluegreen:vpcCidr", f"{message}. Set it back, or destroy the stack first")])
        return self._observer.active_of(ours)


def _tell_strategy(settings: Settings, fleet: Fleet, active: Group | None) -> None:
    """A program sees one point of a rollout: the steps of a strategy are the bluegreen command's to walk."""
    is_plain = settings.fleet.basis != Release.from_settings(settings).version
    is_change = active is not None and active.release != fleet.active.release.version
    if settings.strategy is not Strategy.BLUE_GREEN and is_plain and is_change:
        pulumi.log.info(
            f"a plain `pulumi up` does blueGreen, in one cutover; `bluegreen deploy` does {settings.strategy}, the "
            "stack's strategy"
        )


def _config(namespace: str) -> dict[str, Any]:
    """The stack's config in a namespace, by key: strings, with objects and lists as JSON text."""
    everything = {**get_config_env(), **CONFIG.get()}
    prefix = f"{namespace}:"
    return {key.removeprefix(prefix): value for key, value in everything.items() if key.startswith(prefix)}
