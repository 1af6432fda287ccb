"""The Pulumi program of an account's roles, `roles/`: the stacks' files say whose and where."""

from __future__ import annotations

import re
from pathlib import Path

import pulumi

from bluegreen import iam_policy, permissions
from bluegreen.components.roles import Roles, RolesArgs, make_github_provider
from bluegreen.errors import BluegreenError, Fault, SettingsError
from bluegreen.model.permissions import Verb, at
from bluegreen.model.tags import PROJECT

HOURS = range(1, 13)
"""IAM API, CreateRole: MaxSessionDuration."""


def main(project: Path) -> None:
    """Declare the roles of the stacks that the config names. `project`: the directory of their Pulumi.yaml."""
    try:
        declare(project, pulumi.Config("bluegreen-roles"))
    except BluegreenError as error:
        raise pulumi.RunError(str(error)) from None


def declare(project: Path, config: pulumi.Config) -> None:
    """Raises SettingsError with all faults of the config, StackFileError, AwsError."""
    stacks = config.get_object("stacks") or []
    repository, people = config.get("repository") or "", config.get_object("people") or []
    hours = config.get_int("sessionHours") or 4
    faults = [
        *([] if stacks else [Fault("bluegreen-roles:stacks", "names no stack; one looks like [dev, qa]")]),
        *([] if hours in HOURS else [Fault("bluegreen-roles:sessionHours", f"{hours} is not 1 to 12")]),
    ]
    if repository and not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
        faults.append(Fault("bluegreen-roles:repository", f"{repository!r} should look like acme/shop"))
    if not repository and not people:
        faults.append(Fault("bluegreen-roles:people", "nobody could have the roles: name people, or a repository"))
    if faults:
        raise SettingsError(faults)
    places = [iam_policy.place_of(stack, project) for stack in stacks]
    provider: pulumi.Input[str] = config.get("provider") or ""
    if repository and not provider:
        provider = make_github_provider({PROJECT: places[0].owner.project, "Name": "github"}).arn
    for stack, place in zip(stacks, places, strict=True):
        args = RolesArgs(
            place=place,
            policies={verb: at(permissions.template(verb), place) for verb in Verb},
            repository=repository,
            provider=provider,
            people=people,
            session_seconds=hours * 3600,
        )
        made = Roles(stack, args)
        pulumi.export(stack, pulumi.Output.from_input({verb.value: arn for verb, arn in made.arns.items()}))
