"""What a candidate must show through the preview port before it takes traffic: smoke tests, and the user's command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.load import Load
from tests.e2e.project import Project, eventually

pytestmark = pytest.mark.rollout

SHORT = 6  # seconds: the machines are healthy, and the smoke tests have as good as all of it
READY = {"path": "/version", "json": {"app": "2"}, "latencySeconds": 2, "timesInARow": 5}
CHECK = """#!/bin/sh
echo "$BLUEGREEN_SERVICE $BLUEGREEN_STACK $BLUEGREEN_IMAGE $BLUEGREEN_RELEASE $BLUEGREEN_PREVIEW_URL" | tee -a checked
case $(cat verdict) in
  wait) sleep 300 & echo $$ $! > running; echo working; wait;;
  pass) until [ -e go ]; do sleep 0.1; done; exit 0;;
  *) exit 3;;
esac
"""


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic."""
    first = project.up(ami=project.image("1"))
    assert first.code == 0, first.output
    check = project.directory / "check"
    check.write_text(CHECK)
    check.chmod(0o755)
    return project


@pytest.fixture
def load(served: Project) -> Iterator[Load]:
    with Load(served.outputs["url"], per_second=20) as it:
        yield it
    assert not it.failures, it.failures[:3]
    assert {answer.release for answer in it.answers if answer.release} == {served.release}


def command(served: Project, verdict: str) -> None:
    """What the user's command does from now on."""
    (served.directory / "verdict").write_text(verdict)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # it is empty of one that has ended and is not reaped
    except FileNotFoundError:
        return False


def test_a_healthy_release_that_answers_wrongly_never_takes_traffic(served: Project, load: Load) -> None:
    refused = served.up(ami=served.image("3"), smoke_tests=[READY], progress_deadline_seconds=SHORT)
    assert refused.code != 0
    assert refused.has_no_traceback, refused.output
    assert "2 of 2 healthy" in refused.output
    assert 'smoke test /version: answers wrongly: app is "3" instead of "2"' in refused.output
    assert """the answer: '{"app": "3", "release": """ in refused.output
    assert "The traffic stays on web-" in refused.output


def test_a_program_that_is_not_there_is_refused_by_a_preview(served: Project) -> None:
    served.configure(ami=served.image("2"), gate_command={"command": ["./missing"]})
    preview = served.pulumi("preview")
    assert preview.code != 0
    assert preview.has_no_traceback, preview.output
    assert "bluegreen:gateCommand.command: there is no program './missing'" in preview.output
    assert preview.writes == []


def test_a_command_that_fails_stops_the_cutover_with_what_it_said(served: Project, load: Load) -> None:
    command(served, "fail")
    refused = served.up(ami=served.image("2"), smoke_tests=[READY], gate_command={"command": ["./check"]})
    assert refused.code != 0
    assert refused.has_no_traceback, refused.output
    assert "smoke tests passed: /version 5 times" in refused.output
    assert "the command ./check ended with exit code 3; its last lines:" in refused.output
    said = (served.directory / "checked").read_text().strip()
    assert f"gate: command: {said}" in refused.output
    words = said.split()
    assert words[:3] == ["web", "sandbox", served.image("2")]
    assert f"web-{words[3]}" in "".join(served.groups())
    assert words[-1] == served.outputs["previewUrl"]


def test_an_interrupted_up_ends_the_command_with_its_children(served: Project, load: Load) -> None:
    command(served, "wait")
    update = served.begin_up().wait_for("gate: command: working")
    running = [int(pid) for pid in (served.directory / "running").read_text().split()]
    update.interrupt()
    stopped = update.finish()
    assert stopped.code != 0
    assert stopped.has_no_traceback, stopped.output
    eventually(lambda: not any(is_running(pid) for pid in running))


def test_the_candidate_is_as_large_as_the_active_group_after_a_command_that_took_its_time(served: Project) -> None:
    command(served, "pass")
    (served.directory / "checked").unlink()
    active = next(name for name in served.groups() if served.release in name)
    update = served.begin_up(progress_deadline_seconds=None).wait_for("gate: command: web sandbox")
    autoscaling = served.aws("autoscaling")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=active, DesiredCapacity=4)
    (served.directory / "go").touch()
    done = update.finish()
    assert done.code == 0, done.output
    assert "4 of 4 healthy: passed" in done.output
    assert len((served.directory / "checked").read_text().splitlines()) == 1, "it runs once"
    assert done.last("SetDesiredCapacity").ended < done.last("ModifyListener").began
    assert len(served.healthy(served.image("2"))) == 4
    assert served.ask()["app"] == "2"
    assert served.up().writes == [], "and then nothing is left to prove"
