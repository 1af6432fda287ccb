"""Every stack file keeps every policy, but for those that it names with a reason; and it names none in vain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bluegreen.model.policies import POLICIES, Resource, violations
from tests.components.conftest import Declared

STACKS = Path(__file__).parents[2] / "stacks"
FILES = sorted(STACKS.glob("Pulumi.*.yaml"))
NAMESPACE = "bluegreen:"
RIGHT = {
    "tls": {"domain": "shop.example.com", "zone": "example.com"},
    "accessLogs": {"bucket": "my-logs"},
    "flowLogs": {"days": 30},
    "deletionProtection": True,
    "policyExemptions": {},
}
"""What keeps every policy."""


def config_of(file: Path) -> dict[str, Any]:
    config = yaml.safe_load(file.read_text())["config"]
    return {key.removeprefix(NAMESPACE): value for key, value in config.items() if key.startswith(NAMESPACE)}


def resources(declared: Declared) -> list[Resource]:
    return [
        Resource(
            type=each.typ,
            name=each.name,
            properties=dict(each.inputs),
            depends_on=owners(declared.requests[f"{each.typ.rsplit(':', 1)[-1]} {each.name}"]),
        )
        for each in declared.resources
    ]


def owners(request: Any) -> frozenset[tuple[str, str]]:
    """Type and name of whatever the properties of a registration use outputs of."""
    urns = (urn.split("::") for found in request.propertyDependencies.values() for urn in found.urns)
    return frozenset((types.rpartition("$")[2], name) for *_, types, name in urns)


@pytest.fixture(params=FILES, ids=lambda file: file.stem.partition(".")[2])
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return config_of(request.param)


def test_a_stack_file_breaks_no_policy(config: dict[str, Any], declare: Any) -> None:
    found = violations(resources(declare(**config)), config.get("policyExemptions"))
    assert [str(each) for each in found] == []


def test_a_stack_file_is_exempt_only_from_what_it_breaks(config: dict[str, Any], declare: Any) -> None:
    broken = {each.policy for each in violations(resources(declare(**config)))}
    assert set(config.get("policyExemptions", {})) == broken


def test_with_https_and_logs_a_stack_file_keeps_every_policy_without_exemption(
    config: dict[str, Any], declare: Any
) -> None:
    found = violations(resources(declare(**{**config, **RIGHT, "listenerPort": 443})))
    assert [str(each) for each in found] == []


@pytest.mark.parametrize(
    ("change", "policy"),
    [
        ({"tls": None, "listenerPort": 80}, "CKV2_AWS_20"),
        ({"accessLogs": {}}, "CKV_AWS_91"),
        ({"flowLogs": {}}, "CKV2_AWS_11"),
        ({"deletionProtection": False}, "CKV_AWS_150"),
    ],
    ids=lambda it: it if isinstance(it, str) else next(iter(it)),
)
def test_a_setting_that_breaks_a_policy_is_found(change: dict[str, Any], policy: str, declare: Any) -> None:
    config = {key: value for key, value in {**RIGHT, "listenerPort": 443, **change}.items() if value is not None}
    assert {each.policy for each in violations(resources(declare(**config)))} == {policy}


def test_a_policy_that_a_stack_file_is_exempt_from_is_one_of_ours() -> None:
    named = {policy for file in FILES for policy in config_of(file).get("policyExemptions", {})}
    assert named <= {policy.id for policy in POLICIES}
