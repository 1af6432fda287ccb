"""The stand-in does what the real engine does, and either goes on where the other stopped.

Compared with the real engine where it is on PATH, else with what was recorded of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import recordings
from tests.conformance.observed import Differences, Record, comparable, differences, told, unexplained
from tests.conformance.scenario import Scenario, go_on, run
from tests.conformance.scenarios import BOTH_WAYS, SCENARIOS
from tests.sandbox.engine.engine_workspace import STAND_IN

pytestmark = pytest.mark.conformance
REAL = recordings.real_engine()


def compared(scenario: Scenario, real: Record, stand_in: Record) -> Differences:
    found = differences(comparable(real), comparable(stand_in), real["step"])
    return unexplained(found, dict.fromkeys(scenario.chance, ""))


@pytest.mark.parametrize("scenario", [pytest.param(s, id=s.slug) for s in SCENARIOS])
def test_the_engines_agree(scenario: Scenario, tmp_path: Path) -> None:
    real = run(scenario, REAL, tmp_path / "real") if REAL else recordings.recorded(scenario)
    stand_in = run(scenario, STAND_IN, tmp_path / "stand-in")
    if scenario.refused:
        assert_refused(scenario, stand_in)
        return
    found: Differences = {}
    for one, other in zip(real, stand_in, strict=True):
        found |= compared(scenario, one, other)
    assert not unexplained(found, scenario.explained), told(unexplained(found, scenario.explained))
    for pattern in scenario.explained:
        assert unexplained(found, {pattern: ""}) != found, (
            f"nothing differs at {pattern} any more: explain it no longer"
        )
    for index in scenario.crossings:
        go_on_from_each_other(scenario, index, real, stand_in, tmp_path)


def go_on_from_each_other(
    scenario: Scenario, index: int, real: list[Record], stand_in: list[Record], tmp_path: Path
) -> None:
    after_real = go_on(scenario, index, STAND_IN, tmp_path / f"stand-in-{index}", real)
    found = unexplained(compared(scenario, real[index], after_real), {**scenario.explained, **BOTH_WAYS})
    assert not found, f"the stand-in goes on from the real engine's state\n{told(found)}"
    if REAL:
        after_stand_in = go_on(scenario, index, REAL, tmp_path / f"real-{index}", stand_in)
        found = unexplained(compared(scenario, after_stand_in, stand_in[index]), {**scenario.explained, **BOTH_WAYS})
        assert not found, f"the real engine goes on from the stand-in's state\n{told(found)}"


def assert_refused(scenario: Scenario, stand_in: list[Record]) -> None:
    """The step that is refused says so, and has changed nothing."""
    for before, step in zip([None, *stand_in], stand_in, strict=False):
        said = [*step["errors"], *(message for _, _, message in step["events"]["diagnostics"])]
        if any(f"does not support {scenario.refused}" in message for message in said):
            assert step["code"] != 0
            assert step["operations"]["of"] == {}
            if before:
                assert step["things"] == before["things"]
            return
    raise AssertionError(f"nothing was refused as {scenario.refused!r}")
