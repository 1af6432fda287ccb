"""Frozen facts about AWS, as it answered at one moment. Pure: who asks is `bluegreen.aws.observe`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from bluegreen.model.tags import Purpose

HEALTHY = "healthy"
DRAINING = "draining"
INITIAL = "initial"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A machine as its target group sees it. States and reasons: ELB API, TargetHealth."""

    instance: str
    state: str
    reason: str = ""
    description: str = ""

    @property
    def is_healthy(self) -> bool:
        return self.state == HEALTHY

    @property
    def condition(self) -> str:
        """State and reasons, alike for machines that are in the same trouble."""
        why = ", ".join(text for text in (self.reason, self.description) if text)
        return f"{self.state} ({why})" if why else self.state


@dataclass(frozen=True, kw_only=True)
class ScalingActivity:
    """One thing that an Auto Scaling group did or tried. `status` as in the Auto Scaling API: Successful, Failed..."""

    started: datetime
    status: str
    description: str
    message: str = ""
    cause: str = ""

    @property
    def has_failed(self) -> bool:
        return self.status == "Failed"

    @property
    def is_of_pool(self) -> bool:
        """On the way into a warm pool, or within it: the group has no machine more or less by it."""
        return "EC2 instance into warm pool" in self.description or self._ends_in_pool

    @property
    def is_termination(self) -> bool:
        return self.description.startswith("Terminating EC2 instance") and not self._ends_in_pool

    @property
    def _ends_in_pool(self) -> bool:
        return self.description.startswith("Terminating EC2 instance from warm pool")


@dataclass(frozen=True, kw_only=True)
class LivePool:
    """A warm pool as it is. `size`: machines in it, `minimum`: as many as it keeps."""

    size: int
    minimum: int = 0
    is_running: bool = False
    reuses: bool = False


@dataclass(frozen=True, kw_only=True)
class Group:
    """An Auto Scaling group with what it runs. Machines in its warm pool are none of `instances`, nor of `desired`.

    `weights`: units by instance type, empty where every machine is one; then `minimum`, `maximum` and `desired` are in
    units. `types` and `counts`: instance type and units by instance.
    """

    name: str
    service: str
    minimum: int
    maximum: int
    desired: int
    target_groups: tuple[str, ...]  # ARNs
    instances: tuple[str, ...] = ()
    release: str = ""
    subnets: tuple[str, ...] = ()  # ids
    zones: tuple[str, ...] = ()
    is_behind_shared: bool = False  # a load balancer that is not the stack's own
    pool: LivePool | None = None
    weights: Mapping[str, int] = field(default_factory=dict, hash=False)
    types: Mapping[str, str] = field(default_factory=dict, hash=False)
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def serving_machines(self) -> int:
        """As many as it is to have; with weights only those that are there can be counted."""
        return len(self.instances) if self.weights else self.desired

    @property
    def machines(self) -> int:
        """The same, and those that are warm."""
        return self.serving_machines + (self.pool.size if self.pool else 0)

    @property
    def units(self) -> int:
        """What its instances count for."""
        return self.units_of(self.instances)

    def units_of(self, instances: Iterable[str]) -> int:
        return sum(self.counts.get(each, 1) for each in instances)


class WayOut(StrEnum):
    """Where a subnet's route to everywhere leads."""

    INTERNET_GATEWAY = "internet gateway"
    OTHER = "another"  # a NAT gateway, a machine, a transit gateway, a company's own network
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet with what AWS counts and routes there."""

    id: str
    zone: str
    cidr: str
    free_addresses: int
    way_out: WayOut
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataVolume:
    """A volume of EBS. `member`, `address`, `is_protected`: of its stateful tier, as its tags say."""

    id: str
    zone: str
    size_gb: int
    member: str = ""
    address: str = ""
    is_protected: bool = False


@dataclass(frozen=True, kw_only=True)
class Vpc:
    """A VPC. `cidr`: its first one."""

    id: str
    cidr: str
    has_ipv6: bool = False


@dataclass(frozen=True, kw_only=True)
class Balancer:
    """A load balancer. `kind` as in the ELB API: application, network, gateway. `address`: its name in DNS, of which
    Route 53 knows by `address_zone`."""

    arn: str
    vpc: str
    is_internal: bool
    kind: str = "application"
    address: str = ""
    address_zone: str = ""
    is_dualstack: bool = False
    zones: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()

    @property
    def arn_suffix(self) -> str:
        """As CloudWatch names it."""
        return self.arn.partition(":loadbalancer/")[2]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of a listener. `conditions`: in words."""

    arn: str
    priority: int
    tags: Mapping[str, str] = field(default_factory=dict)
    conditions: str = ""


