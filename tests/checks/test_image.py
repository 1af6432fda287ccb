"""Images that machines can't be launched from are refused, and the message says which setting to mend."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from bluegreen.checks.image import LaunchRequest, check_image
from bluegreen.errors import AwsError, ImageError, NotPermitted, SettingsError
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.observation import Image, InstanceType

IMAGE = Image(id="ami-11111111", state="available", architecture="x86_64", root_device="/dev/xvda")
REQUEST = LaunchRequest(image="ami-11111111", instance_type="t3.small", root_device="/dev/xvda")


@dataclass
class World:
    region: str = "us-east-1"
    images: dict[str, Image] = field(default_factory=lambda: {"ami-11111111": IMAGE})
    types: dict[str, InstanceType] = field(
        default_factory=lambda: {"t3.small": InstanceType(name="t3.small", architectures=("x86_64",))}
    )

    def image(self, image: str) -> Image | None:
        return self.images.get(image)

    offering: tuple[str, ...] | AwsError = ("us-east-1a", "us-east-1b")

    def instance_type(self, name: str) -> InstanceType | None:
        return self.types.get(name)

    def zones_offering(self, instance_type: str) -> tuple[str, ...]:
        if isinstance(self.offering, AwsError):
            raise self.offering
        return self.offering


def test_an_available_image_of_the_right_architecture_passes() -> None:
    assert check_image(World(), REQUEST) == IMAGE


ARM = InstanceType(name="t4g.small", architectures=("arm64",))
SMALL = InstanceType(name="t3.small", architectures=("x86_64",))
MIXED = replace(REQUEST, more_types=("t4g.small",), zones=("us-east-1a",))


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (World(), "bluegreen:mixedInstances.types: t4g.small does not exist in us-east-1"),
        (
            World(types={"t3.small": SMALL, "t4g.small": ARM}),
            "bluegreen:mixedInstances.types: ami-11111111 is built for",
        ),
    ],
)
def test_each_type_that_machines_may_be_of_has_to_run_the_image(world: World, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        check_image(world, MIXED)
    check_image(replace(world, types={"t3.small": SMALL, "t4g.small": replace(ARM, architectures=("x86_64",))}), MIXED)


def test_each_type_that_machines_may_be_of_is_offered_in_each_zone() -> None:
    class Sparse(World):
        def zones_offering(self, instance_type: str) -> tuple[str, ...]:
            return ("us-east-1a", "us-east-1b") if instance_type == "t3.small" else ("us-east-1a",)

    world = Sparse(types={"t3.small": SMALL, "t4g.small": replace(ARM, architectures=("x86_64",))})
    check_image(world, MIXED)
    with pytest.raises(ImageError, match=r"mixedInstances\.types: us-east-1b has no t4g\.small"):
        check_image(world, replace(MIXED, zones=("us-east-1a", "us-east-1b")))


def test_an_image_for_one_of_several_architectures_passes() -> None:
    check_image(World(types={"t3.small": InstanceType(name="t3.small", architectures=("i386", "x86_64"))}), REQUEST)


@pytest.mark.parametrize(
    ("world", "request_", "message"),
    [
        (World(images={}), REQUEST, "bluegreen:ami: ami-11111111 does not exist in us-east-1"),
        (
            World(images={"ami-11111111": replace(IMAGE, state="pending")}),
            REQUEST,
            "bluegreen:ami: ami-11111111 is pending",
        ),
        (
            World(images={"ami-11111111": replace(IMAGE, state="failed")}),
            REQUEST,
            "bluegreen:ami: ami-11111111 is failed",
        ),
        (
            World(images={"ami-11111111": replace(IMAGE, architecture="arm64")}),
            REQUEST,
            "bluegreen:ami: ami-11111111 is built for arm64, and t3.small runs x86_64",
        ),
        (World(types={}), REQUEST, "bluegreen:instanceType: t3.small does not exist in us-east-1"),
        (
            World(),
            replace(REQUEST, root_device="/dev/sda1"),
            "bluegreen:rootDevice: /dev/sda1 is not the root device of ami-11111111, which is /dev/xvda",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_not_be_launched_is_refused(world: World, request_: LaunchRequest, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        check_image(world, request_)
    assert message in caught.value.what
    assert "traffic was not touched" in caught.value.next_step


@pytest.mark.parametrize(("image", "fault"), [("", "is unset"), ("nope", "is not the id of an AMI")])
def test_no_image_or_a_malformed_one_is_a_fault_of_the_config(image: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=f"bluegreen:ami: .*{fault}"):
        check_image(World(), replace(REQUEST, image=image))


REVOKED = History(
    (
        Event(
            at=datetime(2026, 3, 1, tzinfo=UTC),
            run="run",
            kind=Kind.REVOKED,
            evidence={"image": "ami-22222222", "contentDigest": "d1", "why": "CVE-2026-1", "operator": "ann"},
        ),
    )
)


def tagged(**tags: str) -> World:
    return World(images={"ami-11111111": replace(IMAGE, tags={f"bluegreen:{key}": tags[key] for key in tags})})


def test_a_copy_of_a_revoked_image_is_refused_by_its_content() -> None:
    world = tagged(**{"content-digest": "d1"})
    with pytest.raises(ImageError, match="ami-11111111 was revoked by ann on 2026-03-01 00:00: CVE-2026-1"):
        check_image(world, REQUEST, REVOKED)


def test_the_tag_alone_is_enough_where_the_history_knows_nothing() -> None:
    with pytest.raises(ImageError, match="revoked, as its tag says: CVE"):
        check_image(tagged(revoked="CVE"), REQUEST, History())


def test_a_way_back_that_was_forced_asks_nobody() -> None:
    check_image(tagged(revoked="CVE"), REQUEST)


def test_an_instance_type_that_a_zone_has_not_got_is_refused_with_the_zones_that_have_it() -> None:
    check_image(World(), replace(REQUEST, zones=("us-east-1a",)))
    with pytest.raises(ImageError, match=r"bluegreen:instanceType: us-east-1e has no t3\.small; it is offered in us"):
        check_image(World(), replace(REQUEST, zones=("us-east-1a", "us-east-1e")))


def test_who_may_not_ask_what_zones_offer_is_let_pass() -> None:
    check_image(World(offering=NotPermitted("no")), replace(REQUEST, zones=("us-east-1e",)))
