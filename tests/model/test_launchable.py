"""Whether a recorded release can be launched: each finding, and that what is not known is never taken for fine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bluegreen.model.launchable import (
    QUOTAS,
    Finding,
    Launchable,
    LaunchFacts,
    NotKnown,
    Standing,
    Subject,
    judge,
    quota_of,
)
from bluegreen.model.observation import Image, InstanceType, Machine
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

AMI = "ami-0123456789abcdef0"
IMAGE = Image(id=AMI, state="available", architecture="x86_64", root_device="/dev/xvda")
SMALL = InstanceType(name="t3.small", architectures=("x86_64",), vcpus=2)
DENIED = NotKnown("AWS refused it: AccessDenied: no", "Allow this caller it, then run again.")
FINE = LaunchFacts(
    region="us-east-1",
    image=IMAGE,
    instance_type=SMALL,
    has_key_pair=True,
    has_instance_profile=True,
    quota=32,
    machines=(Machine(instance_type="t3.small", vcpus=2),),
    zones=("us-east-1a",),
    offering=("us-east-1a", "us-east-1b"),
)


def release(**config: Any) -> Release:
    return Release.from_settings(Settings.parse({"ami": AMI, **config}))


NAMED = release(keyPair="ops", instanceProfile="web")


def findings(facts: LaunchFacts, of: Release = NAMED, machines: int = 2) -> dict[Subject, Finding]:
    return {each.subject: each for each in judge(of, machines, facts).findings}


def test_a_release_of_which_all_is_there_is_launchable_and_every_line_says_so() -> None:
    judged = judge(NAMED, 2, FINE)
    assert judged.is_launchable
    assert {each.state for each in judged.findings} == {Standing.OK}
    assert all(each.detail and not each.next_step for each in judged.findings)


def test_findings_come_in_a_fixed_order() -> None:
    broken = LaunchFacts(region="us-east-1", image=None, instance_type=None, zones=("us-east-1a",))
    unknown = replace(FINE, image=DENIED, instance_type=DENIED, offering=DENIED, has_key_pair=DENIED, quota=DENIED)
    for facts in (FINE, broken, unknown):
        assert list(findings(facts)) == list(Subject)


def test_what_the_release_does_not_name_is_left_out() -> None:
    assert {Subject.KEY_PAIR, Subject.INSTANCE_PROFILE}.isdisjoint(findings(FINE, release()))
    assert Subject.INSTANCE_PROFILE not in findings(FINE, release(keyPair="ops"))


@pytest.mark.parametrize(
    ("change", "subject", "detail"),
    [
        ({"image": None}, Subject.IMAGE, f"{AMI} does not exist in us-east-1, or this account may not use it"),
        ({"image": replace(IMAGE, state="deregistered")}, Subject.IMAGE, f"{AMI} is deregistered, not available"),
        (
            {"image": replace(IMAGE, root_device="/dev/sda1")},
            Subject.ROOT_DEVICE,
            f"/dev/xvda is not the root device of {AMI}, which is /dev/sda1",
        ),
        (
            {"image": replace(IMAGE, architecture="arm64")},
            Subject.ARCHITECTURE,
            f"{AMI} is built for arm64, and t3.small runs x86_64",
        ),
        ({"instance_type": None}, Subject.INSTANCE_TYPE, "t3.small does not exist in us-east-1"),
        ({"has_key_pair": False}, Subject.KEY_PAIR, "us-east-1 has no ops"),
        ({"has_instance_profile": False}, Subject.INSTANCE_PROFILE, "this account has no web"),
        ({"quota": 5}, Subject.QUOTA, "2 x t3.small need 4 vCPUs, and 2 of 5 are in use"),
    ],
)
def test_what_is_missing_breaks_the_launch_and_says_what_to_do(
    change: dict[str, Any], subject: Subject, detail: str
) -> None:
    judged = judge(NAMED, 2, replace(FINE, **change))
    assert not judged.is_launchable
    (broken,) = [each for each in judged.findings if each.state is Standing.BROKEN]
    assert broken.subject is subject
    assert detail in broken.detail
    assert broken.next_step
    assert "pulumi config set" not in broken.next_step, "the config has no say in a release that is recorded"


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"image": DENIED}, Subject.IMAGE),
        ({"instance_type": DENIED}, Subject.INSTANCE_TYPE),
        ({"has_key_pair": DENIED}, Subject.KEY_PAIR),
        ({"has_instance_profile": DENIED}, Subject.INSTANCE_PROFILE),
        ({"quota": DENIED}, Subject.QUOTA),
        ({"machines": DENIED}, Subject.QUOTA),
    ],
)
def test_what_may_not_be_asked_is_not_known_with_the_reason_and_breaks_nothing(
    change: dict[str, Any], subject: Subject
) -> None:
    found = findings(replace(FINE, **change))[subject]
    assert found == Finding(subject, Standing.UNKNOWN, DENIED.reason, DENIED.next_step)
    assert judge(NAMED, 2, replace(FINE, **change)).is_launchable


@pytest.mark.parametrize("image", [None, DENIED, replace(IMAGE, state="pending", root_device="", architecture="")])
def test_without_a_usable_image_its_root_device_and_architecture_are_not_known(image: Any) -> None:
    found = findings(replace(FINE, image=image))
    for subject in (Subject.ROOT_DEVICE, Subject.ARCHITECTURE):
        assert found[subject].state is Standing.UNKNOWN
        assert "without the image" in found[subject].detail


@pytest.mark.parametrize("instance_type", [None, DENIED])
def test_without_the_instance_type_neither_architecture_nor_quota_are_taken_for_fine(instance_type: Any) -> None:
    found = findings(replace(FINE, instance_type=instance_type))
    assert found[Subject.ROOT_DEVICE].state is Standing.OK
    assert found[Subject.ARCHITECTURE].state is found[Subject.QUOTA].state is Standing.UNKNOWN


def test_all_that_is_broken_is_told_at_once() -> None:
    found = findings(LaunchFacts(region="us-east-1", image=None, instance_type=None))
    broken = {subject for subject, each in found.items() if each.state is Standing.BROKEN}
    assert broken == {Subject.IMAGE, Subject.INSTANCE_TYPE, Subject.KEY_PAIR, Subject.INSTANCE_PROFILE}


@pytest.mark.parametrize(("quota", "state"), [(5, Standing.BROKEN), (6, Standing.OK), (0, Standing.BROKEN)])
def test_machines_may_use_the_quota_up_and_no_more(quota: int, state: Standing) -> None:
    assert findings(replace(FINE, quota=quota))[Subject.QUOTA].state is state


def test_a_quota_that_is_too_small_is_told_with_every_figure_and_its_code() -> None:
    found = findings(replace(FINE, quota=5))[Subject.QUOTA]
    assert found.detail == (
        "2 x t3.small need 4 vCPUs, and 2 of 5 are in use, of standard on-demand machines in us-east-1 (L-1216C47A)"
    )
    assert "L-1216C47A" in found.next_step


def test_machines_of_another_quota_take_no_room() -> None:
    others = (Machine(instance_type="p4d.24xlarge", vcpus=96), Machine(instance_type="u-6tb1.metal"))
    assert "and 2 of 32 are in use" in findings(replace(FINE, machines=FINE.machines + others))[Subject.QUOTA].detail  # type: ignore[operator]


def test_a_machine_of_unknown_size_leaves_the_quota_unknown_unless_the_others_fill_it() -> None:
    odd = Machine(instance_type="m9.odd")
    found = findings(replace(FINE, machines=(odd,)))[Subject.QUOTA]
    assert (found.state, found.detail) == (Standing.UNKNOWN, "how many vCPUs m9.odd have is not known")
    full = replace(FINE, machines=(odd, Machine(instance_type="m5.large", vcpus=32)))
    assert findings(full)[Subject.QUOTA].state is Standing.BROKEN


def test_an_instance_type_of_unknown_size_leaves_the_quota_unknown() -> None:
    found = findings(replace(FINE, instance_type=replace(SMALL, vcpus=None)))[Subject.QUOTA]
    assert (found.state, found.detail) == (Standing.UNKNOWN, "how many vCPUs t3.small has is not known")


def test_a_region_that_does_not_tell_its_quota_leaves_it_unknown() -> None:
    found = findings(replace(FINE, quota=None))[Subject.QUOTA]
    assert found.state is Standing.UNKNOWN
    assert "Service Quotas does not tell" in found.detail


def test_a_family_of_no_known_quota_says_so_and_is_no_failure() -> None:
    metal = InstanceType(name="u-6tb1.metal", architectures=("x86_64",), vcpus=448)
    judged = judge(release(instanceType="u-6tb1.metal"), 2, replace(FINE, instance_type=metal))
    assert judged.is_launchable
    assert judged.findings[-1].state is Standing.UNKNOWN
    assert "which quota u-6tb1.metal counts against is not known" in judged.findings[-1].detail


@pytest.mark.parametrize(
    ("instance_type", "code"),
    [
        ("t3.small", "L-1216C47A"),
        ("m7i-flex.large", "L-1216C47A"),
        ("im4gn.large", "L-1216C47A"),
        ("g4dn.xlarge", "L-DB2E81BA"),
        ("vt1.3xlarge", "L-DB2E81BA"),
        ("f1.2xlarge", "L-74FC7D96"),
        ("inf1.xlarge", "L-1945791B"),
        ("p4d.24xlarge", "L-417A185B"),
        ("x2idn.16xlarge", "L-7295265B"),
    ],
)
def test_the_family_of_a_type_says_its_quota(instance_type: str, code: str) -> None:
    quota = quota_of(instance_type)
    assert quota is not None
    assert quota.code == code


@pytest.mark.parametrize("instance_type", ["u-6tb1.metal", "trn1.2xlarge", "dl1.24xlarge", "hpc6a.large", "mac1.metal"])
def test_a_family_that_only_begins_like_another_is_not_taken_for_it(instance_type: str) -> None:
    assert quota_of(instance_type) is None


def test_no_family_counts_against_two_quotas() -> None:
    families = [family for quota in QUOTAS for family in quota.families]
    assert len(families) == len(set(families))


def test_nothing_found_is_nothing_in_the_way() -> None:
    assert Launchable(()).is_launchable
