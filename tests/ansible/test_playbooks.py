"""The playbooks as they are written: they parse, and what they document is what they do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ANSIBLE = Path(__file__).parent.parent.parent / "ansible"
PLAYBOOKS = sorted(file.name for file in ANSIBLE.glob("*.yml"))
ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def tasks_of(role: str, name: str = "main") -> list[dict[str, Any]]:
    return list(load(ANSIBLE / "roles" / role / "tasks" / f"{name}.yml"))


def test_all_playbooks_parse_with_their_roles() -> None:
    assert PLAYBOOKS == ["bootstrap.yml", "consul.yml", "database.yml", "deploy.yml", "mongodb.yml"]
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--syntax-check", *PLAYBOOKS],
        cwd=ANSIBLE,
        env={**os.environ, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_is_documented_with_the_default_that_it_has(role: str) -> None:
    options = load(ANSIBLE / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load(ANSIBLE / "roles" / role / "defaults/main.yml")
    assert defaults.keys() == {name for name, option in options.items() if not option.get("required")}
    for name, option in options.items():
        assert option["description"]
        if "default" in option:
            assert option["default"] == defaults[name], name


def test_what_reaches_beyond_a_tree_of_files_can_be_skipped_by_its_tag() -> None:
    host = [task["ansible.builtin.import_tasks"] for task in tasks_of("base") if "host" in task.get("tags", [])]
    assert host == ["packages.yml", "users.yml", "time.yml", "updates.yml", "hardening.yml"]
    *_, seal = load(ANSIBLE / "deploy.yml")[0]["tasks"]
    assert seal["ansible.builtin.import_role"] == {"name": "base", "tasks_from": "seal"}
    assert "host" in seal["tags"]


def test_the_artifacts_url_is_not_shown() -> None:
    text = (ANSIBLE / "roles/app/tasks/artifact.yml").read_text()
    (fetch,) = tasks_of("app", "artifact")[0]["block"]
    assert fetch["no_log"] is True
    assert text.count("app_artifact_url") == 2, "once to fetch it, once to take it out of the error"
