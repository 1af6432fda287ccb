"""docs/library.md says of the components' args what their docstrings say."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs/library.md"
BEGIN, END = "<!-- args -->", "## What each has"
ARGS = {
    "NetworkArgs": "network",
    "BalancerArgs": "balancer",
    "SharedBalancerArgs": "shared_balancer",
    "ServiceArgs": "service",
    "EncryptionKeyArgs": "encryption_key",
    "ArtifactBucketArgs": "artifact_bucket",
    "BackupBucketArgs": "backup_bucket",
    "StatefulTierArgs": "stateful_tier",
    "ConsulServersArgs": "consul_servers",
}


def table_of(name: str) -> Iterator[str]:
    source = (PROJECT / f"bluegreen/components/{ARGS[name]}.py").read_text()
    (found,) = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.ClassDef) and each.name == name]
    yield f"| `{name}` | type | default | |"
    yield "| --- | --- | --- | --- |"
    for field, described in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(described, ast.Expr), f"{name}.{ast.unparse(field.target)} has no docstring"
            assert isinstance(described.value, ast.Constant)
            default = ast.unparse(field.value) if field.value else ""
            default = "`{}`" if default.startswith("field(") else default and f"`{default}`"
            kind = ast.unparse(field.annotation).replace("|", "\\|")
            yield f"| `{ast.unparse(field.target)}` | `{kind}` | {default} | {described.value.value} |"


def wanted() -> str:
    return "\n\n".join("\n".join(table_of(name)) for name in ARGS)


def test_the_tables_of_args_are_those_of_the_docstrings() -> None:
    """To write them anew: UPDATE_DOCS=1 pytest tests/test_library_page.py"""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    due = f"{before}{BEGIN}\n\n{wanted()}\n\n{END}{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(due)
    assert text == due or os.environ.get("UPDATE_DOCS")


@pytest.mark.parametrize(
    "page",
    ["docs/library.md", "docs/example/README.md", "docs/backends.md", "docs/stateful.md", "docs/mongodb/README.md"],
)
def test_links_lead_somewhere(page: str) -> None:
    file = PROJECT / page
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text()):
        assert (file.parent / target).exists(), target


def test_the_program_of_the_page_is_python() -> None:
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        compile(block, str(PAGE), "exec")
