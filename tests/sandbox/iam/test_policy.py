"""Policies are judged as AWS documents it; what the sandbox does not know of them is refused."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.iam.policy import PolicyError, Question, Verdict, judge, read

GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
OPERATORS = f"{GUIDE}/reference_policies_elements_condition_operators.html"
LOGIC = f"{GUIDE}/reference_policies_evaluation-logic.html"
RESOURCE = f"{GUIDE}/reference_policies_elements_resource.html"
VPC = "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1"


def documented(what: str, source: str) -> pytest.MarkDecorator:
    return pytest.mark.documented(what, source)


def verdict(*statements: dict[str, Any], action: str = "ec2:DeleteVpc", resource: str = VPC, **context: Any) -> Verdict:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **each} for each in statements]}
    keys = {key.replace("__", ":"): values for key, values in context.items()}
    return judge(read(document), Question(action=action, resource=resource, context=keys))


def holds(operator: str, wanted: Any, *values: str, key: str = "aws:ResourceTag/team") -> bool:
    statement = {"Action": "*", "Resource": "*", "Condition": {operator: {key: wanted}}}
    document = {"Statement": [{"Effect": "Allow", **statement}]}
    context = {key: values} if values else {}
    return judge(read(document), Question(action="a:B", resource="*", context=context)) is Verdict.ALLOWED


@documented("what no policy allows is denied", LOGIC)
def test_nothing_is_allowed_by_default() -> None:
    assert verdict({"Action": "ec2:CreateVpc", "Resource": "*"}) is Verdict.NOT_ALLOWED


@documented("a denial wins over every permission", LOGIC)
def test_a_denial_wins() -> None:
    allowed, denied = {"Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}
    assert verdict(allowed, denied) is Verdict.DENIED
    assert verdict(denied, allowed) is Verdict.DENIED


def test_actions_are_matched_whatever_their_case_and_resources_are_not() -> None:
    assert verdict({"Action": "EC2:deletevpc", "Resource": VPC}) is Verdict.ALLOWED
    assert verdict({"Action": "ec2:DeleteVpc", "Resource": VPC.upper()}) is Verdict.NOT_ALLOWED
    assert verdict({"NotAction": "ec2:DeleteVpc", "Resource": "*"}) is Verdict.NOT_ALLOWED
    assert verdict({"NotAction": "s3:*", "Resource": "*"}) is Verdict.ALLOWED
    assert verdict({"Action": "*", "NotResource": VPC}) is Verdict.NOT_ALLOWED


@documented("a wildcard in an ARN stays within its part, but in the last one", RESOURCE)
def test_a_wildcard_does_not_reach_over_a_colon() -> None:
    assert verdict({"Action": "*", "Resource": "arn:aws:ec2:*:111122223333:vpc/*"}) is Verdict.ALLOWED
    assert verdict({"Action": "*", "Resource": "arn:aws:ec2:*:vpc/vpc-1:x:y"}) is Verdict.NOT_ALLOWED
    assert verdict({"Action": "*", "Resource": "arn:aws:*:*:*:*"}) is Verdict.ALLOWED


@pytest.mark.parametrize(
    ("operator", "wanted", "values", "expected"),
    [
        pytest.param(
            "StringEquals", "web", ("web",), True, marks=documented("StringEquals is exact, by case", OPERATORS)
        ),
        ("StringEquals", "web", ("Web",), False),
        ("StringEquals", ["web", "api"], ("api",), True),
        ("StringEqualsIgnoreCase", "web", ("Web",), True),
        ("StringLike", "we*", ("web",), True),
        ("StringLike", "we*", ("api",), False),
        ("ArnLike", "arn:aws:ec2:*:*:vpc/*", (VPC,), True),
        ("ArnLike", "arn:aws:ec2:*", (VPC,), False),
        ("Bool", "true", ("true",), True),
        ("Bool", True, ("false",), False),
        ("StringNotEquals", ["web", "api"], ("api",), False),
        ("StringNotEquals", "web", ("api",), True),
        pytest.param(
            "StringEquals", "web", (), False, marks=documented("a key that is absent matches nothing", OPERATORS)
        ),
        pytest.param(
            "StringNotEquals", "web", (), True, marks=documented("a negated test of an absent key holds", OPERATORS)
        ),
        pytest.param(
            "StringEqualsIfExists", "web", (), True, marks=documented("IfExists passes an absent key", OPERATORS)
        ),
        ("StringEqualsIfExists", "web", ("api",), False),
        pytest.param("Null", "true", (), True, marks=documented("Null asks whether a key is absent", OPERATORS)),
        ("Null", "true", ("web",), False),
        ("Null", "false", ("web",), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a",), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False),
        ("ForAllValues:StringEquals", ["a"], (), True),
        ("ForAnyValue:StringEquals", ["a", "b"], ("c", "b"), True),
        ("ForAnyValue:StringEquals", ["a"], (), False),
        ("StringEquals", "a", ("a", "b"), False),
    ],
)
def test_a_condition_holds(operator: str, wanted: Any, values: tuple[str, ...], expected: bool) -> None:
    assert holds(operator, wanted, *values) is expected


def test_all_conditions_of_a_statement_have_to_hold() -> None:
    condition = {"StringEquals": {"aws:ResourceTag/a": "1", "aws:ResourceTag/b": "2"}}
    document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}]}
    both = {"aws:ResourceTag/a": ("1",), "aws:ResourceTag/b": ("2",)}
    question = Question(action="a:B", resource="*", context=both)
    assert judge(read(document), question) is Verdict.ALLOWED
    question = Question(action="a:B", resource="*", context={"aws:ResourceTag/a": ("1",)})
    assert judge(read(document), question) is Verdict.NOT_ALLOWED


def test_a_policy_variable_is_what_the_request_says() -> None:
    assert holds("StringEquals", "${aws:ResourceTag/team}", "web")
    assert not holds("StringEquals", "${aws:PrincipalTag/team}", "web")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ({"Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"aws:CurrentTime": "2030"}}}, "DateLessThan"),
        ({"Action": "*", "Resource": "*", "Conditions": {}}, "Conditions"),
        ({"Action": "*", "Resource": "vpc-1"}, "is no ARN"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_what_is_not_known_is_refused(statement: dict[str, Any], said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        read({"Statement": [{"Effect": "Allow", **statement}]})
