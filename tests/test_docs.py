"""What the pages show is what there is: their Python runs, and their YAML is YAML."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
import yaml

from bluegreen import deployment
from bluegreen.deployment import Options
from bluegreen.driver import Update
from bluegreen.errors import RolledBack
from bluegreen.model.settings import Settings

PROJECT = Path(__file__).parents[1]
UPDATE = Update(stack="prod", outputs={"activeRelease": {"version": "4d197941"}, "url": "http://a"}, changes={})


def blocks(page: str, language: str) -> list[str]:
    text = (PROJECT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def program(page: str, mark: str) -> Any:
    found = next(block for block in blocks(page, "python") if mark in block)
    return compile(found, page, "exec")


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """In place of the library's verb, and called as that may be."""
    fake = create_autospec(deployment.deploy, return_value=UPDATE)
    monkeypatch.setattr(deployment, "deploy", fake)
    yield fake
    for call in fake.call_args_list:
        assert set(call.kwargs) <= {"ami", *Options.__annotations__}


def test_the_ten_lines_for_ci_deploy_and_say_so(
    deploy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy.py", "prod", "ami-1"])
    lines = next(block for block in blocks("ci.md", "python") if "deployment.deploy" in block).splitlines()
    assert len([line for line in lines if line]) <= 10
    exec(program("ci.md", "deployment.deploy"), {})
    assert deploy.call_args.args == ("prod",)
    assert deploy.call_args.kwargs["ami"] == "ami-1"
    assert capsys.readouterr().out == "prod runs release 4d197941 at http://a\n"


def test_the_ten_lines_for_ci_fail_the_job_with_the_reason(deploy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy.py", "prod", "ami-1"])
    deploy.side_effect = RolledBack("release 4d197941 was rolled back")
    with pytest.raises(SystemExit, match="prod was not deployed: release 4d197941 was rolled back"):
        exec(program("ci.md", "deployment.deploy"), {})


def test_the_waves_of_the_page_are_deployed(deploy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    exec(program("many-stacks.md", "run(deploy_one"), {})
    assert [call.args for call in deploy.call_args_list] == [("prod-us",), ("prod-eu",)]
    assert capsys.readouterr().out.endswith("prod-us done 4d197941 \nprod-eu done 4d197941 \n")


def test_the_settings_of_pulumi_deployments_are_python() -> None:
    program("ci.md", "DeploymentSettings")


def test_the_workflows_are_yaml_and_the_matrix_calls_the_one_for_a_stack() -> None:
    one, many = (yaml.safe_load(block) for block in blocks("ci.md", "yaml"))
    assert one["jobs"]["deploy"]["permissions"] == {"id-token": "write", "contents": "read"}
    inputs = set(one[True]["workflow_call"]["inputs"])  # YAML 1.1 reads `on` as true
    assert all(set(job["with"]) == inputs for job in many["jobs"].values())
    assert many["jobs"]["rest"]["needs"] == "first"
    assert many["jobs"]["rest"]["strategy"]["fail-fast"] is False


def test_the_windows_of_the_page_are_windows() -> None:
    (config,) = [yaml.safe_load(block) for block in blocks("rollouts.md", "yaml") if "windows" in block]
    assert len(Settings.parse({"ami": "ami-12345678", "windows": config["bluegreen:windows"]}).windows) == 2
