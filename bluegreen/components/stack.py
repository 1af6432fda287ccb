"""The stack that a program runs for: its settings, and what there is once in a program, however many its services."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime import get_config_env, is_config_secret
from pulumi.runtime.config import CONFIG

from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.checks.balancer import check_balancer
from bluegreen.checks.consul import check_consul
from bluegreen.checks.place import find_place
from bluegreen.checks.shared import check_front, find_front
from bluegreen.checks.storage import NO_STORAGE, Storage, check_storage
from bluegreen.checks.tier import check_tier
from bluegreen.components.admission import Admission
from bluegreen.components.hooks import Hooks
from bluegreen.errors import BluegreenError, Fault, NotUsable, SettingsError
from bluegreen.model.consul import SERVICE as CONSUL
from bluegreen.model.dns import NO_ZONES, Zones
from bluegreen.model.encryption import OWN
from bluegreen.model.existing_vpc import ExistingVpc, Needs, Place, faults_of
from bluegreen.model.fleet import Fleet
from bluegreen.model.observation import Balancer, Front, Group, Vpc
from bluegreen.model.release import Release
from bluegreen.model.settings import NAMESPACE, Settings, Strategy
from bluegreen.model.shared_listener import SharedListener
from bluegreen.model.stateful import Member
from bluegreen.model.tags import Owner
from bluegreen.model.warm_pool import unheard
from bluegreen.model.weights import wanted_in, weights_of
from bluegreen.model.zones import choose_zones

if TYPE_CHECKING:
    from bluegreen.components.network import Network
    from bluegreen.components.service import Service


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """What came of settings that may be applied. `live_desired`: what the active group runs at now, in the units of the
    release that is to be active, None where none runs. `zones`: the hosted zones that the settings mean, `storage`:
    buckets and key. `front`: the listener that they name."""

    fleet: Fleet
    live_desired: int | None
    zones: Zones = NO_ZONES
    front: Front | None = None
    storage: Storage = NO_STORAGE


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
        self._places: list[tuple[Settings, Place | None]] = []
        self._fronts: dict[SharedListener, Front | None] = {}
        self._exported = ""

    @classmethod
    def of_config(cls) -> Stack:
        """Of the config that the engine hands to the program. Raises SettingsError with all its faults, AwsError."""
        config = _config(NAMESPACE)
        secrets = [key for key in config if is_config_secret(f"{NAMESPACE}:{key}")]
        return cls(Settings.parse(config, secrets), Session(SessionSettings.parse(_config("aws"))))

    @property
    def region(self) -> str:
        return self._observer.region

    def owner(self, service: str) -> Owner:
        return Owner(project=pulumi.get_project(), stack=pulumi.get_stack(), service=service)

    def admit(self, settings: Settings) -> Admitted:
        """What a service's settings come to. Call it before anything of the service is declared; `from_settings` of the
        components' args do. One look at AWS, whatever the number of services, and three more where any runs; eight for
        a `listener`.

        Raises ImageUnset, NotUsable for what AWS has not, or has otherwise, AwsError where AWS can't be asked, and
        SettingsError for what the running stack can't become.
        """
        for known, admitted in self._admitted:
            if known == settings:
                return admitted
        fleet = Fleet.from_settings(settings.checked())
        if (topic := settings.alarm_topic) and (there := topic.split(":")[3]) != self.region:
            message = f"{topic} is in {there}, and alarms of {self.region} go to topics of {self.region} only"
            raise SettingsError([Fault("bluegreen:alarmTopic", message)])
        self._admission.admit(settings)
        self.hooks.launching_in(settings.service, partial(self._zones_of, settings))
        active = self._active_group(settings)
        self._refuse_what_a_pool_never_hears(settings, fleet)
        _tell_strategy(settings, fleet, active)
        front = self._check_front(settings) if settings.listener else None
        is_internal = front.balancer.is_internal if front else None
        zones = check_balancer(self._observer, settings, lambda: datetime.now(UTC), is_internal=is_internal)
        keys = {group.release.launch.volume_key for group in fleet.groups}
        has_own_key = OWN in keys or bool(settings.encryption and settings.encryption.is_own)
        storage = check_storage(self._observer, settings, self.owner(""), has_own_key=has_own_key)
        if settings.consul:
            check_consul(self._observer, settings.consul, self.owner(settings.service), settings.root_device)
        desired = wanted_in(weights_of(fleet.active.release), active) if active else None
        admitted = Admitted(fleet=fleet, live_desired=desired, zones=zones, storage=storage, front=front)
        self._admitted.append((settings, admitted))
        return admitted

    def find_place(self, settings: Settings) -> Place | None:
        """Where in an existing VPC the settings put a service; None where the network is the stack's own.

        Raises SettingsError where it can't live there, or runs elsewhere, AwsError. Of a service that runs there
        already, what has changed meanwhile is told and stops nothing, a destroy above all.
        """
        for known, place in self._places:
            if known == settings:
                return place
        place = self._find_place(settings)
        self._places.append((settings, place))
        return place

    def _find_place(self, settings: Settings) -> Place | None:
        ours = [group for group in self._groups if group.service == settings.service]
        running = {subnet for group in ours for subnet in group.subnets}
        if not settings.vpc.is_set:
            if running and not self._vpcs:
                raise _moved("vpc", "is unset, and the stack runs in an existing VPC")
            if running and not settings.ipv6 and any(vpc.has_ipv6 for vpc in self._vpcs):
                message = "the stack runs with it, and AWS takes no addresses back that are in use. Set it to true"
                raise SettingsError([Fault("bluegreen:ipv6", message)])
            return None
        servers = [group for group in self._all_groups if settings.consul and group.service == CONSUL]
        more = max(0, settings.most - sum(group.machines for group in (*ours, *servers)))
        zones: frozenset[str] | None = None
        if settings.listener:
            front = self._find_front(settings.listener)
            zones = frozenset(front.balancer.zones if front else ())
        return self.find_place_in(settings.vpc, settings.needs(more, zones), running)

    def find_place_in(self, wanted: ExistingVpc, needs: Needs, running: Collection[str] = ()) -> Place:
        """The same for a program's own choice of a VPC. `running`: subnets that the service has machines in."""
        place = find_place(self._observer, wanted)
        there = {subnet.id for subnet in place.private}
        if running and not there & set(running):
            raise _moved("vpc", f"means {place.vpc.id}, and the stack runs in other subnets")
        faults = list(faults_of(wanted, place, needs))
        if faults and not (running and there >= set(running)):
            raise SettingsError(faults)
        for fault in faults:
            pulumi.log.warn(f"{fault.path}: {fault.message}")
        return place

    def _find_front(self, listener: SharedListener) -> Front | None:
        if listener not in self._fronts:
            self._fronts[listener] = find_front(self._observer, listener)
        return self._fronts[listener]

    def _check_front(self, settings: Settings) -> Front | None:
        """The listener that the settings name. Raises NotUsable, AwsError, and as `find_place` does."""
        listener = settings.listener
        assert listener
        front = self._find_front(listener)
        place = self.find_place(settings)
        vpc = place.vpc.id if place else ""
        return check_front(listener, front, owner=self.owner(settings.service), vpc=vpc)

    def check_tier(self, tier: str, members: Sequence[Member], *, network: Network, renew: Sequence[str] = ()) -> None:
        """Whether a stateful tier can be as it is said to be. Raises TierError, AwsError."""
        place = network.place
        check_tier(
            self._observer,
            self.owner(""),
            tier,
            members,
            cidrs=network.private_cidrs,
            zones={subnet.cidr: subnet.zone for subnet in place.private} if place else {},
            renew=renew,
        )

    def _zones_of(self, settings: Settings) -> tuple[str, ...]:
        """Where machines of a service are launched. Blocks; at most three calls."""
        if running := {zone for each in self._groups if each.service == settings.service for zone in each.zones}:
            return tuple(sorted(running))
        if settings.vpc.is_set:
            return tuple(sorted({subnet.zone for subnet in find_place(self._observer, settings.vpc).private}))
        return tuple(choose_zones(settings.zones, settings.zone_names, self._observer.zones()))

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

    def refuse(self, error: NotUsable) -> None:
        """The same for what the config names in AWS."""
        self.hooks.refuse(error)
        self.refuse_image("")

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
        """All server groups that run in this stack: Consul's has no release."""
        return tuple(group for group in self._all_groups if group.release)

    @cached_property
    def _all_groups(self) -> tuple[Group, ...]:
        return self._observer.groups(self.owner(""))

    @cached_property
    def _vpcs(self) -> tuple[Vpc, ...]:
        """The stack's own."""
        return self._observer.vpcs(tags=self.owner("").tags)

    def _active_group(self, settings: Settings) -> Group | None:
        """What takes the traffic now. Raises SettingsError where the config would pull the ground from under it."""
        ours = [group for group in self._groups if group.service == settings.service]
        if ours and not settings.vpc.is_set:
            cidrs = [vpc.cidr for vpc in self._vpcs]
            if cidrs and settings.vpc_cidr not in cidrs:
                raise _moved("vpcCidr", f"the stack runs in {', '.join(cidrs)}")
        if balancer := self._observer.balancer_of([arn for group in ours for arn in group.target_groups]):
            self._refuse_other_balancer(settings, balancer, is_shared=any(group.is_behind_shared for group in ours))
        return self._observer.active_of(ours)

    def _refuse_what_a_pool_never_hears(self, settings: Settings, fleet: Fleet) -> None:
        """Of a server group that stays. Raises SettingsError."""
        for group in self._groups:
            plan = fleet.group_of(group.release) if group.service == settings.service else None
            if plan is None or plan.capacity.is_zero or group.pool is None or settings.warm_pool is None:
                continue
            if found := list(unheard(settings.warm_pool, group.pool)):
                raise SettingsError([Fault(f"bluegreen:warmPool.{path}", message) for path, message in found])

    def _refuse_other_balancer(self, settings: Settings, balancer: Balancer, *, is_shared: bool) -> None:
        """AWS lets a target group be behind one load balancer. Raises SettingsError."""
        back = "target groups can't move to another. Set it back, or destroy the stack first"
        if settings.listener and settings.listener.balancer != balancer.arn:
            message = f"is of {settings.listener.balancer}, and the stack runs behind {balancer.arn}; {back}"
            raise SettingsError([Fault("bluegreen:listener.arn", message)])
        if is_shared and not settings.listener:
            message = f"is unset, and the stack runs behind {balancer.arn}, which is not its own; {back}"
            raise SettingsError([Fault("bluegreen:listener", message)])
        if not settings.listener and balancer.kind != settings.load_balancer:
            message = (
                f"is {settings.load_balancer}, and the stack runs behind one that is {balancer.kind}: the one can't "
                "become the other, and its address would change under the users. Set it back; or make another stack "
                "with it, and let DNS lead there"
            )
            raise SettingsError([Fault("bluegreen:loadBalancer", message)])
        if not settings.listener and balancer.is_internal != settings.internal:
            runs = "internal" if balancer.is_internal else "public"
            message = f"the stack runs behind a load balancer that is {runs}; one can't become the other"
            raise SettingsError([Fault("bluegreen:internal", f"{message}. Set it back, or destroy the stack first")])
        if settings.is_network:
            self._refuse_fewer_zones(settings, balancer)

    def _refuse_fewer_zones(self, settings: Settings, balancer: Balancer) -> None:
        """The provider makes another Network Load Balancer where one is to lose a subnet
        (hashicorp/terraform-provider-aws#41418). Raises SettingsError."""
        place = self.find_place(settings)
        subnets = () if place is None else place.private if settings.internal else place.public
        left = sorted(set(balancer.zones) - {subnet.zone for subnet in subnets}) if place else []
        if left or (place is None and len(balancer.zones) > settings.zones):
            key, says = ("vpc", f"has no subnet in {', '.join(left)}") if left else ("zones", f"is {settings.zones}")
            message = (
                f"{says}, and the stack's Network Load Balancer is in {', '.join(balancer.zones)}: with fewer it would "
                "be made anew, and its address would change under the users. Set it back"
            )
            raise SettingsError([Fault(f"bluegreen:{key}", message)])


def _moved(key: str, where: str) -> SettingsError:
    message = f"{where}; a load balancer can't move to another VPC. Set it back, or destroy the stack first"
    return SettingsError([Fault(f"bluegreen:{key}", message)])


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
