"""The commands that make images: results alone on stdout, and wrong command lines told apart from failures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from bluegreen import deployment
from bluegreen.cli import bake as bake_commands
from bluegreen.driver import Update
from bluegreen.errors import EngineError, PackerError
from bluegreen.events import Line
from bluegreen.images import bake as images
from bluegreen.images.artifact import Artifact
from bluegreen.images.bake import Baked
from bluegreen.images.packer_output import Phase
from tests.cli.shell import Done, bluegreen

AMI = "ami-0123456789abcdef0"
ARTIFACT = Artifact(url="https://example.org/a", sha256="a" * 64, version="1", commit="unknown")


@dataclasses.dataclass
class Shell:
    """Runs commands in a project, and keeps what the library was asked for."""

    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    baked: list[dict[str, Any]]
    deployed: list[dict[str, Any]]

    def __call__(self, *words: str) -> Done:
        return bluegreen(self.monkeypatch, self.capture, *words)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/VERSION").write_text("1\n")
    (tmp_path / "packer").mkdir()
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/Pulumi.dev.yaml").write_text("config: {aws:region: us-east-1, bluegreen:service: shop}\n")
    (tmp_path / "Pulumi.yaml").write_text(
        "name: bluegreen\nstackConfigDir: stacks\nconfig: {service: {default: web}, ledger: {default: file}}\n"
    )
    monkeypatch.chdir(tmp_path)
    made = Shell(capsys, monkeypatch, [], [])

    def bake(stack: str, **kwargs: Any) -> Baked:
        kwargs.pop("on_line")("a line of Packer's")
        kwargs.pop("on_phase")(Phase.LAUNCH)
        made.baked.append({"stack": stack, **kwargs})
        return Baked(image=AMI, was_there=False, content_digest="d" * 64, artifact=ARTIFACT, seconds=1.0)

    def deploy(stack: str, *, ami: str, on_event: Any, stop: Any) -> object:
        on_event(Line(stack=stack, text="a line of the engine's"))
        made.deployed.append({"stack": stack, "ami": ami})
        outputs = {"activeRelease": {"version": "abc"}, "url": "http://web", "fleet": {"groups": []}}
        return Update(stack=stack, outputs=outputs, changes={})

    monkeypatch.setattr(images, "bake", bake)
    monkeypatch.setattr(deployment, "deploy", deploy)
    monkeypatch.setattr(deployment, "check", lambda stack: None)
    return made


def test_bake_prints_the_image_alone(shell: Shell) -> None:
    done = shell("bake", "dev")
    assert (done.code, done.out) == (0, f"{AMI}\n")
    assert "a line of Packer's\n" in done.err
    assert " s  launch\n" in done.err
    assert f"{AMI} baked (content dddddddddddd)" in done.err


def test_what_is_not_asked_for_is_left_to_the_library(shell: Shell) -> None:
    shell("bake", "dev")
    assert shell.baked == [
        {
            "stack": "dev",
            "directory": Path(),
            "artifact": None,
            "app": None,
            "version": None,
            "force": False,
            "template": Path("packer/linux"),
            "history": ANY,
        }
    ]


def test_options_of_a_bake_are_handed_on(shell: Shell) -> None:
    shell("bake", "dev", "--force", "--app", "services/shop", "--version", "2", "--template", "packer/other")
    asked = shell.baked[0]
    assert (asked["force"], asked["app"], asked["version"]) == (True, Path("services/shop"), "2")
    assert asked["template"] == Path("packer/other")


@pytest.mark.parametrize("form", ["file", "stdin", "json"])
def test_an_artifact_comes_in_three_forms(shell: Shell, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    import io

    Path("artifact.json").write_text(ARTIFACT.to_json())
    monkeypatch.setattr("sys.stdin", io.StringIO(ARTIFACT.to_json()))
    word = {"file": "artifact.json", "stdin": "-", "json": ARTIFACT.to_json()}[form]
    assert shell("bake", "dev", "--artifact-json", word).code == 0
    assert shell.baked[0]["artifact"] == ARTIFACT


@pytest.mark.parametrize(
    ("word", "where"),
    [
        ("{}", "--artifact-json has 4 faults"),
        ("gone.json", "gone.json can't be read"),
        ("", "--artifact-json has 1 fault:\n  artifact: is empty"),
    ],
)
def test_an_artifact_that_is_none_is_an_error(shell: Shell, word: str, where: str) -> None:
    done = shell("bake", "dev", "--artifact-json", word)
    assert (done.code, done.out, shell.baked) == (2, "", [])
    assert where in done.err


def test_a_bake_that_fails_prints_no_image(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PackerError("there is no `packer` on PATH", "Install it.")

    monkeypatch.setattr(images, "bake", fail)
    for command in ("bake", "release"):
        done = shell(command, "dev")
        assert (done.code, done.out) == (1, "")
        assert done.err == "error: there is no `packer` on PATH\n  Install it.\n"
    assert shell.deployed == []


def test_release_bakes_nothing_for_a_stack_that_is_not_there(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(stack: str) -> None:
        raise EngineError(f"there is no stack {stack}", "Make it.")

    monkeypatch.setattr(deployment, "check", fail)
    assert shell("release", "dev").code == 2
    assert (shell.baked, shell.deployed) == ([], [])


def test_release_bakes_then_deploys(shell: Shell) -> None:
    done = shell("release", "dev")
    assert shell.deployed == [{"stack": "dev", "ami": AMI}]
    assert done.out == "dev runs release abc at http://web\n"
    assert "a line of the engine's\n" in done.err


def test_release_without_a_bake_deploys_what_was_baked_last(shell: Shell) -> None:
    Path("packer/ami.txt").write_text("ami-11111111\n")
    assert shell("release", "dev", "--skip-bake").code == 0
    assert (shell.baked, shell.deployed) == ([], [{"stack": "dev", "ami": "ami-11111111"}])


def test_release_without_a_bake_deploys_the_image_that_is_named(shell: Shell) -> None:
    Path("packer/ami.txt").write_text("ami-11111111\n")
    shell("release", "dev", "--skip-bake", "--ami", AMI)
    assert shell.deployed == [{"stack": "dev", "ami": AMI}]


def test_release_of_a_wrong_id_in_the_file_deploys_nothing(shell: Shell) -> None:
    Path("packer/ami.txt").write_text("xx\n")
    done = shell("release", "dev", "--skip-bake")
    assert (done.code, shell.deployed) == (2, [])
    assert "packer/ami.txt holds 'xx', which is not the id of an AMI" in done.err


def test_release_that_was_interrupted_while_the_image_was_finished_deploys_nothing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    bake = images.bake
    monkeypatch.setattr(images, "bake", lambda *a, **k: dataclasses.replace(bake(*a, **k), was_interrupted=True))
    done = shell("release", "dev")
    assert (done.code, shell.deployed) == (1, [])
    assert f"{AMI} is baked, and nothing was deployed" in done.err


def test_release_without_a_bake_and_with_nothing_baked_is_an_error(shell: Shell) -> None:
    done = shell("release", "dev", "--skip-bake")
    assert done.code == 2
    assert "there is no packer/ami.txt" in done.err
    assert shell.deployed == []


def test_release_without_a_deployment_prints_the_image(shell: Shell) -> None:
    done = shell("release", "dev", "--skip-deploy")
    assert (done.out, shell.deployed) == (f"{AMI}\n", [])


@pytest.mark.parametrize(
    "words",
    [
        ["release", "dev", "--skip-bake", "--skip-deploy"],
        ["release", "dev", "--ami", AMI],
        ["release", "dev", "--skip-bake", "--ami", "xx"],
        ["release", "dev", "--skip-bake", "--ami", "ami-1"],
        ["release", "dev", "--skip-bake", "--ami", ""],
        ["release", "dev", "--skip-bake", "--force"],
        ["release", "dev", "--skip-bake", "--artifact-json", "{}"],
        ["release", "dev", "--skip-bake", "--app", "app"],
        ["release", "dev", "--artifact-json", "{}", "--app", "app"],
        ["bake", "dev", "--artifact-json", "{}", "--version", "2"],
        ["artifact", "publish", "dev", "--artifact-json", "{}", "--app", "app"],
        ["artifact", "publish"],
        ["bake"],
        ["release"],
        ["artifact", "bild"],
    ],
)
def test_wrong_command_lines(shell: Shell, words: list[str]) -> None:
    done = shell(*words)
    assert (done.code, done.out) == (2, "")
    assert (shell.baked, shell.deployed) == ([], [])


def test_an_artifact_is_described_as_json(shell: Shell) -> None:
    done = shell("artifact", "build")
    built = Artifact.parse(done.out, where="stdout")
    assert built.file == Path("dist/web-1.tar.gz").absolute()
    assert list(json.loads(done.out)) == ["url", "sha256", "version", "commit"]


def test_an_app_that_is_no_directory_is_an_error(shell: Shell) -> None:
    done = shell("artifact", "build", "--app", "nope")
    assert (done.code, done.out) == (2, "")
    assert "error: nope is not a directory\n" in done.err


def test_an_artifact_of_a_stack_is_named_after_its_service(shell: Shell) -> None:
    done = shell("artifact", "build", "dev", "--version", "2")
    assert json.loads(done.out)["url"].endswith("/dist/shop-2.tar.gz")


def test_an_artifact_of_a_stack_that_is_not_there_is_an_error(shell: Shell) -> None:
    done = shell("artifact", "build", "deb")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean dev?" in done.err


@pytest.mark.parametrize("was_built", [False, True])
def test_publishing_prints_where_it_is(shell: Shell, monkeypatch: pytest.MonkeyPatch, was_built: bool) -> None:
    asked: list[Any] = []

    def publish(_session: object, bucket: object, artifact: Artifact, *, service: str) -> Artifact:
        asked.append((bucket, service, artifact.version))
        return dataclasses.replace(artifact, url="s3://bucket/key")

    monkeypatch.setattr("bluegreen.images.repository.bucket_of", lambda *_, **named: named)
    monkeypatch.setattr("bluegreen.images.repository.publish", publish)
    words = ["--artifact-json", shell("artifact", "build", "dev").out] if was_built else []
    done = shell("artifact", "publish", "dev", *words)
    assert json.loads(done.out)["url"] == "s3://bucket/key"
    assert asked == [({"project": "bluegreen", "stack": "dev", "configured": ""}, "shop", "1")]


@pytest.mark.parametrize("words", [["bake"], ["release"], ["artifact", "build"], ["artifact", "publish"]])
def test_every_command_has_an_example(shell: Shell, words: list[str]) -> None:
    assert "Example: " in (out := shell(*words, "--help").out)
    assert f"bluegreen {' '.join(words)} dev" in out


def test_a_bake_as_json_says_what_the_image_is(shell: Shell) -> None:
    done = shell("bake", "dev", "--json")
    record = json.loads(done.out)
    assert (record["image"], record["wasThere"], record["contentDigest"]) == (AMI, False, "d" * 64)
    assert record["artifact"]["version"] == "1"


@pytest.mark.parametrize("command", ["bake", "release"])
@pytest.mark.parametrize("there", [None, AMI])
def test_a_dry_run_says_what_would_be_baked_and_bakes_and_deploys_nothing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str, there: str | None
) -> None:
    planned: list[tuple[str, str]] = []

    def plan(verb: str, stack: str, as_json: bool, force: bool, *, ami: str) -> int:
        planned.append((stack, ami))
        return 0

    monkeypatch.setattr(images, "foresee", lambda *_, **__: images.Foreseen(image=there, content_digest="d" * 64))
    monkeypatch.setattr(bake_commands, "tell_plan", plan)
    done = shell(command, "dev", "--dry-run")
    assert (done.code, shell.baked, shell.deployed) == (0, [], [])
    assert ("would be taken" if there else "an image would be baked") in done.err
    assert planned == ([("dev", AMI)] if there and command == "release" else [])


def test_a_release_as_json_ends_with_the_result_on_stdout(shell: Shell) -> None:
    done = shell("release", "dev", "--json")
    last = json.loads(done.out.splitlines()[-1])
    assert (last["event"], last["exitCode"], last["url"]) == ("result", 0, "http://web")
