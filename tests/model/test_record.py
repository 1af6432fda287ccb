"""One record per deployment: what its events say of it, whole, broken off, interleaved, or of an older version."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bluegreen.model.gate import Passed, Serving
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.observation import Image
from bluegreen.model.record import Deployment, Origin, Outcome, deployments, gate_evidence, image_evidence
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
TAGS = {
    "bluegreen:content-digest": "c0ffee",
    "bluegreen:commit": "4f1c2d3",
    "bluegreen:artifact-sha256": "a" * 64,
    "bluegreen:version": "2",
    "bluegreen:playbook-digest": "b" * 64,
    "Name": "web",
}


def release(number: int) -> Release:
    return Release.from_settings(Settings.parse({"ami": f"ami-{number:08x}"}))


ONE, TWO, THREE = release(1), release(2), release(3)


def image(of: Release, **tags: str) -> dict[str, str]:
    return image_evidence(
        Image(id=of.image, state="available", architecture="x86_64", root_device="/dev/xvda", tags=tags)
    )


def told(*shares: tuple[Release, int]) -> dict[str, Any]:
    return {
        "weights": {each.version: share for each, share in shares},
        "releases": {each.version: each.as_record() for each, _ in shares},
    }


class Ledger:
    """Writes events, by default ten seconds after each other."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now = START

    def add(
        self, kind: Kind, about: Release | None = TWO, *, run: str = "r1", after: float = 10, **evidence: Any
    ) -> None:
        self.now += timedelta(seconds=after)
        summary = str(evidence.pop("summary", ""))
        version = about.version if about else ""
        self.events.append(Event(at=self.now, run=run, kind=kind, release=version, summary=summary, evidence=evidence))

    def began(self, verb: str = "deploy", about: Release = TWO, run: str = "r1", **evidence: Any) -> None:
        self.add(Kind.BEGAN, about, run=run, verb=verb, image=about.image, operator="ann", **evidence)

    def ended(
        self, outcome: str = "done", verb: str = "deploy", about: Release = TWO, run: str = "r1", **more: Any
    ) -> None:
        self.add(Kind.ENDED, about, run=run, verb=verb, outcome=outcome, **more)

    def passed(
        self, about: Release = TWO, before: Release | None = ONE, run: str = "r1", waited: float = 4, **more: Any
    ) -> None:
        was = Serving(weights={before.version: 100}, capacity={before.version: 3}) if before else Serving()
        now = Serving(weights={about.version: 100}, capacity={about.version: 3})
        seen = Passed(release=about.version, healthy=3, wanted=3)
        evidence = {**told((about, 100)), "awaits": [], **gate_evidence(about.version, (seen,), was, now, waited)}
        self.add(Kind.GATE_PASSED, about, run=run, **{**evidence, **more})

    def cutover(self, *shares: tuple[Release, int], run: str = "r1", **more: Any) -> None:
        self.add(Kind.CUTOVER, shares[0][0], run=run, **told(*shares), **more)

    def serves(self, about: Release = ONE, run: str = "r0") -> None:
        """A whole plain update."""
        self.passed(about, None, run=run)
        self.cutover((about, 100), run=run)

    @property
    def records(self) -> tuple[Deployment, ...]:
        return deployments(History(tuple(self.events)), "prod")

    def record(self, run: str = "r1") -> Deployment:
        (found,) = (each for each in self.records if each.run == run)
        return found


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_deployment_joins_what_its_events_told(ledger: Ledger) -> None:
    ledger.serves()
    ledger.began(strategy="canary", ciRun="https://ci/1", promotedFrom={"stack": "qa", "image": "ami-1", "run": "q7"})
    ledger.passed(image=image(TWO, **TAGS), waited=4)
    ledger.cutover((TWO, 100))
    ledger.add(Kind.SOAK_PASSED)
    ledger.ended(seconds=41.5)
    found = ledger.record()
    assert (found.run, found.stack, found.verb, found.outcome) == ("r1", "prod", "deploy", Outcome.DONE)
    assert (found.release, found.image) == (TWO.version, TWO.image)
    assert (found.content_digest, found.commit, found.version) == ("c0ffee", "4f1c2d3", "2")
    assert (found.artifact, found.playbooks) == ("a" * 64, "b" * 64)
    assert (found.operator, found.ci_run, found.strategy) == ("ann", "https://ci/1", "canary")
    assert found.promoted_from == Origin(stack="qa", image="ami-1", run="q7")
    assert found.gate
    assert (found.gate.healthy, found.gate.wanted, found.gate.waited_seconds) == (3, 3, 4)
    assert (found.weights_before, found.weights_after) == ({ONE.version: 100}, {TWO.version: 100})
    assert (found.capacity_before, found.capacity_after) == ({ONE.version: 3}, {TWO.version: 3})
    assert (found.seconds, found.error, found.forced) == (41.5, "", ())
    assert found.phases == {"creating": 6, "gate": 4, "cutover": 10, "watching": 10, "deleting": 10}
    assert found.ended_at == ledger.now


