"""The dashboard's body."""

from __future__ import annotations

from bluegreen.model.dashboard import Line, body_of, name_of
from bluegreen.model.settings import AlarmSettings
from bluegreen.model.tags import Owner

LINES = [
    Line(version="4d197941", role="active", target_group="targetgroup/web/1"),
    Line(version="51aa3c02", role="candidate", target_group="targetgroup/web/2"),
]


def test_each_widget_has_a_line_for_each_release_and_none_lies_over_another() -> None:
    widgets = body_of(LINES, region="eu-west-1", balancer="app/web/1", alarms=AlarmSettings())["widgets"]
    assert len({(each["x"], each["y"]) for each in widgets}) == len(widgets) == 4
    for widget in widgets:
        of_releases = [each for each in widget["properties"]["metrics"] if "TargetGroup" in each]
        assert [each[-1]["label"] for each in of_releases] == ["4d197941 (active)", "51aa3c02 (candidate)"]
        assert [each[3] for each in of_releases] == ["targetgroup/web/1", "targetgroup/web/2"]
        assert widget["properties"]["region"] == "eu-west-1"


def test_the_load_balancer_s_own_errors_are_a_line_of_their_own() -> None:
    _, errors, *_ = body_of(LINES, region="eu-west-1", balancer="app/web/1", alarms=AlarmSettings())["widgets"]
    assert errors["properties"]["metrics"][-1][1:4] == ["HTTPCode_ELB_5XX_Count", "LoadBalancer", "app/web/1"]


def test_where_latency_sets_an_alarm_off_is_shown_unless_it_is_left_out() -> None:
    for seconds, shown in ((1.5, [1.5]), (0, [])):
        settings = AlarmSettings(latency_seconds=seconds)
        latency = body_of(LINES, region="eu-west-1", balancer="app/web/1", alarms=settings)["widgets"][2]["properties"]
        assert [each["value"] for each in latency.get("annotations", {}).get("horizontal", [])] == shown


def test_a_name_has_only_what_cloudwatch_takes() -> None:
    assert name_of(Owner(project="my.shop", stack="dev", service="web")) == "my-shop-dev-web"
