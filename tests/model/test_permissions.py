"""Policies at a place, in documents that IAM takes."""

from __future__ import annotations

from typing import Any

from bluegreen.model.permissions import Place, at, size_of, split
from bluegreen.model.tags import Owner

PLACE = Place(
    owner=Owner(project="shop", stack="prod", service="cart"),
    account="111122223333",
    region="cn-north-1",
    table="history",
    bucket="artifacts",
    backup_bucket="backups",
    partition="aws-cn",
)


def statement(sid: str, length: int) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": ["ec2:Describe*"], "Resource": ["x" * length]}


def test_placeholders_and_partition_are_those_of_the_place() -> None:
    template = {
        "Statement": [
            {
                "Resource": ["arn:aws:ssm:${region}:${account}:parameter/bluegreen/${project}/${stack}/${service}/url"],
                "Condition": {"StringEquals": {"aws:ResourceTag/bluegreen:stack": "${stack}"}},
            }
        ]
    }
    (found,) = at(template, PLACE)["Statement"]
    assert found["Resource"] == ["arn:aws-cn:ssm:cn-north-1:111122223333:parameter/bluegreen/shop/prod/cart/url"]
    assert found["Condition"] == {"StringEquals": {"aws:ResourceTag/bluegreen:stack": "prod"}}


def test_white_space_does_not_count() -> None:
    assert size_of({"a": ["b", "c"]}) == len('{"a":["b","c"]}')


def test_statements_stay_whole_and_in_order_and_no_document_is_too_long() -> None:
    policy = {"Version": "2012-10-17", "Statement": [statement(str(number), 300) for number in range(7)]}
    documents = split(policy, most=1000)
    assert [[each["Sid"] for each in document["Statement"]] for document in documents] == [
        ["0", "1"],
        ["2", "3"],
        ["4", "5"],
        ["6"],
    ]
    assert all(size_of(document) <= 1000 and document["Version"] == "2012-10-17" for document in documents)


def test_what_fits_is_one_document() -> None:
    policy = {"Version": "2012-10-17", "Statement": [statement("a", 10), statement("b", 10)]}
    assert split(policy) == (policy,)
