"""The rights of people and CI: the policies of the verbs at a place, and whom their roles trust. Pure.

The templates are in bluegreen/permissions/, made from what the verbs were seen to ask of AWS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bluegreen.model.tags import Owner

MOST_CHARACTERS = 6144
"""Of a managed policy, white space not counted (IAM User Guide, "IAM and AWS STS quotas")."""

WHERE_POLICIES_ARE = "`bluegreen iam-policy VERB STACK` prints what each verb's role needs."
DENIED = "is not authorized to perform"
"""In every refusal of IAM's (IAM User Guide, "Troubleshoot access denied error messages")."""

LISTENER = "${listener}"

GITHUB = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"


class Verb(StrEnum):
    """What a role is for."""

    BAKE = "bake"
    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    READ_ONLY = "read-only"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Whose rights, and where. `table`: of the ledger; `bucket`: of the artifacts; `backup_bucket`: of the backups;
    `listener`: the ARN of the one that the service shares, empty where it has its own."""

    owner: Owner
    account: str
    region: str
    table: str
    bucket: str
    backup_bucket: str
    listener: str = ""
    partition: str = "aws"

    @property
    def words(self) -> dict[str, str]:
        """What the templates' placeholders stand for."""
        return {
            "project": self.owner.project,
            "stack": self.owner.stack,
            "service": self.owner.service,
            "account": self.account,
            "region": self.region,
            "table": self.table,
            "bucket": self.bucket,
            "backups": self.backup_bucket,
            "listener": self.listener,
        }


def at(template: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The policy at a place, without what the place has not."""
    statements = [
        {**each, "Resource": [it for it in each["Resource"] if it != LISTENER or place.listener]}
        for each in template["Statement"]
    ]
    text = json.dumps({**template, "Statement": [each for each in statements if each["Resource"]]})
    for name, word in place.words.items():
        text = text.replace(f"${{{name}}}", word)
    found: dict[str, Any] = json.loads(text.replace("arn:aws:", f"arn:{place.partition}:"))
    return found


def size_of(document: Mapping[str, Any]) -> int:
    """As IAM counts it."""
    return len(json.dumps(document, separators=(",", ":")))


def split(policy: Mapping[str, Any], most: int = MOST_CHARACTERS) -> tuple[dict[str, Any], ...]:
    """The same rights in as many documents as IAM's limit needs, statements whole and in order."""
    documents: list[dict[str, Any]] = []
    for statement in policy["Statement"]:
        longer = {**policy, "Statement": [*documents[-1]["Statement"], statement]} if documents else None
        if longer is not None and size_of(longer) <= most:
            documents[-1] = longer
        else:
            documents.append({**policy, "Statement": [statement]})
    return tuple(documents)


def subjects(verb: Verb, repository: str, stack: str) -> tuple[str, ...]:
    """Which of a repository's jobs on GitHub may have a verb's role, as the token's `sub` says it.

    What changes something: jobs of the environment that is called as the stack, which may want approvals. To look: all
    of the repository's jobs.
    """
    return (f"repo:{repository}:*",) if verb is Verb.READ_ONLY else (f"repo:{repository}:environment:{stack}",)


def trust(verb: Verb, *, stack: str, repository: str, provider: str, people: Sequence[str]) -> dict[str, Any]:
    """Who may have a verb's role: GitHub's jobs, with the ARN of the account's identity provider, and people's ARNs."""
    statements: list[dict[str, Any]] = []
    if repository:
        among = subjects(verb, repository, stack)
        operator = "StringLike" if any("*" in each for each in among) else "StringEquals"
        condition: dict[str, dict[str, Any]] = {"StringEquals": {f"{GITHUB}:aud": AUDIENCE}}
        condition.setdefault(operator, {})[f"{GITHUB}:sub"] = list(among)
        statements.append(
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": condition,
            }
        )
    if people:
        statements.append({"Effect": "Allow", "Principal": {"AWS": list(people)}, "Action": "sts:AssumeRole"})
    return {"Version": "2012-10-17", "Statement": statements}
