"""The stack's config, parsed and checked as a whole: `Settings`.

Pure. A config that must not be can't become `Settings`; all its faults come in one `SettingsError`, each with its path.
The same keys, with their descriptions, are the schema in Pulumi.yaml; a test keeps the two in step.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from bluegreen.errors import Fault, ImageUnset, SettingsError
from bluegreen.model import scaling as scalings
from bluegreen.model.access_logs import AccessLogs
from bluegreen.model.addresses import AddressPlan
from bluegreen.model.artifact_bucket import Artifacts
from bluegreen.model.attest import DEFAULT, NOTHING, Attest
from bluegreen.model.backups import Backups
from bluegreen.model.command import GateCommand
from bluegreen.model.consul import Consul
from bluegreen.model.disagreement import faults_between
from bluegreen.model.dns import Dns
from bluegreen.model.encryption import Encryption
from bluegreen.model.endpoints import checked_services
from bluegreen.model.existing_vpc import OWN, ExistingVpc, Needs
from bluegreen.model.flow_logs import FlowLogs
from bluegreen.model.instance_role import InstanceRole
from bluegreen.model.launch_options import (
    MAX_USER_DATA_BYTES,
    LifecycleHook,
    Maintenance,
    Template,
    Volume,
    few_devices,
    few_hooks,
)
from bluegreen.model.ledger_place import LedgerPlace
from bluegreen.model.mixed_instances import MixedInstances
from bluegreen.model.nat import Nat
from bluegreen.model.nat_instance import NatInstance
from bluegreen.model.network_balancer import (
    CONNECTION_SECONDS,
    MAX_CONNECTION_SECONDS,
    MAX_IDLE_SECONDS,
    HealthProtocol,
    LoadBalancer,
)
from bluegreen.model.policies import POLICIES
from bluegreen.model.scaling import Scaling
from bluegreen.model.schema import ConfigModel, bucket_name, decoded, ipv4_network, machine_type, refusal
from bluegreen.model.shared_listener import SharedListener
from bluegreen.model.smoke import SmokeTest
from bluegreen.model.tls import Tls
from bluegreen.model.warm_pool import WarmPool
from bluegreen.model.weights import most_machines
from bluegreen.model.window import Window
from bluegreen.model.zones import checked_zones

NAMESPACE = "bluegreen"

HTTP_PORT = 80
HTTPS_PORT = 443

MAX_TAGS = 40
"""AWS takes 50 for a resource; the others are for our own and for those that AWS adds."""


MAX_SOAK_SECONDS = 24 * 3600
"""As long as ECS lets a bake last."""

MAX_STICKINESS_SECONDS = 7 * 24 * 3600
"""Of both kinds (ELB API: TargetGroupStickinessConfig, stickiness.lb_cookie.duration_seconds)."""

MAX_ALARM_NAMES = 100
"""What one DescribeAlarms takes."""


def image_fault(image: str | None) -> Fault | None:
    """What is wrong with the value of `ami`: unset, or not the id of an AMI. Every operation but a destroy minds it."""
    if not image:
        return Fault(_path("ami"), "is unset; set it with `pulumi config set ami ami-...`")
    if not re.fullmatch(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", image):
        return Fault(_path("ami"), f"{image!r} is not the id of an AMI; ids look like ami-0123456789abcdef0")
    return None


def _service_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,13}[A-Za-z0-9])?", value):
        raise refusal(
            f"{value!r} should be at most 15 letters, digits and hyphens, with no hyphen at either end "
            "(names of target groups end at 32 characters)"
        )
    if value.startswith("internal-"):
        raise refusal(f"{value!r} should not start with internal-: AWS keeps that for its own load balancers' names")
    return value


def _web_acl(value: str) -> str:
    """One of AWS WAF's (version 2), of a region: those of CloudFront are global."""
    if value and not re.fullmatch(
        r"arn:aws[a-z-]*:wafv2:[a-z0-9-]+:\d{12}:regional/webacl/[\w-]+/[\w-]+", value, re.ASCII
    ):
        raise refusal(
            f"{value!r} is not the ARN of a regional web ACL; one looks like "
            "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/NAME/ID"
        )
    return value


