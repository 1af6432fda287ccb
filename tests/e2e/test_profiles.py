"""The profiles of stacks/, each deployed as it stands but for ports and times, and prod to its protected end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.host import Sandbox
from sandbox.load import Load
from tests.e2e.project import Project, eventually

IN_THE_SANDBOX = {"listener_port": 8080, "drain_seconds": 2, "progress_deadline_seconds": 60}
"""Ports below 1024 need root, and nobody waits for minutes."""
SOONER = {
    "soak_seconds": 2,
    "steps": [{"weight": 25, "pauseSeconds": 2}, {"weight": 50, "pauseSeconds": 2}],
}

pytestmark = pytest.mark.rollout


@pytest.fixture(scope="module", params=["dev", "qa", "stage", "prod"])
def profile(
    request: pytest.FixtureRequest, engine: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    with Sandbox.start(boot_seconds=0.5) as sandbox:
        directory = tmp_path_factory.mktemp(request.param) / "project"
        made = Project.make(sandbox, directory, engine, request.param)
        made.configure(**IN_THE_SANDBOX)
        yield made
        made.end_processes()


def test_the_very_first_deployment_is_neither_shifted_nor_soaked(profile: Project) -> None:
    """With the profile's own pauses and soak: they would take far longer than a test may."""
    first = profile.bluegreen("deploy", profile.stack, "--ami", profile.image("1"))
    assert first.code == 0, first.output
    assert "soak" not in first.output
    assert profile.ask()["app"] == "1"


def test_the_next_release_goes_through_all_of_it_under_load(profile: Project) -> None:
    if profile.stack in ("stage", "prod"):
        profile.configure(**SOONER)
    with Load(profile.outputs["url"], per_second=100) as load:
        eventually(lambda: load.answers)
        second = profile.bluegreen("deploy", profile.stack, "--ami", profile.image("2"))
    assert second.code == 0, second.output
    assert not load.failures, load.failures[:3]
    assert profile.ask()["app"] == "2"


def test_a_destroy_of_what_is_protected_leaves_the_traffic_and_says_how(profile: Project) -> None:
    if profile.stack != "prod":
        pytest.skip("only prod is protected")
    refused = profile.pulumi("destroy", "--yes", "--skip-preview")
    assert refused.code != 0
    assert "is protected against deletion" in refused.output
    assert "set `deletionProtection` to false and deploy" in refused.output
    assert refused.has_no_traceback, refused.output
    assert not {"DeleteListener", "DeleteAutoScalingGroup", "RevokeSecurityGroupIngress"} & set(refused.writes)
    assert profile.ask()["app"] == "2"

    profile.configure(deletion_protection=False)
    late = profile.pulumi("destroy", "--yes", "--skip-preview")
    assert "is protected against deletion" in late.output, "the load balancer counts, and not the config"
    assert profile.ask()["app"] == "2"
    assert profile.up().code == 0


def test_and_then_it_can_be_destroyed(profile: Project) -> None:
    gone = profile.pulumi("destroy", "--yes", "--skip-preview")
    assert gone.code == 0, gone.output
    assert not profile.sandbox.status()["machines"]
