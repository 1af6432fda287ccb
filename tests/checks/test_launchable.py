"""What is asked for a release, what is not, and that a refusal to answer is a finding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from bluegreen.checks.launchable import check_launchable, check_quota
from bluegreen.errors import AwsError, NotPermitted
from bluegreen.model.launchable import Beside, Finding, Standing, Subject
from bluegreen.model.observation import Image, InstanceType, Machine
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

AMI = "ami-0123456789abcdef0"


def release(**config: Any) -> Release:
    return Release.from_settings(Settings.parse({"ami": AMI, **config}))


ZONES = ("us-east-1a", "us-east-1b")
NAMED = release(keyPair="ops", instanceProfile="web")


@dataclass
class World:
    """Answers, unless a question is among the faults."""

    faults: dict[str, AwsError] = field(default_factory=dict)
    machines: tuple[Machine, ...] = ()
    quotas: dict[str, int] = field(default_factory=lambda: {"L-1216C47A": 16})
    region: str = "us-east-1"
    calls: list[str] = field(default_factory=list)

    def image(self, image: str) -> Image | None:
        self._asked("image")
        return Image(id=image, state="available", architecture="x86_64", root_device="/dev/xvda")

    def instance_type(self, name: str) -> InstanceType | None:
        self._asked(f"instance_type {name}")
        vcpus = {"t3.small": 2, "m5.xlarge": 4, "u-6tb1.metal": 448}.get(name)
        return InstanceType(name=name, architectures=("x86_64",), vcpus=vcpus) if vcpus else None

    def zones_offering(self, instance_type: str) -> tuple[str, ...]:
        self._asked("zones_offering")
        return ("us-east-1a", "us-east-1b")

    def has_key_pair(self, name: str) -> bool:
        self._asked("has_key_pair")
        return name == "ops"

    def has_instance_profile(self, name: str) -> bool:
        self._asked("has_instance_profile")
        return name == "web"

    def vcpu_quota(self, code: str) -> int | None:
        self._asked("vcpu_quota")
        return self.quotas.get(code)

    def on_demand_machines(self) -> tuple[Machine, ...]:
        self._asked("on_demand_machines")
        return self.machines

    def _asked(self, question: str) -> None:
        self.calls.append(question)
        if fault := self.faults.get(question.split()[0]):
            raise fault


def quota_line(world: World, of: Release = NAMED, machines: int = 2) -> Finding:
    return check_launchable(world, of, machines).findings[-1]


def test_a_release_of_which_all_is_there_is_launchable() -> None:
    judged = check_launchable(World(), NAMED, 2, ZONES)
    assert [each.subject for each in judged.findings] == list(Subject)
    assert {each.state for each in judged.findings} == {Standing.OK}


def test_nothing_is_asked_of_what_the_release_does_not_name() -> None:
    world = World()
    check_launchable(world, release(), 2)
    assert world.calls == ["image", "instance_type t3.small", "vcpu_quota", "on_demand_machines"]


def test_of_a_family_without_a_known_quota_no_quota_and_no_machines_are_asked() -> None:
    world = World()
    assert quota_line(world, release(instanceType="u-6tb1.metal")).state is Standing.UNKNOWN
    assert world.calls == ["image", "instance_type u-6tb1.metal"]


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("image", {Subject.IMAGE, Subject.ROOT_DEVICE, Subject.ARCHITECTURE}),
        ("instance_type", {Subject.INSTANCE_TYPE, Subject.ARCHITECTURE, Subject.QUOTA}),
        ("zones_offering", {Subject.ZONES}),
        ("has_key_pair", {Subject.KEY_PAIR}),
        ("has_instance_profile", {Subject.INSTANCE_PROFILE}),
        ("vcpu_quota", {Subject.QUOTA}),
        ("on_demand_machines", {Subject.QUOTA}),
    ],
)
def test_a_missing_permission_makes_its_lines_not_known_and_the_others_are_still_told(
    question: str, unknown: set[Subject]
) -> None:
    world = World(faults={question: NotPermitted("AWS refused Describe: AccessDenied: no", "Allow this caller it.")})
    judged = check_launchable(world, NAMED, 2, ZONES)
    states = {each.subject: each.state for each in judged.findings}
    assert {subject for subject, state in states.items() if state is Standing.UNKNOWN} == unknown
    assert {states[subject] for subject in set(Subject) - unknown} == {Standing.OK}
    assert any("AccessDenied" in each.detail and "Allow" in each.next_step for each in judged.findings)
    assert judged.is_launchable


def test_without_any_permission_all_is_not_known() -> None:
    questions = (
        *("image", "instance_type", "zones_offering", "has_key_pair", "has_instance_profile"),
        *("vcpu_quota", "on_demand_machines"),
    )
    judged = check_launchable(World(faults=dict.fromkeys(questions, NotPermitted("no"))), NAMED, 2, ZONES)
    assert {each.state for each in judged.findings} == {Standing.UNKNOWN}


def test_credentials_that_have_expired_are_an_error_and_not_a_finding() -> None:
    with pytest.raises(AwsError, match="ExpiredToken"):
        check_launchable(World(faults={"image": AwsError("AWS refused it: ExpiredToken")}), NAMED, 2)


def test_machines_count_with_the_vcpus_that_they_were_given_else_with_those_of_their_type() -> None:
    plain, halved = Machine(instance_type="m5.xlarge"), Machine(instance_type="m5.xlarge", vcpus=2)
    world = World(machines=(plain, plain, halved))
    assert "need 4 vCPUs, and 10 of 16 are in use" in quota_line(world).detail
    assert world.calls.count("instance_type m5.xlarge") == 1, "a type is asked for once"


def test_machines_of_another_quota_neither_count_nor_are_asked_for() -> None:
    world = World(machines=(Machine(instance_type="p4d.24xlarge"), Machine(instance_type="u-6tb1.metal")))
    assert "and 0 of 16 are in use" in quota_line(world).detail
    assert "instance_type p4d.24xlarge" not in world.calls


def test_more_machines_than_the_quota_has_room_for_are_refused() -> None:
    world = World(machines=(Machine(instance_type="m5.xlarge", vcpus=4),))
    assert quota_line(world, machines=6).state is Standing.OK
    judged = check_launchable(world, NAMED, 7)
    assert not judged.is_launchable
    assert judged.findings[-1].detail.startswith("7 x t3.small need 14 vCPUs, and 4 of 16 are in use")


def test_a_region_without_an_answer_of_service_quotas_is_not_known() -> None:
    assert quota_line(World(quotas={})).state is Standing.UNKNOWN


def test_a_zone_without_machines_of_the_type_is_named_with_those_that_have_some() -> None:
    (line,) = [
        each
        for each in check_launchable(World(), NAMED, 2, ("us-east-1a", "us-east-1e")).findings
        if each.subject is Subject.ZONES
    ]
    assert line.state is Standing.BROKEN
    assert line.detail == "us-east-1e has no t3.small; it is offered in us-east-1a, us-east-1b"


def servers(count: int, instance_type: str = "m5.xlarge") -> Beside:
    return Beside(instance_type=instance_type, count=count, whose="Consul")


def test_what_is_launched_meanwhile_takes_of_the_same_quota() -> None:
    fits, lacks = (check_launchable(World(), release(), 2, beside=servers(count)).findings[-1] for count in (3, 4))
    assert "2 x t3.small and 3 x m5.xlarge for Consul need 16 vCPUs, and 0 of 16 are in use" in fits.detail
    assert (fits.state, lacks.state) == (Standing.OK, Standing.BROKEN)


def test_what_is_launched_meanwhile_is_judged_by_its_own_quota_where_it_has_another() -> None:
    world = World(quotas={"L-1216C47A": 16})
    *_, own, others = check_launchable(world, release(instanceType="g5.xlarge"), 2, beside=servers(5)).findings
    assert own.subject is others.subject is Subject.QUOTA
    assert others.state is Standing.BROKEN
    assert "5 x m5.xlarge for Consul need 20 vCPUs" in others.detail


def test_servers_alone_are_judged_too() -> None:
    assert check_quota(World(), servers(4)).state is Standing.OK
    assert check_quota(World(), servers(5)).state is Standing.BROKEN
    assert check_quota(World(), servers(1, "m5.unheard")).state is Standing.UNKNOWN
    assert check_launchable(World(), release(), 2, beside=servers(1, "m5.unheard")).findings[-1].detail == (
        "how many vCPUs m5.unheard has is not known"
    )
