"""Who deploys: each CI's own variables, and the person where there is none."""

from __future__ import annotations

import pytest

from bluegreen.model.operator import operator_in

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "shop/web",
    "GITHUB_RUN_ID": "4711",
    "GITHUB_ACTOR": "ann",
}


@pytest.mark.parametrize(
    ("environment", "name", "ci_run"),
    [
        (GITHUB, "ann", "https://github.com/shop/web/actions/runs/4711"),
        ({**GITHUB, "GITHUB_TRIGGERING_ACTOR": "bob"}, "bob", "https://github.com/shop/web/actions/runs/4711"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "4711"}, "me@here", "4711"),
        ({"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "ann", "CI_PIPELINE_URL": "https://p/1"}, "ann", "https://p/1"),
        ({"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "ann", "CI_JOB_URL": "https://j/1"}, "ann", "https://j/1"),
        ({"JENKINS_URL": "https://ci", "BUILD_URL": "https://ci/1"}, "me@here", "https://ci/1"),
        ({"JENKINS_URL": "https://ci", "BUILD_URL": "https://ci/1", "BUILD_USER_ID": "ann"}, "ann", "https://ci/1"),
        ({"CIRCLECI": "true", "CIRCLE_USERNAME": "ann", "CIRCLE_BUILD_URL": "https://c/1"}, "ann", "https://c/1"),
        (
            {"BUILDKITE": "true", "BUILDKITE_BUILD_CREATOR": "ann", "BUILDKITE_BUILD_URL": "https://b/1"},
            "ann",
            "https://b/1",
        ),
        (
            {"BUILDKITE": "true", "BUILDKITE_BUILD_CREATOR": "ann", "BUILDKITE_UNBLOCKER": "bob"},
            "bob",
            "",
        ),
        ({"CODEBUILD_BUILD_ID": "web:1", "CODEBUILD_INITIATOR": "codepipeline/web"}, "codepipeline/web", "web:1"),
        (
            {"PULUMI_CI_SYSTEM": "Pulumi Deployments", "PULUMI_CI_BUILD_URL": "https://app.pulumi.com/1"},
            "me@here",
            "https://app.pulumi.com/1",
        ),
        ({"PULUMI_CI_SYSTEM": "ours", "PULUMI_CI_BUILD_ID": "17", **GITHUB}, "me@here", "17"),
    ],
)
def test_a_ci_tells_who_had_it_run_and_where_that_is(environment: dict[str, str], name: str, ci_run: str) -> None:
    found = operator_in(environment, user="me", host="here")
    assert (found.name, found.ci_run) == (name, ci_run)


def test_without_a_ci_it_is_the_user_and_the_host() -> None:
    assert operator_in({"BUILD_URL": "left over"}, user="me", host="here").as_evidence() == {
        "operator": "me@here",
        "ciRun": "",
    }
    assert operator_in({}, user="1000", host="").name == "1000"


def test_a_variable_that_is_set_to_nothing_is_not_set() -> None:
    assert operator_in({**GITHUB, "GITHUB_ACTIONS": ""}, user="me", host="here").ci_run == ""
