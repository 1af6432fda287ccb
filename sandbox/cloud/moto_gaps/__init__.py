"""Everything that moto lacks or gets wrong for this sandbox, in one place: a module for each area.

Each says what moto does, and fills it: `fill` replaces methods of moto's classes, so it is called once per process. The
replacements run inside API calls, hence with `Cloud.lock` held. All seen in moto 5.2.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.cloud.moto_gaps import (
    activities,
    cloudwatch,
    consoles,
    dry_runs,
    groups,
    image_sharing,
    images,
    instances,
    launch_templates,
    lifecycle_hooks,
    listeners,
    redirects,
    refusals,
    security_groups,
    service_quotas,
    stickiness,
    targets,
)

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

# In this order: some replace what others have put there.
AREAS = (
    instances,
    consoles,
    dry_runs,
    service_quotas,
    images,
    groups,
    activities,
    lifecycle_hooks,
    refusals,
    targets,
    listeners,
    stickiness,
    redirects,
    security_groups,
    launch_templates,
    image_sharing,
    cloudwatch,
)


def fill(cloud: Cloud) -> None:
    for area in AREAS:
        area.fill(cloud)