@dataclass(frozen=True, kw_only=True)
class Egress:
    """Where a rule of a security group lets traffic out to. `network` is empty where it names something else."""

    network: str
    protocol: str = "-1"
    from_port: int = -1
    to_port: int = -1
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Front:
    """A listener (ARN) that may be anybody's, with its load balancer, rules at the priorities that were asked for, and
    ways out of the load balancer's security groups. `protocol` as in the ELB API: HTTP, HTTPS."""

    listener: str
    port: int
    protocol: str
    balancer: Balancer
    rules: tuple[Rule, ...] = ()
    egress: tuple[Egress, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Where a listener sends traffic: weights by target group ARN, of its default action and all its rules together,
    but for rules of ours, which count as listeners of their own.

    `purpose` is None for one that no program of ours made.
    """

    arn: str
    port: int
    purpose: Purpose | None
    weights: dict[str, int] = field(default_factory=dict)

    def weight_of(self, target_groups: tuple[str, ...]) -> int:
        return sum(self.weights.get(arn, 0) for arn in target_groups)


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Where a listener is met, and what its default action forwards to: weights by target group ARN. Or the same of a
    rule, on a load balancer that is shared.

    `address`: whom to connect to, where the host of the URL is another, for which its certificate is. `headers`: what a
    request has beside, so that the rule is the one that answers. `is_hidden`: another rule of ours comes before it.
    """

    listener: str  # ARN
    url: str
    weights: dict[str, int] = field(default_factory=dict)
    address: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    is_hidden: bool = False

    def known_as(self, domain: str) -> Entrance:
        """The same, asked by the name that is in its certificate. Whether DNS leads there already is no matter."""
        parts = urlsplit(self.url)
        if not domain or parts.scheme != "https":
            return self
        port = f":{parts.port}" if parts.port else ""
        return replace(self, url=f"https://{domain}{port}", address=parts.hostname or "")

    def shows_only(self, target_group: str) -> bool:
        return not self.is_hidden and {arn for arn, weight in self.weights.items() if weight} == {target_group}


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate in ACM. `status` as in its API: ISSUED, PENDING_VALIDATION, EXPIRED... `names` may be wildcards."""

    arn: str
    status: str
    names: tuple[str, ...]
    not_after: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket of S3. `is_of_account`: whether it is the caller's account's, and may be seen."""

    is_of_account: bool
    region: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KmsKey:
    """A key of KMS, as DescribeKey has it. `tags`: where they were asked for."""

    arn: str
    state: str
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    is_aws_managed: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class HostedZone:
    """A zone in Route 53. `name` without the period at its end."""

    id: str
    name: str
    is_private: bool = False


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A CloudWatch alarm. `state` as in the CloudWatch API: OK, ALARM, INSUFFICIENT_DATA."""

    name: str
    state: str
    reason: str = ""

    @property
    def is_on(self) -> bool:
        return self.state == "ALARM"

    @property
    def has_no_data(self) -> bool:
        return self.state == "INSUFFICIENT_DATA"


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What CloudWatch has of a target group since a moment.

    `periods`: whole metric periods that a load balancer has reported. `requests`: in those; None where none was
    reported, since a load balancer reports no zero.
    """

    periods: int
    requests: float | None


@dataclass(frozen=True, kw_only=True)
class Image:
    """An AMI. `state` as in the EC2 API: available, pending, failed, deregistered..."""

    id: str
    state: str
    architecture: str
    root_device: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """What an instance type can run, and with how much."""

    name: str
    architectures: tuple[str, ...]
    vcpus: int | None = None  # of a machine that is launched without CPU options; None where AWS does not say


@dataclass(frozen=True, kw_only=True)
class ConsulServer:
    """A server of a stack's Consul cluster that runs or starts, with the tags that are not AWS's own."""

    image: str
    instance_type: str
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """An instance that runs or starts, whosever it is. `vcpus` is None where AWS says no more than its type."""

    instance_type: str
    vcpus: int | None = None