def test_a_record_is_plain_data_with_moments_in_iso_8601(ledger: Ledger) -> None:
    ledger.began(promotedFrom={"stack": "qa"})
    ledger.passed()
    ledger.cutover((TWO, 100))
    ledger.ended()
    record = ledger.record().as_record()
    assert json.loads(json.dumps(record)) == record
    assert record["beganAt"] == "2026-01-01T00:00:10+00:00"
    assert record["outcome"] == "done"
    assert record["promotedFrom"] == {"stack": "qa", "image": "", "run": ""}
    assert record["gate"] == {"healthy": 3, "wanted": 3, "waitedSeconds": 4, "smokeTests": [], "command": ""}
    assert "events" not in record


def test_every_key_of_a_record_is_documented_and_no_other(ledger: Ledger) -> None:
    ledger.began()
    keys = ledger.record().as_record().keys()
    text = (Path(__file__).parents[2] / "docs/history.md").read_text().partition("## A record")[2]
    table = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert [name for cell in table for name in re.findall(r"`(\w+)`", cell)] == list(keys)


# -- a plain `pulumi up`


def test_a_plain_update_is_a_deployment_from_when_it_told_that_it_began(ledger: Ledger) -> None:
    ledger.passed(before=None, operator="ann@laptop", ciRun="", began=(START - timedelta(seconds=50)).isoformat())
    ledger.cutover((TWO, 100))
    found = ledger.record()
    assert (found.verb, found.outcome, found.operator, found.image) == (
        "pulumi up",
        Outcome.DONE,
        "ann@laptop",
        TWO.image,
    )
    assert found.began_at == START - timedelta(seconds=50)
    assert found.seconds == 70
    assert found.weights_before == {}


@pytest.mark.parametrize(
    ("awaits", "kinds", "outcome"),
    [
        (["attest", "soak"], [Kind.CUTOVER, Kind.ATTEST_PASSED, Kind.SOAK_BEGAN, Kind.SOAK_PASSED], Outcome.DONE),
        (["attest", "soak"], [Kind.CUTOVER, Kind.ATTEST_PASSED, Kind.SOAK_BEGAN], Outcome.UNDER_WAY),
        (["attest"], [Kind.CUTOVER], Outcome.UNDER_WAY),
        (["attest"], [Kind.CUTOVER, Kind.ATTEST_FAILED], Outcome.FAILED),
        ([], [], Outcome.UNDER_WAY),
    ],
)
def test_a_plain_update_is_done_when_all_that_it_was_to_wait_for_has_passed(
    ledger: Ledger, awaits: list[str], kinds: list[Kind], outcome: Outcome
) -> None:
    ledger.passed(awaits=awaits)
    for kind in kinds:
        ledger.add(kind, **(told((TWO, 100)) if kind is Kind.CUTOVER else {}))
    assert ledger.record().outcome is outcome


def test_a_plain_update_that_its_gate_refused_has_failed_and_the_traffic_is_where_it_was(ledger: Ledger) -> None:
    ledger.serves()
    ledger.add(Kind.GATE_FAILED, summary="0 of 3 healthy", image=image(TWO, **TAGS), waitedSeconds=8)
    ledger.add(Kind.FORENSICS)
    found = ledger.record()
    assert (found.outcome, found.error) == (Outcome.FAILED, "0 of 3 healthy")
    assert (found.image, found.version) == (TWO.image, "2")
    assert found.serving == {ONE.version: 100}
    assert found.weights_before == found.weights_after == {ONE.version: 100}
    assert found.phases == {"creating": 0, "gate": 0}, "where its beginning was not told, there was none"


def test_a_change_of_the_listener_that_gives_nobody_more_is_done(ledger: Ledger) -> None:
    ledger.cutover((TWO, 100))
    assert ledger.record().outcome is Outcome.DONE


# -- what did not end


