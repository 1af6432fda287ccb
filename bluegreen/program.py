"""The Pulumi program: the stack's config in, resources declared. `__main__.py` calls `main`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime import get_config_env
from pulumi.runtime.config import CONFIG

from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.components.admission import Admission
from bluegreen.components.balancer import Balancer, BalancerArgs
from bluegreen.components.hooks import Hooks, ServicePolicy
from bluegreen.components.network import Network, NetworkArgs
from bluegreen.components.service import Service, ServiceArgs
from bluegreen.errors import BluegreenError, Fault, SettingsError
from bluegreen.model.fleet import Fleet
from bluegreen.model.gate import GatePolicy
from bluegreen.model.observation import Group
from bluegreen.model.release import Release
from bluegreen.model.settings import NAMESPACE, Settings, Strategy, image_fault
from bluegreen.model.soak import SoakPolicy
from bluegreen.model.tags import Owner

INTERRUPTED = 130


def main() -> None:
    """Declare the stack that the config describes. Faults of the config end the program with one message."""
    signal.signal(signal.SIGINT, _stop)
    try:
        declare(Settings.parse(_config(NAMESPACE)), Session(SessionSettings.parse(_config("aws"))))
    except BluegreenError as error:
        raise pulumi.RunError(str(error)) from None


def declare(settings: Settings, session: Session) -> None:
    """Declare network, load balancer and service. Raises AwsError where AWS can't be asked, SettingsError where the
    config asks for what a running stack can't become."""
    admission = Admission(settings)
    hooks = Hooks(session, admission, settings.ledger_place)
    if image_fault(settings.ami):
        _refuse_image(settings, hooks)
        return
    owner = Owner(project=pulumi.get_project(), stack=pulumi.get_stack(), service=settings.service)
    active = _active_group(Observer(session), owner, settings)
    tags = {**settings.tags, **owner.tags}

    network = Network(owner.service, NetworkArgs(plan=settings.address_plan, nat=settings.nat, tags=tags))
    balancer = Balancer(
        owner.service,
        BalancerArgs(
            network=network,
            listener_port=settings.listener_port,
            preview_port=settings.preview_port,
            preview_sources=settings.preview_sources,
            tags=tags,
        ),
    )
    fleet = Fleet.from_settings(settings)
    _tell_strategy(settings, fleet, active)
    service = Service(
        owner.service,
        ServiceArgs(
            fleet=fleet,
            network=network,
            balancer=balancer,
            hooks=hooks,
            policy=ServicePolicy(
                fleet=fleet,
                gate=GatePolicy.from_settings(settings, fleet),
                soak=SoakPolicy.from_settings(settings),
                soak_seconds=settings.soak_seconds,
                sticky_seconds=settings.group_stickiness_seconds,
                windows=settings.windows,
            ),
            alarms=settings.alarms,
            live_desired=active.desired if active else None,
            tags=settings.tags,
        ),
    )
    pulumi.export("url", balancer.url)
    pulumi.export("previewUrl", balancer.preview_url)
    pulumi.export("activeRelease", service.active_release)
    pulumi.export("serverGroups", service.server_groups)
    record = fleet.as_record(serial=settings.fleet.serial)
    pulumi.export("fleet", service.active_release.apply(lambda _: admission.holding_back(record)))


def _tell_strategy(settings: Settings, fleet: Fleet, active: Group | None) -> None:
    """A program sees one point of a rollout: the steps of a strategy are the bluegreen command's to walk."""
    is_plain = settings.fleet.basis != Release.from_settings(settings).version
    is_change = active is not None and active.release != fleet.active.release.version
    if settings.strategy is not Strategy.BLUE_GREEN and is_plain and is_change:
        pulumi.log.info(
            f"a plain `pulumi up` does blueGreen, in one cutover; `bluegreen deploy` does {settings.strategy}, the "
            "stack's strategy"
        )


def _active_group(observer: Observer, owner: Owner, settings: Settings) -> Group | None:
    """What takes the traffic now. Raises SettingsError where the config would pull the ground from under it."""
    groups = observer.groups(Owner(project=owner.project, stack=owner.stack))
    ours = [group for group in groups if group.service == owner.service]
    if groups and not ours:
        running = sorted({group.service for group in groups})
        message = f"the stack runs {', '.join(running)}; another name would destroy that with its load balancer and URL"
        raise SettingsError([Fault("bluegreen:service", f"{message}. Set it back, or destroy the stack first")])
    if ours and settings.vpc_cidr not in (cidrs := observer.vpc_cidrs(owner)):
        message = f"the stack runs in {', '.join(cidrs)}; a load balancer can't move to another VPC"
        raise SettingsError([Fault("bluegreen:vpcCidr", f"{message}. Set it back, or destroy the stack first")])
    return observer.active_of(ours)


def _refuse_image(settings: Settings, hooks: Hooks) -> None:
    """Stop an update or a preview, and let a destroy pass, which needs no image but does need the hooks.

    A program can't tell which of them it runs in. The engine can: a destroy creates nothing, an update stops at the
    image hook, before anything is changed, and deletes nothing since a creation failed.
    """
    template = aws.ec2.LaunchTemplate(
        settings.service, image_id=settings.ami, opts=pulumi.ResourceOptions(hooks=hooks.checking_image())
    )
    pulumi.export("url", template.arn)  # never known: the outputs of the last update stay


def _config(namespace: str) -> dict[str, Any]:
    """The stack's config in a namespace, by key: strings, with objects and lists as JSON text."""
    everything = {**get_config_env(), **CONFIG.get()}
    prefix = f"{namespace}:"
    return {key.removeprefix(prefix): value for key, value in everything.items() if key.startswith(prefix)}


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """The engine interrupts the program when an update ends early, be it by Ctrl-C or by a gate that failed.

    Nothing is left for the program to do then. Without this, the SDK prints a page of KeyboardInterrupt.
    """
    if not pulumi.runtime.is_dry_run():
        print("Stopped. What was begun is in the state: the next `pulumi up` goes on from here.", flush=True)
    sys.stderr.flush()
    os._exit(INTERRUPTED)
