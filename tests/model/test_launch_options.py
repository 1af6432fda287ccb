"""What machines are launched with: volumes, a template, maintenance and hooks."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.launch_options import VARIABLES, hooks_in, longest_farewell, rendered, volumes_in
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

AMI = "ami-0123456789abcdef0"
DATA: dict[str, Any] = {"device": "/dev/sdf", "sizeGb": 100}
WARM: dict[str, Any] = {"name": "warm", "transition": "launching"}


def faults(**config: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ami": AMI, **config})
    return {fault.path.removeprefix("bluegreen:"): fault.message for fault in caught.value.faults}


@pytest.mark.parametrize(
    "volume",
    [
        DATA,
        DATA | {"iops": 16000, "throughput": 2000},
        DATA | {"type": "io1", "iops": 5000},
        DATA | {"type": "io2", "iops": 100000},
        DATA | {"type": "st1", "sizeGb": 125},
        DATA | {"kmsKey": "arn:aws:kms:eu-west-1:123456789012:alias/disks"},
    ],
)
def test_a_volume_that_ebs_has_comes_back_from_the_release(volume: dict[str, Any]) -> None:
    settings = Settings.parse({"ami": AMI, "volumes": [volume]})
    assert volumes_in(Release.from_settings(settings).launch.volumes) == settings.volumes


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"device": "sdf"}, "volumes[0].device", "is not a device name"),
        ({"sizeGb": 0}, "volumes[0]", "gp3 has 1 to 65536 GiB"),
        ({"type": "st1"}, "volumes[0]", "st1 has 125 to 16384 GiB"),
        ({"type": "io2"}, "volumes[0]", "io2 needs iops"),
        ({"type": "gp2", "iops": 3000}, "volumes[0]", "gp2 takes no iops"),
        ({"type": "io1", "iops": 6000}, "volumes[0]", "io1 of 100 GiB takes 100 to 5000 iops"),
        ({"type": "io1", "iops": 200, "throughput": 200}, "volumes[0]", "throughput is of gp3 only"),
        ({"throughput": 800}, "volumes[0]", "3000 iops give at most 750 MiB/s: 800 needs 3200"),
        ({"throughput": 100}, "volumes[0].throughput", "greater than or equal to 125"),
        ({"kmsKey": "alias/disks"}, "volumes[0].kmsKey", "not the ARN of a KMS key"),
        ({"encrypted": False}, "volumes[0].encrypted", "unknown key"),
    ],
)
def test_a_volume_that_ebs_has_not_is_refused(change: dict[str, Any], path: str, said: str) -> None:
    assert said in faults(volumes=[DATA | change])[path]


def test_a_device_is_there_once() -> None:
    assert "has /dev/sdf twice" in faults(volumes=[DATA, DATA])["volumes"]


def test_a_variable_that_is_not_there_is_refused_and_braces_of_others_are_let_be() -> None:
    said = faults(userDataTemplate="echo {{ relese }}")["userDataTemplate"]
    assert said == "{{relese}} is no variable; did you mean release?"
    assert "there are project, stack" in faults(userDataTemplate="{{x}}")["userDataTemplate"]
    text = "docker ps --format '{{.Names}}' ${HOME} {{ }}"
    assert rendered(text, dict.fromkeys(VARIABLES, "x")) == text


def test_every_variable_has_its_value_wherever_it_stands() -> None:
    template = " ".join(f"{{{{{name}}}}}{{{{ {name} }}}}" for name in VARIABLES)
    values = {name: f"<{name}>" for name in VARIABLES}
    assert rendered(template, values) == " ".join(f"<{name}><{name}>" for name in VARIABLES)


def test_values_are_not_looked_into() -> None:
    assert rendered("{{stack}}", {"stack": "{{service}}", "service": "web"}) == "{{service}}"


def test_user_data_that_is_too_long_with_its_values_is_refused() -> None:
    with pytest.raises(SettingsError, match="is 16385 bytes with its values"):
        rendered("{{stack}}" + "x" * 16375, {"stack": "s" * 10})


def test_there_is_one_user_data() -> None:
    assert "leave out one of the two" in faults(userData="x", userDataTemplate="y")["userDataTemplate"]


@pytest.mark.parametrize(
    ("maintenance", "path", "said"),
    [
        ({"minHealthyPercentage": 50, "maxHealthyPercentage": 151}, "instanceMaintenance", "differ by 100"),
        ({"minHealthyPercentage": 50}, "instanceMaintenance.maxHealthyPercentage", "is missing"),
        (
            {"minHealthyPercentage": -1, "maxHealthyPercentage": 100},
            "instanceMaintenance.minHealthyPercentage",
            "or equal to 0",
        ),
    ],
)
def test_maintenance_that_aws_does_not_take_is_refused(maintenance: dict[str, int], path: str, said: str) -> None:
    assert said in faults(instanceMaintenance=maintenance)[path]


@pytest.mark.parametrize(
    ("hooks", "path", "said"),
    [
        ([WARM | {"transition": "starting"}], "lifecycleHooks[0].transition", "launching"),
        ([WARM | {"heartbeatSeconds": 29}], "lifecycleHooks[0].heartbeatSeconds", "greater than or equal to 30"),
        ([WARM | {"defaultResult": "retry"}], "lifecycleHooks[0].defaultResult", "continue"),
        ([WARM | {"name": "a b"}], "lifecycleHooks[0].name", "pattern"),
        ([WARM, WARM], "lifecycleHooks", "names warm twice"),
        ([WARM | {"heartbeatSeconds": 600}], "lifecycleHooks[0].heartbeatSeconds", "progressDeadlineSeconds (600)"),
    ],
)
def test_a_hook_that_can_not_be_is_refused(hooks: list[dict[str, Any]], path: str, said: str) -> None:
    assert said in faults(lifecycleHooks=hooks)[path]


def test_a_farewell_is_as_long_as_the_longest_hook_of_it() -> None:
    hooks = [
        WARM | {"heartbeatSeconds": 500},
        {"name": "a", "transition": "terminating", "heartbeatSeconds": 60},
        {"name": "b", "transition": "terminating", "heartbeatSeconds": 90},
    ]
    settings = Settings.parse({"ami": AMI, "lifecycleHooks": hooks})
    known = hooks_in(Release.from_settings(settings).launch.lifecycle_hooks)
    assert known == settings.lifecycle_hooks
    assert longest_farewell(known) == 90
    assert longest_farewell(known[:1]) == 0