def _kms_key(value: str) -> str:
    """EC2 API, CopyImage: KmsKeyId. EC2 looks at the key only when the copy is under way, so its shape is worth it."""
    name = value.rpartition(":")[2] if value.startswith("arn:") else value
    key = r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    alias = r"alias/(?!aws/)[\w/-]{1,250}"
    shape = rf"(key/{key}|{alias})" if value.startswith("arn:") else rf"({key}|{alias})"
    if value and not re.fullmatch(shape, name, re.ASCII):
        raise refusal(f"{value!r} is not a customer managed KMS key: give its id, its ARN, or alias/NAME")
    return value


def _matcher(value: str) -> str:
    """Codes, lists and ranges, 200 to 499 (ELB API, Matcher.HttpCode of an Application Load Balancer)."""
    for part in value.split(","):
        match = re.fullmatch(r"([2-4]\d\d)(?:-([2-4]\d\d))?", part)
        if not match or (match[2] and match[2] < match[1]):
            raise refusal(f"{value!r} should be status codes from 200 to 499, such as 200, 200,204 or 200-299")
    return value


def _health_path(value: str) -> str:
    if not value.startswith("/") or len(value) > 1024 or any(character.isspace() for character in value):
        raise refusal(f"{value!r} should start with / and hold no spaces")
    return value


def _device(value: str) -> str:
    if not re.fullmatch(r"/dev/[a-z0-9]+", value):
        raise refusal(f"{value!r} is not a device name; one looks like /dev/xvda")
    return value


def _user_data(value: str) -> str:
    if len(value.encode()) > MAX_USER_DATA_BYTES:
        raise refusal(f"is {len(value.encode())} bytes; EC2 takes at most {MAX_USER_DATA_BYTES}")
    return value


def _key_pair(value: str) -> str:
    """EC2 API, CreateKeyPair: up to 255 ASCII characters, without spaces at either end."""
    if value.startswith("arn:"):
        raise refusal(f"{value!r} should be the name, not the ARN")
    if value and not re.fullmatch(r"[!-~]([ -~]{0,253}[!-~])?", value):
        raise refusal(f"{value!r} is not the name of a key pair: at most 255 ASCII characters, no space at either end")
    return value


def _instance_profile(value: str) -> str:
    """IAM API, CreateInstanceProfile."""
    if value.startswith("arn:"):
        raise refusal(f"{value!r} should be the name, not the ARN")
    if value and not re.fullmatch(r"[\w+=,.@-]{1,128}", value, re.ASCII):
        raise refusal(
            f"{value!r} is not the name of an instance profile: at most 128 letters, digits and _ + = , . @ - (no path)"
        )
    return value


def _ledger(value: str) -> str:
    LedgerPlace.parse(value)
    return value


def _tags(value: dict[str, str]) -> dict[str, str]:
    if len(value) > MAX_TAGS:
        raise refusal(f"has {len(value)} tags; AWS takes 50 for a resource, and bluegreen sets some itself")
    for key, text in value.items():
        if key.lower().startswith(("aws:", "bluegreen:")) or key == "Name":
            raise refusal(f"the tag {key!r} is set by AWS or by bluegreen itself; choose another key")
        # Instance metadata tags are on: they allow fewer characters than tags do elsewhere (EC2 User Guide).
        if not re.fullmatch(r"[A-Za-z0-9+\-=.,_:@]{1,128}", key) or key in (".", "..", "_index"):
            raise refusal(f"the tag {key!r} should be 1 to 128 letters, digits and + - = . , _ : @")
        # The strictest of the services: Elastic Load Balancing.
        if not re.fullmatch(r"[\w +\-=.:/@]{0,256}", text):
            raise refusal(
                f"the value of the tag {key!r} should be at most 256 letters, digits, spaces and + - = . _ : / @"
            )
    return value


