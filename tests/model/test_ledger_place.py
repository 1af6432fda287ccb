"""The setting `ledger`: a place that can't be is a fault that says what would be one."""

from __future__ import annotations

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.ledger_place import Backend, LedgerPlace
from bluegreen.model.settings import Settings


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", LedgerPlace()),
        ("file", LedgerPlace(backend=Backend.FILE)),
        ("dynamodb", LedgerPlace(backend=Backend.DYNAMODB, name="bluegreen")),
        ("dynamodb:team-a.ledger", LedgerPlace(backend=Backend.DYNAMODB, name="team-a.ledger")),
        ("consul", LedgerPlace(backend=Backend.CONSUL, name="bluegreen")),
        ("consul:teams/shop", LedgerPlace(backend=Backend.CONSUL, name="teams/shop")),
    ],
)
def test_a_place_is_what_the_setting_says(text: str, place: LedgerPlace) -> None:
    assert Settings.parse({"ledger": text}).ledger_place == place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dynamo", "'dynamo' should be dynamodb, consul or file; did you mean dynamodb?"),
        ("Consul", "'Consul' should be dynamodb, consul or file; did you mean consul?"),
        ("redis", "'redis' should be dynamodb, consul or file"),
        (":x", "':x' should be dynamodb, consul or file"),
        ("dynamodb:", "'' is not the name of a table: 3 to 255 letters, digits and _ . -"),
        ("dynamodb:my table", "'my table' is not the name of a table: 3 to 255 letters, digits and _ . -"),
        ("consul:/teams", "'/teams' is not a prefix of keys; one looks like teams/checkout"),
        ("consul:teams/", "'teams/' is not a prefix of keys; one looks like teams/checkout"),
        ("file:here", "'file:here' should be file: its place is runs/STACK/ledger.jsonl"),
    ],
)
def test_a_place_that_can_not_be_is_a_fault_with_its_path(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ledger": text})
    assert [str(fault) for fault in caught.value.faults if fault.path == "bluegreen:ledger"] == [
        f"bluegreen:ledger: {message}"
    ]