def test_a_run_that_was_killed_is_under_way_until_another_acts(ledger: Ledger) -> None:
    ledger.began()
    ledger.passed()
    killed = ledger.record()
    assert (killed.outcome, killed.ended_at, killed.seconds) == (Outcome.UNDER_WAY, None, None)
    ledger.began(run="r2")
    assert [each.outcome for each in ledger.records] == [Outcome.NEVER_ENDED, Outcome.UNDER_WAY]


def test_a_run_that_was_killed_past_its_cutover_tells_who_serves(ledger: Ledger) -> None:
    ledger.serves()
    ledger.began()
    ledger.passed()
    ledger.cutover((TWO, 100), (ONE, 0))
    assert ledger.record().serving == {TWO.version: 100}


def test_who_vetoes_an_image_deploys_nothing(ledger: Ledger) -> None:
    ledger.began()
    ledger.add(Kind.REVOKED, None, run="r2", image="ami-1", why="CVE-2026-1234", operator="ann")
    ledger.add(Kind.RESTORED, None, run="r3", image="ami-1", operator="ann")
    assert [each.run for each in ledger.records] == ["r1"]
    assert ledger.record().outcome is Outcome.UNDER_WAY


def test_runs_that_interleave_are_told_apart(ledger: Ledger) -> None:
    ledger.serves()
    ledger.began(run="r1")
    ledger.began(about=THREE, run="r2")
    ledger.passed(THREE, ONE, run="r2")
    ledger.passed(TWO, ONE, run="r1")
    ledger.cutover((THREE, 100), run="r2")
    ledger.ended(about=THREE, run="r2")
    ledger.ended("EngineError", run="r1", error="somebody else has changed the fleet")
    first, second = ledger.record("r1"), ledger.record("r2")
    assert (first.release, first.outcome, first.error) == (
        TWO.version,
        Outcome.FAILED,
        "somebody else has changed the fleet",
    )
    assert (second.release, second.outcome, second.serving) == (THREE.version, Outcome.DONE, {THREE.version: 100})
    assert first.serving == {THREE.version: 100}, "that is who had the traffic when it ended"
    assert {event.run for event in first.events} == {"r1"}


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("done", Outcome.DONE),
        ("RolledBack", Outcome.ROLLED_BACK),
        ("Interrupted", Outcome.INTERRUPTED),
        ("KeyboardInterrupt", Outcome.INTERRUPTED),
        ("EngineError", Outcome.FAILED),
        ("rolled back", Outcome.ROLLED_BACK),
        ("", Outcome.FAILED),
    ],
)
def test_an_end_says_how(ledger: Ledger, said: str, outcome: Outcome) -> None:
    ledger.began()
    ledger.ended(said)
    assert ledger.record().outcome is outcome


# -- rollbacks


def rolled_back_by_itself(ledger: Ledger, *, ends: bool = True) -> Deployment:
    ledger.serves()
    ledger.began()
    ledger.passed(image=image(TWO, **TAGS))
    ledger.cutover((TWO, 100))
    ledger.add(Kind.SOAK_FAILED, summary="alarm is on")
    ledger.began("rollback", ONE, **{"from": TWO.version})
    ledger.passed(ONE, TWO, waited=1)
    ledger.cutover((ONE, 100), (TWO, 0))
    ledger.add(Kind.ROLLED_BACK, ONE, **{"from": TWO.version})
    ledger.ended(verb="rollback", about=ONE)
    if ends:
        ledger.ended("RolledBack", error="release 2 was rolled back: alarm is on")
    return ledger.record()


def test_a_deployment_that_rolled_back_by_itself_is_one_record_of_what_it_was_to_bring_in(ledger: Ledger) -> None:
    found = rolled_back_by_itself(ledger)
    assert len(ledger.records) == 2
    assert (found.verb, found.release, found.outcome) == ("deploy", TWO.version, Outcome.ROLLED_BACK)
    assert found.serving == {ONE.version: 100}
    assert found.weights_before == {ONE.version: 100}
    assert found.error == "release 2 was rolled back: alarm is on"
    assert found.gate
    assert found.gate.waited_seconds == 4, "the gate of the way back is another"


def test_a_deployment_that_was_killed_once_it_had_rolled_back_has_rolled_back(ledger: Ledger) -> None:
    found = rolled_back_by_itself(ledger, ends=False)
    assert (found.outcome, found.error) == (Outcome.ROLLED_BACK, "alarm is on")


