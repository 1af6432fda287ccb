"""Config files keep what a person wrote; a stack's config meets the project's schema with Pulumi's own messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.engine.backend import log_in, open_backend
from sandbox.engine.checkpoint import load_deployment
from sandbox.engine.config import ConfigFile
from sandbox.engine.errors import EngineError
from sandbox.engine.project import load
from sandbox.engine.secrets import Crypter

ANNOTATED = """\
# What this stack is for.
config:
  # The image that serves.
  demo:ami: ami-1  # set by the pipeline
  demo:health:
    # Where the app answers.
    path: /health
    codes: [200, 204]

  # The end.
  demo:size: "2"
"""


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(ANNOTATED)
    return ConfigFile(path)


def test_setting_a_value_changes_nothing_else(file: ConfigFile) -> None:
    file.set(["demo:ami"], "ami-2")
    assert file.path.read_text() == ANNOTATED.replace("ami-1", "ami-2")


def test_a_path_is_set_inside_a_structure_and_its_comments_stay(file: ConfigFile) -> None:
    file.set(["demo:health", "path"], "/ready")
    file.set(["demo:health", "interval"], 5)
    expected = ANNOTATED.replace("/health", "/ready").replace("204]\n", "204]\n    interval: 5\n")
    assert file.path.read_text() == expected


def test_a_removed_key_takes_only_its_own_lines(file: ConfigFile) -> None:
    file.set(["demo:new"], "true")
    file.remove(["demo:new"])
    file.remove(["demo:ami"])
    assert file.path.read_text() == ANNOTATED.replace("  demo:ami: ami-1  # set by the pipeline\n", "")


def test_an_edit_that_would_lose_a_comment_is_refused(file: ConfigFile) -> None:
    with pytest.raises(EngineError, match="edit the file by hand"):
        file.set(["demo:health"], "off")
    assert file.path.read_text() == ANNOTATED


@pytest.mark.parametrize("text", ["", "config:\n", "config: {}\n", "config: {'demo:size': '2'}", "# only a remark\n"])
def test_a_value_can_be_set_and_removed_whatever_the_file_looks_like(file: ConfigFile, text: str) -> None:
    file.path.write_text(text)
    before = dict(file.read("demo").values)
    file.set(["demo:list", 0], "a")
    file.set(["demo:list", 1, "deep"], 5)
    assert file.read("demo").values["demo:list"].raw == ["a", {"deep": 5}]
    file.remove(["demo:list"])
    assert file.read("demo").values == before


def test_text_that_looks_like_another_type_stays_text(file: ConfigFile) -> None:
    for text in ("5", "true", "", "a: b", "# no", "null", "two\nlines"):
        file.set(["demo:text"], text)
        assert file.read("demo").values["demo:text"].raw == text


def test_config_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    schema = "config:\n  size: {type: integer, default: 2}\n  ami: {type: string}\n  zone: {type: string}\n"
    (tmp_path / "Pulumi.yaml").write_text(f"name: demo\nruntime: python\n{schema}")
    project = load(tmp_path)
    file = ConfigFile(tmp_path / "Pulumi.dev.yaml")
    with pytest.raises(EngineError, match="Stack 'dev' is missing configuration values 'ami' and 'zone'"):
        project.validate("dev", project.merged(file.read("demo")), str)
    for key, value in (("ami", "a"), ("zone", "b"), ("size", "many")):
        file.set([f"demo:{key}"], value)
    with pytest.raises(EngineError, match="configuration key 'size' must be of type 'integer'"):
        project.validate("dev", project.merged(file.read("demo")), str)


def test_secrets_survive_another_crypter_with_the_same_passphrase_only() -> None:
    crypter = Crypter.new({"PULUMI_CONFIG_PASSPHRASE": "x"})
    sealed = crypter.encrypt("s3cret")
    assert Crypter(crypter.salt, {"PULUMI_CONFIG_PASSPHRASE": "x"}).decrypt(sealed) == "s3cret"
    with pytest.raises(EngineError, match="incorrect passphrase"):
        Crypter(crypter.salt, {"PULUMI_CONFIG_PASSPHRASE": "y"}).decrypt(sealed)


@pytest.mark.parametrize("name", ["1-created", "6-refreshed", "7-destroyed", "8-killed-in-the-gate"])
def test_a_recorded_checkpoint_is_read_and_written_as_it_was(name: str) -> None:
    from sandbox.engine.checkpoint import dump_deployment, schema_of

    document = json.loads((Path(__file__).parent / "golden" / f"{name}.json").read_text())
    recorded = document["checkpoint"]["latest"]
    crypter = Crypter(recorded["secrets_providers"]["state"]["salt"], {"PULUMI_CONFIG_PASSPHRASE": "x"})
    snapshot = load_deployment(recorded, crypter)
    written = dump_deployment(snapshot, crypter)
    recorded["manifest"]["time"] = written["manifest"]["time"]
    assert json.loads(json.dumps(written)) == recorded
    assert schema_of(snapshot) == {key: document[key] for key in ("version", "features") if key in document}


def test_the_project_names_a_backend_that_only_the_environment_overrides(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: demo\nruntime: python\nbackend: {{url: 'file://{tmp_path}/of-project'}}\n"
    )
    for name in ("of-project", "of-login", "of-environment"):
        (tmp_path / name).mkdir()
    project, home = load(tmp_path), {"PULUMI_HOME": str(tmp_path / "home")}
    log_in(f"file://{tmp_path}/of-login", home)
    assert open_backend(project, home).url.endswith("/of-project")
    assert open_backend(project, {**home, "PULUMI_BACKEND_URL": f"file://{tmp_path}/of-environment"}).url.endswith(
        "/of-environment"
    )
