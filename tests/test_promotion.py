"""What goes to the next environment is what was proven in this one, and nothing else."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen import promotion
from bluegreen.errors import ImageError, RolloutError
from bluegreen.images import promotion as images
from bluegreen.images.facts import ImageFacts
from bluegreen.model.fleet import Fleet
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.place import Place
from bluegreen.model.settings import Settings
from bluegreen.stack import Stack
from bluegreen.stop import Stop

QA = Settings.parse({"ami": "ami-00000001"})
STAGE = Settings.parse({"maxSize": "9", "instanceType": "m7i.large"})
FLEET = Fleet.from_settings(QA)
RELEASE = FLEET.active.release
START = datetime(2026, 11, 25, 12, tzinfo=UTC)
HERE, THERE = Place(account="111111111111", region="eu-west-1"), Place(account="222222222222", region="eu-central-1")
FACTS = ImageFacts(
    image=RELEASE.image,
    name="web",
    account=HERE.account,
    region=HERE.region,
    architecture="x86_64",
    root_device="/dev/xvda",
    imds_support="v2.0",
    snapshots=(),
    tags={"bluegreen:content-digest": "d" * 64},
)


def event(kind: Kind, **evidence: Any) -> Event:
    return Event(at=START, run="20261125-120000-abcd", kind=kind, release=RELEASE.version, evidence=evidence)


WEIGHTS = {"weights": {RELEASE.version: 100}, "releases": {RELEASE.version: RELEASE.as_record()}}
IMAGE = {"id": RELEASE.image, "contentDigest": "d" * 64, "commit": "4f1c2d3e", "version": "2"}
PROVEN = (event(Kind.GATE_PASSED, image=IMAGE, awaits=[], **WEIGHTS), event(Kind.CUTOVER, image=IMAGE, **WEIGHTS))


@dataclasses.dataclass
class FakeStack:
    name: str
    settings: Settings
    fleet: Fleet | None = None
    events: tuple[Event, ...] = ()
    traffic: dict[str, int] = dataclasses.field(default_factory=dict)
    session: Any = None
    secrets: frozenset[str] = frozenset()
    said: list[str] = dataclasses.field(default_factory=list)

    @property
    def deployed_settings(self) -> Settings:
        return self.settings

    @property
    def history(self) -> History:
        return History(self.events)

    def serving(self) -> dict[str, int]:
        return self.traffic

    def say(self, line: str) -> None:
        self.said.append(line)


def qa(**changes: Any) -> FakeStack:
    return dataclasses.replace(FakeStack("qa", QA, FLEET, PROVEN, {RELEASE.version: 100}), **changes)


def look(source: FakeStack, target: FakeStack | None = None) -> promotion.Promotion:
    return promotion.look_ahead(cast(Stack, source), cast(Stack, target or FakeStack("stage", STAGE)))


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Content digests that the image was compared with."""
    digests: list[str] = []

    def look(source: Any, target: Any, image: str, *, content_digest: str) -> images.Transfer:
        digests.append(content_digest)
        return images.Transfer(facts=FACTS, target=THERE, shares=True, copies=True)

    monkeypatch.setattr(images, "look", look)
    return digests


def test_what_qa_runs_goes_to_stage_with_the_content_that_its_ledger_has(asked: list[str]) -> None:
    found = look(qa())
    assert found.release == RELEASE
    assert asked == ["d" * 64], "of the ledger: tags of a shared image are not seen"
    assert found.evidence["promotedFrom"] == {"stack": "qa", "image": RELEASE.image, "run": "20261125-120000-abcd"}
    assert found.dangers == ()


def test_how_the_two_environments_differ_is_told_with_what_happens_to_the_image() -> None:
    told = look(qa()).told
    assert [(each["key"], each["isOfRelease"]) for each in told.drift] == [("instanceType", True), ("maxSize", False)]
    assert "shared with account 222222222222" in told.steps[0]
    assert told.commit == FACTS.commit


def test_a_setting_that_is_a_secret_in_either_is_told_to_differ_and_not_how() -> None:
    stage = FakeStack("stage", STAGE, secrets=frozenset({"bluegreen:instanceType"}))
    first = look(qa(), stage).told.drift[0]
    assert (first["key"], first["source"], first["target"]) == ("instanceType", "[secret]", "[secret]")


def test_from_a_stack_that_never_deployed_nothing_is_promoted() -> None:
    with pytest.raises(RolloutError, match="nothing is deployed in qa"):
        look(qa(fleet=None))


def test_a_stack_is_not_promoted_to_itself() -> None:
    with pytest.raises(RolloutError, match="qa can't be promoted to itself"):
        look(qa(), FakeStack("org/bluegreen/qa", QA))


def test_a_release_that_its_ledger_did_not_see_healthy_is_refused_unless_forced() -> None:
    (danger,) = look(qa(events=())).dangers
    assert "was not seen healthy in qa: its ledger does not know it" in str(danger)
    assert "--force" in str(danger)


def test_a_release_whose_soak_has_failed_is_refused() -> None:
    (danger,) = look(qa(events=(*PROVEN, event(Kind.SOAK_FAILED)))).dangers
    assert "soak failed" in str(danger)


def test_what_the_load_balancer_does_not_serve_alone_is_not_what_qa_runs() -> None:
    (danger,) = look(qa(traffic={RELEASE.version: 90, "22222222": 10})).dangers
    assert "its traffic is" in str(danger)


@pytest.mark.parametrize("which", ["source", "target"])
def test_an_image_that_was_revoked_in_either_is_refused_by_its_content(which: str) -> None:
    veto = event(Kind.REVOKED, image="ami-9", contentDigest="d" * 64, why="CVE-2026-1", operator="ann")
    source = qa(events=(*PROVEN, veto)) if which == "source" else qa()
    target = FakeStack("stage", STAGE, events=(veto,)) if which == "target" else None
    with pytest.raises(ImageError, match="was revoked by ann"):
        look(source, target)


def test_a_copy_is_made_under_the_key_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def carry_out(*_: Any, **options: Any) -> Any:
        asked.update(options)
        return SimpleNamespace(image="ami-00000009")

    monkeypatch.setattr(images, "carry_out", carry_out)
    key = "arn:aws:kms:eu-central-1:222222222222:key/12345678-1234-1234-1234-123456789012"
    target = FakeStack("stage", Settings.parse({"imageKmsKey": key}))
    stop = Stop()
    assert promotion.carry_out(look(qa(), target), stop) == "ami-00000009"
    assert asked["kms_key_id"] == key
    stop.ask()
    with pytest.raises(KeyboardInterrupt):  # which the copying tells as Interrupted
        asked["sleep"](3600)