def _topic(value: str) -> str:
    if value and not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}", value, re.ASCII):
        raise refusal(f"{value!r} is not the ARN of an SNS topic (nor can alarms go to a FIFO topic)")
    return value


def _alarm_name(value: str) -> str:
    if not re.fullmatch(r"[!-~][ -~]{0,254}", value):
        raise refusal(f"{value!r} is not the name of an alarm: 1 to 255 ASCII characters")
    return value


def _few_alarms(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) > MAX_ALARM_NAMES:
        raise refusal(f"has {len(value)} names; CloudWatch is asked for at most {MAX_ALARM_NAMES} at once")
    if twice := sorted({name for name in value if value.count(name) > 1}):
        raise refusal(f"names {', '.join(twice)} twice")
    return value


def _exemptions(value: dict[str, str]) -> dict[str, str]:
    known = [policy.id for policy in POLICIES]
    for name, reason in value.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            raise refusal(f"there is no policy {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
        if not reason.strip():
            raise refusal(f"the exemption from {name} needs a reason")
    return value


def _none_if_empty(value: object) -> object:
    """A schema has no default that means none: an empty object does."""
    return None if value == {} else value


Port = Annotated[int, Field(ge=1, le=65535)]
NetworkText = Annotated[str, AfterValidator(ipv4_network)]
AlarmName = Annotated[str, AfterValidator(_alarm_name)]


class HealthCheck(ConfigModel):
    """The target group's health check. Ranges: ELB API, CreateTargetGroup; they are the same for both kinds of load
    balancers. `protocol`: only a Network Load Balancer may ask by TCP."""

    protocol: HealthProtocol = HealthProtocol.HTTP
    path: Annotated[str, AfterValidator(_health_path)] = "/health"
    interval_seconds: int = Field(5, ge=5, le=300)
    timeout_seconds: int = Field(2, ge=2, le=120)
    healthy_threshold: int = Field(2, ge=2, le=10)
    unhealthy_threshold: int = Field(2, ge=2, le=10)
    matcher: Annotated[str, BeforeValidator(str), AfterValidator(_matcher)] = "200"

    @model_validator(mode="after")
    def _times_fit(self) -> HealthCheck:
        if self.timeout_seconds >= self.interval_seconds:
            raise refusal(
                f"timeoutSeconds ({self.timeout_seconds}) should be less than intervalSeconds ({self.interval_seconds})"
            )
        fields = type(self).model_fields
        if self.protocol is HealthProtocol.TCP:
            for name in ("path", "matcher"):
                if getattr(self, name) != fields[name].default:
                    raise refusal(f"{name} is of a request, and protocol is tcp, which makes none; leave it out")
        return self


class AlarmSettings(ConfigModel):
    """From where on the alarms that come with every release go off; 0 leaves an alarm out.

    `error_percent`: share of a minute's requests that got a 5xx or no connection. `latency_seconds`: a minute's 99th
    percentile. `unhealthy_hosts`: machines that fail their health check. `capacity_minutes`: how long the server group
    is at maxSize. `certificate_days`: what a certificate of the load balancer has left.
    """

    error_percent: float = Field(5, ge=0, le=100, allow_inf_nan=False)
    latency_seconds: float = Field(2, ge=0, allow_inf_nan=False)
    unhealthy_hosts: int = Field(1, ge=0)
    capacity_minutes: int = Field(0, ge=0, le=1440)
    certificate_days: int = Field(30, ge=0, le=365)


class Strategy(StrEnum):
    """How `bluegreen deploy` brings a release in. A plain `pulumi up` always does BLUE_GREEN."""

    BLUE_GREEN = "blueGreen"  # one cutover, then the old group goes
    RED_BLACK = "redBlack"  # one cutover; the old group stays as a standby
    CANARY = "canary"  # shifts of the traffic, as listed
    LINEAR = "linear"  # shifts of the traffic, all alike
    HIGHLANDER = "highlander"  # one cutover, then every other group goes


class Promotion(StrEnum):
    """Who says that the candidate becomes active."""

    AUTO = "auto"
    MANUAL = "manual"


class Shift(ConfigModel):
    """One step of a canary: the candidate's percentage of the traffic, and for how long it stays there, watched."""

    weight: int = Field(ge=1, le=100)
    pause_seconds: int = Field(0, ge=0, le=MAX_SOAK_SECONDS)


class StandbySize(StrEnum):
    """What a standby keeps."""

    FULL = "full"  # its machines, and its place in the listener
    ZERO = "zero"  # its settings only


def _rising(steps: tuple[Shift, ...]) -> tuple[Shift, ...]:
    for one, other in itertools.pairwise(steps):
        if one.weight >= other.weight:
            raise refusal(f"the weights of the steps should rise; {other.weight} comes after {one.weight}")
    return steps


class CandidateConfig(ConfigModel):
    """A release that is being brought in, as a whole record (`Release.as_record`), and its share of the traffic."""

    release: dict[str, Any]
    weight: int = Field(0, ge=0, le=100)


class StandbyConfig(ConfigModel):
    """A release that is kept for a rollback."""

    release: dict[str, Any]
    size: StandbySize = StandbySize.FULL


class FleetConfig(ConfigModel):
    """What should exist besides the active release, as the `bluegreen` command writes it.

    `serial` counts its writes. `basis` is the version of the release that the other settings meant then: while they
    still do, `active`, where there is one, is the active release in place of that (a rollback to earlier settings).
    `seen_healthy`: versions of releases that have served before, and need neither smoke tests nor a soak again.
    """

    serial: int = Field(0, ge=0)
    basis: str = ""
    active: dict[str, Any] | None = None
    candidate: CandidateConfig | None = None
    standbys: tuple[StandbyConfig, ...] = ()
    seen_healthy: tuple[str, ...] = ()


class Settings(ConfigModel):
    """Every setting of a stack. `ami` is as given: unset or malformed, a destroy can still do with it.

    What each means and may be is described in Pulumi.yaml. A program may make its own, by the names below:
    `Settings(ami="ami-...", min_size=3)`. That raises pydantic.ValidationError with every fault.
    """

    ami: str | None = None
    service: Annotated[str, AfterValidator(_service_name)] = "web"
    instance_type: Annotated[str, AfterValidator(machine_type)] = "t3.small"
    mixed_instances: Annotated[MixedInstances | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    min_size: int = Field(2, ge=0)
    max_size: int = Field(6, ge=1)
    desired_capacity: int = Field(2, ge=1)
    port: Port = 8080
    listener_port: int = Field(0, ge=0, le=65535)
    preview_port: Port = 9000
    preview_cidrs: Annotated[tuple[NetworkText, ...], BeforeValidator(decoded)] = ()
    load_balancer: LoadBalancer = LoadBalancer.APPLICATION
    listener: Annotated[SharedListener | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    tls: Annotated[Tls | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    dns: Annotated[Dns | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    access_logs: Annotated[AccessLogs | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    web_acl: Annotated[str, AfterValidator(_web_acl)] = ""
    internal: bool = False
    idle_timeout_seconds: int = Field(0, ge=0, le=max(MAX_IDLE_SECONDS.values()))
    connection_seconds: int = Field(CONNECTION_SECONDS, ge=0, le=MAX_CONNECTION_SECONDS)
    vpc_cidr: NetworkText = "10.0.0.0/16"
    zones: int = Field(2, ge=2, le=6)
    zone_names: Annotated[tuple[str, ...], BeforeValidator(decoded), AfterValidator(checked_zones)] = ()
    nat: Nat = Nat.SINGLE
    nat_instance: Annotated[NatInstance, BeforeValidator(decoded)] = NatInstance()
    endpoints: Annotated[tuple[str, ...], BeforeValidator(decoded), AfterValidator(checked_services)] = ()
    flow_logs: Annotated[FlowLogs, BeforeValidator(decoded)] = FlowLogs()
    ipv6: bool = False
    vpc: Annotated[ExistingVpc, BeforeValidator(decoded)] = OWN
    health_check: Annotated[HealthCheck, BeforeValidator(decoded)] = HealthCheck()
    drain_seconds: int = Field(20, ge=0, le=3600)
    progress_deadline_seconds: int = Field(600, ge=1, le=7200)
    min_healthy_percentage: int = Field(100, ge=1, le=100)
    smoke_tests: Annotated[tuple[SmokeTest, ...], BeforeValidator(decoded)] = ()
    gate_command: Annotated[GateCommand | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    attest: Annotated[Attest, BeforeValidator(decoded)] = DEFAULT
    migration: Annotated[GateCommand | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    soak_seconds: int = Field(0, ge=0, le=MAX_SOAK_SECONDS)
    alarms: Annotated[AlarmSettings, BeforeValidator(decoded)] = AlarmSettings()
    soak_alarms: Annotated[tuple[AlarmName, ...], BeforeValidator(decoded), AfterValidator(_few_alarms)] = ()
    alarm_topic: Annotated[str, AfterValidator(_topic)] = ""
    dashboard: bool = False
    scaling: Annotated[Scaling, BeforeValidator(decoded)] = scalings.DEFAULT
    warm_pool: Annotated[WarmPool | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    auto_rollback: bool = True
    group_stickiness_seconds: int = Field(0, ge=0, le=MAX_STICKINESS_SECONDS)
    target_stickiness_seconds: int = Field(0, ge=0, le=MAX_STICKINESS_SECONDS)
    strategy: Strategy = Strategy.BLUE_GREEN
    steps: Annotated[tuple[Shift, ...], BeforeValidator(decoded), AfterValidator(_rising)] = (
        Shift(weight=5, pause_seconds=600),
        Shift(weight=50, pause_seconds=600),
    )
    step_percent: int = Field(10, ge=1, le=99)
    step_seconds: int = Field(360, ge=0, le=MAX_SOAK_SECONDS)
    scale_down_delay_seconds: int = Field(600, ge=0, le=MAX_SOAK_SECONDS)
    max_remaining_groups: int = Field(2, ge=1, le=5)
    promotion: Promotion = Promotion.AUTO
    windows: Annotated[tuple[Window, ...], BeforeValidator(decoded)] = ()
    fleet: Annotated[FleetConfig, BeforeValidator(decoded)] = FleetConfig()
    root_device: Annotated[str, AfterValidator(_device)] = "/dev/xvda"
    user_data: Annotated[str, AfterValidator(_user_data)] = ""
    user_data_template: Annotated[Template, AfterValidator(_user_data)] = ""
    volumes: Annotated[tuple[Volume, ...], BeforeValidator(decoded), AfterValidator(few_devices)] = ()
    instance_maintenance: Annotated[Maintenance | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = (
        None
    )
    lifecycle_hooks: Annotated[tuple[LifecycleHook, ...], BeforeValidator(decoded), AfterValidator(few_hooks)] = ()
    key_pair: Annotated[str, AfterValidator(_key_pair)] = ""
    instance_profile: Annotated[str, AfterValidator(_instance_profile)] = ""
    consul: Annotated[Consul | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    instance_role: Annotated[InstanceRole | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    encryption: Annotated[Encryption | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    artifact_bucket: Annotated[str, AfterValidator(bucket_name)] = ""
    artifacts: Annotated[Artifacts | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    backups: Annotated[Backups | None, BeforeValidator(_none_if_empty), BeforeValidator(decoded)] = None
    ledger: Annotated[str, AfterValidator(_ledger)] = ""
    image_kms_key: Annotated[str, AfterValidator(_kms_key)] = ""
    deletion_protection: bool = False
    publish: bool = True
    policy_exemptions: Annotated[dict[str, str], BeforeValidator(decoded), AfterValidator(_exemptions)] = {}
    tags: Annotated[dict[str, str], BeforeValidator(decoded), AfterValidator(_tags)] = {}

    @classmethod
    def parse(cls, config: Mapping[str, object], secrets: Collection[str] = ()) -> Settings:
        """The settings that a stack's config means.

        `config`: values by key without its namespace, as Pulumi gives them to a program (numbers as text, objects and
        lists as JSON text) or as YAML holds them. `secrets`: the keys of those that are kept encrypted. Raises
        SettingsError with every fault; a fault of `ami` alone waits until the image is asked for.
        """
        values = {key: value for key, value in config.items() if value not in (None, "")}
        faults: list[Fault] = []
        try:
            settings = cls._of_config(values)
        except ValidationError as error:
            faults = [_as_fault(details) for details in error.errors()]
            bad = {details["loc"][0] for details in error.errors()}
            # One fault must not hide another: the rest is judged with the defaults in place of what is bad.
            settings = cls._of_config({key: value for key, value in values.items() if key not in bad})
            faults += [fault for keys, fault in settings._between() if not bad.intersection(keys)]
        else:
            faults = [fault for _, fault in settings._between()]
        faults += [Fault(_path(key), NO_SECRET) for key in NO_SECRETS if key in values and key in secrets]
        if faults:
            about_image = image_fault(settings.ami)
            raise SettingsError([*faults, about_image] if about_image else faults)
        return settings

    @classmethod
    def _of_config(cls, values: Mapping[str, object]) -> Settings:
        return cls.model_validate(values, by_alias=True, by_name=False)

    def checked(self) -> Settings:
        """The same. Raises SettingsError where settings, each right by itself, don't go together: those of `parse`
        do, those that a program makes may not."""
        if faults := [fault for _, fault in self._between()]:
            raise SettingsError(faults)
        return self

    def _between(self) -> Iterator[tuple[set[str], Fault]]:
        """What is wrong between settings, each with the keys that are in it."""
        for keys, location, message in faults_between(self):
            yield keys, Fault(_path(*location), message)

    @property
    def image(self) -> str:
        """The AMI to run. Raises ImageUnset where `ami` is unset or no id of one."""
        if fault := image_fault(self.ami):
            raise ImageUnset([fault], self.ami or "")
        return str(self.ami)

    def with_image(self, image: str) -> Settings:
        """The same with another image."""
        return self.model_copy(update={"ami": image})

    def for_service(self, service: str, **changes: Any) -> Settings:
        """The same for another service of the same program, but for these changes, by their names here.

        Without `fleet`, which is of the service that the `bluegreen` command deploys. Raises pydantic.ValidationError.
        """
        same = {name: getattr(self, name) for name in type(self).model_fields if name != "fleet"}
        return type(self).model_validate({**same, "service": service, **changes}, by_alias=False, by_name=True)

    @property
    def most(self) -> int:
        """Machines at once: two fleets while a release changes, and Consul's servers while they are replaced."""
        return 2 * self.most_machines + (self.consul.most if self.consul else 0)

    def needs(self, addresses: int, balancer_zones: frozenset[str] | None) -> Needs:
        """Of an existing VPC. `addresses`: how many more the machines take."""
        whose = "the machines of two fleets of maxSize" + (" and Consul's servers" if self.consul else "")
        has_way_out = self.nat is not Nat.NONE
        return Needs(
            has_way_out=has_way_out,
            addresses=addresses,
            whose=whose,
            balancer_zones=balancer_zones,
            is_internal=self.internal,
        )

    @property
    def address_plan(self) -> AddressPlan:
        return AddressPlan(vpc_cidr=self.vpc_cidr, zones=self.zones)

    @property
    def most_machines(self) -> int:
        """Of one server group, those that are warm among them."""
        if self.warm_pool:
            return self.warm_pool.most_machines(self.max_size)
        return most_machines(self.max_size, self.weights)

    @property
    def weights(self) -> Mapping[str, int]:
        """What a machine of each type counts for; empty where each is one."""
        return self.mixed_instances.weights if self.mixed_instances else {}

    def warm_beside(self, desired: int) -> int:
        """How many machines are warm beside so many of a server group."""
        return self.warm_pool.size(desired, self.max_size) if self.warm_pool and desired else 0

    @property
    def ledger_place(self) -> LedgerPlace:
        return LedgerPlace.parse(self.ledger)

    @property
    def production_port(self) -> int:
        """The port that users meet."""
        return self.listener_port or (HTTPS_PORT if self.tls else HTTP_PORT)

    @property
    def domain(self) -> str:
        """The name by which the listeners are asked with HTTPS; empty without."""
        return self.tls.domain if self.tls else ""

    @property
    def is_network(self) -> bool:
        """Whether a Network Load Balancer stands before the service."""
        return self.load_balancer is LoadBalancer.NETWORK

    @property
    def kept_seconds(self) -> int:
        """How long connections may stay on a server group that gets no new ones; 0 where none do."""
        return self.connection_seconds if self.is_network else 0

    @property
    def speaks_http(self) -> bool:
        """Whether the machines may be asked by HTTP."""
        return self.health_check.protocol is HealthProtocol.HTTP

    @property
    def attested(self) -> Attest:
        """Where the app says which release it is; nowhere, if it speaks no HTTP."""
        return self.attest if self.speaks_http else NOTHING

    @property
    def preview_sources(self) -> tuple[str, ...]:
        """The networks that may reach the preview listener; none for that of an existing VPC, whatever it is."""
        return self.preview_cidrs or (() if self.vpc.is_set else (self.vpc_cidr,))


NO_SECRETS = ("userData", "userDataTemplate")
NO_SECRET = (
    "is a secret, and everybody on a machine can read it there, as can all who may see the launch template, the state "
    "or the history; put what is secret into SSM or Secrets Manager for the machines' role (instanceRole) to read, and "
    "set this without --secret"
)
"""EC2 User Guide, "Access instance metadata for an EC2 instance": user data is not protected by authentication."""

PARTS: dict[str, type[BaseModel]] = {
    "accessLogs": AccessLogs,
    "alarms": AlarmSettings,
    "artifacts": Artifacts,
    "attest": Attest,
    "backups": Backups,
    "consul": Consul,
    "dns": Dns,
    "encryption": Encryption,
    "fleet": FleetConfig,
    "flowLogs": FlowLogs,
    "gateCommand": GateCommand,
    "healthCheck": HealthCheck,
    "instanceRole": InstanceRole,
    "instanceMaintenance": Maintenance,
    "lifecycleHooks": LifecycleHook,
    "listener": SharedListener,
    "migration": GateCommand,
    "mixedInstances": MixedInstances,
    "natInstance": NatInstance,
    "scaling": Scaling,
    "smokeTests": SmokeTest,
    "steps": Shift,
    "tls": Tls,
    "volumes": Volume,
    "vpc": ExistingVpc,
    "warmPool": WarmPool,
    "windows": Window,
}
"""What the keys of an object, or of each in a list of them, may be."""


def _path(*location: int | str) -> str:
    first, *rest = location
    return f"{NAMESPACE}:{first}" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)


def _as_fault(details: ErrorDetails) -> Fault:
    location = details["loc"]
    if details["type"] == "extra_forbidden":
        known = PARTS.get(str(location[0]), Settings) if len(location) > 1 else Settings
        names = [field.alias or name for name, field in known.model_fields.items()]
        near = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.6)
        return Fault(_path(*location), f"unknown key; did you mean {near[0]}?" if near else "unknown key")
    message = details["msg"]
    if details["type"] == "missing":
        return Fault(_path(*location), "is missing")
    if details["type"] != "fault":
        shown = details["input"]
        message = f"{json.dumps(shown, default=str)} {message.removeprefix('Input ')}"
    return Fault(_path(*location), message)
