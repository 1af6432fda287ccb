"""A program that imports the library drives a stack from its first release to its end, the ledger in a table or in
Consul. It hears what goes on, and prints nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError

import pytest

from bluegreen import deployment
from bluegreen.driver import Update
from bluegreen.errors import RolloutError
from bluegreen.events import Began, Shifted, StepBegan
from bluegreen.model.record import Outcome
from bluegreen.plan import PlannedResources
from tests.e2e.library import Library, within
from tests.e2e.project import Project
from tests.ledger.consul_agent import consul_agent
from tests.ledger.consul_server import ConsulServer

pytestmark = pytest.mark.rollout

STRATEGY = {"strategy": "redBlack", "scaleDownDelaySeconds": "0", "promotion": "manual"}


@pytest.fixture(scope="module")
def table() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def consul() -> Iterator[dict[str, str]]:
    server = ConsulServer()
    yield {"CONSUL_HTTP_ADDR": server.address}
    server.close()


@pytest.fixture(scope="module")
def real_consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with consul_agent(tmp_path_factory.mktemp("consul")) as address:
        yield {"CONSUL_HTTP_ADDR": address}


@pytest.fixture(
    scope="module",
    params=[("dynamodb", "table"), ("consul", "consul"), ("consul", "real_consul")],
    ids=["dynamodb", "consul", "consul-agent"],
)
def library(request: pytest.FixtureRequest, project: Project) -> Iterator[Library]:
    """On a stack of its own for each ledger."""
    ledger, place = request.param
    variables: dict[str, str] = request.getfixturevalue(place)
    with within(project) as patch:
        for key, value in variables.items():
            patch.setenv(key, value)
        yield Library.make(project, place.replace("_", "-"), ledger=ledger, **STRATEGY)


@pytest.fixture(autouse=True)
def prints_nothing(library: Library, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    capfd.readouterr()
    library.events.clear()
    yield
    assert capfd.readouterr() == ("", "")


def test_a_plan_tells_what_the_first_deployment_then_does(library: Library) -> None:
    image = library.project.image("1")
    with pytest.raises(RolloutError, match="nothing is deployed"):
        deployment.promote(library.stack, **library.options)
    before, config = len(library.project.calls()), library.project.file.read_text()
    planned = deployment.plan(library.stack, ami=image, **library.options)
    assert not [call.action for call in library.project.calls()[before:] if call.is_write]
    assert [step.name for step in planned.steps] == ["first release"]
    assert planned.machines_at_peak == 1
    assert library.project.file.read_text() == config

    done = deployment.deploy(library.stack, ami=image, **library.options)
    assert isinstance(done, Update)
    assert done.serving == {planned.release: 100}
    assert done.outputs["activeRelease"]["image"] == image
    assert planned.resources == PlannedResources.of_changes(done.changes)
    with pytest.raises(FrozenInstanceError):
        done.stack = "another"  # type: ignore[misc]
    assert [event.verb for event in library.told(Began)] == ["deploy"]
    assert [step.name for step in library.told(StepBegan)] == [step.name for step in planned.steps]
    assert [event.weights for event in library.told(Shifted)] == [{planned.release: 100}]
    assert {event.stack for event in library.events} == {library.stack}
    assert library.project.ask()["app"] == "1"


def test_a_candidate_waits_for_its_promotion_and_the_standby_is_retired(library: Library) -> None:
    first = library.project.release
    deployment.deploy(library.stack, ami=library.project.image("2"), **library.options)
    found = library.status()
    assert found.is_rollout_open
    assert [(group.role, group.weight, group.healthy) for group in found.groups] == [
        ("active", 100, 1),
        ("candidate", 0, 1),
    ]
    promoted = deployment.promote(library.stack, **library.options)
    assert promoted.serving == {library.project.release: 100}
    assert library.project.release != first
    assert library.project.ask()["app"] == "2"
    assert [group.role for group in library.status().groups] == ["active", "standby"]
    deployment.retire(library.stack, [first], **library.options)
    assert len(library.project.groups_in_the_state) == 1


def test_a_rollback_goes_to_the_release_that_the_ledger_saw_healthy(library: Library) -> None:
    back = deployment.rollback(library.stack, **library.options)
    assert back.serving == {library.project.release: 100}
    assert library.project.ask()["app"] == "1"


def test_destroyed_nothing_is_left_but_the_history(library: Library) -> None:
    deployment.destroy(library.stack, **library.options)
    assert library.project.resources == []
    found = library.status()
    assert not found.is_deployed
    assert found.holder == "", "the lease was given back"
    records = deployment.records(library.stack, directory=library.project.directory)
    assert [each.verb for each in records] == ["deploy", "deploy", "promote", "retire", "rollback", "destroy"]
    assert {each.outcome for each in records} == {Outcome.DONE}
