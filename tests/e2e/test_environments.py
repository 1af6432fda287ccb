"""Three environments, with the command alone: what dev has proven goes to qa and stage, and what is bad comes back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sandbox.host import REPOSITORY
from sandbox.load import Load
from tests.e2e.library import SMALL_WORDS
from tests.e2e.project import Project, eventually
from tests.e2e.told import told

pytestmark = pytest.mark.rollout

REQUESTS_PER_SECOND = 200
WATCHED_SECONDS = 6
CANARY = json.dumps([{"weight": 50, "pauseSeconds": WATCHED_SECONDS}])


def image(project: Project, version: str, **switches: str) -> str:
    """With the tags that a bake sets."""
    tags = {
        "project": "bluegreen",
        "service": "web",
        "version": version,
        "commit": "a41d77c09be85f6a2d3c4b5e6f708192a3b4c5d6",
        "content-digest": version * 32,
    }
    return project.sandbox.image(
        REPOSITORY / "app",
        tags={"version": version, **{f"bluegreen:{key}": value for key, value in tags.items()}},
        env=switches,
    )


def run(project: Project, *words: str, code: int = 0) -> str:
    done = project.bluegreen(*words)
    assert done.code == code, done.output
    assert done.has_no_traceback, done.output
    return done.output


@pytest.fixture(scope="module")
def environments(project: Project) -> Project:
    """Made by a person who has the README."""
    made = project.bluegreen("init", "dev", "qa", "stage", *SMALL_WORDS)
    assert made.code == 0, made.output
    assert made.has_no_traceback
    assert made.output.count("the stack is made") == 3
    assert made.output.rstrip().endswith("dev, qa, stage: ready")
    return project


@pytest.fixture(scope="module")
def images(environments: Project) -> dict[str, str]:
    return {"1": image(environments, "1"), "2": image(environments, "2"), "3": image(environments, "3", ERROR_RATE="1")}


def test_init_makes_a_table_that_is_encrypted_and_can_be_restored_and_again_changes_nothing(
    environments: Project,
) -> None:
    dynamodb = environments.aws("dynamodb")
    table = dynamodb.describe_table(TableName="bluegreen")["Table"]
    assert table["SSEDescription"]["Status"] == "ENABLED"
    assert table["DeletionProtectionEnabled"]
    backups = dynamodb.describe_continuous_backups(TableName="bluegreen")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"

    again = environments.bluegreen("init", "dev", *SMALL_WORDS)
    assert again.code == 0, again.output
    assert again.writes == []
    assert "it is there" in again.output


def test_a_release_goes_from_dev_to_qa_and_on_to_stage(environments: Project, images: dict[str, str]) -> None:
    nothing = told(environments, "deploy", "qa", "--from", "dev")
    assert nothing.code == 2
    assert nothing.last["what"] == "nothing is deployed in dev, so there is nothing to promote from it"

    first = told(environments, "deploy", "dev", "--ami", images["1"])
    assert first.code == 0, first.last
    second = told(environments, "deploy", "qa", "--from", "dev")
    assert second.code == 0, second.last
    (planned,) = second.of("promotion")
    assert planned["source"] == "dev"
    assert planned["image"] == images["1"]
    assert planned["version"] == "1"
    assert planned["contentDigest"] == "1" * 32
    assert planned["run"] == first.last["details"]["run"]
    assert planned["drift"] == []
    assert second.last["release"] == first.last["release"]
    run(environments, "deploy", "stage", "--from", "qa")
    for name in ("dev", "qa", "stage"):
        assert replace(environments, stack=name).ask()["app"] == "1"


def test_the_next_release_comes_into_stage_by_canary_and_soak_under_load_after_its_drift_was_told(
    environments: Project, images: dict[str, str]
) -> None:
    run(environments, "init", "stage", "--set", "strategy=canary", "--set", f"steps={CANARY}")
    run(environments, "init", "stage", "--set", f"soakSeconds={WATCHED_SECONDS}")
    run(environments, "deploy", "qa", "--ami", images["2"])

    planned = environments.bluegreen("deploy", "stage", "--from", "qa", "--dry-run")
    assert planned.code == 0, planned.output
    assert planned.writes == []
    assert "strategy" in planned.output
    assert "step 1 of 2: 50 % of the traffic" in planned.output

    stage = replace(environments, stack="stage")
    with Load(stage.outputs["url"], per_second=REQUESTS_PER_SECOND, path="/") as load:
        eventually(lambda: load.answers)
        done = told(environments, "deploy", "stage", "--from", "qa")
    assert done.code == 0, done.last
    assert not load.failures, load.failures[:3]
    (promotion,) = done.of("promotion")
    assert {each["key"] for each in promotion["drift"]} == {"strategy", "steps", "soakSeconds"}
    assert [step["name"] for step in done.of("step")] == ["50 % of the traffic", "promoted"]
    assert [line["weights"].get(done.last["release"]) for line in done.of("shifted")] == [50, 100]
    assert {line["check"] for line in done.of("check") if line["isPassed"]} >= {"gate", "attest", "soak"}
    assert stage.ask()["app"] == "2"


def test_a_bad_release_that_qa_did_not_notice_is_taken_back_in_stage_by_itself(
    environments: Project, images: dict[str, str]
) -> None:
    """In qa nobody asks it anything; in stage every answer that it gives is an error."""
    run(environments, "deploy", "qa", "--ami", images["3"])
    stage = replace(environments, stack="stage")
    good = stage.release
    with Load(stage.outputs["url"], per_second=REQUESTS_PER_SECOND, path="/") as load:
        eventually(lambda: load.answers)
        refused = told(environments, "deploy", "stage", "--from", "qa")
    assert refused.code == 1, refused.last
    assert refused.last["error"] == "RolledBack"
    assert refused.last["outcome"] == "failed"
    assert f"Release {good} has all traffic again." in refused.last["what"]
    bad = replace(environments, stack="qa").release
    assert {it.release for it in load.failures} <= {bad, ""}, load.failures[:3]
    assert stage.release == good
    assert stage.ask()["release"] == good
    assert len(stage.outputs["fleet"]["groups"]) == 1


def test_history_shows_what_was_taken_back_and_why(environments: Project, images: dict[str, str]) -> None:
    table = environments.bluegreen("history", "stage")
    assert table.code == 0, table.output
    lines = [line.split() for line in table.output.splitlines() if "deploy" in line]
    assert [line[-2] for line in lines] == ["done", "done", "back"], table.output
    assert [call.action for call in table.calls] == ["Query"]

    listed = run(environments, "history", "stage", "--json", "--outcome", "rolled-back")
    (record,) = [json.loads(line) for line in listed.splitlines() if line.startswith("{")]
    assert record["image"] == images["3"]
    assert record["strategy"] == "canary"
    assert record["contentDigest"] == "3" * 32
    assert record["promotedFrom"]["stack"] == "qa"
    assert record["serving"] == {replace(environments, stack="stage").release: 100}
    assert "soak" in record["error"]

    one = run(environments, "history", "stage", record["run"])
    assert "outcome        rolled back" in one
    assert f"promoted from  qa {images['3']}" in one
    for kind in ("gate passed", "cutover", "soak failed", "rolled back", "ended"):
        assert kind in one, one


def test_status_says_what_runs_as_the_load_balancer_has_it(environments: Project) -> None:
    stage = replace(environments, stack="stage")
    found = told(environments, "status", "stage")
    assert found.code == 0
    assert found.last["release"] == stage.release
    assert found.last["weights"] == {stage.release: 100}
    assert found.last["details"]["holder"] == ""
    in_words = run(environments, "status", "stage")
    assert f"active     {stage.release}  100 %  1 of 1 healthy" in in_words
    unknown = told(environments, "status", "stge")
    assert unknown.code == 2
    assert "Did you mean stage?" in unknown.last["nextStep"]


def test_images_are_listed_with_what_needs_them_and_a_prune_says_beforehand_what_would_go(
    environments: Project, images: dict[str, str]
) -> None:
    spare = image(environments, "4")
    listed = run(environments, "images", "list")
    needed = {line.split()[0]: line for line in listed.splitlines() if line.startswith("ami-")}
    assert needed.keys() == {*images.values(), spare}
    assert "active in dev" in needed[images["1"]]
    assert "active in stage" in needed[images["2"]]
    assert "active in qa" in needed[images["3"]]

    pruned = environments.bluegreen("images", "prune", "--keep", "0", "--older-than", "0d")
    assert pruned.code == 0, pruned.output
    assert pruned.writes == []
    going = [line.split()[1] for line in pruned.output.splitlines() if line.startswith("remove")]
    assert going == [spare]
    assert "Nothing was removed" in pruned.output


def test_a_release_that_qa_did_not_see_healthy_does_not_go_to_stage(environments: Project) -> None:
    """A soak that nobody sends requests in fails; without autoRollback the release stays, and a person is needed."""
    run(environments, "init", "qa", "--set", f"soakSeconds={WATCHED_SECONDS}", "--set", "autoRollback=false")
    unproven = image(environments, "5")
    left = told(environments, "deploy", "qa", "--ami", unproven)
    assert left.code == 3, left.last
    assert left.last["outcome"] == "needs a person"
    assert "no data" in left.last["what"]
    assert replace(environments, stack="qa").ask()["app"] == "5"

    refused = environments.bluegreen("deploy", "stage", "--from", "qa")
    assert refused.code == 2, refused.output
    assert refused.has_no_traceback
    assert "was not seen healthy in qa" in refused.output
    assert refused.writes == []
