"""The demo: release 1, release 2 under load, a broken release 3, and back to order.

It works on a copy of the project, so that nothing in the checkout changes, and in a sandbox of its own. Releases 1 and
2 are baked where that can be done; release 3 would not pass the bake's health check, so its image is made of files.
Bakes and deployments have the roles of docs/roles.md, and no more rights than those.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
import yaml

from bluegreen import events
from bluegreen.errors import BluegreenError, EngineError
from bluegreen.events import Change, Check
from bluegreen.iam_policy import documents
from bluegreen.model.notice import GATE_HOOK
from bluegreen.model.permissions import Verb
from bluegreen.report.wording import words_of
from sandbox.cloud import cell
from sandbox.host import REPOSITORY, UNSET, Sandbox
from sandbox.load import Answer, Load
from sandbox.roles import ACCOUNT, Roles
from sandbox.timeline import Event, Moment, Timeline, as_data, faults

STACK = "sandbox"
REQUESTS_PER_SECOND = 50
SLOW_EVERY = 10
REFUSE_AFTER_SECONDS = 10  # the broken release is given up after that; a healthy one needs about two


class Rehearsal:
    """One run. Its methods are the acts of the play."""

    def __init__(self, sandbox: Sandbox, timeline: Timeline, *, bakes: bool) -> None:
        self._sandbox = sandbox
        self._timeline = timeline
        self._bakes = bakes
        self._project = _copy_of_the_project(sandbox.dir / "project")
        verbs = (Verb.BAKE, Verb.DEPLOY)
        policies = {verb.value: documents(verb, STACK, self._project, account=ACCOUNT) for verb in verbs}
        self._roles = Roles.make(sandbox, policies)
        self._versions: dict[str, str] = {}  # the release's version -> the app's
        self._deploying = ""
        self._served: list[str] = []

    def deploy(self, version: str, ami: str) -> str:
        """One `pulumi up`; the URL that it put out."""
        from bluegreen import deployment

        self._deploying = version
        self._timeline.add("pulumi up", version)
        with self._roles.acting_as(Verb.DEPLOY):
            update = deployment.deploy(STACK, ami=ami, directory=self._project, on_event=self._see)
        self._timeline.add("pulumi up has ended", version)
        return str(update.outputs["url"])

    def deploy_broken(self, version: str, ami: str) -> None:
        try:
            self.deploy(version, ami)
        except EngineError as error:
            by_the_gate = GATE_HOOK in dict(error.hooks)
            self._timeline.add(Event.REFUSED if by_the_gate else "pulumi up failed", version)
            for line in str(error).splitlines():
                self._timeline.add(line.strip(), version)
        else:
            self._timeline.add("the gate let a broken release pass", version)

    def image(self, version: str) -> str:
        """The image of this version of the app: baked, or made of the app's files."""
        if not self._bakes:
            return self._sandbox.image(REPOSITORY / "app", tags={"version": version})

        from bluegreen.images.bake import bake

        def announce(phase: object) -> None:
            self._timeline.add(f"bake: {phase}", version)

        with self._roles.acting_as(Verb.BAKE):
            return bake(STACK, directory=self._project, version=version, on_phase=announce).image

    def broken_image(self, version: str) -> str:
        return self._sandbox.image(REPOSITORY / "app", tags={"version": version}, env={"BROKEN": "1"})

    def create_stack(self) -> None:
        from bluegreen import engine

        engine.create(STACK, self._project)

    def see_answer(self, answer: Answer) -> None:
        """Called for each answer: the first one of a release is worth a line."""
        version = self._versions.get(answer.release, "")
        if version and version not in self._served:
            self._served.append(version)
            self._timeline.add("answers", version)

    def named(self, answers: list[Answer]) -> list[Answer]:
        """The same answers, with the app's versions for the releases'."""
        return [
            Answer(each.path, each.sent_at, each.seconds, self._versions.get(each.release, each.release), each.fault)
            for each in answers
        ]

    def _see(self, event: events.Event) -> None:
        """Turn what the deployment tells into lines of the timeline."""
        match event:
            case events.ResourceChanged(type=kind, name=name):
                self._see_resource(event.change, kind.rpartition(":")[2], name.rpartition("-")[2])
            case events.Shifted():
                self._timeline.add(Event.CUTOVER, self._deploying)
            case events.Checked(check=Check.GATE, is_passed=True):
                self._timeline.add(words_of(event), self._deploying)
                self._timeline.add(Event.PROVEN, self._deploying)
            case events.Checked(check=Check.GUARD, is_passed=True, group=group):
                self._timeline.add(words_of(event), self._deploying)
                if version := self._versions.get(group.split("-")[-2]):
                    self._timeline.add(Event.DELETING, version)
            case events.Health() | events.WaitBegan() | events.Checked(check=Check.GATE | Check.GUARD):
                self._timeline.add(words_of(event), self._deploying)

    def _see_resource(self, change: Change, kind: str, release: str) -> None:
        match change, kind:
            case Change.CREATED, "LaunchTemplate":
                self._versions[release] = self._deploying
            case Change.CREATED, "Group":
                self._timeline.add(Event.CREATED, self._versions[release])
            case Change.DELETED, "Group":
                self._timeline.add(Event.DELETED, self._versions[release])


