"""A warm pool: what may be asked for, how large it is, and what of a change AWS never hears."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model import prices
from bluegreen.model.cost import Cost, cost_of
from bluegreen.model.observation import LivePool
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.warm_pool import WarmPool, unheard

AMI = "ami-0123456789abcdef0"


def settings(pool: dict[str, Any], **more: Any) -> Settings:
    return Settings.parse({"ami": AMI, "warmPool": pool, **more})


@pytest.mark.parametrize(
    ("pool", "more", "path", "said"),
    [
        ({"state": "hibernated"}, {}, "warmPool.state", "choose stopped or running"),
        ({"state": "frozen"}, {}, "warmPool.state", "'stopped' or 'running'"),
        ({"minimum": -1}, {}, "warmPool.minimum", "greater than or equal to 0"),
        ({"minimum": 3, "preparedMaximum": 2}, {}, "warmPool", "preparedMaximum (2) is less than minimum (3)"),
        ({"preparedMaximum": 7}, {}, "warmPool.preparedMaximum", "more than maxSize (6)"),
        ({"preparedMaximum": 2}, {}, "warmPool.minimum", "leaves nothing beside minSize (2) to keep warm"),
        ({"state": "stopped"}, {"minSize": 6}, "warmPool.minimum", "maxSize (6) leaves nothing"),
        ({"size": 2}, {}, "warmPool.size", "unknown key"),
        ({"minimum": 1}, {"mixedInstances": {"types": ["t3a.small"]}}, "warmPool", "no Spot machine warm"),
        ({"minimum": 60}, {"vpcCidr": "10.0.0.0/24"}, "vpcCidr", "with their warm pools need 132"),
    ],
)
def test_what_makes_no_sense_is_refused(pool: dict[str, Any], more: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(pool, **more)
    found = {fault.path.removeprefix("bluegreen:"): fault.message for fault in caught.value.faults}
    assert said in found[path]


@pytest.mark.parametrize(
    ("pool", "desired", "size"),
    [
        (WarmPool(), 2, 4),
        (WarmPool(), 6, 0),
        (WarmPool(prepared_maximum=4), 2, 2),
        (WarmPool(prepared_maximum=4), 5, 0),
        (WarmPool(minimum=1), 6, 1),
        (WarmPool(minimum=2, prepared_maximum=2), 3, 2),
    ],
)
def test_a_pool_has_what_the_group_leaves_and_never_less_than_its_minimum(
    pool: WarmPool, desired: int, size: int
) -> None:
    assert pool.size(desired, 6) == size
    assert desired + size <= pool.most_machines(6)


def test_a_pool_is_no_part_of_the_release() -> None:
    with_pool, without = settings({"minimum": 1}), settings({})
    assert without.warm_pool is None
    assert Release.from_settings(with_pool) == Release.from_settings(without)


@pytest.mark.parametrize(
    ("live", "paths"),
    [
        (LivePool(size=0), []),
        (LivePool(size=0, minimum=2), ["minimum"]),
        (LivePool(size=0, minimum=2, reuses=True), ["minimum", "reuse"]),
    ],
)
def test_what_the_provider_does_not_take_back_is_known_beforehand(live: LivePool, paths: list[str]) -> None:
    assert [path for path, _ in unheard(WarmPool(), live)] == paths
    assert not list(unheard(WarmPool(minimum=1, reuse=True), live))


def cost(pool: dict[str, Any], warm: int) -> Cost:
    volumes = [{"device": "/dev/sdf", "sizeGb": 100}]
    return cost_of(settings(pool, volumes=volumes), {"t3.small": 2}, 1, warm=warm)


def test_a_stopped_machine_costs_its_volumes_and_a_running_one_all() -> None:
    none = cost({"minimum": 1}, 0).hourly
    volumes = cost({"minimum": 1}, 4).hourly - none
    price = prices.volume("gp3", 100, None, None)
    assert price is not None
    assert volumes == pytest.approx(4 * price)
    small = prices.machine("t3.small")
    assert small is not None
    assert cost({"state": "running"}, 4).hourly - none == pytest.approx(volumes + 4 * small)
