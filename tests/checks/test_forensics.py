"""Forensics: what is saved of a server group that has failed, and that what can't be had hides nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bluegreen.checks.forensics import MOST_CONSOLES, Forensics
from bluegreen.errors import AwsError, NotPermitted
from bluegreen.model.observation import Group, ScalingActivity, Target

START = datetime(2026, 1, 1, tzinfo=UTC)


def group(*instances: str) -> Group:
    return Group(
        name="web-bbbbbbbb-1a2b",
        service="web",
        minimum=2,
        maximum=6,
        desired=2,
        target_groups=("arn:new",),
        instances=instances,
        release="bbbbbbbb",
    )


@dataclass
class World:
    """Answers, unless a question is among the faults."""

    states: dict[str, str] = field(default_factory=lambda: {"i-1": "healthy", "i-2": "unhealthy"})
    faults: dict[str, AwsError] = field(default_factory=dict)
    consoles: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def _asked(self, question: str) -> None:
        if fault := self.faults.get(question):
            raise fault

    def targets(self, target_group: str) -> tuple[Target, ...]:
        assert target_group == "arn:new"
        self._asked("targets")
        return tuple(
            Target(instance=instance, state=state, reason="Target.Timeout") for instance, state in self.states.items()
        )

    def activities(self, group: str) -> tuple[ScalingActivity, ...]:
        assert group == "web-bbbbbbbb-1a2b"
        self._asked("activities")
        return (ScalingActivity(started=START, status="Failed", description="Launching", message="no capacity"),)

    def console_output(self, instance: str) -> str:
        self.consoles.append(instance)
        self._asked(f"console {instance}")
        return f"boot of {instance}\nkernel panic ü\n"

    def save(self, folder: Path, of: Group) -> Path:
        return Forensics(sight=self, folder=folder, report=self.said.append).save(of)


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_targets_activities_and_consoles_are_saved_in_a_folder_of_the_group(tmp_path: Path) -> None:
    folder = World().save(tmp_path / "runs" / "one", group("i-1", "i-2"))
    assert folder == tmp_path / "runs" / "one" / "web-bbbbbbbb-1a2b"
    assert {file.name for file in folder.iterdir()} == {
        "group.json",
        "targets.json",
        "activities.json",
        "console-i-1.txt",
        "console-i-2.txt",
    }
    assert read(folder / "group.json")["release"] == "bbbbbbbb"
    assert [(each["instance"], each["reason"]) for each in read(folder / "targets.json")] == [
        ("i-1", "Target.Timeout"),
        ("i-2", "Target.Timeout"),
    ]
    (activity,) = read(folder / "activities.json")
    assert activity["message"] == "no capacity"
    assert datetime.fromisoformat(activity["started"]) == START
    assert (folder / "console-i-2.txt").read_text() == "boot of i-2\nkernel panic ü\n"


def test_two_groups_do_not_share_a_folder_and_one_may_be_saved_twice(tmp_path: Path) -> None:
    world = World()
    one = world.save(tmp_path, group("i-1"))
    assert world.save(tmp_path, group("i-1")) == one


@pytest.mark.parametrize("question", ["targets", "activities", "console i-1"])
def test_what_aws_can_not_say_is_said_and_all_else_is_saved(tmp_path: Path, question: str) -> None:
    world = World(faults={question: NotPermitted("AWS refused it: AccessDenied", "Allow it.")})
    folder = world.save(tmp_path, group("i-1", "i-2"))
    assert len(world.said) == 1
    assert "AccessDenied" in world.said[0]
    assert question.replace("console", "console output of") in world.said[0]
    saved = {"targets": "targets.json", "activities": "activities.json", "console i-1": "console-i-1.txt"}
    for name, file in saved.items():
        there = (folder / file).exists() and (folder / file).read_text().strip() not in ("", "[]")
        assert there == (name != question)
    assert (folder / "console-i-2.txt").read_text()
    assert (folder / "group.json").exists()


def test_machines_are_known_by_the_group_where_the_target_group_can_not_be_asked(tmp_path: Path) -> None:
    world = World(faults={"targets": AwsError("gone")})
    world.save(tmp_path, group("i-7"))
    assert world.consoles == ["i-7"]


def test_consoles_of_unhealthy_machines_come_first_and_are_few(tmp_path: Path) -> None:
    states = {f"i-{number}": "healthy" for number in range(30)} | {"i-27": "unhealthy", "i-28": "draining"}
    world = World(states=states)
    folder = world.save(tmp_path, group(*states))
    assert MOST_CONSOLES == 10
    assert len(world.consoles) == len(list(folder.glob("console-*"))) == 10
    assert {"i-27", "i-28"} < set(world.consoles)
    assert len(read(folder / "targets.json")) == 30, "their reasons are all saved"


def test_a_machine_is_asked_once_though_target_group_and_group_both_have_it(tmp_path: Path) -> None:
    world = World()
    world.save(tmp_path, group("i-1", "i-2", "i-3"))
    assert sorted(world.consoles) == ["i-1", "i-2", "i-3"]


def test_a_group_without_machines_leaves_what_there_is(tmp_path: Path) -> None:
    world = World(states={})
    folder = world.save(tmp_path, group())
    assert world.consoles == []
    assert read(folder / "targets.json") == []
    assert read(folder / "activities.json")


def test_a_fault_of_our_own_is_not_taken_for_silence_of_aws(tmp_path: Path) -> None:
    world = World()
    world.activities = lambda group: (_ for _ in ()).throw(KeyError("bug"))  # type: ignore[method-assign]
    with pytest.raises(KeyError):
        world.save(tmp_path, group("i-1"))
