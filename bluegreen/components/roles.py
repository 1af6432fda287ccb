"""Roles for people and CI: one for each verb of a stack, and GitHub's identity provider. docs/roles.md.

They are an account's, not a stack's: who deploys a stack must not make its own rights. `roles/` is a program of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.model.permissions import AUDIENCE, GITHUB, Place, Verb, split, trust
from bluegreen.model.tags import PROJECT

GITHUB_URL = f"https://{GITHUB}"


def make_github_provider(tags: Mapping[str, str]) -> aws.iam.OpenIdConnectProvider:
    """GitHub's, of which an account has one at most; AWS knows the certificate of its issuer."""
    return aws.iam.OpenIdConnectProvider("github", url=GITHUB_URL, client_id_lists=[AUDIENCE], tags=tags)


@dataclass(frozen=True, kw_only=True)
class RolesArgs:
    """`policies`: of each verb, at the stack's place. `repository`: on GitHub, OWNER/NAME, or nothing; `provider`: the
    ARN of GitHub's. `people`: ARNs of whom the roles trust besides. `session_seconds`: how long a session may last."""

    place: Place
    policies: Mapping[Verb, Mapping[str, Any]]
    repository: str = ""
    provider: pulumi.Input[str] = ""
    people: Sequence[str] = ()
    session_seconds: int = 4 * 3600


class Roles(pulumi.ComponentResource):
    """The roles of one stack, called `PROJECT-STACK-VERB`. `arns`: by verb."""

    arns: dict[Verb, pulumi.Output[str]]

    def __init__(self, name: str, args: RolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bluegreen:index:Roles", name, None, opts)
        self._args = args
        self.arns = {verb: self._make(verb) for verb in args.policies}
        self.register_outputs({"arns": {verb.value: arn for verb, arn in self.arns.items()}})

    def _make(self, verb: Verb) -> pulumi.Output[str]:
        args, child = self._args, pulumi.ResourceOptions(parent=self)
        owner = args.place.owner
        name = f"{owner.project}-{owner.stack}-{verb}"
        # Not the stack's own tag: what carries that, the stack's deployments may change.
        tags = {PROJECT: owner.project, "Name": name}

        def trusting(provider: str) -> str:
            return json.dumps(
                trust(verb, stack=owner.stack, repository=args.repository, provider=provider, people=args.people)
            )

        role = aws.iam.Role(
            name,
            name=name,
            description=f"{verb} of the stack {owner.stack}",
            assume_role_policy=pulumi.Output.from_input(args.provider).apply(trusting),
            max_session_duration=args.session_seconds,
            tags=tags,
            opts=child,
        )
        for number, document in enumerate(split(args.policies[verb]), start=1):
            policy = aws.iam.Policy(f"{name}-{number}", policy=json.dumps(document), tags=tags, opts=child)
            aws.iam.RolePolicyAttachment(f"{name}-{number}", role=role.name, policy_arn=policy.arn, opts=child)
        return role.arn
