"""The page on the engines says what the scenarios say; every scenario has a recording."""

from __future__ import annotations

import json

from tests.conformance import recordings, table
from tests.conformance.scenarios import SCENARIOS


def test_every_scenario_has_a_recording_that_says_which_engine_made_it() -> None:
    for scenario in SCENARIOS:
        recorded = json.loads(recordings.file_of(scenario).read_text())
        assert recorded["engine"].startswith("pulumi v")
        assert [step["step"] for step in recorded["steps"]] == [step.name for step in scenario.steps], scenario.name


def test_the_page_on_the_engines_is_up_to_date() -> None:
    assert table.PAGE.read_text() == table.page(), "run `make conformance-table`"
