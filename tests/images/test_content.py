"""Digests of what an image is made of: they change with the image, and with nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bluegreen.errors import ContentError
from bluegreen.images.content import Content, template_digest, tree_digest

CONTENT = Content(artifact_sha256="a", playbook_digest="b", base_image="c", template_digest="d")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/roles").mkdir(parents=True)
    (tmp_path / "tree/deploy.yml").write_text("- hosts: localhost\n")
    (tmp_path / "tree/roles/main.yml").write_text("[]\n")
    return tmp_path / "tree"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Content)])
def test_each_part_is_in_the_content_digest(field: str) -> None:
    assert dataclasses.replace(CONTENT, **{field: "other"}).digest != CONTENT.digest


def test_the_same_content_has_the_same_digest() -> None:
    assert dataclasses.replace(CONTENT).digest == CONTENT.digest


def test_parts_do_not_run_into_each_other() -> None:
    assert dataclasses.replace(CONTENT, artifact_sha256="ab", playbook_digest="").digest != CONTENT.digest


def test_times_and_junk_do_not_change_a_trees_digest(tree: Path) -> None:
    before = tree_digest(tree)
    (tree / "deploy.yml").touch()
    (tree / ".deploy.yml.swp").touch()
    (tree / "roles/main.yml").chmod(0o600)
    assert tree_digest(tree) == before


def test_a_trees_digest_does_not_depend_on_where_it_is(tree: Path) -> None:
    before = tree_digest(tree)
    assert tree_digest(tree.rename(tree.with_name("elsewhere"))) == before


@pytest.mark.parametrize("change", ["bytes", "name", "executable", "link"])
def test_what_is_in_a_tree_changes_its_digest(tree: Path, change: str) -> None:
    before = tree_digest(tree)
    match change:
        case "bytes":
            (tree / "roles/main.yml").write_text("[ ]\n")
        case "name":
            (tree / "roles/main.yml").rename(tree / "roles/other.yml")
        case "executable":
            (tree / "deploy.yml").chmod(0o755)
        case "link":
            (tree / "link.yml").symlink_to("deploy.yml")
    assert tree_digest(tree) != before


def test_a_link_to_another_file_changes_the_digest(tree: Path) -> None:
    (tree / "link.yml").symlink_to("deploy.yml")
    before = tree_digest(tree)
    (tree / "link.yml").unlink()
    (tree / "link.yml").symlink_to("roles/main.yml")
    assert tree_digest(tree) != before


def test_template_scripts_and_variables_are_all_in_the_templates_digest(tree: Path) -> None:
    roles = tree / "roles"
    digests = {
        template_digest(tree, roles, {}),
        template_digest(roles, roles, {}),
        template_digest(tree, tree, {}),
        template_digest(tree, roles, {"volume_gb": 8}),
        template_digest(tree, roles, {"volume_gb": "8"}),
    }
    assert len(digests) == 5
    assert template_digest(tree, roles, {"a": 1, "b": 2}) == template_digest(tree, roles, {"b": 2, "a": 1})


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="ansible is not a directory"):
        tree_digest(tmp_path / "ansible")
