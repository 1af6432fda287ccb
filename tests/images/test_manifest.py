"""Which image a run of Packer made, as its manifest says."""

from __future__ import annotations

import json

import pytest

from bluegreen.errors import PackerError
from bluegreen.images.manifest import image_in
from tests.images.conftest import manifest


def builds(*pairs: tuple[str, str], last: str = "2") -> str:
    return json.dumps(
        {
            "builds": [{"artifact_id": artifact, "packer_run_uuid": run} for artifact, run in pairs],
            "last_run_uuid": last,
        }
    )


def test_the_image_of_the_only_build() -> None:
    assert image_in(manifest("ami-0123456789abcdef0"), "us-east-1") == "ami-0123456789abcdef0"


def test_of_several_regions_the_stacks_own_counts() -> None:
    text = builds(("eu-west-1:ami-11111111,us-east-1:ami-22222222", "2"))
    assert image_in(text, "us-east-1") == "ami-22222222"
    assert image_in(text, "eu-west-1") == "ami-11111111"


def test_builds_of_earlier_runs_do_not_count() -> None:
    assert (
        image_in(builds(("us-east-1:ami-11111111", "1"), ("us-east-1:ami-22222222", "2")), "us-east-1")
        == "ami-22222222"
    )


@pytest.mark.parametrize(
    "text", [manifest(), manifest(""), builds(("us-east-1:ami-11111111", "1")), builds(("container", "2"))]
)
def test_a_manifest_without_an_image_is_an_error(text: str) -> None:
    with pytest.raises(PackerError, match="names no AMI") as caught:
        image_in(text, "us-east-1")
    assert "post-processor" in caught.value.next_step


def test_an_image_in_another_region_alone_is_an_error_that_names_it() -> None:
    with pytest.raises(PackerError, match="no AMI in us-east-1, but ami-11111111 in eu-west-1"):
        image_in(builds(("eu-west-1:ami-11111111", "2")), "us-east-1")


def test_two_images_of_one_run_are_an_error() -> None:
    with pytest.raises(PackerError, match="names 2 AMIs"):
        image_in(manifest("ami-11111111", "ami-22222222"), "us-east-1")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"builds": [{}], "last_run_uuid": ""}', "null"])
def test_what_is_no_manifest_is_an_error(text: str) -> None:
    with pytest.raises(PackerError, match="can't be read"):
        image_in(text, "us-east-1")
