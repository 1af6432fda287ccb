"""Names in DNS and the zones that they are in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.dns import is_in_zone, pick_zone
from bluegreen.model.observation import HostedZone
from bluegreen.model.settings import Settings

PUBLIC = HostedZone(id="Z1", name="example.com")
PRIVATE = HostedZone(id="Z2", name="example.com", is_private=True)


def faults(**config: Any) -> str:
    values = {key: json.dumps(it) for key, it in config.items()}
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ami": "ami-00000001", **values})
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "is_in"), [("example.com", True), ("a.b.example.com", True), ("badexample.com", False), ("com", False)]
)
def test_a_name_is_in_a_zone_label_by_label(name: str, is_in: bool) -> None:
    assert is_in_zone(name, "example.com") is is_in


def test_names_and_zones_are_read_as_people_write_them() -> None:
    dns = json.dumps({"zone": "Example.com.", "names": ["Shop.example.com"]})
    read = Settings.parse({"ami": "ami-00000001", "dns": dns}).dns
    assert read
    assert (read.zone, read.names) == ("example.com", ("shop.example.com",))


@pytest.mark.parametrize(
    ("dns", "fault"),
    [
        ({"names": ["a.example.com"]}, "bluegreen:dns.zone: is missing"),
        ({"zone": "example.com"}, "bluegreen:dns.names: is missing"),
        ({"zone": "example.com", "names": []}, "bluegreen:dns.names"),
        ({"zone": "example.com", "names": ["a.b", "a.b"]}, "bluegreen:dns.names: names a.b twice"),
        (
            {"zone": "example.com", "names": ["a b.c"]},
            "bluegreen:dns.names[0]: 'a b.c' is not the whole",
        ),
        ({"zone": "-", "names": ["a.example.com"]}, "bluegreen:dns.zone: '-' is not the whole name of a host"),
    ],
)
def test_a_config_that_names_nothing(dns: dict[str, Any], fault: str) -> None:
    assert fault in faults(dns=dns)


def test_a_certificate_that_is_issued_is_for_its_domain_alone() -> None:
    tls = {"domain": "shop.example.com", "zone": "example.com"}
    dns = {"zone": "example.com", "names": ["shop.example.com", "www.example.com"]}
    assert "bluegreen:dns.names: the certificate that is issued is for shop.example.com alone" in faults(
        tls=tls, dns=dns
    )


def test_of_a_public_and_a_private_zone_the_one_that_fits_is_meant() -> None:
    both = (PRIVATE, PUBLIC)
    assert pick_zone("example.com", both, is_private=False) is PUBLIC
    assert pick_zone("example.com", both, is_private=True) is PRIVATE
    assert pick_zone("example.com", both, is_private=True, needs_public=True) is PUBLIC
    assert pick_zone("example.com", (PRIVATE,), is_private=False) is PRIVATE


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ((), "there is no hosted zone example.com in this account"),
        ((PRIVATE,), "the hosted zone example.com is private; ACM looks for its record in a public one"),
        ((PUBLIC, HostedZone(id="Z0", name="example.com")), "2 hosted zones are called example.com: give the id of"),
    ],
)
def test_a_zone_that_can_not_be_meant(found: tuple[HostedZone, ...], reason: str) -> None:
    with pytest.raises(LookupError, match=reason):
        pick_zone("example.com", found, is_private=False, needs_public=True)