def test_a_rollback_by_hand_is_done_and_knows_the_image_from_an_earlier_run(ledger: Ledger) -> None:
    ledger.passed(TWO, ONE, run="r0", image=image(TWO, **TAGS))
    ledger.cutover((TWO, 100), run="r0")
    ledger.serves(THREE, run="r1")
    ledger.began("rollback", TWO, run="r2", forced=["--force"])
    ledger.cutover((TWO, 100), run="r2")
    ledger.add(Kind.ROLLED_BACK, TWO, run="r2")
    found = ledger.record("r2")
    assert (found.verb, found.outcome, found.forced) == ("rollback", Outcome.DONE, ("--force",))
    assert (found.version, found.commit) == ("2", "4f1c2d3"), "a flip makes no launch template: nobody looks"


def test_what_a_person_let_pass_is_told_once_whatever_event_says_so(ledger: Ledger) -> None:
    ledger.began(forced=["outside its window", "--force"])
    ledger.add(Kind.TAKEN_OVER, forced=True, summary="the lease is taken over from ada on ci-7")
    ledger.ended(forced=["--force"])
    assert ledger.record().forced == ("outside its window", "--force", "the lease is taken over from ada on ci-7")


# -- several shifts


def test_the_gates_of_several_shifts_are_one(ledger: Ledger) -> None:
    ledger.began()
    shown = {"healthy": 2, "wanted": 2, "smokeTests": ["/ready"], "command": "./check"}
    ledger.passed(gate=shown, waited=3)
    ledger.cutover((TWO, 5), (ONE, 95))
    ledger.passed(waited=0.5)
    ledger.cutover((TWO, 100))
    ledger.ended()
    found = ledger.record()
    assert found.gate
    assert (found.gate.healthy, found.gate.waited_seconds) == (3, 3.5)
    assert (found.gate.smoke_tests, found.gate.command) == (("/ready",), "./check")
    assert found.weights_after == {TWO.version: 100}


# -- destroyed


def test_destroyed_and_deployed_again_starts_from_nobody(ledger: Ledger) -> None:
    ledger.serves(ONE, run="r0")
    ledger.add(Kind.DESTROYED, ONE, run="r1")
    ledger.add(Kind.DESTROYED, None, run="r1")
    ledger.began(run="r2")
    ledger.cutover((TWO, 100), run="r2")
    ledger.ended(run="r2")
    first, destroyed, again = ledger.records
    assert (first.verb, destroyed.verb, again.verb) == ("pulumi up", "destroy", "deploy")
    assert (destroyed.outcome, destroyed.serving) == (Outcome.DONE, {})
    assert destroyed.weights_before == {ONE.version: 100}
    assert again.weights_before == {}


def test_what_pulumi_destroyed_is_told_from_what_the_command_did(ledger: Ledger) -> None:
    ledger.add(Kind.DESTROYED, ONE)
    assert ledger.record().verb == "pulumi destroy"


# -- other versions


def test_events_of_an_older_version_make_records_with_gaps(ledger: Ledger) -> None:
    ledger.add(Kind.BEGAN, verb="deploy", image=TWO.image, operator="ann", releases={})
    ledger.add(Kind.GATE_PASSED, **told((TWO, 100)), awaits=["soak"])
    ledger.cutover((TWO, 100))
    ledger.ended(seconds=12.5, error="")
    found = ledger.record()
    assert (found.outcome, found.seconds, found.gate, found.version) == (Outcome.DONE, 12.5, None, "")
    assert (found.capacity_before, found.capacity_after) == ({}, {})
    assert found.phases == {"creating": 10, "gate": 0, "cutover": 10, "deleting": 10}


def test_evidence_that_is_something_else_is_passed_over(ledger: Ledger) -> None:
    ledger.began(forced="yes", promotedFrom="qa")
    ledger.add(Kind.GATE_PASSED, gate=[], before=3, capacity=None, image="ami-1", waitedSeconds="long", began=7)
    ledger.ended(serving=[], seconds=None)
    found = ledger.record()
    assert (found.gate, found.promoted_from, found.forced) == (None, None, ())
    assert found.seconds == 20


def test_what_the_load_balancer_said_at_the_end_goes_before_what_was_declared(ledger: Ledger) -> None:
    ledger.began()
    ledger.cutover((TWO, 100))
    ledger.ended("EngineError", serving={ONE.version: 100})
    assert ledger.record().serving == {ONE.version: 100}


def test_no_events_are_no_deployments() -> None:
    assert deployments(History()) == ()


def test_an_image_that_shows_no_tags_is_known_by_its_id_alone() -> None:
    assert image(TWO) == {"id": TWO.image}
