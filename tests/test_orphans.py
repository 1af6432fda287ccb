"""Reaping: nothing goes while the state may not be whole, nor what has changed since a person said yes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bluegreen import engine, orphans
from bluegreen.cli import doctor as command
from bluegreen.engine import Engine, StateResource
from bluegreen.errors import ReapRefused
from bluegreen.model.observation import Listener
from bluegreen.model.orphans import Kind, Part
from bluegreen.model.tags import Owner, Purpose
from tests.cli.shell import bluegreen

GROUP = Part(kind=Kind.GROUP, id="g", name="g", groups=("g",), target_groups=("tg",))
TEMPLATE = Part(kind=Kind.TEMPLATE, id="lt", name="lt", groups=("g",))
TARGET_GROUP = Part(kind=Kind.TARGET_GROUP, id="tg", name="tg", groups=("g",))
VPC = StateResource(urn="urn:vpc", id="vpc-1")


@dataclass
class World:
    """A stack, its state and what AWS has. `refuses`: what AWS says against a delete, by name."""

    directory: Path
    parts: tuple[Part, ...] = (GROUP, TEMPLATE, TARGET_GROUP)
    resources: tuple[StateResource, ...] = (VPC,)
    outputs: dict[str, Any] = field(default_factory=dict)
    locks: tuple[str, ...] | None = ()
    listeners: tuple[Listener, ...] = ()
    refuses: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    looks: int = 0
    on_look: Callable[[World], None] | None = None

    def look(self, owner: Owner, state: frozenset[str]) -> tuple[Part, ...]:
        assert owner == Owner(project="shop", stack="dev")
        self.looks += 1
        if self.on_look:
            self.on_look(self)
        return self.parts

    def delete(self, part: Part) -> str:
        refusal = self.refuses.get(part.name, "")
        if not refusal:
            self.deleted.append(part.name)
        return refusal

    def plan(self, **more: Any) -> Any:
        return orphans.plan_reap("dev", directory=self.directory, **more)

    def reap(self, **more: Any) -> tuple[orphans.Reaped, ...]:
        return orphans.reap("dev", self.plan(**more), directory=self.directory, **more)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    made = World(tmp_path)
    monkeypatch.setattr(orphans, "Session", lambda settings: settings)
    monkeypatch.setattr(orphans, "locks_of", lambda *_: made.locks)
    monkeypatch.setattr(
        orphans, "Engine", lambda *_: SimpleNamespace(resources=lambda: made.resources, outputs=lambda: made.outputs)
    )
    monkeypatch.setattr(orphans, "Reaper", lambda _: SimpleNamespace(parts=made.look, delete=made.delete))
    monkeypatch.setattr(orphans, "Observer", lambda _: SimpleNamespace(listeners_of=lambda arns: made.listeners))
    return made


def production(weight: int) -> Listener:
    return Listener(arn="l", port=80, purpose=Purpose.PRODUCTION, weights={"tg": weight})


def test_what_is_in_no_state_is_planned_and_nothing_is_deleted_by_that(world: World) -> None:
    assert [part.name for part in world.plan().going] == ["g", "lt", "tg"]
    assert world.deleted == []


def test_arns_in_the_state_count_as_ids_do(world: World) -> None:
    world.resources = (
        StateResource(urn="urn:g", id="g"),
        StateResource(urn="urn:lt", id="lt"),
        StateResource(urn="urn:tg", id="x", arn="tg"),
    )
    assert world.plan().going == ()


def test_they_are_deleted_in_order(world: World) -> None:
    done = world.reap()
    assert world.deleted == ["g", "lt", "tg"]
    assert all(reaped.refusal == "" for reaped in done)


def test_what_has_got_traffic_since_the_yes_stays(world: World) -> None:
    def shift(world: World) -> None:
        if world.looks == 2:
            world.listeners = (production(1),)

    world.on_look = shift
    assert world.reap() == ()
    assert world.deleted == []


def test_what_is_found_only_after_the_yes_stays(world: World) -> None:
    def find(world: World) -> None:
        world.parts = (GROUP,) if world.looks == 1 else (GROUP, TEMPLATE)

    world.on_look = find
    world.reap()
    assert world.deleted == ["g"]


def test_what_belongs_to_a_group_that_aws_keeps_stays_with_it(world: World) -> None:
    world.refuses = {"g": "ScalingActivityInProgress"}
    done = world.reap()
    assert world.deleted == []
    assert [reaped.refusal for reaped in done] == [
        "ScalingActivityInProgress",
        "it belongs to g, which is still there",
        "it belongs to g, which is still there",
    ]


@pytest.mark.parametrize("is_forced", [False, True])
def test_nothing_is_reaped_while_an_update_holds_the_stack(world: World, is_forced: bool) -> None:
    world.locks = ("ann@laptop (pid 7)",)
    with pytest.raises(ReapRefused, match=r"dev is locked by ann@laptop \(pid 7\)"):
        world.reap(is_forced=is_forced)
    assert world.looks == 0


def test_where_locks_can_not_be_seen_only_force_reaps(world: World) -> None:
    world.locks = None
    with pytest.raises(ReapRefused, match="can't be seen"):
        world.reap()
    world.reap(is_forced=True)
    assert world.deleted == ["g", "lt", "tg"]


@pytest.mark.parametrize("is_forced", [False, True])
def test_nothing_is_reaped_where_an_operation_was_cut_off(world: World, is_forced: bool) -> None:
    world.resources = (VPC, StateResource(urn="urn:group", id="", is_pending=True))
    with pytest.raises(ReapRefused, match="in the middle of 1 operations, first urn:group") as caught:
        world.reap(is_forced=is_forced)
    assert "pulumi refresh" in caught.value.next_step


def test_nothing_is_reaped_while_a_rollout_is_open(world: World) -> None:
    world.outputs = {"fleet": {"groups": [{"role": "active"}, {"role": "candidate"}]}}
    with pytest.raises(ReapRefused, match="a rollout of dev is open"):
        world.reap()


@pytest.mark.parametrize("is_forced", [False, True])
def test_an_empty_state_beside_groups_with_traffic_is_taken_for_the_wrong_backend(
    world: World, is_forced: bool
) -> None:
    other = replace(GROUP, id="h", name="h", groups=("h",), target_groups=())
    world.resources, world.listeners, world.parts = (), (production(1),), (GROUP, other)
    with pytest.raises(ReapRefused, match="the state of dev is empty in this backend"):
        world.reap(is_forced=is_forced)
    assert world.deleted == []


def test_an_empty_state_and_no_traffic_is_what_a_broken_destroy_leaves(world: World) -> None:
    world.resources = ()
    world.reap()
    assert world.deleted == ["g", "lt", "tg"]


# -- the engine


def test_the_state_is_told_with_what_was_not_seen_to_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deployment = {
        "resources": [
            {"urn": "urn:stack", "type": "pulumi:pulumi:Stack"},
            {"urn": "urn:tg", "id": "arn:tg", "outputs": {"arn": "arn:tg"}},
            {"urn": "urn:old", "id": "old", "delete": True, "outputs": {"arn": {"secret": "x"}}},
        ],
        "pending_operations": [{"type": "creating", "resource": {"urn": "urn:new"}}],
    }
    stack = SimpleNamespace(export_stack=lambda: SimpleNamespace(deployment=deployment))
    monkeypatch.setattr(engine, "_open", lambda *_: stack)
    assert Engine("dev", tmp_path).resources() == (
        StateResource(urn="urn:stack", id=""),
        StateResource(urn="urn:tg", id="arn:tg", arn="arn:tg"),
        StateResource(urn="urn:old", id="old"),
        StateResource(urn="urn:new", id="", is_pending=True),
    )


def test_a_stack_that_never_ran_has_no_resources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack = SimpleNamespace(export_stack=lambda: SimpleNamespace(deployment=None))
    monkeypatch.setattr(engine, "_open", lambda *_: stack)
    assert Engine("dev", tmp_path).resources() == ()


# -- the command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(world.directory)

    def run(*words: str) -> tuple[int, str, str]:
        done = bluegreen(monkeypatch, capsys, "doctor", *words)
        return done.code, done.out, done.err

    return run


def test_where_nobody_can_be_asked_nothing_is_deleted_without_yes(world: World, run: Run) -> None:
    code, out, _ = run("dev", "--reap")
    assert (code, world.deleted) == (0, [])
    assert out.splitlines()[0] == "delete  Auto Scaling group g  in no state"
    assert "Nothing was deleted" in out


def test_yes_deletes_and_tells(world: World, run: Run) -> None:
    code, out, _ = run("dev", "--reap", "--yes")
    assert (code, world.deleted) == (0, ["g", "lt", "tg"])
    assert "deleted target group tg" in out


@pytest.mark.parametrize(("answer", "deleted"), [(True, ["g", "lt", "tg"]), (False, [])])
def test_a_person_is_asked(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch, answer: bool, deleted: list[str]
) -> None:
    monkeypatch.setattr(command, "_is_asked", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda _: answer)
    run("dev", "--reap")
    assert world.deleted == deleted


def test_what_stays_is_told_with_its_reason(world: World, run: Run) -> None:
    world.listeners = (production(1),)
    code, out, _ = run("dev", "--reap", "--yes", "--force")
    assert (code, world.deleted) == (0, [])
    assert out.splitlines()[0] == "keep  Auto Scaling group g  takes traffic"


def test_what_could_not_be_deleted_needs_a_person(world: World, run: Run) -> None:
    world.refuses = {"tg": "ResourceInUse"}
    code, _, err = run("dev", "--reap", "--yes")
    assert (code, err) == (3, "not deleted: target group tg: ResourceInUse\n")
    code, out, _ = run("dev", "--reap", "--yes", "--json")
    assert code == 3
    assert json.loads(out)["left"] == [{"part": "target group tg", "why": "ResourceInUse"}]


def test_a_stack_without_orphans_says_so(world: World, run: Run) -> None:
    world.parts = ()
    assert run("dev", "--reap") == (0, "dev has no orphans\n", "")


@pytest.mark.parametrize("words", [("--reap",), ("dev", "--yes"), ("dev", "--force")])
def test_a_wrong_command_line_deletes_nothing(world: World, run: Run, words: tuple[str, ...]) -> None:
    assert run(*words)[0] == 2
    assert world.looks == 0
