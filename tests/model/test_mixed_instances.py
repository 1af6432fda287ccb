"""Machines of several types and of the Spot market: what may be asked for, and how many are of which."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model import prices
from bluegreen.model.cost import SPOT, cost_of, machines_of
from bluegreen.model.launchable import LaunchFacts, Standing, Subject, judge
from bluegreen.model.mixed_instances import MixedInstances
from bluegreen.model.observation import Image, InstanceType
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

AMI = "ami-0123456789abcdef0"


def settings(**mixed: Any) -> Settings:
    return Settings.parse({"ami": AMI, "mixedInstances": mixed})


def release(**mixed: Any) -> Release:
    return Release.from_settings(settings(**mixed))


@pytest.mark.parametrize(
    ("mixed", "path", "said"),
    [
        ({"types": []}, "mixedInstances", "mixes nothing"),
        ({"types": ["t3a.small", "t3a.small"]}, "mixedInstances.types", "names t3a.small twice"),
        ({"types": ["small"]}, "mixedInstances.types", "is not an instance type"),
        ({"types": ["t3.small"]}, "mixedInstances.types", "which is instanceType"),
        ({"onDemandPercent": 101}, "mixedInstances.onDemandPercent", "less than or equal to 100"),
        ({"onDemandPercent": 0, "spotStrategy": "cheap"}, "mixedInstances.spotStrategy", "price-capacity-optimized"),
        ({"onDemandPercentage": 0}, "mixedInstances.onDemandPercentage", "did you mean onDemandPercent?"),
    ],
)
def test_what_makes_no_sense_is_refused(mixed: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**mixed)
    found = {fault.path.removeprefix("bluegreen:"): fault.message for fault in caught.value.faults}
    assert said in found[path]


@pytest.mark.parametrize(
    ("base", "percent", "machines", "on_demand"),
    [(0, 100, 5, 5), (0, 0, 5, 0), (2, 0, 5, 2), (2, 50, 5, 4), (1, 25, 5, 2), (9, 0, 5, 5), (0, 1, 5, 1)],
)
def test_what_runs_on_demand_is_rounded_up(base: int, percent: int, machines: int, on_demand: int) -> None:
    mixed = MixedInstances(types=("t3a.small",), on_demand_base=base, on_demand_percent=percent)
    assert mixed.on_demand(machines) == on_demand


def test_spot_machines_cost_the_dearest_type_at_most() -> None:
    found = machines_of(release(types=["t3.medium", "t3a.small"], onDemandBase=1, onDemandPercent=0).launch, 4)
    assert found == {"t3.small": 1, f"t3.medium{SPOT}": 3}
    lines = {line.what: line for line in cost_of(settings(onDemandPercent=0), found, 1).lines}
    assert lines[f"t3.medium{SPOT}"].each == prices.machine("t3.medium")
    assert machines_of(release(types=["p5.48xlarge"], onDemandPercent=0).launch, 2) == {
        "t3.small": 0,
        f"p5.48xlarge{SPOT}": 2,
    }, "one without a price is the dearest"
    assert machines_of(Release.from_settings(Settings.parse({"ami": AMI})).launch, 2) == {"t3.small": 2}


def test_spot_machines_do_not_count_against_the_quota_of_others() -> None:
    small = InstanceType(name="t3.small", architectures=("x86_64",), vcpus=2)
    image = Image(id=AMI, state="available", architecture="x86_64", root_device="/dev/xvda")
    facts = LaunchFacts(region="us-east-1", image=image, instance_type=small, quota=2)
    on_demand, spot = (
        each
        for each in judge(release(onDemandBase=1, onDemandPercent=0), 4, facts).findings
        if each.subject is Subject.QUOTA
    )
    assert (on_demand.state, spot.state) == (Standing.OK, Standing.UNKNOWN)
    assert "1 x t3.small" in on_demand.detail
    assert "L-34B43A08" in spot.detail


def test_every_type_of_a_recorded_release_is_judged() -> None:
    arm = InstanceType(name="t4g.small", architectures=("arm64",), vcpus=2)
    small = InstanceType(name="t3.small", architectures=("x86_64",), vcpus=2)
    image = Image(id=AMI, state="available", architecture="x86_64", root_device="/dev/xvda")
    others = {"t4g.small": (arm, ("us-east-1b",)), "t9.small": (None, ())}
    facts = LaunchFacts(
        region="us-east-1",
        image=image,
        instance_type=small,
        quota=64,
        zones=("us-east-1a",),
        offering=("us-east-1a",),
        others=others,
    )
    broken = [each for each in judge(release(types=list(others)), 1, facts).findings if each.state is Standing.BROKEN]
    assert [each.subject for each in broken] == [
        *(Subject.ZONES, Subject.ARCHITECTURE),
        *(Subject.INSTANCE_TYPE, Subject.ZONES),
    ]
