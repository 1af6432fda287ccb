"""The release: its version changes exactly when its server group would."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

AMI = "ami-0123456789abcdef0"


def release(**config: Any) -> Release:
    return Release.from_settings(Settings.parse({"ami": AMI, **config}))


def test_the_same_settings_always_give_the_same_version() -> None:
    assert release().version == release().version
    assert release().version == "09b16cfb", "a change here makes every stack deploy anew: say so in the changelog"


@pytest.mark.parametrize(
    "config",
    [
        {"ami": "ami-0123456789abcdef1"},
        {"service": "api"},
        {"instanceType": "t3.medium"},
        {"userData": "#!/bin/sh\n"},
        {"rootDevice": "/dev/sda1"},
        {"keyPair": "ops"},
        {"instanceProfile": "web"},
        {"instanceRole": {"sessions": True}},
        {"userDataTemplate": "{{release}}"},
        {"volumes": [{"device": "/dev/sdf", "sizeGb": 10}]},
        {"instanceMaintenance": {"minHealthyPercentage": 90, "maxHealthyPercentage": 110}},
        {"lifecycleHooks": [{"name": "warm", "transition": "launching"}]},
        {"encryption": {"key": "own"}},
        {"mixedInstances": {"types": ["t3a.small"]}},
        {"port": "8081"},
        {"vpcCidr": "10.1.0.0/16"},
        {"drainSeconds": "21"},
        {"healthCheck": {"path": "/up"}},
        {"healthCheck": {"intervalSeconds": 6}},
        {"healthCheck": {"timeoutSeconds": 3}},
        {"healthCheck": {"healthyThreshold": 3}},
        {"healthCheck": {"unhealthyThreshold": 3}},
        {"healthCheck": {"matcher": "200-299"}},
    ],
    ids=json.dumps,
)
def test_a_setting_that_makes_a_server_group_what_it_is_makes_another_release(config: dict[str, Any]) -> None:
    assert release(**config).version != release().version


@pytest.mark.parametrize(
    "config",
    [
        {"minSize": "1"},
        {"maxSize": "9"},
        {"desiredCapacity": "3"},
        {"listenerPort": "8080"},
        {"previewPort": "9001"},
        {"previewCidrs": ["10.9.0.0/16"]},
        {"zones": "3"},
        {"nat": "none"},
        {"progressDeadlineSeconds": "60"},
        {"tags": {"team": "a"}},
    ],
    ids=json.dumps,
)
def test_a_setting_that_can_change_in_place_keeps_the_release(config: dict[str, Any]) -> None:
    assert release(**config).version == release().version


def every_field(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not dataclasses.is_dataclass(value):
        return [path]
    return [
        leaf
        for field in dataclasses.fields(value)
        for leaf in every_field(getattr(value, field.name), (*path, field.name))
    ]


def changed(value: Any, path: tuple[str, ...]) -> Any:
    if path:
        return dataclasses.replace(value, **{path[0]: changed(getattr(value, path[0]), path[1:])})
    return (not value) if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}x"


@pytest.mark.parametrize("path", every_field(release()), ids=".".join)
def test_every_field_is_part_of_the_digest(path: tuple[str, ...]) -> None:
    assert changed(release(), path).version != release().version


def test_names_of_target_groups_stay_within_32_characters() -> None:
    longest = release(service="a23456789012345").name
    pulumi_suffix = "-1234567"
    assert len(longest + pulumi_suffix) <= 32


def test_a_record_gives_the_release_back() -> None:
    record = json.loads(json.dumps(release(userData="x").as_record()))
    assert Release.from_record(record) == release(userData="x")
    assert record["version"] == release(userData="x").version
    assert record["launch"]["instanceType"] == "t3.small", "outputs are camelCase, as the config is"
    assert record["target"]["health"]["intervalSeconds"] == 5
    assert record["image"] == AMI


def test_a_record_from_before_key_pairs_is_still_read() -> None:
    record = release().as_record()
    for name in ("keyPair", "instanceProfile"):
        del record["launch"][name]
    assert Release.from_record(record) == release()


def test_rights_that_are_spelled_out_with_their_defaults_are_the_same_release() -> None:
    spelled = {"sessions": True, "logs": False, "metrics": "", "statements": []}
    assert release(instanceRole=spelled).version == release(instanceRole={"sessions": True}).version


def test_a_record_that_was_changed_is_refused() -> None:
    record = {**release().as_record(), "image": "ami-00000000"}
    with pytest.raises(ValueError, match="was changed"):
        Release.from_record(record)


def test_a_release_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        release().image = "x"  # type: ignore[misc]
