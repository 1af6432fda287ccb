"""The policies of the verbs allow what the verbs were seen to ask, nothing is in them in vain, and they end where the
stack ends. What was asked is recorded in sandbox/iam/recorded/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bluegreen import permissions
from bluegreen.model.permissions import MOST_CHARACTERS, Place, Verb, at, size_of, split
from bluegreen.model.tags import Owner
from sandbox.iam import recording, reference
from sandbox.iam.generate import policy_of
from sandbox.iam.policy import Question, Verdict, judge, read
from sandbox.iam.unseen import UNSEEN

PLACE = Place(
    owner=Owner(project="shop", stack="prod", service="cart"),
    account="111122223333",
    region="eu-west-1",
    table="history",
    bucket="shop-artifacts",
    backup_bucket="shop-backups",
    listener="arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/everybody/1/2",
)
OTHERS = (
    replace(PLACE, owner=Owner(project="shop", stack="prod", service="mail")),
    replace(PLACE, owner=Owner(project="shop", stack="dev", service="cart")),
    replace(PLACE, owner=Owner(project="blog", stack="prod", service="cart")),
)
VERBS = list(Verb)


def asked(verb: Verb, place: Place = PLACE) -> list[Question]:
    return [recording.filled(each, place.words) for each in (*recording.read(verb), *UNSEEN[verb])]


def policy(verb: Verb) -> dict[str, Any]:
    return at(permissions.template(verb), PLACE)


def denied(policy: Mapping[str, Any], questions: list[Question]) -> list[Question]:
    statements = read(policy)
    return [each for each in questions if judge(statements, each) is not Verdict.ALLOWED]


def is_about(statement: Mapping[str, Any], question: Question) -> bool:
    service = question.action.partition(":")[0]
    return any(each.startswith(f"{service}:") for each in statement["Action"])


def is_write(question: Question) -> bool:
    known = reference.action(*question.action.split(":", 1))
    return known is not None and not known.is_read


@pytest.mark.parametrize("verb", VERBS)
class TestEach:
    def test_it_is_what_the_recording_makes(self, verb: Verb) -> None:
        """`make iam-policies` writes it anew."""
        assert permissions.template(verb) == policy_of([*recording.read(verb), *UNSEEN[verb]])

    def test_it_allows_all_that_was_asked(self, verb: Verb) -> None:
        assert len(recording.read(verb)) > 15
        assert denied(policy(verb), asked(verb)) == []

    def test_without_any_one_statement_something_is_denied(self, verb: Verb) -> None:
        whole, questions = policy(verb), asked(verb)
        in_vain = [
            statement["Sid"]
            for statement in whole["Statement"]
            if not denied(
                {**whole, "Statement": [each for each in whole["Statement"] if each is not statement]}, questions
            )
        ]
        assert in_vain == []

    @pytest.mark.parametrize("element", ["Action", "Resource"])
    def test_without_any_one_action_or_resource_something_is_denied(self, verb: Verb, element: str) -> None:
        whole, questions = policy(verb), asked(verb)
        in_vain = []
        for statement in whole["Statement"]:
            for value in statement[element]:
                less = {**statement, element: [each for each in statement[element] if each != value]}
                statements = [less if each is statement else each for each in whole["Statement"]]
                touched = [each for each in questions if is_about(statement, each)]
                if less[element] and not denied({**whole, "Statement": statements}, touched):
                    in_vain.append((statement["Sid"], value))
        assert in_vain == []

    def test_iam_takes_its_documents(self, verb: Verb) -> None:
        documents = split(policy(verb))
        assert all(size_of(each) <= MOST_CHARACTERS for each in documents)
        assert [one for each in documents for one in each["Statement"]] == policy(verb)["Statement"]
        sids = [one["Sid"] for each in documents for one in each["Statement"]]
        assert len(set(sids)) == len(sids)
        assert all(sid.isalnum() for sid in sids)

    def test_every_condition_is_one_that_aws_knows_for_the_action(self, verb: Verb) -> None:
        """A key that AWS does not know for an action is absent, and the statement allows nothing."""
        for statement in permissions.template(verb)["Statement"]:
            keys = [key for tests in statement.get("Condition", {}).values() for key in tests]
            for name in statement["Action"]:
                known = reference.action(*name.split(":", 1))
                for key in keys:
                    assert known is not None, name
                    assert any(
                        known.knows(key, each.replace("${", "").replace("}", "")) for each in statement["Resource"]
                    )

    def test_an_action_that_aws_has_no_resources_for_is_allowed_on_all(self, verb: Verb) -> None:
        """On anything else it would be denied (IAM User Guide, "IAM JSON policy elements: Resource")."""
        for statement in permissions.template(verb)["Statement"]:
            for name in statement["Action"]:
                known = reference.action(*name.split(":", 1))
                if known is not None and not known.types:
                    assert statement["Resource"] == ["*"], name

    @pytest.mark.parametrize("other", OTHERS, ids=lambda it: "-".join(it.owner.tags.values()))
    def test_nothing_of_another_service_or_stack_can_be_changed(self, verb: Verb, other: Place) -> None:
        ours = asked(verb)  # with what all services of a stack share: Consul's cluster, the key
        theirs = [each for each in asked(verb, other) if each not in ours]
        theirs = [each for each in theirs if is_write(each) and "bluegreen" in json.dumps(each.context)]
        # Of a launch its template tells whose it is, and of a new security group its own tags: AWS asks for all.
        theirs = [each for each in theirs if each.action != "ec2:RunInstances" or "template" in each.resource]
        theirs = [each for each in theirs if each.action != "ec2:CreateSecurityGroup" or ":vpc/" not in each.resource]
        allowed = [each for each in theirs if each not in denied(policy(verb), theirs)]
        # Images are a service's, whatever the stack.
        assert [each for each in allowed if verb is not Verb.BAKE or other.owner.service != "cart"] == []

    def test_a_pattern_that_all_resources_fit_is_for_reads_alone(self, verb: Verb) -> None:
        for statement in policy(verb)["Statement"]:
            if "*" in statement["Resource"] and "Condition" not in statement:
                names = [one for each in statement["Action"] for one in reference.actions_like(each)]
                assert [name for name in names if is_write(Question(action=name, resource="*"))] == []


class TestLimits:
    def test_who_may_only_look_changes_nothing_whatever_it_is(self) -> None:
        writes = [each for verb in VERBS for each in asked(verb) if is_write(each)]
        assert len(writes) > 100
        assert denied(policy(Verb.READ_ONLY), writes) == writes

    def test_who_may_roll_back_bakes_nothing_and_makes_no_network(self) -> None:
        other = [
            each
            for verb in (Verb.BAKE, Verb.DEPLOY)
            for each in asked(verb)
            if each.action.startswith(("ec2:Create", "elasticloadbalancing:CreateLoadBalancer", "s3:"))
            and "launch-template" not in each.resource
            and is_write(each)
            and each.context.get("ec2:CreateAction") != ("RunInstances",)
        ]
        assert len(other) > 20
        assert denied(policy(Verb.ROLLBACK), other) == other

    def test_who_bakes_deploys_nothing(self) -> None:
        deploying = [each for each in asked(Verb.DEPLOY) if is_write(each) and not each.action.startswith("ec2:")]
        # Whoever needs the bucket of the artifacts first makes it.
        deploying = [each for each in deploying if each.resource != f"arn:aws:s3:::{PLACE.bucket}"]
        assert len(deploying) > 50
        assert denied(policy(Verb.BAKE), deploying) == deploying

    @pytest.mark.parametrize("verb", [Verb.DEPLOY, Verb.ROLLBACK])
    def test_roles_are_passed_to_machines_alone_and_only_those_of_the_service(self, verb: Verb) -> None:
        passed = [each for each in asked(verb) if each.action == "iam:PassRole"]
        machines = next(each for each in passed if each.context["iam:PassedToService"] == ("ec2.amazonaws.com",))
        assert denied(policy(verb), passed) == []
        for service in ("lambda.amazonaws.com", "ecs-tasks.amazonaws.com"):
            elsewhere = replace(machines, context={"iam:PassedToService": (service,)})
            assert denied(policy(verb), [elsewhere]) == [elsewhere]
        for role in ("admin", "mail-machines-1a2b3c4d"):
            another = replace(machines, resource=f"arn:aws:iam::111122223333:role/{role}")
            assert denied(policy(verb), [another]) == [another]

    @pytest.mark.parametrize("verb", VERBS)
    def test_nobody_makes_users_keys_or_attaches_policies(self, verb: Verb) -> None:
        names = ("CreateUser", "CreateAccessKey", "AttachRolePolicy", "CreatePolicyVersion", "UpdateAssumeRolePolicy")
        asked_for = [
            Question(action=f"iam:{name}", resource="arn:aws:iam::111122223333:role/cart-machines-1") for name in names
        ]
        assert denied(policy(verb), asked_for) == asked_for
