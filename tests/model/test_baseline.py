"""A checkout that has not seen the stack's last update does not bring its settings back."""

from __future__ import annotations

import json

import pytest

from bluegreen.model.baseline import Difference, baseline, serial_of

ONE, TWO, THREE = "ami-00000001", "ami-00000002", "ami-00000003"


def config(serial: int | None = None, **settings: str) -> dict[str, str]:
    fleet = {"bluegreen:fleet": json.dumps({"serial": serial})} if serial is not None else {}
    return {**{f"bluegreen:{key}": value for key, value in settings.items()}, **fleet}


def test_a_stack_that_was_never_updated_starts_from_the_checkout() -> None:
    here = config(ami=ONE)
    found = baseline(here, None)
    assert (found.config, found.differences, found.edits) == (here, (), {})


def test_what_was_edited_since_the_last_update_counts_and_is_told() -> None:
    found = baseline(config(3, ami=ONE, maxSize="9"), config(3, ami=ONE, maxSize="6"))
    assert found.config["bluegreen:maxSize"] == "9"
    assert found.differences == (Difference(key="bluegreen:maxSize", deployed="6", here="9", is_used=True),)
    assert found.edits == {}


def test_a_checkout_of_an_older_serial_is_set_aside_key_by_key() -> None:
    found = baseline(
        config(2, ami=ONE, maxSize="9", nat="none"), config(3, ami=TWO, maxSize="6", userData="x"), serial=3
    )
    assert found.config == config(3, ami=TWO, maxSize="6", userData="x")
    assert {each.key for each in found.differences} == {
        f"bluegreen:{key}" for key in ("ami", "fleet", "maxSize", "nat", "userData")
    }
    assert not any(each.is_used for each in found.differences)
    assert found.edits["bluegreen:nat"] is None, "it is taken out"
    assert found.edits["bluegreen:userData"] == "x"


def test_a_checkout_without_a_fleet_is_older_than_any_rollout() -> None:
    assert baseline(config(ami=ONE), config(1, ami=TWO)).config["bluegreen:ami"] == TWO


def test_what_a_failed_update_has_put_out_counts_where_its_config_is_not_known() -> None:
    assert baseline(config(2, ami=ONE), config(2, ami=TWO), serial=3).config["bluegreen:ami"] == TWO


def test_a_config_that_is_ahead_of_the_last_update_counts() -> None:
    """The driver writes it before it asks the engine, and may have died in between."""
    found = baseline(config(4, ami=TWO), config(3, ami=ONE))
    assert found.config["bluegreen:ami"] == TWO


def test_an_image_that_has_served_before_is_no_edit_where_plain_ups_raise_no_serial() -> None:
    found = baseline(config(ami=ONE, maxSize="9"), config(ami=TWO), served={ONE})
    assert found.config["bluegreen:ami"] == TWO
    assert found.config["bluegreen:maxSize"] == "9"
    image = next(each for each in found.differences if each.key == "bluegreen:ami")
    assert not image.is_used
    assert "--ami" in image.why


def test_a_new_image_is_an_edit() -> None:
    assert baseline(config(ami=THREE), config(ami=TWO), served={ONE}).config["bluegreen:ami"] == THREE


@pytest.mark.parametrize(("here", "deployed"), [('{"a": 1, "b": 2}', '{"b":2,"a":1}'), ("", None), ("x", "x")])
def test_what_means_the_same_is_no_difference(here: str, deployed: str | None) -> None:
    there = {} if deployed is None else {"bluegreen:steps": deployed}
    assert baseline({"bluegreen:steps": here}, there).differences == ()


@pytest.mark.parametrize("fleet", ["", "{}", "[1]", "{", '{"serial": "x"}', "null"])
def test_a_fleet_that_can_not_be_read_has_no_serial(fleet: str) -> None:
    assert serial_of({"bluegreen:fleet": fleet}) == 0


def test_keys_of_other_namespaces_count_too() -> None:
    found = baseline({"aws:region": "eu-west-1"}, {"aws:region": "eu-central-1"})
    assert found.differences[0].key == "aws:region"
