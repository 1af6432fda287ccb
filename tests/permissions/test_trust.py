"""Whom the roles of the verbs trust: GitHub's jobs of one repository and environment, and the people that are named."""

from __future__ import annotations

import pytest

from bluegreen.model.permissions import AUDIENCE, GITHUB, Verb, trust
from sandbox.iam.policy import Question, read, trusts

PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{GITHUB}"
PERSON = "arn:aws:iam::111122223333:role/admins"
CHANGING = [Verb.BAKE, Verb.DEPLOY, Verb.ROLLBACK]


def lets_in(verb: Verb, subject: str, audience: str = AUDIENCE, provider: str = PROVIDER) -> bool:
    document = trust(verb, stack="prod", repository="acme/shop", provider=PROVIDER, people=[PERSON])
    question = Question(
        action="sts:AssumeRoleWithWebIdentity",
        resource="*",
        context={f"{GITHUB}:sub": (subject,), f"{GITHUB}:aud": (audience,)},
    )
    return trusts(read(document), "Federated", provider, question)


@pytest.mark.parametrize("verb", CHANGING)
def test_a_job_of_the_environment_may_change_its_stack_and_no_other_job(verb: Verb) -> None:
    assert lets_in(verb, "repo:acme/shop:environment:prod")
    for subject in (
        "repo:acme/shop:environment:dev",
        "repo:acme/shop:environment:prod-eu",
        "repo:acme/shop:ref:refs/heads/main",
        "repo:acme/shop:pull_request",
        "repo:acme/shopping:environment:prod",
        "repo:evil/shop:environment:prod",
    ):
        assert not lets_in(verb, subject), subject


def test_every_job_of_the_repository_may_look_and_of_no_other() -> None:
    assert lets_in(Verb.READ_ONLY, "repo:acme/shop:pull_request")
    assert not lets_in(Verb.READ_ONLY, "repo:acme/shop-fork:pull_request")


@pytest.mark.parametrize("verb", Verb)
def test_a_token_for_somebody_else_or_of_another_issuer_is_refused(verb: Verb) -> None:
    subject = "repo:acme/shop:environment:prod"
    assert lets_in(verb, subject)
    assert not lets_in(verb, subject, audience="https://github.com/acme")
    assert not lets_in(verb, subject, provider=PROVIDER.replace(GITHUB, "tokens.example.com"))


def test_people_are_trusted_by_name() -> None:
    statements = read(trust(Verb.DEPLOY, stack="prod", repository="", provider="", people=[PERSON]))
    question = Question(action="sts:AssumeRole", resource="*")
    assert trusts(statements, "AWS", PERSON, question)
    assert not trusts(statements, "AWS", "arn:aws:iam::111122223333:role/others", question)
    assert len(statements) == 1, "without a repository no job has it"
