"""`bluegreen images`: without --yes nothing goes, and what was not read or not removed is said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen import project_images
from bluegreen.errors import ImagesError
from bluegreen.images.account_images import Removal
from bluegreen.model.image_use import AccountImage, Kept, PrunePlan, Purpose, Retention, Use
from bluegreen.model.place import Place
from bluegreen.model.tags import COMMIT, CONTENT_DIGEST, VERSION
from tests.cli.shell import bluegreen

IMAGE = AccountImage(
    id="ami-00000001",
    place=Place(account="111111111111", region="eu-west-1"),
    name="web-1",
    created=datetime(2026, 3, 1, 12, tzinfo=UTC),
    state="available",
    size_gib=8,
    tags={VERSION: "1.4", COMMIT: "0123456789abcdef", CONTENT_DIGEST: "d" * 64},
)
OTHER = dataclasses.replace(IMAGE, id="ami-00000002", name="web-2")
PLAN = PrunePlan(going=(IMAGE,), kept=(Kept(OTHER, "active in prod"),))

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        done = bluegreen(monkeypatch, capsys, "images", *words)
        return done.code, done.out, done.err

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the library was asked for. It removes what it should."""
    made: list[Any] = []

    def plan(retention: Retention, stacks: Any) -> PrunePlan:
        made.append((retention, tuple(stacks)))
        return PLAN

    def carry_out(plan: PrunePlan, *, on_removal: Any = None) -> tuple[Removal, ...]:
        made.append(plan)
        removal = Removal(image=IMAGE.id, gone=(f"image {IMAGE.id}",))
        if on_removal:
            on_removal(removal)
        return (removal,)

    monkeypatch.setattr(project_images, "plan_prune", plan)
    monkeypatch.setattr(project_images, "carry_out", carry_out)
    return made


def test_the_list_says_where_each_image_is_needed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use = Use(stack="prod", image=IMAGE.id, purpose=Purpose.ACTIVE, release="abc")
    images = (
        project_images.Listed(id=IMAGE.id, image=IMAGE, uses=(use,), revoked="revoked by ann on 2026-03-02 12:00: CVE"),
        project_images.Listed(id="ami-0000dead", image=None, uses=(use,)),
    )
    monkeypatch.setattr(
        project_images, "list_images", lambda stacks: project_images.Listing(images=images, warnings=("qa: locked",))
    )
    code, out, err = run("list")
    assert code == 0
    header, first, second = out.splitlines()
    assert header.split() == ["IMAGE", "CREATED", "VERSION", "COMMIT", "CONTENT", "GIB", "STATE", "NEEDED"]
    assert first.split()[:7] == [IMAGE.id, "2026-03-01", "12:00", "1.4", "0123456789", "d" * 12, "8"]
    assert first.endswith("active in prod; revoked by ann on 2026-03-02 12:00: CVE")
    assert second.split()[-4:] == ["gone", "active", "in", "prod"]
    assert err == "not read: qa: locked\n"
    (image, gone) = json.loads(run("list", "--json")[1])["images"]
    assert image["uses"] == [{"stack": "prod", "as": "active", "release": "abc"}]
    assert image["contentDigest"] == "d" * 64
    assert gone["created"] is None


def test_without_yes_nothing_is_removed(run: Run, asked: list[Any]) -> None:
    code, out, _ = run("prune", "prod", "--keep", "3", "--older-than", "2w")
    assert code == 0
    assert asked == [(Retention(keep=3, older_than=timedelta(days=14)), ("prod",))]
    assert "Nothing was removed" in out
    assert out.splitlines()[0].split() == ["keep", OTHER.id, "web-2", "(eu-west-1)", "active", "in", "prod"]
    assert out.splitlines()[1].startswith(f"remove  {IMAGE.id}")


def test_yes_removes_what_was_said(run: Run, asked: list[Any]) -> None:
    code, out, _ = run("prune", "--yes")
    assert code == 0
    assert asked[1:] == [PLAN]
    assert f"removed image {IMAGE.id}" in out


def test_what_was_not_removed_is_said_and_needs_a_person(
    run: Run, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    removal = Removal(image=IMAGE.id, gone=(f"image {IMAGE.id}",), left=("snapshot snap-1 (in use)",))

    def carry_out(plan: PrunePlan, *, on_removal: Any = None) -> tuple[Removal, ...]:
        if on_removal:
            on_removal(removal)
        return (removal,)

    monkeypatch.setattr(project_images, "carry_out", carry_out)
    code, _, err = run("prune", "--yes")
    assert (code, err) == (3, "not removed: snapshot snap-1 (in use)\n")
    code, out, _ = run("prune", "--yes", "--json")
    assert code == 3
    assert json.loads(out) == {
        "going": [IMAGE.id],
        "kept": [{"id": OTHER.id, "why": "active in prod"}],
        "removed": [f"image {IMAGE.id}"],
        "left": ["snapshot snap-1 (in use)"],
    }


@pytest.mark.parametrize("words", [("--older-than", "soon"), ("--keep", "-1")])
def test_a_wrong_command_line_removes_nothing(run: Run, asked: list[Any], words: tuple[str, str]) -> None:
    code, _, err = run("prune", "--yes", *words)
    assert code == 2
    assert words[0] in err
    assert asked == []


def test_a_veto_tells_where_it_holds_and_where_it_could_not_be_marked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = project_images.Verdict(
        image=IMAGE.id,
        content_digest="d" * 64,
        copies=(OTHER.id,),
        stacks=("dev", "prod"),
        unmarked=("111111111111/eu-west-1: refused",),
    )
    monkeypatch.setattr(project_images, "revoke", lambda image, why: verdict)
    monkeypatch.setattr(
        project_images, "restore", lambda image: dataclasses.replace(verdict, content_digest="", unmarked=())
    )
    code, out, err = run("revoke", IMAGE.id, "--why", "CVE")
    assert (code, out) == (0, f"{IMAGE.id} and {OTHER.id} (content {'d' * 12}) revoked for dev, prod\n")
    assert err == "not tagged: 111111111111/eu-west-1: refused. The ledgers count all the same.\n"
    code, out, err = run("restore", IMAGE.id)
    assert out == f"{IMAGE.id} and {OTHER.id} restored for dev, prod\n"
    assert "only this id" in err


def test_a_veto_without_a_reason_is_a_wrong_command_line(run: Run) -> None:
    assert run("revoke", IMAGE.id)[0] == 2


def test_an_error_of_a_command_without_a_report_is_one_line_of_json_where_that_was_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_stacks: object) -> None:
        raise ImagesError("prod can't be read", "Look there.")

    monkeypatch.setattr(project_images, "list_images", refuse)
    code, out, err = run("list", "--json")
    told = json.loads(out)
    assert (told["event"], told["exitCode"], told["what"], told["nextStep"]) == (
        "error",
        code,
        "prod can't be read",
        "Look there.",
    )
    assert err == ""
