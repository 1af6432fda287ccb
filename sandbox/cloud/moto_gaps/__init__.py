"""Everything that moto lacks or gets wrong for this sandbox, in one place: a module for each area.

Each says what moto does (`GAPS`), and fills it: `fill` replaces methods of moto's classes, so it is called once per
process. The replacements run inside API calls, hence with `Cloud.lock` held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sandbox.cloud.moto_gaps import (
    activities,
    associations,
    buckets,
    certificates,
    cloudwatch,
    consoles,
    dependencies,
    groups,
    image_sharing,
    images,
    instance_refreshes,
    instances,
    issuing,
    launch_templates,
    lifecycle_hooks,
    limits,
    listeners,
    network_balancers,
    network_listeners,
    networks,
    records,
    redirects,
    refusals,
    scaling,
    security_groups,
    service_quotas,
    stickiness,
    targets,
    volumes,
    warm_pools,
)
from sandbox.cloud.moto_gaps.gap import Gap

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

# In this order: some replace what others have put there.
AREAS = (
    volumes,
    instances,
    consoles,
    service_quotas,
    images,
    groups,
    activities,
    lifecycle_hooks,
    instance_refreshes,
    warm_pools,
    refusals,
    scaling,
    targets,
    network_balancers,
    network_listeners,
    listeners,
    stickiness,
    redirects,
    certificates,
    issuing,
    records,
    security_groups,
    launch_templates,
    image_sharing,
    cloudwatch,
    dependencies,
    associations,
    limits,
    networks,
    buckets,
)


def gaps() -> Iterator[tuple[str, Gap]]:
    """All of them, each with the module that fills it."""
    for area in AREAS:
        for gap in area.GAPS:
            yield area.__name__.rpartition(".")[2], gap


def fill(cloud: Cloud) -> None:
    for area in AREAS:
        area.fill(cloud)
