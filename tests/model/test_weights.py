"""Machines that count for more than one: what may be asked for, and where units are meant and where machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.cost import SPOT, machines_of
from bluegreen.model.fleet import Capacity
from bluegreen.model.gate import Candidate, GatePolicy, capacity_needed, capacity_wanted, judge
from bluegreen.model.launchable import LaunchFacts, Standing, Subject
from bluegreen.model.launchable import judge as judge_launch
from bluegreen.model.observation import Group, Image, InstanceType, Target
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.verdict import Hopeless, Ready, Wait
from bluegreen.model.weights import wanted_in, weights_of

AMI = "ami-0123456789abcdef0"
WEIGHTS = {"t3.small": 2, "t3.large": 8}
POLICY = GatePolicy(capacity=Capacity(minimum=4, maximum=24, desired=8), deadline_seconds=600)


def settings(weights: Mapping[str, int], **config: Any) -> Settings:
    mixed = {"types": ["t3.large"], "weights": weights, **config.pop("mixed", {})}
    return Settings.parse({"ami": AMI, "maxSize": 24, "mixedInstances": mixed, **config})


def group(types: list[str], desired: int = 8, weights: Mapping[str, int] = WEIGHTS) -> Group:
    instances = {f"i-{number}": each for number, each in enumerate(types)}
    return Group(
        name="web-new",
        service="web",
        minimum=4,
        maximum=24,
        desired=desired,
        target_groups=("tg",),
        instances=tuple(instances),
        weights=weights,
        types=instances,
        counts={each: weights.get(name, 1) for each, name in instances.items()},
    )


@pytest.mark.parametrize(
    ("weights", "config", "path", "said"),
    [
        ({"t3.small": 2}, {}, "mixedInstances.weights", "has none for t3.large"),
        ({"t3.large": 8}, {}, "mixedInstances.weights", "has none for t3.small"),
        ({**WEIGHTS, "t3.nano": 1}, {}, "mixedInstances.weights", "has one for t3.nano"),
        ({**WEIGHTS, "t3.small": 0}, {}, "mixedInstances.weights.t3.small", "greater than or equal to 1"),
        ({**WEIGHTS, "t3.small": 1000}, {}, "mixedInstances.weights.t3.small", "less than or equal to 999"),
        (WEIGHTS, {"maxSize": 6}, "mixedInstances.weights", "t3.large counts for more than maxSize (6)"),
    ],
)
def test_what_makes_no_sense_is_refused(weights: dict[str, int], config: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(weights, **config)
    assert said in {fault.path.removeprefix("bluegreen:"): fault.message for fault in caught.value.faults}[path]


def test_addresses_are_counted_by_the_lightest_machines() -> None:
    assert settings(WEIGHTS).most_machines == 12
    assert settings({"t3.small": 3, "t3.large": 9}, maxSize=10).most_machines == 4, "rounded up"
    assert settings({"t3.small": 60, "t3.large": 240}, maxSize=1200, vpcCidr="10.0.0.0/24").most_machines == 20


def test_weights_are_part_of_the_release_where_there_are_any() -> None:
    with_weights, without = Release.from_settings(settings(WEIGHTS)), Release.from_settings(settings({}))
    assert with_weights.version != without.version
    assert weights_of(with_weights) == WEIGHTS
    assert weights_of(without) == {}
    assert "weights" not in without.launch.mixed_instances


def verdict(types: list[str], *healthy: bool, desired: int = 8) -> Ready | Wait | Hopeless:
    own = group(types, desired)
    targets = tuple(
        Target(instance=each, state="healthy" if well else "initial")
        for each, well in zip(own.instances, healthy, strict=True)
    )
    return judge(Candidate(group=own, targets=targets, active=group(["t3.large"])), POLICY, datetime.now(UTC))


def test_the_gate_counts_units() -> None:
    assert verdict(["t3.large"], True) == Ready("8 of 8 healthy")
    assert verdict(["t3.small", "t3.large"], True, True) == Ready("10 of 8 healthy"), "AWS may launch too many"
    assert verdict(["t3.small"] * 3, True, True, True) == Wait("6 of 8 healthy; 2 not launched yet")
    assert verdict(["t3.small"] * 4, True, True, True, False) == Wait("6 of 8 healthy; 1 initial: i-3")


@pytest.mark.parametrize(
    ("active", "weights", "wanted"),
    [
        (group(["t3.large"]), WEIGHTS, 8),
        (group(["t3.small"] * 3, 3, {}), WEIGHTS, 6),
        (group(["t3.small", "t3.large"], 10), {}, 2),
        (group(["t3.small", "t3.large"], 5), {}, 1),
        (group(["t3.small"], 2), {"t3.small": 4, "t3.large": 16}, 4),
        (group(["m5.large"], 1, {}), WEIGHTS, 8),
        (group([], 8), {}, 4),
        (group([], 0), {}, 0),
    ],
    ids=["same", "to weights", "to none", "rounded up", "other weights", "unknown type", "nothing runs", "of nothing"],
)
def test_what_the_active_group_wants_is_told_in_the_candidates_units(
    active: Group, weights: Mapping[str, int], wanted: int
) -> None:
    assert wanted_in(weights, active) == wanted


def test_the_candidate_is_to_be_as_large_in_its_own_units() -> None:
    active = group(["t3.small"] * 4, 4, {})
    assert capacity_wanted(POLICY, active, WEIGHTS) == 8
    assert capacity_needed(replace(POLICY, min_healthy_percentage=60), active, WEIGHTS) == 5
    seen = judge(
        Candidate(group=group([], 8), targets=(), active=group(["t3.large"] * 4, 32)), POLICY, datetime.now(UTC)
    )
    assert isinstance(seen, Hopeless)
    assert seen.summary == "32 units serve now, and maxSize is 24"


def test_what_runs_is_counted_by_the_machines_that_are_there() -> None:
    assert group(["t3.large"] * 2, 16).machines == 2
    assert group(["t3.small"] * 2, 5, {}).machines == 5


def test_units_are_paid_for_as_the_machines_that_they_take() -> None:
    launch = Release.from_settings(settings(WEIGHTS)).launch
    assert machines_of(launch, 7) == {"t3.small": 4, f"t3.small{SPOT}": 0}
    spot = Release.from_settings(settings(WEIGHTS, mixed={"onDemandBase": 4, "onDemandPercent": 0})).launch
    assert machines_of(spot, 20) == {"t3.small": 2, f"t3.small{SPOT}": 8}, "a unit costs the same of either type"
    dear = Release.from_settings(settings({"t3.small": 8, "t3.large": 8}, mixed={"onDemandPercent": 0})).launch
    assert machines_of(dear, 20) == {"t3.small": 0, f"t3.large{SPOT}": 3}, "the dearest a unit"


def test_the_quota_is_asked_for_the_type_that_takes_most_vcpus() -> None:
    small = InstanceType(name="t3.small", architectures=("x86_64",), vcpus=2)
    large = InstanceType(name="t3.large", architectures=("x86_64",), vcpus=8)
    image = Image(id=AMI, state="available", architecture="x86_64", root_device="/dev/xvda")
    facts = LaunchFacts(
        region="us-east-1", image=image, instance_type=small, quota=20, others={"t3.large": (large, ())}
    )
    for weights, said, state in (
        ({"t3.small": 2, "t3.large": 8}, "4 x t3.small need 8 vCPUs", Standing.OK),
        ({"t3.small": 4, "t3.large": 8}, "1 x t3.large need 8 vCPUs", Standing.OK),
        ({"t3.small": 4, "t3.large": 2}, "4 x t3.large need 32 vCPUs", Standing.BROKEN),
    ):
        release = Release.from_settings(settings(weights))
        (found,) = [each for each in judge_launch(release, 8, facts).findings if each.subject is Subject.QUOTA]
        assert found.state is state
        assert said in found.detail
