"""A stack as it is: what is asked of AWS for it, and in which order."""

from __future__ import annotations

from bluegreen.model.fleet import NO_MACHINES, Fleet, Role, ServerGroupPlan, full_capacity
from bluegreen.model.observation import Group
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.stack import likely_first


def release(number: int) -> Release:
    return Release.from_settings(Settings.parse({"ami": f"ami-0000000{number}"}))


def group(version: str) -> Group:
    return Group(
        name=f"web-{version}", service="web", minimum=0, maximum=6, desired=2, target_groups=(), release=version
    )


def test_the_active_group_is_asked_about_first_and_a_stray_one_last() -> None:
    """An idle standby is behind no load balancer: asked about first, it would cost a call more."""
    active, standby = release(2), release(1)
    fleet = Fleet(
        (
            ServerGroupPlan(
                release=active,
                role=Role.ACTIVE,
                weight=100,
                capacity=full_capacity(Settings.parse({"ami": "ami-00000002"})),
            ),
            ServerGroupPlan(release=standby, role=Role.STANDBY, weight=0, capacity=NO_MACHINES),
        )
    )
    found = [group("stray"), group(standby.version), group(active.version)]
    assert [each.release for each in likely_first(found, fleet)] == [active.version, standby.version, "stray"]
    assert likely_first(found, None) == found