def rehearse(sandbox: Sandbox, timeline: Timeline, *, bakes: bool) -> tuple[list[Answer], list[str]]:
    """Play it all. The answers to the load, and what went wrong."""
    play = Rehearsal(sandbox, timeline, bakes=bakes)
    play.create_stack()
    url = play.deploy("1", play.image("1"))
    with Load(url, per_second=REQUESTS_PER_SECOND, slow_every=SLOW_EVERY, on_answer=play.see_answer) as load:
        two = play.image("2")
        play.deploy("2", two)
        play.deploy_broken("3", play.broken_image("3"))
        timeline.add("back to the image of release 2: the next `pulumi up` takes release 3 away")
        play.deploy("2", two)
    answers = play.named(load.answers)
    return answers, faults(timeline.moments, answers, began=timeline.began, served=["1", "2"], refused="3")


def obstacle_to_baking() -> str | None:
    """Why no image can be baked here; None if one can."""
    if shutil.which("packer") is None:
        return "there is no `packer` on PATH"
    refusal = cell.obstacle()
    return f"machines can't be logged into here ({refusal})" if refusal else None


def _copy_of_the_project(at: Path) -> Path:
    (at / "stacks").mkdir(parents=True)
    for name in ("ansible", "app", "packer"):
        shutil.copytree(REPOSITORY / name, at / name, ignore=shutil.ignore_patterns("__pycache__", "ami.txt"))
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(REPOSITORY / name, at / name)
    (at / ".venv").symlink_to(sys.prefix)
    stack_file = Path("stacks", f"Pulumi.{STACK}.yaml")
    config = yaml.safe_load((REPOSITORY / stack_file).read_text())
    config["config"]["bluegreen:progressDeadlineSeconds"] = REFUSE_AFTER_SECONDS
    (at / stack_file).write_text(yaml.safe_dump(config))
    return at


def _show(moment: Moment) -> None:
    who = f"release {moment.release}" if moment.release else ""
    print(f"{moment.at:7.2f} s  {who:<10}  {moment.event}", flush=True)


def _summary(answers: list[Answer], wrong: list[str]) -> str:
    by_release = Counter(answer.release for answer in answers if answer.release)
    failed = sum(answer.has_failed for answer in answers)
    lines = ["", f"{len(answers)} requests, {failed} failed"]
    lines += [f"  {count:5} answered by release {release}" for release, count in sorted(by_release.items())]
    slowest = max((answer.seconds for answer in answers if answer.path != "/slow"), default=0.0)
    lines.append(f"  slowest answer (besides /slow) {slowest * 1000:.0f} ms")
    lines += [f"WRONG: {fault}" for fault in wrong] or ["The order was right, and no request failed."]
    return "\n".join(lines)


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write it as data to this file.")] = None,
) -> None:
    """Rehearse a deployment: release 1, release 2 under load, a broken release 3 that the gate refuses."""
    try:
        with Sandbox.start() as sandbox:
            for name in UNSET:
                os.environ.pop(name, None)
            os.environ.update(sandbox.env)
            print(f"A sandbox at {sandbox.endpoint}; its engine is {shutil.which('pulumi')}", flush=True)
            obstacle = obstacle_to_baking()
            if obstacle:
                print(f"Images are made of the app's files and not baked: {obstacle}", flush=True)
            timeline = Timeline(_show)
            answers, wrong = rehearse(sandbox, timeline, bakes=obstacle is None)
    except BluegreenError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    if json_file:
        json_file.write_text(json.dumps(as_data(timeline.moments, answers), indent=2) + "\n")
    print(_summary(answers, wrong))
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
