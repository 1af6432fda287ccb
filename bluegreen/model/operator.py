"""Who deploys, and in which run of which CI, as the environment tells it. Pure.

Nothing here is proof: whoever may set the variables may claim to be anybody. What AWS did, for whom, is in CloudTrail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Ci:
    """A CI system. `sign`: the variable that says that this is it. `users`, `runs`: variables that name who had it run,
    and the run, by URL or id; the first that is set counts."""

    name: str
    sign: str
    users: tuple[str, ...]
    runs: tuple[str, ...]


SYSTEMS = (
    # Set by Pulumi Deployments, and by whoever tells Pulumi of a CI that it does not know: so it comes first.
    Ci("Pulumi Deployments", "PULUMI_CI_SYSTEM", (), ("PULUMI_CI_BUILD_URL", "PULUMI_CI_BUILD_ID")),
    # The actor stays the first run's; who ran it again is the triggering actor.
    Ci("GitHub Actions", "GITHUB_ACTIONS", ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"), ()),
    Ci("GitLab CI", "GITLAB_CI", ("GITLAB_USER_LOGIN",), ("CI_PIPELINE_URL", "CI_JOB_URL")),
    Ci("Jenkins", "JENKINS_URL", ("BUILD_USER_ID",), ("BUILD_URL",)),
    Ci("CircleCI", "CIRCLECI", ("CIRCLE_USERNAME",), ("CIRCLE_BUILD_URL",)),
    # Who passed the last block step, else who had it built.
    Ci("Buildkite", "BUILDKITE", ("BUILDKITE_UNBLOCKER", "BUILDKITE_BUILD_CREATOR"), ("BUILDKITE_BUILD_URL",)),
    Ci("CodeBuild", "CODEBUILD_BUILD_ID", ("CODEBUILD_INITIATOR",), ("CODEBUILD_BUILD_ID",)),
)
"""Each system's own reference of its variables: Pulumi Deployments "Environment Variables", GitHub Actions "Variables
reference", GitLab "Predefined CI/CD variables", Jenkins "Using environment variables" and its plugin build-user-vars,
CircleCI "Project values and variables", Buildkite and CodeBuild "Environment variables"."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """`name`: of the person or account. `ci_run`: URL or id, empty outside of CI."""

    name: str
    ci_run: str = ""

    def as_evidence(self) -> dict[str, str]:
        """As events keep it."""
        return {"operator": self.name, "ciRun": self.ci_run}


def operator_in(environment: Mapping[str, str], *, user: str, host: str) -> Operator:
    """Who deploys. `user`, `host`: of this process, which count where no CI says who had it run."""
    local = f"{user}@{host}" if host else user
    for ci in SYSTEMS:
        if environment.get(ci.sign):
            return Operator(name=_first(environment, ci.users) or local, ci_run=_run(environment, ci))
    return Operator(name=local)


def _run(environment: Mapping[str, str], ci: Ci) -> str:
    if ci.sign != "GITHUB_ACTIONS":
        return _first(environment, ci.runs)
    server, repository, run = (environment.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else run or ""


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")
