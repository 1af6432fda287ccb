"""What machines are launched with beyond an image and a type: volumes, user data from a template, and how their group
treats them. Pure.

All of it is part of the release, as JSON text (`schema.as_text`): a server group is never changed.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from bluegreen.errors import Fault, SettingsError
from bluegreen.model.schema import ConfigModel, refusal

MAX_USER_DATA_BYTES = 16 * 1024
"""EC2's limit, before base64 (EC2 User Guide, "Run commands at launch")."""
VARIABLES = ("project", "stack", "service", "release", "region", "port")
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def _device(value: str) -> str:
    if not re.fullmatch(r"/dev/[a-z0-9]+", value):
        raise refusal(f"{value!r} is not a device name; one looks like /dev/sdf")
    return value


def _key(value: str) -> str:
    if value and not re.fullmatch(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[\w/-]+", value, re.ASCII):
        raise refusal(f"{value!r} is not the ARN of a KMS key or of its alias")
    return value


def _template(value: str) -> str:
    for name in _PLACE.findall(value):
        if name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(VARIABLES)}"
            raise refusal(f"{{{{{name}}}}} is no variable; {hint}")
    return value


Template = Annotated[str, AfterValidator(_template)]


def rendered(template: str, values: Mapping[str, str]) -> str:
    """With the values in their places. Whatever else has braces stays as it is.

    Raises SettingsError where it is too long then.
    """
    text = _PLACE.sub(lambda found: values[found[1]], template)
    if (size := len(text.encode())) > MAX_USER_DATA_BYTES:
        message = f"is {size} bytes with its values; EC2 takes at most {MAX_USER_DATA_BYTES}"
        raise SettingsError([Fault("bluegreen:userDataTemplate", message)])
    return text


@dataclass(frozen=True)
class _Limits:
    """Of a type of volume: sizes in GiB, and input/output operations a second."""

    least: int
    most: int
    iops: tuple[int, int] | None = None
    iops_per_gb: int = 0
    needs_iops: bool = False


class VolumeType(StrEnum):
    """Of EBS."""

    GP3 = "gp3"
    GP2 = "gp2"
    IO1 = "io1"
    IO2 = "io2"
    ST1 = "st1"
    SC1 = "sc1"


LIMITS = {
    VolumeType.GP3: _Limits(1, 65536, iops=(3000, 80000), iops_per_gb=500),
    VolumeType.GP2: _Limits(1, 16384),
    VolumeType.IO1: _Limits(4, 16384, iops=(100, 64000), iops_per_gb=50, needs_iops=True),
    VolumeType.IO2: _Limits(4, 65536, iops=(100, 256000), iops_per_gb=1000, needs_iops=True),
    VolumeType.ST1: _Limits(125, 16384),
    VolumeType.SC1: _Limits(125, 16384),
}
"""EBS User Guide, "Amazon EBS volume types"; gp3's of https://aws.amazon.com/about-aws/whats-new/2025/09/
amazon-ebs-size-provisioned-performance-gp3-volumes/."""

GP3_FREE_IOPS = 3000
GP3_THROUGHPUT_OF_IOPS = 0.25
"""MiB a second at most, for each operation a second."""


