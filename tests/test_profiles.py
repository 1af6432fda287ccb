"""The profiles in stacks/: settings that are right, each with a comment that says what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bluegreen.model.nat import Nat
from bluegreen.model.settings import Settings, Strategy

STACKS = Path(__file__).parents[1] / "stacks"
NAMES = ("sandbox", "dev", "qa", "stage", "prod")


def settings(name: str) -> Settings:
    config = yaml.safe_load((STACKS / f"Pulumi.{name}.yaml").read_text())["config"]
    ours = {key.removeprefix("bluegreen:"): value for key, value in config.items() if key.startswith("bluegreen:")}
    return Settings.parse({"ami": "ami-0123456789abcdef0", **ours})


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_right_and_says_in_its_first_line_what_it_is_for(name: str) -> None:
    settings(name)
    assert (STACKS / f"Pulumi.{name}.yaml").read_text().startswith("# ")


def test_only_production_is_made_to_outlive_a_zone_and_a_slip() -> None:
    prod = settings("prod")
    assert (prod.zones, prod.nat, prod.min_size, prod.deletion_protection) == (3, Nat.PER_ZONE, 3, True)
    assert not any(settings(name).deletion_protection for name in NAMES if name != "prod")


def test_staging_goes_the_way_of_production_and_sooner() -> None:
    stage, prod = settings("stage"), settings("prod")
    assert stage.strategy is prod.strategy is Strategy.CANARY
    assert stage.smoke_tests == prod.smoke_tests
    assert 0 < stage.soak_seconds < prod.soak_seconds
    assert sum(step.pause_seconds for step in stage.steps) < sum(step.pause_seconds for step in prod.steps)


@pytest.mark.parametrize("name", ["dev", "qa"])
def test_nobody_waits_in_development(name: str) -> None:
    assert settings(name).soak_seconds == 0
    assert settings(name).strategy is Strategy.BLUE_GREEN
