"""Members of a stateful tier, and what they can't be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from bluegreen.model.observation import DataVolume
from bluegreen.model.stateful import Member, faults, subnet_of

CIDRS = ["10.0.128.0/20", "10.0.144.0/20"]
ZONES = {"10.0.128.0/20": "us-east-1a", "10.0.144.0/20": "us-east-1b"}


def member(name: str = "a", address: str = "10.0.128.10", **more: Any) -> Member:
    return Member(**{"name": name, "address": address, "role": "mongodb_shard", "set": "one", "size_gb": 20, **more})


def volume(of: str = "a", **more: Any) -> DataVolume:
    settings = {"id": f"vol-{of}", "zone": "us-east-1a", "size_gb": 20, "address": "10.0.128.10", "is_protected": True}
    return DataVolume(**{**settings, "member": of, **more})


def said(members: Sequence[Member], *volumes: DataVolume, renew: Sequence[str] = ()) -> list[str]:
    return [str(each) for each in faults(members, cidrs=CIDRS, zones=ZONES, volumes=volumes, renew=renew)]


def test_a_tier_as_it_should_be_has_no_faults() -> None:
    members = [member(), member("b", "10.0.144.10"), member("c", "10.0.128.11", size_gb=30)]
    assert said(members) == []
    assert said(members, volume(), volume("c", id="vol-c", address="10.0.128.11"), renew=["b"]) == []


def test_the_address_says_which_subnet() -> None:
    assert [subnet_of(address, CIDRS) for address in ("10.0.143.255", "10.0.144.0", "10.1.0.1")] == [0, 1, None]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.0.9.9", "members[0].address: 10.0.9.9 is in none of the network's private subnets: 10.0.128.0/20, 10.0."),
        ("10.0.128.3", "members[0].address: AWS keeps 10.0.128.3 for itself"),
        ("10.0.143.255", "members[0].address: AWS keeps 10.0.143.255 for itself"),
    ],
)
def test_an_address_is_one_that_a_subnet_has_for_use(address: str, words: str) -> None:
    (fault,) = said([member(address=address)])
    assert fault.startswith(words)


def test_names_addresses_and_volumes_are_of_one_member() -> None:
    adopted = "vol-0123456789abcdef0"
    members = [member(volume=adopted), member("b"), member("a", "10.0.128.12", volume=adopted)]
    assert said(members, volume(id=adopted)) == [
        "members[2].name: a is that of members[0] too",
        "members[1].address: 10.0.128.10 is that of members[0] too",
        f"members[2].volume: {adopted} is that of members[0] too",
        "members[2].address: a is at 10.0.128.10; at another address it is another machine. Set it back, or have "
        "`renew` name it",
    ]


def test_a_machine_is_in_the_zone_of_its_volume() -> None:
    moved = [member(address="10.0.144.10")]
    found = said(moved, volume(), renew=["a"])
    assert len(found) == 1
    assert found[0].startswith("members[0].address: 10.0.144.10 is in us-east-1b, and the volume vol-a in us-east-1a")
    adopted = said([member(volume="vol-0123456789abcdef0")], volume("", id="vol-0123456789abcdef0", zone="us-east-1b"))
    assert "a volume stays in its zone" in adopted[0]


def test_a_volume_never_shrinks() -> None:
    (fault,) = said([member(size_gb=10)], volume())
    assert fault == "members[0].sizeGb: 10 is less than the 20 GiB of vol-a, and a volume never shrinks"


def test_another_address_is_another_machine_and_has_to_be_asked_for() -> None:
    moved = [member(address="10.0.128.11")]
    assert "is at 10.0.128.10" in said(moved, volume())[0]
    assert said(moved, volume(), renew=["a"]) == []


def test_a_member_is_left_out_once_its_volume_is_not_protected() -> None:
    (fault,) = said([member("b", "10.0.128.11")], volume())
    assert fault.startswith("members: a is not among them, and its volume vol-a (us-east-1a, 20 GiB) is protected.")
    assert "Declare it with is_protected=False and deploy; then leave it out." in fault
    assert said([member("b", "10.0.128.11")], volume(is_protected=False)) == []


def test_it_is_said_which_of_two_volumes_has_the_data() -> None:
    two = volume(), volume(id="vol-b")
    assert "vol-a, vol-b are all volumes of a; name the one with its data" in said([member()], *two)[0]
    named = "vol-0123456789abcdef0"
    assert said([member(volume=named)], volume(id=named), volume(id="vol-b")) == []
    assert said([member(volume=named)]) == [f"members[0].volume: the region has no volume {named}"]


def test_one_of_a_set_is_renewed_at_a_time() -> None:
    members = [
        member(),
        member("b", "10.0.144.10"),
        member("c", "10.0.128.11", set="two"),
        member("r", "10.0.128.12", set=""),
    ]
    assert said(members, renew=["a", "c", "r"]) == []
    assert said(members, renew=["a", "b"]) == [
        "renew: a, b hold the same data (one): renew one, see it back among the others, then the next"
    ]
    assert said(members, renew=["x"]) == ["renew: there is no member x"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "A"},
        {"address": "10.0.128"},
        {"role": "config-server"},
        {"size_gb": 0},
        {"throughput": 100},
        {"volume": "vol-1"},
        {"instance_type": "large"},
        {"colour": "blue"},
    ],
)
def test_what_a_member_is_made_of_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        member(**wrong)
