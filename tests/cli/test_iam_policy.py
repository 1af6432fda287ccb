"""`bluegreen iam-policy`: what a role needs, filled in from the stack's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Done, bluegreen

PROJECT = "name: shop\nruntime: python\n"
STACK = "config:\n  aws:region: eu-west-1\n  bluegreen:service: cart\n  bluegreen:ledger: dynamodb:history\n"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "Pulumi.prod.yaml").write_text(STACK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> Done:
        return bluegreen(monkeypatch, capsys, "iam-policy", *words, "--account", "111122223333")

    return run


def documents(text: str) -> list[dict[str, Any]]:
    found, decoder = [], json.JSONDecoder()
    while text.strip():
        document, end = decoder.raw_decode(text.lstrip())
        found.append(document)
        text = text.lstrip()[end:]
    return found


@pytest.mark.parametrize("verb", ["bake", "deploy", "rollback", "read-only"])
def test_it_is_the_policy_of_the_stack_and_no_account_is_asked(run: Any, verb: str) -> None:
    done = run(verb, "prod")
    assert done.code == 0, done.err
    text = json.dumps(documents(done.out))
    assert "${" not in text
    assert "table/history" in text
    assert ("arn:aws:ec2:eu-west-1:111122223333" in text) is (verb != "read-only")


def test_files_hold_a_document_each(run: Any, directory: Path) -> None:
    printed = documents(run("deploy", "prod").out)
    done = run("deploy", "prod", "--to", "policies")
    files = [directory / line for line in done.out.splitlines()]
    assert [json.loads(file.read_text()) for file in files] == printed
    assert [file.name for file in files] == [f"deploy-{number}.json" for number in range(1, len(files) + 1)]


def test_an_unknown_verb_or_stack_is_refused(run: Any) -> None:
    assert run("drink", "prod").code == 2
    missing = run("deploy", "qa")
    assert missing.code == 2
    assert "qa" in missing.err
