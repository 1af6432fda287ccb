"""A Dask cluster of two worker processes: what a stack tells comes back, and no deployment is run twice."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from bluegreen.cluster import Cluster, connected
from bluegreen.errors import ClusterError, WorkerError
from bluegreen.events import Ended, Event, Line
from bluegreen.waves import Outcome, Request, StackResult, WavesResult, run

DONE, FAILED = Outcome.DONE, Outcome.FAILED
PROJECT = Path(__file__).parents[1]
LONG = 30.0  # seconds


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the workers look for: a project, and an engine on PATH."""
    (tmp_path / "Pulumi.yaml").touch()
    monkeypatch.setenv("PATH", f"{PROJECT / 'sandbox/engine/bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return tmp_path


@pytest.fixture
def cluster(project: Path) -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:  # type: ignore[no-untyped-call]
        yield made


def until(path: Path) -> str:
    deadline = time.monotonic() + LONG
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)
    return path.read_text()


def write(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


def verb(request: Request) -> StackResult:
    """On a worker: says where it runs, and waits until it is let go on."""
    assert request.on_event
    runs = request.directory / f"{request.stack}.runs"
    with runs.open("a") as file:
        file.write(f"{os.getpid()}\n")
    request.on_event(Line(stack=request.stack, text="under way"))
    write(request.directory / f"{request.stack}.process", str(os.getpid()))
    until(request.directory / f"{request.stack}.go")
    return StackResult(stack=request.stack, outcome=DONE)


def requests(project: Path, *stacks: str) -> list[Request]:
    return [Request(stack=stack, directory=project) for stack in stacks]


def killer(project: Path) -> Callable[[Event], None]:
    """Once the stack `unlucky` is under way, its worker dies."""

    def hear(event: Event) -> None:
        if event == Line(stack="unlucky", text="under way"):
            os.kill(int(until(project / "unlucky.process")), signal.SIGKILL)

    return hear


def check_was_run_once(result: WavesResult, project: Path) -> None:
    error = result.failed[0].error
    assert isinstance(error, WorkerError)
    assert error.what.startswith("the worker died (tcp://")
    assert "`bluegreen deploy unlucky` goes on from there" in error.next_step
    assert len((project / "unlucky.runs").read_text().splitlines()) == 1


def test_a_worker_that_is_killed_is_a_failed_stack_and_what_is_under_way_on_the_other_ends(
    cluster: LocalCluster, project: Path
) -> None:
    def hear(event: Event) -> None:
        if isinstance(event, Ended) and event.stack == "unlucky":
            write(project / "lucky.go", "go")  # not before it is known

    with connected(cluster.scheduler_address, project, killer(project)) as workers:
        assert workers.threads == 2
        result = run(verb, requests(project, "unlucky", "lucky", "later"), executor=workers, parallel=2, on_event=hear)
    outcomes = {each.stack: each.outcome.value for each in result.stacks}
    assert outcomes == {"unlucky": "failed", "lucky": "done", "later": "not begun"}
    check_was_run_once(result, project)


def test_a_deployment_that_dask_gives_to_another_worker_is_not_run_again(
    cluster: LocalCluster, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tells that the worker has left: that the stack was claimed has to do."""
    monkeypatch.setattr(Cluster, "_hear_scheduler", lambda _self, _event: None)
    with connected(cluster.scheduler_address, project, killer(project)) as workers:
        result = run(verb, requests(project, "unlucky"), executor=workers, parallel=2)
    check_was_run_once(result, project)


def test_workers_without_the_project_are_named_before_anything_is_begun(cluster: LocalCluster, project: Path) -> None:
    elsewhere = project / "elsewhere"
    with (
        pytest.raises(ClusterError, match=rf"2 of 2 workers can't deploy:\n  tcp://\S+ there is no {elsewhere}/Pulumi"),
        connected(cluster.scheduler_address, elsewhere),
    ):
        pass


def test_a_cluster_without_workers_is_told_at_once(project: Path) -> None:
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None) as empty,  # type: ignore[no-untyped-call]
        pytest.raises(ClusterError, match="has no workers"),
        connected(empty.scheduler_address, project),
    ):
        pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://here", "no.such.host.invalid:8786"])
def test_a_scheduler_that_does_not_answer_is_told_with_the_time_it_had(address: str, project: Path) -> None:
    with (
        pytest.raises(ClusterError, match=rf"no Dask scheduler answers at {address} within 1 s"),
        connected(address, project, timeout_seconds=1),
    ):
        pass


def test_the_extra_is_named_where_dask_is_not_installed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ClusterError, match=r"not installed(.|\n)*pip install 'bluegreen\[cluster\]'"),
        connected("tcp://127.0.0.1:9", project),
    ):
        pass
