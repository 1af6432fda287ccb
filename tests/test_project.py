"""What holds for the project as a whole: who imports whom, what the lock says, what stays unsaid."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[1]

MAY_IMPORT = {
    "errors": set(),
    "model": {"errors"},
    "process": set(),
    "events": set(),
    "narrator": {"model", "events"},
    "progress": {"events"},
    "report": {"errors", "events", "narrator", "progress"},
    "aws": {"errors", "model"},
    "ledger": {"errors", "model", "aws", "process"},
    "checks": {"errors", "model"},
    "components": {"errors", "model", "aws", "ledger", "checks"},
    "program": {"errors", "components"},
    "images": {"errors", "model", "aws"},
    "ledger_of": {"model", "aws", "ledger", "images"},
    "records": {"errors", "model", "images", "ledger_of"},
    "stop": set(),
    "pulumi_command": set(),
    "engine": {"errors", "model", "process", "pulumi_command"},
    "stack": {"errors", "model", "events", "narrator", "aws", "ledger", "engine"},
    "way_back": {"errors", "model", "events", "checks", "stack"},
    "course": {"errors", "model", "events", "stack", "way_back"},
    "plan": {"errors", "model", "checks", "course", "stack"},
    "promotion": {"errors", "events", "model", "images", "stack", "stop"},
    "status": {"model", "events", "stack"},
    "new_stack": {"errors", "model", "events", "aws", "ledger", "engine", "stack"},
    "driver": {"errors", "model", "events", "ledger", "checks", "engine", "stack", "stop", "way_back"},
    "deployment": {
        "errors",
        "model",
        "events",
        "records",
        "engine",
        "stack",
        "stop",
        "course",
        "driver",
        "plan",
        "promotion",
        "way_back",
    },
    "project_images": {"errors", "model", "aws", "ledger", "images", "ledger_of", "engine"},
    "permissions": set(),
    "iam_policy": {"model", "aws", "images", "permissions"},
    "roles": {"errors", "model", "components", "permissions", "iam_policy"},
    "doctor": {"errors", "model", "aws", "ledger", "checks", "images", "engine"},
    "orphans": {"errors", "model", "aws", "images", "engine", "doctor"},
    "waves": {"errors", "model", "events", "deployment"},
    "cluster": {"errors", "events", "waves"},
    "cli": {
        "errors",
        "model",
        "events",
        "aws",
        "images",
        "records",
        "report",
        "plan",
        "status",
        "new_stack",
        "stop",
        "driver",
        "deployment",
        "waves",
        "cluster",
        "project_images",
        "doctor",
        "orphans",
        "ledger_of",
        "iam_policy",
    },
}
"""By first part of the module's name below `bluegreen`. Each may import itself, too."""


def modules() -> list[Path]:
    return [path for path in sorted((PROJECT / "bluegreen").rglob("*.py")) if path.name != "__init__.py"]


def imported_by(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PROJECT / "bluegreen").with_suffix("").parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_imports_follow_the_layers(path: Path) -> None:
    part = part_of(path)
    ours = {name.split(".")[1] for name in imported_by(path) if name.startswith("bluegreen.")}
    assert ours <= MAY_IMPORT[part] | {part}


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_no_layer_allows_what_it_does_not_use(part: str) -> None:
    used = {
        name.split(".")[1]
        for path in modules()
        if part_of(path) == part
        for name in imported_by(path)
        if name.startswith("bluegreen.")
    }
    assert MAY_IMPORT[part] <= used


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_product_never_imports_its_sandbox(path: Path) -> None:
    assert not [name for name in imported_by(path) if name.split(".")[0] in {"sandbox", "moto", "tests", "bench"}]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_only_some_parts_know_aws_and_pulumi(path: Path) -> None:
    part, tops = part_of(path), {name.split(".")[0] for name in imported_by(path)}
    if part not in {"aws", "ledger", "images"}:
        assert not tops & {"boto3", "botocore"}
    if part not in {"components", "program", "roles", "engine", "pulumi_command"}:
        assert not tops & {"pulumi", "pulumi_aws"}
    if part not in {"engine", "pulumi_command"}:
        assert "pulumi.automation" not in imported_by(path)


def test_the_lock_has_hashes_and_names_no_index() -> None:
    lock = (PROJECT / "requirements.lock").read_text()
    pins = re.findall(r"^\S+==\S+", lock, flags=re.MULTILINE)
    assert len(pins) > 50
    assert all("--hash=sha256:" in block for block in re.split(r"^(?=\S+==)", lock, flags=re.MULTILINE)[1:])
    assert "://" not in lock
    assert "--index-url" not in lock
    assert "--find-links" not in lock


def test_every_direct_dependency_is_pinned_and_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    lock = (PROJECT / "requirements.lock").read_text()
    for requirement in wanted:
        name, version = re.fullmatch(r"([\w.-]+)(?:\[[^\]]*\])?==(\S+)", requirement).groups()  # type: ignore[union-attr]
        assert re.search(rf"^{re.escape(name.lower())}==", lock, flags=re.MULTILINE), requirement
        assert f"=={version}" in lock


def test_pulumi_yaml_is_the_project_that_the_readme_speaks_of() -> None:
    project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())
    assert project["name"] == "bluegreen"
    assert project["runtime"]["name"] == "python"
    assert project["runtime"]["options"]["virtualenv"] == ".venv"
    assert project["stackConfigDir"] == "stacks"


def test_ci_runs_the_command_of_the_readme() -> None:
    assert "make test" in (PROJECT / ".ci/run").read_text()
    assert "make test" in (PROJECT / "README.md").read_text()


@pytest.mark.parametrize("command", ["bluegreen", "bluegreen-sandbox"])
def test_help_imports_nothing_heavy(command: str) -> None:
    module = {"bluegreen": "bluegreen.cli.main", "bluegreen-sandbox": "sandbox.cli"}[command]
    code = f"import sys; sys.argv = ['x', '--help']\ntry:\n  import {module} as m; m.main()\nexcept SystemExit: pass\n"
    code += "print([m for m in ('pulumi', 'pulumi_aws', 'boto3', 'botocore', 'moto', 'grpc') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_design_page_says_where_each_module_is() -> None:
    page = (PROJECT / "docs/design.md").read_text().partition("## Where things live")[2]
    there = {path.name for path in (PROJECT / "bluegreen").glob("*.py")} - {"__init__.py"}
    there |= {f"{path.name}/" for path in (PROJECT / "bluegreen").iterdir() if (path / "__init__.py").exists()}
    assert [name for name in sorted(there) if f"{name}`" not in page] == []
