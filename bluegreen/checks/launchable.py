"""Asks AWS whether a release, as it was recorded, could be launched now. Changes nothing.

The rules are in `bluegreen.model.launchable`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import ParamSpec, Protocol, TypeVar

from bluegreen.errors import NotPermitted
from bluegreen.model.launchable import (
    Beside,
    Finding,
    Launchable,
    LaunchFacts,
    NotKnown,
    VcpuQuota,
    judge,
    judge_quota,
    quota_of,
)
from bluegreen.model.mixed_instances import mixed_in
from bluegreen.model.observation import Image, InstanceType, Machine
from bluegreen.model.release import Release


class Sight(Protocol):
    """What the check asks AWS; `bluegreen.aws.observe.Observer` answers."""

    @property
    def region(self) -> str: ...
    def image(self, image: str) -> Image | None: ...
    def instance_type(self, name: str) -> InstanceType | None: ...
    def zones_offering(self, instance_type: str) -> tuple[str, ...]: ...
    def has_key_pair(self, name: str) -> bool: ...
    def has_instance_profile(self, name: str) -> bool: ...
    def vcpu_quota(self, code: str) -> int | None: ...
    def on_demand_machines(self) -> tuple[Machine, ...]: ...


def check_launchable(
    sight: Sight, release: Release, machines: int, zones: tuple[str, ...] = (), *, beside: Beside | None = None
) -> Launchable:
    """What stands in the way of so many more machines of the release, in these zones. `beside`: others that take of
    quotas meanwhile. Blocks.

    A question that this caller may not ask is a finding that says so. Raises AwsError where AWS can't be asked at all.
    """
    launch, quota = release.launch, quota_of(release.launch.instance_type)
    facts = LaunchFacts(
        region=sight.region,
        image=ask(sight.image, release.image),
        instance_type=ask(sight.instance_type, launch.instance_type),
    )
    if zones:
        facts = replace(facts, zones=zones, offering=ask(sight.zones_offering, launch.instance_type))
    mixed = mixed_in(launch.mixed_instances)
    for name in mixed.types if mixed else ():
        offering = ask(sight.zones_offering, name) if zones else ()
        facts = replace(facts, others={**facts.others, name: (ask(sight.instance_type, name), offering)})
    if launch.key_pair:
        facts = replace(facts, has_key_pair=ask(sight.has_key_pair, launch.key_pair))
    if launch.instance_profile:
        facts = replace(facts, has_instance_profile=ask(sight.has_instance_profile, launch.instance_profile))
    if quota:
        facts = replace(facts, quota=ask(sight.vcpu_quota, quota.code), machines=ask(machines_in, sight, quota))
    if beside and quota_of(beside.instance_type) == quota:
        known = ask(sight.instance_type, beside.instance_type)
        return judge(release, machines, replace(facts, beside=(replace(beside, known=known),)))
    judged = judge(release, machines, facts)
    return Launchable((*judged.findings, check_quota(sight, beside))) if beside else judged


def check_quota(sight: Sight, wanted: Beside) -> Finding:
    """Whether machines fit in their quota. Blocks. Raises as `check_launchable`."""
    facts = LaunchFacts(region=sight.region, image=None, instance_type=ask(sight.instance_type, wanted.instance_type))
    if quota := quota_of(wanted.instance_type):
        facts = replace(facts, quota=ask(sight.vcpu_quota, quota.code), machines=ask(machines_in, sight, quota))
    return judge_quota(wanted.instance_type, wanted.count, facts, wanted.whose)


P = ParamSpec("P")
R = TypeVar("R")


def ask(question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | NotKnown:
    """A question that this caller may not ask has an answer too."""
    try:
        return question(*args, **kwargs)
    except NotPermitted as error:
        return NotKnown(error.what, error.next_step)


def machines_in(sight: Sight, quota: VcpuQuota) -> tuple[Machine, ...]:
    """Those that count against a quota; where AWS does not say how many vCPUs one has, it is what its type has."""

    @functools.cache
    def vcpus_of(name: str) -> int | None:
        found = sight.instance_type(name)
        return found.vcpus if found else None

    return tuple(
        each if each.vcpus is not None else replace(each, vcpus=vcpus_of(each.instance_type))
        for each in sight.on_demand_machines()
        if quota_of(each.instance_type) == quota
    )
