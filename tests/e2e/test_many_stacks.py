"""Many stacks of one project: the waves hold, and no more engines run at once than were asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from tests.e2e.project import COMMANDS, STACK, Project

pytestmark = pytest.mark.rollout

STACKS = ("one", "two", "three")
NO_IMAGE = "ami-00000000000000000"
COUNTING = """#!/bin/bash
case " $* " in *" up "*) ;; *) exec {engine} "$@" ;; esac
echo begins >> {log}
{engine} "$@"
code=$?
echo ends >> {log}
exit $code
"""


@dataclass(frozen=True)
class Done:
    code: int
    output: str
    errors: str
    most_engines: int


@dataclass(frozen=True)
class Many:
    """A project with three stacks, and an engine that is counted."""

    project: Project
    log: Path

    @classmethod
    def make(cls, project: Project, place: Path) -> Many:
        place.mkdir()
        counted = place / "pulumi"
        log = place / "log"
        counted.write_text(COUNTING.format(engine=project.engine / "pulumi", log=log))
        counted.chmod(0o755)
        many = cls(replace(project, engine=place), log)
        for stack in STACKS:
            shutil.copy(many.file(STACK), many.file(stack))
            assert project.pulumi("stack", "init", stack).code == 0
            many.set_image(stack, project.image("1"))
        return many

    def file(self, stack: str) -> Path:
        return self.project.directory / f"stacks/Pulumi.{stack}.yaml"

    def set_image(self, stack: str, image: str) -> None:
        document = yaml.safe_load(self.file(stack).read_text())
        document["config"]["bluegreen:ami"] = image
        self.file(stack).write_text(yaml.safe_dump(document))

    def deploy(self, *words: str, waves: str, parallel: int, stacks: tuple[str, ...] = STACKS) -> Done:
        self.log.write_text("")
        done = subprocess.run(
            [str(COMMANDS / "bluegreen"), "deploy", *stacks, "--waves", waves, "--parallel", str(parallel), *words],
            cwd=self.project.directory,
            env=self.project.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        now = most = 0
        for line in self.log.read_text().splitlines():
            now += 1 if line == "begins" else -1
            most = max(most, now)
        return Done(done.returncode, done.stdout, done.stderr, most)

    def is_deployed(self, stack: str) -> bool:
        return self.project.pulumi("stack", "output", "url", "--stack", stack).code == 0


@pytest.fixture(scope="module")
def many(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Many:
    return Many.make(project, tmp_path_factory.mktemp("counted") / "bin")


def test_none_begins_after_the_first_that_fails(many: Many) -> None:
    many.set_image("two", NO_IMAGE)
    done = many.deploy(waves="1,100%", parallel=1)
    assert done.code == 1, done.output + done.errors
    table = done.output[done.output.rindex("stack  outcome") :]
    assert [line.split()[:2] for line in table.splitlines()[1:4]] == [
        ["one", "done"],
        ["two", "failed"],
        ["three", "not"],
    ]
    assert "\ntwo: " in table
    assert NO_IMAGE in table
    assert "Traceback" not in done.output + done.errors
    assert [line for line in done.output.splitlines() if line.startswith("one: ") and "gate: " in line]
    assert not [line for line in done.output.splitlines() if line.startswith("three: ")]
    assert many.is_deployed("one")
    assert not many.is_deployed("three")
    assert done.most_engines == 1


def test_the_rest_goes_on_from_there_with_no_more_engines_at_once_than_parallel(many: Many) -> None:
    many.set_image("two", many.project.image("1"))
    done = many.deploy(waves="100%", parallel=2)
    assert done.code == 0, done.output + done.errors
    assert all(many.is_deployed(stack) for stack in STACKS)
    assert done.most_engines == 2


def test_a_stack_that_does_not_exist_is_told_before_anything_is_begun(many: Many) -> None:
    done = many.deploy(waves="1,100%", parallel=2, stacks=("one", "twoo"))
    assert done.code == 2
    assert "there is no stack twoo" in done.errors
    assert "Did you mean two?" in done.errors
    assert done.most_engines == 0


CLUSTER = """
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        input()
"""


@pytest.fixture
def cluster(many: Many, tmp_path: Path) -> Iterator[str]:
    """The address of a Dask cluster whose two workers have the project, the engine and the credentials."""
    program = tmp_path / "cluster.py"
    program.write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, str(program)],
        cwd=many.project.directory,
        env=many.project.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


def test_a_dask_cluster_deploys_them_and_what_each_tells_comes_back(many: Many, cluster: str) -> None:
    for stack in STACKS:
        many.set_image(stack, many.project.image("2"))
    done = many.deploy("--cluster", cluster, waves="1,100%", parallel=2)
    assert done.code == 0, done.output + done.errors
    table = done.output[done.output.rindex("stack  outcome") :].splitlines()[1:4]
    assert [line.split()[:2] for line in table] == [["one", "done"], ["two", "done"], ["three", "done"]]
    for stack in STACKS:
        assert [line for line in done.output.splitlines() if line.startswith(f"{stack}: ") and "gate: " in line]
    assert len(many.project.machines(many.project.image("2"))) == 2 * len(STACKS)
    assert done.most_engines == 2


def test_a_cluster_that_is_not_there_is_told_before_anything_is_begun(many: Many) -> None:
    done = many.deploy("--cluster", "tcp://127.0.0.1:9", waves="1,100%", parallel=2)
    assert done.code == 2
    assert "tcp://127.0.0.1:9" in done.errors
    assert done.most_engines == 0