class Volume(ConfigModel):
    """A volume of every machine, encrypted, and gone with it. `throughput`: MiB a second."""

    device: Annotated[str, AfterValidator(_device)]
    size_gb: int
    type: VolumeType = VolumeType.GP3
    iops: int | None = None
    throughput: int | None = Field(None, ge=125, le=2000)
    kms_key: Annotated[str, AfterValidator(_key)] = ""

    @model_validator(mode="after")
    def _is_within_limits(self) -> Volume:
        limits = LIMITS[self.type]
        if not limits.least <= self.size_gb <= limits.most:
            raise refusal(f"{self.type} has {limits.least} to {limits.most} GiB, not {self.size_gb}")
        if self.throughput is not None and self.type is not VolumeType.GP3:
            raise refusal(f"throughput is of gp3 only, not of {self.type}")
        if self.throughput is not None:
            iops = self.iops or GP3_FREE_IOPS
            if self.throughput > (most := int(iops * GP3_THROUGHPUT_OF_IOPS)):
                needed = math.ceil(self.throughput / GP3_THROUGHPUT_OF_IOPS)
                raise refusal(f"{iops} iops give at most {most} MiB/s: {self.throughput} needs {needed}")
        if self.iops is None:
            if limits.needs_iops:
                raise refusal(f"{self.type} needs iops")
            return self
        if limits.iops is None:
            raise refusal(f"{self.type} takes no iops")
        most = min(limits.iops[1], max(limits.iops[0], limits.iops_per_gb * self.size_gb))
        if not limits.iops[0] <= self.iops <= most:
            raise refusal(f"{self.type} of {self.size_gb} GiB takes {limits.iops[0]} to {most} iops, not {self.iops}")
        return self


def few_devices(volumes: tuple[Volume, ...]) -> tuple[Volume, ...]:
    devices = [each.device for each in volumes]
    if twice := sorted({each for each in devices if devices.count(each) > 1}):
        raise refusal(f"has {', '.join(twice)} twice")
    return volumes


class Maintenance(ConfigModel):
    """How many machines there are, of those wanted, while Auto Scaling replaces one: launched first above 100."""

    min_healthy_percentage: int = Field(ge=0, le=100)
    max_healthy_percentage: int = Field(ge=100, le=200)

    @model_validator(mode="after")
    def _is_no_wider_than_aws_takes(self) -> Maintenance:
        if self.max_healthy_percentage - self.min_healthy_percentage > 100:
            raise refusal("its percentages may differ by 100 at most")
        return self


class Transition(StrEnum):
    """What a machine waits in."""

    LAUNCHING = "launching"
    TERMINATING = "terminating"


class Result(StrEnum):
    """What becomes of a machine that nobody has spoken for."""

    CONTINUE = "continue"
    ABANDON = "abandon"


class LifecycleHook(ConfigModel):
    """A machine waits, as it comes into service or goes, until somebody completes its lifecycle action."""

    name: str = Field(pattern=r"^[A-Za-z0-9_/-]{1,255}$")
    transition: Transition
    heartbeat_seconds: int = Field(300, ge=30, le=7200)
    default_result: Result = Result.ABANDON


def few_hooks(hooks: tuple[LifecycleHook, ...]) -> tuple[LifecycleHook, ...]:
    names = [each.name for each in hooks]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise refusal(f"names {', '.join(twice)} twice")
    return hooks


_VOLUMES: TypeAdapter[tuple[Volume, ...]] = TypeAdapter(tuple[Volume, ...])
_HOOKS: TypeAdapter[tuple[LifecycleHook, ...]] = TypeAdapter(tuple[LifecycleHook, ...])


def volumes_in(text: str) -> tuple[Volume, ...]:
    """Of a release."""
    return _VOLUMES.validate_json(text) if text else ()


def hooks_in(text: str) -> tuple[LifecycleHook, ...]:
    """Of a release."""
    return _HOOKS.validate_json(text) if text else ()


def maintenance_in(text: str) -> Maintenance | None:
    """Of a release."""
    return Maintenance.model_validate_json(text) if text else None


def longest_farewell(hooks: Sequence[LifecycleHook]) -> int:
    """Seconds that a machine may wait on its way out."""
    return max((each.heartbeat_seconds for each in hooks if each.transition is Transition.TERMINATING), default=0)


def faults(hooks: Sequence[LifecycleHook], deadline_seconds: int) -> Iterator[tuple[int, str]]:
    """Which hooks keep a machine out of service for longer than a new group may take."""
    for at, hook in enumerate(hooks):
        if hook.transition is Transition.LAUNCHING and hook.heartbeat_seconds >= deadline_seconds:
            yield at, f"{hook.heartbeat_seconds} is not less than progressDeadlineSeconds ({deadline_seconds})"
