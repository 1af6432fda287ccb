"""A release that turns out bad under traffic is taken back by itself, and the ledger tells the story."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.model.history import Kind
from sandbox.load import Load
from tests.e2e.project import STACK, Project, eventually
from tests.e2e.test_strategies import ledger

REQUESTS_PER_SECOND = 200

pytestmark = pytest.mark.rollout


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic."""
    first = project.bluegreen("deploy", STACK, "--ami", project.image("1"))
    assert first.code == 0, first.output
    return project


def bad_image(project: Project) -> str:
    """Its health check passes, and a tenth of its answers are errors."""
    return project.image("bad", ERROR_RATE="0.1")


@pytest.mark.parametrize("strategy", ["canary", "blueGreen", "redBlack"])
def test_a_release_that_fails_a_tenth_of_its_requests_is_rolled_back_by_itself(served: Project, strategy: str) -> None:
    served.configure(
        strategy=strategy,
        soak_seconds=8 if strategy == "blueGreen" else 0,
        scale_down_delay_seconds=8,
        steps=[{"weight": 50, "pauseSeconds": 8}],
        user_data=f"# {strategy}",  # a release of its own
    )
    good = served.release
    seen_before = len(ledger(served))
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND, path="/") as load:
        eventually(lambda: load.answers)
        refused = served.bluegreen("deploy", STACK, "--ami", bad_image(served))
    assert refused.code == 1, refused.output
    assert refused.has_no_traceback, refused.output
    assert "was rolled back: soak:" in refused.output

    events = ledger(served)[seen_before:]
    (failed,) = [event for event in events if event.kind is Kind.SOAK_FAILED]
    bad = failed.release
    assert "errors" in failed.summary
    assert any("ALARM" in state for state in failed.evidence["alarms"].values()), "the event carries its evidence"
    kinds = [event.kind for event in events]
    story = [
        Kind.BEGAN,
        Kind.GATE_PASSED,
        Kind.CUTOVER,
        Kind.SOAK_BEGAN,
        Kind.SOAK_FAILED,
        Kind.ROLLED_BACK,
        Kind.ENDED,
    ]
    assert [kind for kind in dict.fromkeys(kinds) if kind in story] == story

    meanwhile = [it for it in load.answers if it.release == bad]
    failures = load.failures
    assert len(meanwhile) > 200
    time_of_bad = [it for it in load.answers if meanwhile[0].sent_at <= it.sent_at <= meanwhile[-1].sent_at]
    assert len(failures) < 0.15 * len(time_of_bad)
    assert {it.release for it in failures} == {bad}, "all of them the release's own"

    assert served.release == good
    assert served.ask()["release"] == good
    assert len(served.groups()) == 1, "what was to be cleaned up is"
    cutover_back = [event.at for event in events if event.kind is Kind.CUTOVER][-1]
    saved = next(event for event in events if event.kind is Kind.FORENSICS)
    folder = Path(saved.evidence["folder"])
    assert str(folder) in refused.output
    assert (folder / "targets.json").exists()
    assert any("listens on" in file.read_text() for file in folder.glob("console-*.txt")), "the app's own log"
    if strategy != "blueGreen":
        assert saved.at > cutover_back, "the traffic first"


def test_no_requests_are_no_data_and_not_fine(served: Project) -> None:
    served.configure(strategy="blueGreen", soak_seconds=4, user_data="# nobody asks")
    good = served.release
    refused = served.bluegreen("deploy", STACK, "--ami", served.image("2"))
    assert refused.code == 1
    assert "no requests in" in refused.output
    assert "no data" in refused.output
    assert served.release == good


def test_an_alarm_that_does_not_exist_is_refused_before_anything_is_changed(served: Project) -> None:
    served.configure(soak_alarms=["checkout-errors"], user_data="# watched by nobody")
    refused = served.bluegreen("deploy", STACK, "--ami", served.image("2"))
    assert refused.code != 0
    assert "there is no alarm checkout-errors" in refused.output
    assert refused.has_no_traceback, refused.output
    assert refused.writes == []


def test_an_alarm_of_the_users_own_ends_a_soak_and_does_not_hold_the_way_back_up(served: Project) -> None:
    cloudwatch = served.aws("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="checkout-errors",
        Namespace="Shop",
        MetricName="Failures",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    eventually(lambda: cloudwatch.describe_alarms()["MetricAlarms"][0]["StateValue"] == "OK")
    served.configure(soak_seconds=60)
    good = served.release
    with Load(served.outputs["url"], per_second=50):
        deploying = served.begin_bluegreen("deploy", STACK, "--ami", served.image("2")).wait_for("alarms quiet")

        def fails_until_noticed() -> bool:
            cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Failures", "Value": 5}])
            return "rolling back" in deploying.output

        eventually(fails_until_noticed, within=60)
        refused = deploying.finish()
    assert refused.code == 1, refused.output
    assert "alarm checkout-errors is on" in refused.output
    assert served.release == good
    assert served.ask()["release"] == good


def test_a_plain_up_whose_soak_fails_leaves_the_old_group_whole_and_a_rollback_to_it_is_one_listener_change(
    served: Project,
) -> None:
    good, (group,) = served.release, served.groups()
    size = served.groups()[group]["DesiredCapacity"]
    with Load(served.outputs["url"], per_second=REQUESTS_PER_SECOND, path="/"):
        failed = served.up(ami=bad_image(served), soak_seconds=8, soak_alarms=[], user_data="# plain")
        assert failed.code != 0
        assert "errors" in failed.output
        assert "The old server group was left whole" in failed.output
        assert "DeleteAutoScalingGroup" not in failed.writes
        assert not [action for action in failed.writes if action.startswith("Delete")]
        assert served.groups()[group]["DesiredCapacity"] == size
        assert served.ask()["release"] != good

        again = served.up()
        assert again.code != 0, "the next `up` does not forget that the soak has failed"
        assert group in served.groups()

        back = served.bluegreen("rollback", STACK)
    assert back.code == 0, back.output
    assert "flip" in back.output
    assert "CreateAutoScalingGroup" not in back.writes
    assert served.release == good
    assert served.ask()["release"] == good
    assert list(served.groups()) == [group]
